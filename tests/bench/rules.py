"""The rules: how fast, beside plain Python and a stream processor, and what a million devices take. All on one core, in
CPU time, so that whoever else is on the machine does not count; what is sent is `mixture`'s.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import msgspec
import numpy as np

from alerts.rules.engine import Engine
from alerts.rules.pack import load_pack
from homecare.metrics import METRICS
from homecare.samples import Samples
from tests.alerts.rules import scalar
from tests.bench import mixture, usage
from tests.bench.goals import Results
from tests.bench.say import Say

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "build/bench/packages"
ROUNDS = 3
SETTLED_MINUTES = 6
"""After so long the engine holds as much as it ever will of what it keeps for minutes."""
CHUNK = 50_000


def measure_speed(results: Results, say: Say) -> None:
    """rules_samples_per_s, rules_samples_per_s_million: the whole default pack."""
    for metric, devices, rows, batches in (
        ("rules_samples_per_s", 10_000, 1_000, 200),
        ("rules_samples_per_s_million", 1_000_000, 10_000, 100),
    ):
        engine = watching(devices)
        rate = samples_per_s(engine, devices, rows, batches, say)
        results.add(metric, rate)


def watching(devices: int) -> Engine:
    """An engine with the default pack that knows so many devices and the people who wear them."""
    engine = Engine(load_pack())
    for first in range(1, devices + 1, CHUNK):
        count = min(CHUNK, devices + 1 - first)
        engine.register(mixture.devices(count, first))
        engine.know(mixture.profiles(count, first))
    return engine


def samples_per_s(engine: Engine, devices: int, rows: int, batches: int, say: Say) -> float:
    """In batches of `rows`, with a look at who is due after each; the median of the rounds."""
    before = devices * SETTLED_MINUTES // rows
    stream = mixture.batches(devices, rows, before + ROUNDS * batches)
    for _ in range(before):
        apply(engine, next(stream))
    rates = []
    for number in range(1, ROUNDS + 1):
        ready = [next(stream) for _ in range(batches)]
        began = time.process_time()
        triggers = sum(apply(engine, batch) for batch in ready)
        rates.append(rows * batches / (time.process_time() - began))
        say(f"{devices:,} devices, round {number}/{ROUNDS}: {rates[-1]:,.0f} samples/s, {triggers} triggers")
    return median(rates)


def apply(engine: Engine, batch: Samples) -> int:
    """A batch, then whoever is due by now, which ingest asks once a second; how many triggers."""
    return len(engine.apply(batch)) + len(engine.sweep(int(batch.received[-1])))


def measure_scalar(results: Results, say: Say) -> None:
    """rules_vs_scalar: the limit rules, and `tests/alerts/rules/scalar.py`, written for reading."""
    pack = msgspec.structs.replace(load_pack(), silence=None, rules={})
    batches = list(mixture.batches(1_000, 1_000, 100))
    engine = Engine(pack)
    began = time.process_time()
    for batch in batches:
        engine.apply(batch)
    ours = time.process_time() - began
    samples = [sample for batch in batches for sample in to_scalar(batch)]
    began = time.process_time()
    scalar.limit_triggers(pack, samples)
    plain = time.process_time() - began
    say(f"limits: {len(samples) / ours:,.0f} samples/s, plain Python {len(samples) / plain:,.0f}")
    results.add("rules_vs_scalar", plain / ours)


def to_scalar(batch: Samples) -> list[scalar.Sample]:
    """The samples as the scalar version takes them."""
    names = [metric.name for metric in METRICS]
    result = []
    for row in range(len(batch)):
        values = {
            names[column]: float(batch.values[row, column]) for column in np.flatnonzero(~np.isnan(batch.values[row]))
        }
        result.append(
            scalar.Sample(
                received=int(batch.received[row]),
                values=values,
                ts=int(batch.ts[row]),
                device=int(batch.device[row]),
                resident=int(batch.resident[row]),
                seq=int(batch.seq[row]),
                subject=bool(batch.flags[row]),
            )
        )
    return result


def measure_bytewax(results: Results, say: Say) -> None:
    """rules_vs_bytewax: a high and a low limit with hysteresis on one metric, the same readings for both."""
    if not (PACKAGES / "bytewax").exists():
        results.skip("Bytewax cannot be installed for this Python", "rules_vs_bytewax")
        return
    ours, theirs = (
        msgspec.json.decode(_run("tests.bench.two_limits", contender), type=dict[str, float])
        for contender in ("engine", "bytewax")
    )
    if ours["transitions"] != theirs["transitions"]:
        raise RuntimeError(f"they disagree: {ours['transitions']} and {theirs['transitions']} transitions")
    say(f"two limits: {ours['rate']:,.0f} samples/s, Bytewax {theirs['rate']:,.0f}")
    results.add("rules_vs_bytewax", ours["rate"] / theirs["rate"])


def measure_silence(results: Results, say: Say) -> None:
    """silence_sweep_ms over 1,000,000 devices, and while 16,700 of them fall due in every second."""
    devices = 1_000_000
    engine = Engine(msgspec.structs.replace(load_pack(), limit={}, rules={}))
    for first in range(1, devices + 1, CHUNK):
        engine.register(mixture.devices(CHUNK, first))
    heard = mixture.START + np.arange(devices, dtype=np.int64) * mixture.MINUTE_MS // devices
    engine.heard(np.arange(1, devices + 1, dtype=np.int32), heard)
    took = []
    for second in range(150, 400):
        began = time.process_time()
        engine.sweep(mixture.START + second * 1000)
        took.append((time.process_time() - began) * 1000)
    say(
        f"a sweep takes {median(took[:30]):.1f} ms, {median(took[40:]):.1f} ms while many fall due, {max(took):.0f} ms at most"
    )
    results.add("silence_sweep_ms", median(took[:30]))
    results.add("silence_sweep_many_due_ms", median(took[40:]))


def measure_memory(results: Results, say: Say) -> None:
    """rules_bytes_per_device: the whole default pack, once everybody has sent for minutes."""
    few, many = 1_000, 1_000_000
    held = {devices: int(_run("tests.bench.rules_memory", str(devices))) for devices in (few, many)}
    say(f"{many:,} devices: {held[many] >> 20} MiB")
    results.add("rules_bytes_per_device", (held[many] - held[few]) / (many - few))


def measure_backtest(results: Results, say: Say) -> None:
    """backtest_samples_per_s: `homecare backtest` on a capture of an hour of 10,000 devices, a sample a message."""
    devices, rows, batches = 10_000, 10_000, 60
    with tempfile.TemporaryDirectory(prefix="homecare-bench-") as folder:
        path = Path(folder) / "capture.jsonl"
        with path.open("wb") as file:
            for batch in mixture.batches(devices, rows, batches):
                file.writelines(mixture.lines(batch))
        say(f"the capture has {path.stat().st_size >> 20} MiB")
        program = Path(sys.executable).with_name("homecare")
        with (Path(folder) / "triggers.jsonl").open("wb") as out:
            seconds = usage.cpu_seconds([str(program), "backtest", str(path)], out)
        triggers = (Path(folder) / "triggers.jsonl").read_bytes().count(b"\n")
    say(f"{rows * batches:,} samples in {seconds:.2f} s, {triggers} triggers")
    results.add("backtest_samples_per_s", rows * batches / seconds)


def _run(module: str, argument: str) -> bytes:
    """What a program of this package prints, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(PACKAGES)])}
    done = subprocess.run(
        [sys.executable, "-m", module, argument], stdout=subprocess.PIPE, check=True, env=environment, cwd=ROOT
    )
    return done.stdout


PARTS: Mapping[str, Callable[[Results, Say], None]] = {
    "speed": measure_speed,
    "scalar": measure_scalar,
    "bytewax": measure_bytewax,
    "silence": measure_silence,
    "memory": measure_memory,
    "backtest": measure_backtest,
}

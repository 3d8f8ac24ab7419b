"""`python -m tests.bench.two_limits engine|bytewax`: two limits with hysteresis over the same readings, a rule each; one process each.

Prints {"rate": readings per second of CPU time, "transitions": raised and cleared}.
"""

import importlib
import sys
import time
from typing import Any

import msgspec
import numpy as np

from alerts.rules.engine import Engine
from alerts.rules.limit_rules import Band, LimitRule, Reading
from alerts.rules.pack import load_pack
from homecare.metrics import INDEX
from homecare.samples import Samples

DEVICES, ROWS, BATCHES = 10_000, 5_000, 60
START = 1_795_219_200_000
HIGH, HIGH_OVER, LOW, LOW_OVER = 100, 95, 50, 53


def readings() -> list[tuple[int, float]]:
    """(device, pulse) in order; nearly all within the limits."""
    random = np.random.default_rng(1)
    values = np.round(random.normal(74, 9, ROWS * BATCHES))
    return [(n % DEVICES + 1, value) for n, value in enumerate(values.tolist())]


def by_engine() -> tuple[float, int]:
    """(seconds, transitions)."""
    texts: Any = {"zh": "{value}", "en": "{value}"}
    sides = (
        Reading(
            metric="heart_rate",
            side="high",
            hysteresis=HIGH - HIGH_OVER,
            bands=(Band(severity="warning", limit=HIGH),),
            **texts,
        ),
        Reading(
            metric="heart_rate",
            side="low",
            hysteresis=LOW_OVER - LOW,
            bands=(Band(severity="warning", limit=LOW),),
            **texts,
        ),
    )
    rule = LimitRule(
        version=1,
        kind="vital",
        scope="device",
        again_s=366 * 86_400,
        reading=sides,
        cleared_zh="{value}",
        cleared_en="{value}",
    )
    engine = Engine(msgspec.structs.replace(load_pack(), limit={"pulse": rule}, silence=None, rules={}))
    batches, given = [], np.array(readings())
    for first in range(0, len(given), ROWS):
        samples = Samples.empty(ROWS)
        n = np.arange(first, first + ROWS)
        samples.device[:] = given[n, 0]
        samples.values[:, INDEX["heart_rate"]] = given[n, 1]
        samples.seq[:] = n // DEVICES
        samples.ts[:] = samples.received[:] = START + n * 60_000 // DEVICES
        batches.append(samples)
    began = time.process_time()
    transitions = sum(len(engine.apply(batch)) for batch in batches)
    return time.process_time() - began, transitions


def by_bytewax() -> tuple[float, int]:
    """(seconds, transitions)."""
    flows, op, testing = (importlib.import_module(f"bytewax.{name}") for name in ("dataflow", "operators", "testing"))
    said: list[Any] = []
    flow = flows.Dataflow("limits")
    source = testing.TestingSource([(str(device), value) for device, value in readings()], batch_size=ROWS)
    stream = op.input("readings", flow, source)
    for name, judge in (("high", judge_high), ("low", judge_low)):
        found = op.stateful_map(name, stream, judge)
        op.output(f"{name} said", op.filter(f"{name} changes", found, lambda one: one[1]), testing.TestingSink(said))
    began = time.process_time()
    testing.run_main(flow)
    return time.process_time() - began, len(said)


def judge_high(state: bool | None, value: float) -> tuple[bool, bool]:
    """(whether it is too high now, whether that has changed)."""
    now = value > HIGH_OVER if state else value >= HIGH
    return now, now != bool(state)


def judge_low(state: bool | None, value: float) -> tuple[bool, bool]:
    """(whether it is too low now, whether that has changed)."""
    now = value < LOW_OVER if state else value <= LOW
    return now, now != bool(state)


def main() -> None:
    """Print the figures of the contender that is named."""
    seconds, transitions = by_engine() if sys.argv[1] == "engine" else by_bytewax()
    figures = {"rate": ROWS * BATCHES / seconds, "transitions": float(transitions)}
    sys.stdout.buffer.write(msgspec.json.encode(figures) + b"\n")


if __name__ == "__main__":
    main()

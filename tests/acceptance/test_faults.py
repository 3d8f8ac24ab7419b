"""A small `make faults`: each thing that can break breaks once, and nothing acknowledged is lost or stored twice."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.faults.recorder import Recorder
from tests.faults.report import Report
from tests.faults.stage import Verdict
from tests.services.inventory import given_database_url

PROJECT = Path(__file__).parents[2]
SCENARIOS = ("kill_ingest", "stop_ingest", "kill_postgres", "wipe_broker", "cut_database", "clocks_ahead")
ALERTS = ("alerts_kill_points", "alerts_endpoints", "alerts_flood")


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_twice_whatever_breaks(tmp_path: Path) -> None:
    if given_database_url():
        pytest.skip("the given database server is not the tests' to stop")
    metrics = broken(tmp_path, SCENARIOS)
    for scenario in SCENARIOS:
        assert metrics[f"{scenario}_acknowledged"] > 1000
        assert metrics[f"{scenario}_missing"] == metrics[f"{scenario}_twice"] == 0


@pytest.mark.slow
def test_no_alert_is_lost_or_told_twice_whatever_breaks(tmp_path: Path) -> None:
    if given_database_url():
        pytest.skip("the given database server is not the tests' to stop")
    metrics = broken(tmp_path, ALERTS)
    for scenario in ALERTS:
        assert metrics[f"{scenario}_sent"] == metrics[f"{scenario}_acknowledged"] > 0
        assert metrics[f"{scenario}_log_findings"] == metrics[f"{scenario}_steps_twice"] == 0


def broken(folder: Path, scenarios: tuple[str, ...]) -> dict[str, float]:
    """What a quick run of these scenarios measured; every promise was kept in it."""
    output = folder / "faults.json"
    only = [argument for scenario in scenarios for argument in ("--only", scenario)]
    run = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--quick", "--output", str(output), *only],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    metrics: dict[str, float] = msgspec.json.decode(output.read_bytes())["metrics"]
    return metrics


def publish(topic: bytes, ident: int, payload: bytes) -> bytes:
    """An MQTT 5 PUBLISH at QoS 1."""
    body = len(topic).to_bytes(2, "big") + topic + ident.to_bytes(2, "big") + b"\0" + payload
    size = bytes((len(body) & 127 | 128, len(body) >> 7)) if len(body) > 127 else bytes((len(body),))
    return b"\x32" + size + body


def test_recorder_reads_the_wire_however_it_is_cut() -> None:
    topic, padding = b"care/v1/990101/d-1/telemetry", b" " * 100
    said = b"".join(publish(topic, n, b'{"boot":2,"seq":%d,"ts":null}' % (n % 3) + padding) for n in range(1, 5))
    said += publish(b"traccar/positions", 9, b"{}")
    answers = b"".join(b"\x40\x02" + n.to_bytes(2, "big") for n in (1, 2, 9))
    for cut in (1, 7, 1000):
        recorder = Recorder()
        backend, broker = recorder.watch()
        for at in range(0, len(said), cut):
            broker(said[at : at + cut])
        for at in range(0, len(answers), cut):
            backend(answers[at : at + cut])
        assert recorder.delivered.keys() == {("d-1", 2, seq) for seq in (0, 1, 2)}
        assert recorder.again.keys() == {("d-1", 2, 1)}
        assert recorder.acknowledged.keys() == {("d-1", 2, 1), ("d-1", 2, 2)}
        assert (recorder.messages, recorder.acknowledgements, recorder.outstanding) == (5, 3, 2)


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(missing=1),
        Verdict(twice=1),
        Verdict(notes={"ended_within_s": 11}),
        Verdict(notes={"sos_lost": 1}),
        Verdict(notes={"told": 0}),
        Verdict(notes={"not_finished": 1}),
        Verdict(notes={"good_throughput": 0.8}),
    ],
)
def test_broken_promise_is_said(verdict: Verdict) -> None:
    report = Report()
    report.add("kill_ingest", Verdict(acknowledged=5))
    assert report.all_kept()
    assert "BROKEN" not in report.table()
    report.add("kill_ingest", verdict)
    assert not report.all_kept()
    assert "BROKEN" in report.table()
    assert report.metrics()["kill_ingest_runs"] == 2

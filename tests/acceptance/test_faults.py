"""A small `make faults`: each thing that can break breaks once, and nothing acknowledged is lost or stored twice."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.services.inventory import given_database_url

PROJECT = Path(__file__).parents[2]
SCENARIOS = ("kill_ingest", "stop_ingest", "kill_postgres", "wipe_broker", "cut_database", "clocks_ahead")


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_twice_whatever_breaks(tmp_path: Path) -> None:
    if given_database_url():
        pytest.skip("the given database server is not the tests' to stop")
    output = tmp_path / "faults.json"
    only = [argument for scenario in SCENARIOS for argument in ("--only", scenario)]
    run = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--quick", "--output", str(output), *only],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    metrics = msgspec.json.decode(output.read_bytes())["metrics"]
    for scenario in SCENARIOS:
        assert metrics[f"{scenario}_acknowledged"] > 1000
        assert metrics[f"{scenario}_missing"] == metrics[f"{scenario}_twice"] == 0

"""The points at which a test may kill the process: refused in production, exact in a test."""

import signal
import subprocess
import sys

import pytest

from alerts import stops
from homecare.errors import SettingsError

PROGRAM = """
import os
from alerts import stops
stops.arm(os.environ)
for turn in range(3):
    stops.reached("before", "page")
    print(turn, flush=True)
    stops.reached("after", "page")
"""


@pytest.mark.parametrize(
    "environment",
    [
        {"HOMECARE_TEST_STOP_AT": "after.page"},
        {"HOMECARE_TEST_STOP_AT": "after.page", "HOMECARE_TEST_HOOKS": "yes"},
        {"HOMECARE_TEST_STOP_AT": "after.page:0", "HOMECARE_TEST_HOOKS": "1"},
        {"HOMECARE_TEST_STOP_AT": ":2", "HOMECARE_TEST_HOOKS": "1"},
    ],
)
def test_it_is_refused_where_hooks_are_not_allowed_or_it_means_nothing(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="HOMECARE_TEST_STOP_AT"):
        stops.arm(environment)


@pytest.mark.parametrize(
    ("point", "seen", "status"),
    [
        ("before.page", b"", -signal.SIGKILL),
        ("after.page:2", b"0\n1\n", -signal.SIGKILL),
        ("after.lease", b"0\n1\n2\n", 0),
        ("", b"0\n1\n2\n", 0),
    ],
)
def test_the_process_dies_at_that_point_and_nowhere_else(point: str, seen: bytes, status: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"HOMECARE_TEST_STOP_AT": point, "HOMECARE_TEST_HOOKS": "1"},
        stdout=subprocess.PIPE,
        check=False,
    )
    assert (ended.stdout, ended.returncode) == (seen, status)

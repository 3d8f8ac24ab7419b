"""Where a test may kill this process: right before or after a named statement, to show that nothing is lost there.

Safe in production: it is armed once, at the start, by HOMECARE_TEST_STOP_AT, and only beside HOMECARE_TEST_HOOKS=1: without
that the program refuses to start. Not armed, `reached` is one comparison. All it can do is end its own process, which
the alerts process must survive at any moment anyway.
"""

import os
import signal
from collections.abc import Mapping

from homecare.errors import SettingsError

VARIABLE, ALLOWED = "HOMECARE_TEST_STOP_AT", "HOMECARE_TEST_HOOKS"
_left: dict[str, int] = {}
"""How often each awaited point is still passed; at 0 the process dies there."""


def arm(environment: Mapping[str, str]) -> None:
    """`HOMECARE_TEST_STOP_AT=after.page` (the first time) or `after.page:n` (the n-th). SettingsError where hooks are not allowed."""
    wanted = environment.get(VARIABLE, "")
    if not wanted:
        return
    name, _, times = wanted.partition(":")
    if environment.get(ALLOWED) != "1":
        raise SettingsError(VARIABLE, f"is for tests alone, and needs {ALLOWED}=1")
    if not name or not (times or "1").isdecimal() or int(times or "1") < 1:
        raise SettingsError(VARIABLE, "must look like after.page or after.page:2")
    _left[name] = int(times or "1")


def reached(where: str, what: str) -> None:
    """The process is `where` (before, after) of `what`: a statement's name, or a place in the code. The point is `where.what`."""
    if not _left:
        return
    point = f"{where}.{what}"
    if point in _left:
        _left[point] -= 1
        if _left[point] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

"""Progress, for the person who waits."""

import sys
import time
from collections.abc import Callable

Say = Callable[[str], None]
_START = time.monotonic()


def say(text: str) -> None:
    """A line with the seconds since the start, on standard error."""
    sys.stderr.write(f"{time.monotonic() - _START:6.1f} s  {text}\n")
    sys.stderr.flush()

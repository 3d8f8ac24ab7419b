"""Time as a value that is passed in, so that tests and backtests run on their own clock."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], int]
"""Returns Unix milliseconds, UTC."""


def wall_clock() -> int:
    """The host's clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def to_datetime(ms: int) -> datetime:
    """Unix milliseconds -> aware UTC datetime (exact to the millisecond)."""
    seconds, rest = divmod(ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def to_ms(moment: datetime) -> int:
    """Aware datetime -> Unix milliseconds, rounded down."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def to_rfc3339(moment: datetime) -> str:
    """Aware datetime -> `2026-11-21T19:42:37.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""The local time of many people at once: a person's day begins and ends by the clock on their wall, summer time or not.

A *day* here may begin at any minute of the local day, so that a night belongs to one of them; it is numbered by the
days from 1 January 1970 to its date.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

DAY_MS = 86_400_000
MINUTE_MS = 60_000
DEFAULT_ZONE = "Asia/Shanghai"
_FIRST, _LAST = 2014, 2050
"""Years in which changes of a zone's offset are known; the checks let nothing pass that was measured earlier."""


class Zones:
    """Time zones by number: 0 is the default one."""

    def __init__(self) -> None:
        self._numbers = {DEFAULT_ZONE: 0}

    def number(self, name: str) -> int:
        """The number of an IANA zone; one that this machine does not know counts as the default one."""
        if name not in self._numbers:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                return 0
            self._numbers[name] = len(self._numbers)
        return self._numbers[name]

    def offset(self, zone: npt.NDArray[np.int16], at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(n,) ms by which the clocks of `zone` are ahead of UTC at `at` (Unix ms)."""
        result = np.empty(len(at), np.int64)
        names = list(self._numbers)
        for number in np.unique(zone).tolist() if len(names) > 1 else (0,):
            changes, offsets = _offsets(names[number])
            rows = np.flatnonzero(zone == number) if len(names) > 1 else slice(None)
            result[rows] = offsets[np.searchsorted(changes, at[rows], side="right")]
        return result

    def moment(
        self,
        zone: npt.NDArray[np.int16],
        day: npt.NDArray[np.int64],
        minute: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """(n,) Unix ms at which the clock shows `minute` of the date `day` (may be over 1439: of the next).

        Shown twice: the first time. Left out by the clock: as if it had not yet been put forward (as PEP 495, fold=0).
        """
        local = day * DAY_MS + minute * MINUTE_MS
        old = local - self.offset(zone, local - DAY_MS)
        new_offset = self.offset(zone, old)
        new = local - new_offset
        return np.where(self.offset(zone, new) == new_offset, new, old)

    def day(
        self, zone: npt.NDArray[np.int16], at: npt.NDArray[np.int64], minute: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """(n,) The day that began at `minute` or is under way at `at`; never goes back when time goes on."""
        local = at + self.offset(zone, at) - minute * MINUTE_MS
        day = local // DAY_MS
        # An hour that the clock shows twice may straddle the day's beginning.
        day -= at < self.moment(zone, day, minute)
        return day + (at >= self.moment(zone, day + 1, minute))

    def clock(self, zone: int, at: int) -> str:
        """`07:05`, as the clock of `zone` shows it at `at` (Unix ms)."""
        return self._local(zone, at).strftime("%H:%M")

    def date(self, zone: int, at: int) -> str:
        """`2026-11-21`, the local date at `at` (Unix ms)."""
        return self._local(zone, at).strftime("%Y-%m-%d")

    def _local(self, zone: int, at: int) -> datetime:
        return datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(list(self._numbers)[zone]))


def date_of(day: int) -> str:
    """`2026-11-21` for the number of a day."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%Y-%m-%d")


def minute_name(minute: int) -> str:
    """`07:05` for a minute of the day."""
    return f"{minute // 60 % 24:02d}:{minute % 60:02d}"


@cache
def _offsets(name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """When a zone's offset changes (k, Unix ms), and its offsets (k + 1, ms)."""
    zone = ZoneInfo(name)

    def offset(second: int) -> int:
        delta = datetime.fromtimestamp(second, zone).utcoffset() or timedelta()
        return round(delta.total_seconds() * 1000)

    first = int(datetime(_FIRST, 1, 1, tzinfo=UTC).timestamp())
    last = int(datetime(_LAST, 1, 1, tzinfo=UTC).timestamp())
    changes, offsets = [], [offset(first)]
    for day in range(first, last, 86_400):
        before, after = day, day + 86_400
        if offset(after) == offsets[-1]:
            continue
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if offset(middle) == offsets[-1] else (before, middle)
        changes.append(after * 1000)
        offsets.append(offset(after))
    return np.array(changes, np.int64), np.array(offsets, np.int64)

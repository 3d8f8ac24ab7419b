"""Which positions are believed: a jump no person can make is doubted, a receiver that only repeats itself is found out.

A doubted fix says nothing about where somebody is, until as many in a row agree with each other as the rule asks.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerts.rules.columns import Column, Columns
from alerts.rules.geometry import Floats, offset

NEVER = 2**62
GNSS = 3
"""`Samples.fix` of a satellite fix; -1: not said."""

LAT, LON, AT, ACCURACY, REPEATED_LAT, REPEATED_LON, REPEATED_SINCE, REPEATED = range(8)
"""Fields of `last`: the last fix believed, and the satellite fix that may be repeating, since when and how often."""
COLUMNS = {
    "last": Column(np.float64, 0, (8,)),
    "doubted": Column(np.int8, 0),
    "doubt": Column(np.float64, 0, (4,)),
    "told_at": Column(np.int64, -NEVER),
    "stuck": Column(np.bool_, 0),
}
"""Of each person. What every fix needs lies together, a cache line each; a time of 0 is none. `doubt` is the last fix
doubted (as the first half of `last`), `doubted` how many up to it agree, `told_at` when a doubt was last told.
"""


class Round(NamedTuple):
    """One fix each of n people: rows of their state, no row twice."""

    row: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    lat: Floats
    lon: Floats
    accuracy: Floats
    """m; the rule's where the fix does not say."""
    fix: npt.NDArray[np.int8]

    def take(self, rows: npt.NDArray[np.int64]) -> "Round":
        """Those at `rows`."""
        return Round(self.row[rows], self.at[rows], self.lat[rows], self.lon[rows], self.accuracy[rows], self.fix[rows])


class Verdict(NamedTuple):
    """What was made of each fix of a round."""

    believed: npt.NDArray[np.bool_]
    jumped: npt.NDArray[np.bool_]
    """It is doubted, and that is to be told."""
    stuck: npt.NDArray[np.bool_]
    moved: npt.NDArray[np.bool_]
    """It was stuck and is no more."""
    distance: Floats
    """m from the last fix believed; NaN where there is none."""
    span: npt.NDArray[np.int64]
    """ms since then, or, where it got stuck, since it has been the same."""


class Limits(NamedTuple):
    """The rule's numbers for each fix of a round."""

    top_speed: Floats
    doubts: npt.NDArray[np.int64]
    again_ms: npt.NDArray[np.int64]
    stuck_ms: npt.NDArray[np.int64]
    stuck_fixes: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.int64]) -> "Limits":
        """Those at `rows`."""
        return Limits(
            self.top_speed[rows],
            self.doubts[rows],
            self.again_ms[rows],
            self.stuck_ms[rows],
            self.stuck_fixes[rows],
        )


def judge(state: Columns, fixes: Round, limits: Limits) -> Verdict:
    """Take in one fix of each person."""
    row, at = fixes.row, fixes.at
    last = state["last"][row]
    known = last[:, AT] > 0
    away, span = _since(last, fixes)
    fast = known & _too_fast(away, span, last[:, ACCURACY], fixes.accuracy, limits.top_speed)
    believed, jumped = ~fast, np.zeros(len(row), np.bool_)
    odd = np.flatnonzero(fast | (state["doubted"][row] > 0))
    if len(odd):
        believed[odd], jumped[odd] = _doubt(state, fixes.take(odd), limits.take(odd), fast[odd])
    new = np.column_stack([fixes.lat, fixes.lon, at, fixes.accuracy])
    last[:, :4] = np.where(believed[:, None], new, last[:, :4])
    stuck, moved, since = _repeats(state, last, fixes, limits)
    state["last"][row] = last
    told_span = np.where(stuck | moved, at - since, span)
    return Verdict(believed, jumped, stuck, moved, np.where(known, away, np.nan), told_span)


def _doubt(
    state: Columns, fixes: Round, limits: Limits, fast: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which fixes are believed, where this one or the one before was too far to reach; which doubts are to be told."""
    row, at = fixes.row, fixes.at
    doubt = state["doubt"][row]
    away, span = _since(doubt, fixes)
    agrees = state["doubted"][row] > 0
    agrees &= ~_too_fast(away, span, doubt[:, ACCURACY], fixes.accuracy, limits.top_speed)
    doubted = np.where(fast, np.where(agrees, state["doubted"][row] + 1, 1), 0)
    believed = ~fast | (doubted >= limits.doubts)
    jumped = ~believed & (at - state["told_at"][row] >= limits.again_ms)
    state["told_at"][row[jumped]] = at[jumped]
    state["doubted"][row] = np.where(believed, 0, doubted)
    state["doubt"][row] = np.column_stack([fixes.lat, fixes.lon, at, fixes.accuracy])
    return believed, jumped


def _since(before: Floats, fixes: Round) -> tuple[Floats, npt.NDArray[np.int64]]:
    """(n,) m and ms from the fixes `before` (n, 4 or more)."""
    east, north = offset(before[:, LAT], before[:, LON], fixes.lat, fixes.lon)
    return np.sqrt(east * east + north * north), fixes.at - before[:, AT].astype(np.int64)


def _too_fast(
    away: Floats, span: npt.NDArray[np.int64], accuracy: Floats, other: Floats, top_speed: Floats
) -> npt.NDArray[np.bool_]:
    """Further than the two fixes' errors and the top speed explain; less than a second counts as one."""
    return away - accuracy - other > top_speed * np.maximum(span, 1000) / 1000


def _repeats(
    state: Columns, last: Floats, fixes: Round, limits: Limits
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Who got stuck by this fix, who is no longer, and since when it had been the same; `last` is brought up to date."""
    # A position from cells or wireless networks is a table's: at home it is the same all day, and rightly.
    own = (fixes.fix == GNSS) | (fixes.fix == -1)
    same = own & (last[:, REPEATED] > 0) & (last[:, REPEATED_LAT] == fixes.lat) & (last[:, REPEATED_LON] == fixes.lon)
    since = last[:, REPEATED_SINCE].astype(np.int64)
    was = state["stuck"][fixes.row]
    last[same, REPEATED] += 1
    stuck = same & ~was & (fixes.at - since >= limits.stuck_ms) & (last[:, REPEATED] >= limits.stuck_fixes)
    other = own & ~same
    moved = other & was
    began = np.column_stack([fixes.lat, fixes.lon, fixes.at, np.ones(len(own))])
    last[:, 4:] = np.where(other[:, None], began, last[:, 4:])
    state["stuck"][fixes.row[stuck | moved]] = stuck[stuck | moved]
    return stuck, moved, since

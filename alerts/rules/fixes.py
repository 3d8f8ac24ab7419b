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

COLUMNS = {
    "lat": Column(np.float64, 0),
    "lon": Column(np.float64, 0),
    "at": Column(np.int64, -NEVER),
    "accuracy": Column(np.float32, 0),
    "doubted_lat": Column(np.float64, 0),
    "doubted_lon": Column(np.float64, 0),
    "doubted_at": Column(np.int64, -NEVER),
    "doubted_accuracy": Column(np.float32, 0),
    "doubted": Column(np.int8, 0),
    "told_at": Column(np.int64, -NEVER),
    "repeated_lat": Column(np.float64, 1000),
    "repeated_lon": Column(np.float64, 1000),
    "repeated_since": Column(np.int64, NEVER),
    "repeated": Column(np.int32, 0),
    "stuck": Column(np.bool_, 0),
}
"""Of each person: the last fix believed, the last one doubted and how many before it agree, when a doubt was last told,
and the satellite fix that may be repeating."""


class Round(NamedTuple):
    """One fix each of n people: rows of their state, no row twice."""

    row: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    lat: Floats
    lon: Floats
    accuracy: Floats
    """m; the rule's where the fix does not say."""
    fix: npt.NDArray[np.int8]


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


def judge(state: Columns, fixes: Round, limits: Limits) -> Verdict:
    """Take in one fix of each person."""
    row, at = fixes.row, fixes.at
    known = state["at"][row] > -NEVER
    away, span = _since(state, "", fixes)
    fast = known & _too_fast(away, span, state["accuracy"][row], fixes.accuracy, limits.top_speed)
    doubted_away, doubted_span = _since(state, "doubted_", fixes)
    agrees = state["doubted"][row] > 0
    agrees &= ~_too_fast(doubted_away, doubted_span, state["doubted_accuracy"][row], fixes.accuracy, limits.top_speed)
    doubted = np.where(fast, np.where(agrees, state["doubted"][row] + 1, 1), 0)
    believed = ~fast | (doubted >= limits.doubts)
    jumped = ~believed & (at - state["told_at"][row] >= limits.again_ms)
    state["told_at"][row[jumped]] = at[jumped]
    state["doubted"][row] = np.where(believed, 0, doubted)
    for prefix, which in (("", believed), ("doubted_", ~believed)):
        rows = row[which]
        state[prefix + "lat"][rows], state[prefix + "lon"][rows] = fixes.lat[which], fixes.lon[which]
        state[prefix + "at"][rows], state[prefix + "accuracy"][rows] = at[which], fixes.accuracy[which]
    stuck, moved, since = _repeats(state, fixes, limits)
    return Verdict(
        believed, jumped, stuck, moved, np.where(known, away, np.nan), np.where(stuck | moved, at - since, span)
    )


def _since(state: Columns, prefix: str, fixes: Round) -> tuple[Floats, npt.NDArray[np.int64]]:
    row = fixes.row
    east, north = offset(state[prefix + "lat"][row], state[prefix + "lon"][row], fixes.lat, fixes.lon)
    return np.sqrt(east * east + north * north), fixes.at - state[prefix + "at"][row]


def _too_fast(
    away: Floats, span: npt.NDArray[np.int64], accuracy: npt.NDArray[np.float32], other: Floats, top_speed: Floats
) -> npt.NDArray[np.bool_]:
    """Further than the two fixes' errors and the top speed explain; less than a second counts as one."""
    return away - accuracy - other > top_speed * np.maximum(span, 1000) / 1000


def _repeats(
    state: Columns, fixes: Round, limits: Limits
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Who got stuck by this fix, who is no longer, and since when it had been the same."""
    # A position from cells or wireless networks is a table's: at home it is the same all day, and rightly.
    own = (fixes.fix == GNSS) | (fixes.fix == -1)
    row = fixes.row
    same = (state["repeated_lat"][row] == fixes.lat) & (state["repeated_lon"][row] == fixes.lon)
    since = state["repeated_since"][row]
    count = np.where(same, state["repeated"][row] + 1, 1)
    was = state["stuck"][row]
    moved = own & was & ~same
    long_enough = (fixes.at - np.where(same, since, fixes.at) >= limits.stuck_ms) & (count >= limits.stuck_fixes)
    stuck = own & ~was & same & long_enough
    rows = row[own]
    state["repeated_lat"][rows], state["repeated_lon"][rows] = fixes.lat[own], fixes.lon[own]
    state["repeated_since"][rows] = np.where(same, since, fixes.at)[own]
    state["repeated"][rows] = np.minimum(count, 2**30)[own]
    state["stuck"][rows] = ((was & same) | stuck)[own]
    return stuck, moved, since

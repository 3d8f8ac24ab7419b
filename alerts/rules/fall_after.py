"""What the wrist does after a fall: lies still, or walks. By the spread of |a| in each second, as far as it was seen."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from alerts.rules.columns import Column, Columns
from alerts.rules.fall_rule import FallRule
from alerts.rules.fall_trace import BIN_MS, RING, Ints, Traces, unpack

SECOND = 1000 // BIN_MS
WATCHED = 60
"""Seconds after an impact of which the spread of |a| is kept."""
SETTLES = 5
"""Seconds after an impact in which nobody lies still yet, and moving is not walking."""
SEEN_SHARE = 0.6
"""Of the seconds watched so many must have been seen, or nobody knows whether the wrist lay still."""
LEAST = 6
"""Samples in a second from which its spread is known: the slowest sensors give 8."""
NEVER = -(2**62)

What = Literal["still", "up", "unknown"]


class Followed(NamedTuple):
    """What followed a fall, for how many seconds that was seen, how many seconds after the impact it was known."""

    what: What
    seconds: int
    after: int


class After:
    """The last fall of every slot that had one, and what was seen since. `places` are rows of `state`."""

    def __init__(self) -> None:
        self.state = Columns(
            {
                "bin": Column(np.int64, NEVER),
                "told": Column(np.bool_, 0),
                "resident": Column(np.int32, 0),
                "device": Column(np.int32, 0),
                "spread": Column(np.float32, -1, (WATCHED,)),
                "confidence": Column(np.float32, 0),
                "peak": Column(np.float32, 0),
            }
        )

    def begin(self, place: int, at: int, resident: int, device: int, confidence: float, peak: float) -> None:
        """A fall with its impact in bin `at`."""
        state = self.state
        state["bin"][place], state["told"][place], state["spread"][place] = at, False, -1
        state["resident"][place], state["device"][place] = resident, device
        state["confidence"][place], state["peak"][place] = confidence, peak

    def watch(self, lane: Traces, rows: Ints) -> None:
        """Look at what the rings of these rows hold of the seconds after the last fall of each."""
        place = self.state.rows(lane.state.slot(rows))
        newest = lane.state["newest"][rows]
        at = self.state["bin"][place]
        mine = (place > 0) & (newest > at) & (newest - RING < at + WATCHED * SECOND)
        if not mine.any():
            return
        rows, place, at, newest = rows[mine], place[mine], at[mine], newest[mine][:, None]
        bins = at[:, None] + 1 + np.arange(WATCHED * SECOND)
        packed = lane.state["ring"][rows[:, None], bins % RING]
        packed[(bins > newest) | (bins <= newest - RING)] = 0
        spread, count = _spread(packed.reshape(len(rows), WATCHED, SECOND))
        # A second is known when it is over.
        known = (np.arange(1, WATCHED + 1) * SECOND + at[:, None] <= newest) & (count >= LEAST)
        self.state["spread"][place] = np.where(known, spread, self.state["spread"][place])

    def open(self, lane: Traces, rows: Ints) -> Ints:
        """Which of `rows` (indices) had a fall of which nothing more was told yet."""
        place = self.state.rows(lane.state.slot(rows))
        fell = self.state["bin"][place]
        return np.flatnonzero((place > 0) & ~self.state["told"][place] & (lane.state["newest"][rows] > fell))

    def followed(self, place: int, newest: int, rule: FallRule) -> Followed | None:
        """What followed, as seen up to the bin `newest`; None: too early to say."""
        end = min(WATCHED, round(rule.still_s))
        spread = self.state["spread"][place, SETTLES:end]
        walked = _runs(spread >= rule.up_g)
        enough = np.flatnonzero(walked >= rule.up_seconds)
        if len(enough):
            return Followed("up", rule.up_seconds, SETTLES + int(enough[0]) + 1)
        if newest < int(self.state["bin"][place]) + end * SECOND:
            return None
        seen, still = int((spread >= 0).sum()), int(((spread >= 0) & (spread < rule.still_g)).sum())
        lay = seen >= SEEN_SHARE * len(spread) and still >= rule.still_share * seen and not walked.any()
        return Followed("still" if lay else "unknown", still, end)


def _spread(packed: Ints) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """(n, seconds, bins) -> the standard deviation of |a| in each second (g), and of how many samples."""
    have = packed > 0
    strength = np.sqrt((unpack(packed) ** 2).sum(axis=3, dtype=np.float64))
    count = have.sum(axis=2)
    sure = np.maximum(count, 1)
    mean = strength.sum(axis=2) / sure
    return np.sqrt(np.maximum((strength**2).sum(axis=2) / sure - mean**2, 0)), count


def _runs(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(n,) How many True in a row end at each."""
    ends = np.arange(1, len(flags) + 1)
    return np.where(flags, ends - np.maximum.accumulate(np.where(flags, 0, ends)), 0)

"""Which windows of acceleration came before: those that come again say nothing new, even where what was round them is gone."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alerts.rules.columns import Column, Columns
from homecare.messages import AccelerationWindow

KEPT = 64
"""Names that are kept of each device: two minutes of windows of two seconds."""


class Heard:
    """The last windows of every slot by name: boot, count, part."""

    def __init__(self) -> None:
        self.state = Columns({"name": Column(np.int64, 0, (KEPT,)), "count": Column(np.int64, 0)})

    def first(self, windows: Sequence[AccelerationWindow], slots: npt.NDArray[np.int64]) -> list[int]:
        """Indices of those that were not here before, in order; they are remembered."""
        names = np.array([_name(window) for window in windows], np.int64)
        places = self.state.give(slots)
        known = (self.state["name"][places] == names[:, None]).any(axis=1)
        _, earliest = np.unique(np.stack([places, names]), axis=1, return_index=True)
        once = np.zeros(len(windows), np.bool_)
        once[earliest] = True
        new = np.flatnonzero(once & ~known)
        # The n-th new one of a slot goes n places on.
        order = np.argsort(places[new], kind="stable")
        sorted_ = places[new][order]
        starts = np.flatnonzero(np.diff(sorted_, prepend=-1))
        turn = np.arange(len(sorted_)) - np.repeat(starts, np.diff(np.append(starts, len(sorted_))))
        count = self.state["count"]
        self.state["name"][sorted_, (count[sorted_] + turn) % KEPT] = names[new][order]
        np.add.at(count, sorted_, 1)
        return [int(i) for i in new]


def _name(window: AccelerationWindow) -> int:
    """Never 0; the same for two windows of one device once in some 10^18."""
    return hash((window.boot, window.seq, window.part)) | 1

"""Which samples and events came before, for those that their time of measurement does not tell: a device without a
clock sends the same sample again with another time.
"""

import numpy as np
import numpy.typing as npt

from alerts.rules.slots import Slots
from homecare.samples import Samples

_FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)  # odd, bits well mixed


class Seen:
    """The names of the rows of the last `window_ms` by time of receipt, as 64-bit hashes.

    Two names in one window share a hash once in some ten million windows of a million names.
    """

    def __init__(self, window_ms: int) -> None:
        self._window = window_ms
        self._began = -(2**62)
        self._now = _Names()
        self._before = _Names()

    def first(
        self, samples: Samples, event: npt.NDArray[np.int8], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Of `rows`, in order of arrival, those that did not come before, within the window."""
        if not len(rows):
            return np.zeros(0, np.bool_)
        names, received = _names(samples, event, rows), samples.received[rows]
        if received[0] >= self._began + self._window:
            self._before, self._now, self._began = self._now, _Names(), int(received[0])
        known = np.maximum(self._before.received(names), self._now.received(names))
        fresh = received > known + self._window
        unique, count = np.unique(names, return_counts=True)
        for name in unique[count > 1]:
            self._each(np.flatnonzero(names == name), received, fresh, known)
        self._now.add(names[fresh], received[fresh])
        return fresh

    def _each(
        self,
        rows: npt.NDArray[np.int64],
        received: npt.NDArray[np.int64],
        fresh: npt.NDArray[np.bool_],
        known: npt.NDArray[np.int64],
    ) -> None:
        """One name that is several times in a batch."""
        last = int(known[rows[0]])
        for row in rows.tolist():
            fresh[row] = int(received[row]) > last + self._window
            if fresh[row]:
                last = int(received[row])

    def dump(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """What is remembered: names and when they were received."""
        parts = [self._before.rows(), self._now.rows()]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def load(self, names: npt.NDArray[np.int64], received: npt.NDArray[np.int64]) -> None:
        """What `dump` gave; more than once: all of it together."""
        if len(names):
            self._now.add(names, received)
            self._began = max(self._began, int(received.max()))


class _Names:
    def __init__(self) -> None:
        self._slots = Slots()
        self._received = np.zeros(0, np.int64)

    def received(self, names: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """When each came first; long ago where it never did."""
        slots = self._slots.find(names)
        found = slots >= 0
        result = np.full(len(names), -(2**62), np.int64)
        result[found] = self._received[slots[found]]
        return result

    def add(self, names: npt.NDArray[np.int64], received: npt.NDArray[np.int64]) -> None:
        slots = self._slots.add(names)
        more = self._slots.capacity - len(self._received)
        if more:
            self._received = np.concatenate([self._received, np.full(more, -(2**62), np.int64)])
        np.maximum.at(self._received, slots, received)

    def rows(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        count = self._slots.count
        return self._slots.keys[:count].copy(), self._received[:count].copy()


def _names(samples: Samples, event: npt.NDArray[np.int8], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    parts = (
        (samples.device[rows].astype(np.int64) << 5) | event[rows],
        samples.boot[rows].astype(np.int64),
        samples.seq[rows].astype(np.int64),
        samples.part[rows].astype(np.int64),
    )
    name = np.zeros(len(rows), np.uint64)
    for part, factor in zip(parts, _FACTORS, strict=True):
        name = (name ^ part.view(np.uint64)) * np.uint64(factor)
        name ^= name >> np.uint64(29)
    return name.view(np.int64)

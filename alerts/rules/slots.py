"""Which slot a stream has: an open-addressing hash table in numpy, so that a whole batch is looked up at once.

A Python dictionary would cost a loop over the batch; a sorted array would be rebuilt with every newcomer.
"""

import numpy as np
import numpy.typing as npt

from alerts.rules.room import with_room

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads consecutive keys (Knuth, TAOCP 3, 6.4)


class Slots:
    """Dense numbers 0, 1, 2, … for int64 keys, in the order of their first coming."""

    def __init__(self) -> None:
        self.count = 0
        self.keys: npt.NDArray[np.int64] = np.zeros(64, np.int64)
        """Key of each slot; its length is the capacity that arrays with one row per slot need."""
        self._table: npt.NDArray[np.int32] = np.full(128, -1, np.int32)

    @property
    def capacity(self) -> int:
        """How many slots there are room for; a quarter more when full."""
        return len(self.keys)

    def find(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The slot of each key, -1 where it has none."""
        mask = len(self._table) - 1
        place = self._hash(keys)
        found = self._table[place].astype(np.int64)
        open_ = np.flatnonzero((found >= 0) & (self.keys[found] != keys))
        while len(open_):
            place[open_] = (place[open_] + 1) & mask
            found[open_] = self._table[place[open_]]
            open_ = open_[(found[open_] >= 0) & (self.keys[found[open_]] != keys[open_])]
        return found

    def add(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The slot of each key; keys without one get the next."""
        found = self.find(keys)
        missing = found < 0
        if missing.any():
            new, first = np.unique(keys[missing], return_index=True)
            new = new[np.argsort(first)]
            self._make_room(self.count + len(new))
            slots = np.arange(self.count, self.count + len(new))
            self.keys[slots] = new
            self._place(slots)
            self.count += len(new)
            found[missing] = self.find(keys[missing])
        return found

    def _hash(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        shift = np.uint64(64 - (len(self._table) - 1).bit_length())
        return ((keys.view(np.uint64) * _FACTOR) >> shift).view(np.int64)

    def _place(self, slots: npt.NDArray[np.int64]) -> None:
        """Put `slots` into the table; where two want one place, the one that got it stays and the other moves on."""
        mask = len(self._table) - 1
        place = self._hash(self.keys[slots])
        while len(slots):
            free = self._table[place] < 0
            self._table[place[free]] = slots[free]
            lost = self._table[place] != slots
            slots, place = slots[lost], (place[lost] + 1) & mask

    def _make_room(self, count: int) -> None:
        if count > self.capacity:
            self.keys = with_room(self.keys, max(count, self.capacity * 5 // 4))
        # At most half full: where it is fuller, the last of a batch is looked for long.
        places = 1 << (2 * count - 1).bit_length()
        if places > len(self._table):
            self._table = np.full(places, -1, np.int32)
            self._place(np.arange(self.count))

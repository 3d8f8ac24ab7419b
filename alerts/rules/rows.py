"""The readings of a batch on their way through the rules, and those of the last minutes, kept so that a reading that
comes out of order can be put where it belongs.
"""

from collections import deque
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

NO_ROW = -1
_START = 256


@dataclass(slots=True)
class Rows:
    """n samples as the rules see them; every array has n rows. Times are Unix ms."""

    id: npt.NDArray[np.int64]
    """Number in order of arrival, NO_ROW before it is kept."""
    slot: npt.NDArray[np.int64]
    ts: npt.NDArray[np.int64]
    received: npt.NDArray[np.int64]
    message: npt.NDArray[np.int64]
    """boot * 2^31 + seq: with `part`, what names the sample for ever and what orders samples of one `ts`."""
    part: npt.NDArray[np.int16]
    wrong_clock: npt.NDArray[np.bool_]
    resident: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    """(n, metrics of the scope); NaN: not measured."""
    changed: npt.NDArray[np.bool_]
    """Something was made of this row: a series began, got worse or ended."""

    def __len__(self) -> int:
        return len(self.slot)

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Rows":
        """Those at `rows` (indices or mask), in that order."""
        return Rows(*(getattr(self, name)[rows] for name in _NAMES))

    def followed_by(self, other: "Rows") -> "Rows":
        """These rows, then `other`."""
        return Rows(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in _NAMES))

    def in_order(self) -> "Rows":
        """By slot, then by when they were measured; the device's own count decides between equal times."""
        return self.take(np.lexsort((self.part, self.message, self.ts, self.slot)))

    def without_duplicates(self) -> "Rows":
        """Without the rows that name the same sample as one before them.

        A sample with a wrong clock has its time of receipt for `ts`, which differs when it comes again.
        """
        ts = np.where(self.wrong_clock, -1, self.ts)
        order = np.lexsort((self.part, self.message, ts, self.slot))  # stable: the first to come stays first
        again = np.zeros(len(order), np.bool_)
        here, before = order[1:], order[:-1]
        again[here] = (
            (self.slot[here] == self.slot[before])
            & (ts[here] == ts[before])
            & (self.message[here] == self.message[before])
            & (self.part[here] == self.part[before])
        )
        return self.take(~again)


_NAMES = tuple(field.name for field in fields(Rows))


class Recent:
    """A ring of the rows of the last minutes; those of one slot are chained from the newest measured to the oldest.

    A row's place in the ring is its id modulo the capacity, a power of two that doubles when full.
    """

    def __init__(self, metrics: int) -> None:
        self._first = 0
        self._next = 0
        self._rows = _blank(_START, metrics)
        self._before = np.full(_START, NO_ROW, np.int64)
        self._last = np.full(0, NO_ROW, np.int64)
        self._newest = np.zeros(0, np.int64)
        self._batches: deque[tuple[int, int]] = deque()

    def make_room(self, slots: int) -> None:
        """Room for `slots` slots."""
        more = slots - len(self._last)
        if more > 0:
            self._last = np.concatenate([self._last, np.full(more, NO_ROW, np.int64)])
            self._newest = np.concatenate([self._newest, np.full(more, np.iinfo(np.int64).min, np.int64)])

    @property
    def first_id(self) -> int:
        """The oldest row kept; smaller ids are forgotten."""
        return self._first

    def newest(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """When each slot's newest row was measured; the smallest integer where it never had one."""
        return self._newest[slots]

    def since(self, slots: npt.NDArray[np.int64], ts: npt.NDArray[np.int64]) -> tuple[Rows, npt.NDArray[np.int64]]:
        """The kept rows of each slot measured at its `ts` or later, and the id of each slot's row before those."""
        mask = len(self._before) - 1
        current = self._last[slots]
        found = []
        walking = np.arange(len(slots))
        while len(walking):
            ids = current[walking]
            more = ids >= self._first
            more[more] = self._rows.ts[ids[more] & mask] >= ts[walking[more]]
            walking, ids = walking[more], ids[more]
            found.append(ids)
            current[walking] = self._before[ids & mask]
        ids = np.concatenate(found) if found else np.zeros(0, np.int64)
        return self._rows.take(ids & mask), current

    def keep(self, rows: Rows, before: npt.NDArray[np.int64]) -> None:
        """Number and store the new ones of `rows` (in order, whole runs of slots) and chain all.

        `before`: for each slot's first row in `rows`, the id of the row before it; `chain_ends` for slots in order.
        """
        new = rows.id == NO_ROW
        all_new = bool(new.all())
        count = len(rows) if all_new else int(new.sum())
        self._reserve(count)
        rows.id[new] = np.arange(self._next, self._next + count)
        mask = len(self._before) - 1
        # New rows lie one after the other in the ring: at most two pieces.
        place = self._next & mask
        first = min(count, mask + 1 - place)
        for name in _NAMES:
            column = getattr(rows, name)
            column = column if all_new else column[new]
            ring = getattr(self._rows, name)
            ring[place : place + first] = column[:first]
            ring[: count - first] = column[first:]
        self._next += count
        starts = run_starts(rows.slot)
        chain = np.empty(len(rows), np.int64)
        chain[1:] = rows.id[:-1]
        chain[starts] = before
        self._before[rows.id & mask] = chain
        ends = np.append(starts[1:], len(rows)) - 1
        slots = rows.slot[ends]
        self._last[slots] = rows.id[ends]
        self._newest[slots] = np.maximum(self._newest[slots], rows.ts[ends])
        if count:
            self._batches.append((self._next, int(max(rows.received[new].max(), rows.ts[new].max()))))

    def mark(self, ids: npt.NDArray[np.int64], changed: bool) -> None:
        """Note of these rows whether something was made of them."""
        self._rows.changed[ids & (len(self._before) - 1)] = changed

    def chain_ends(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The id of each slot's newest row."""
        return self._last[slots]

    def forget(self, before: int) -> None:
        """Drop the batches of which all was measured and received before that."""
        while self._batches and self._batches[0][1] < before:
            self._first = self._batches.popleft()[0]

    def _reserve(self, count: int) -> None:
        capacity = len(self._before)
        if self._next - self._first + count <= capacity:
            return
        kept = np.arange(self._first, self._next)
        old = kept & (capacity - 1)
        while len(kept) + count > capacity:
            capacity *= 2
        rows, before = _blank(capacity, self._rows.values.shape[1]), np.full(capacity, NO_ROW, np.int64)
        place = kept & (capacity - 1)
        for name in _NAMES:
            getattr(rows, name)[place] = getattr(self._rows, name)[old]
        before[place] = self._before[old]
        self._rows, self._before = rows, before


def run_starts(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each run of equal `keys` begins."""
    changes = np.empty(len(keys), np.bool_)
    changes[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=changes[1:])
    return np.flatnonzero(changes)


def _blank(n: int, metrics: int) -> Rows:
    return Rows(
        id=np.full(n, NO_ROW, np.int64),
        slot=np.zeros(n, np.int64),
        ts=np.zeros(n, np.int64),
        received=np.zeros(n, np.int64),
        message=np.zeros(n, np.int64),
        part=np.zeros(n, np.int16),
        wrong_clock=np.zeros(n, np.bool_),
        resident=np.zeros(n, np.int32),
        values=np.zeros((n, metrics), np.float32),
        changed=np.zeros(n, np.bool_),
    )

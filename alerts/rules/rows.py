"""The readings of a batch on their way through the rules, and those of the last minutes, kept so that a reading that
comes out of order can be put where it belongs.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from alerts.rules.narrow import Dense, Narrow, Packed, Times, ring_write
from alerts.rules.room import with_room

NO_ROW = -1
_START = 256
_SEQ_BITS = 31
_WRONG_CLOCK, _CHANGED = np.uint8(1), np.uint8(2)
_NARROW = {"boot": (np.int16, np.int64), "seq": (np.int32, np.int64), "part": (np.int8, np.int16)}
"""How narrow they begin, and as what they are read."""
_KEPT = {
    "delay": np.int32,  # by how much it was received later; late ones are not kept
    "back": np.int32,  # so many ids before: the row before it in its chain; 0: none
    "marks": np.uint8,
    "resident": np.int32,
}


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

    A row's place in the ring is its id modulo the capacity, which grows by a quarter. What can be told from the rest is
    not kept: id, slot, of the time of receipt only by how much it was later, and the person where `resident_of` tells
    who is in a slot.
    """

    def __init__(
        self, metrics: int, resident_of: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int32]] | None = None
    ) -> None:
        self._first = 0
        self._next = 0
        self._resident_of = resident_of
        self._ts = Times(_START)
        self._narrow = {name: Narrow(_START, least, read_as) for name, (least, read_as) in _NARROW.items()}
        self._columns = ["delay", "back", "marks", *(["resident"] if resident_of is None else [])]
        self._kept = {name: np.zeros(_START, _KEPT[name]) for name in self._columns}
        self._values = Packed(_START, metrics) if 2 < metrics <= 8 else Dense(_START, metrics)
        self._first_reading = 0
        self._last = np.full(0, NO_ROW, np.int64)
        self._batches: deque[tuple[int, int, int]] = deque()
        """(the next id and the number of the next reading after it, when the last of it was measured or received)"""

    def make_room(self, slots: int) -> None:
        """Room for `slots` slots."""
        self._last = with_room(self._last, slots, NO_ROW)

    @property
    def first_id(self) -> int:
        """The oldest row kept; smaller ids are forgotten."""
        return self._first

    def chain_ends(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The id of each slot's newest row."""
        return self._last[slots]

    def measured(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """When each of these rows was measured; the smallest integer where it is forgotten or there is none."""
        ts = self._ts[ids % self._capacity]
        return np.where(ids >= self._first, ts, np.iinfo(np.int64).min)

    def since(self, slots: npt.NDArray[np.int64], ts: npt.NDArray[np.int64]) -> tuple[Rows, npt.NDArray[np.int64]]:
        """The kept rows of each slot measured at its `ts` or later, and the id of each slot's row before those."""
        current = self._last[slots]
        found, whose = [], []
        walking = np.arange(len(slots))
        while len(walking):
            ids = current[walking]
            more = ids >= self._first
            more[more] = self._ts[ids[more] % self._capacity] >= ts[walking[more]]
            walking, ids = walking[more], ids[more]
            found.append(ids)
            whose.append(slots[walking])
            back = self._kept["back"][ids % self._capacity]
            current[walking] = np.where(back > 0, ids - back, NO_ROW)
        none = np.zeros(0, np.int64)
        return self._rows(np.concatenate([none, *found]), np.concatenate([none, *whose])), current

    def _rows(self, ids: npt.NDArray[np.int64], slots: npt.NDArray[np.int64]) -> Rows:
        place = ids % self._capacity
        ts, marks = self._ts[place], self._kept["marks"][place]
        return Rows(
            id=ids,
            slot=slots,
            ts=ts,
            received=ts + self._kept["delay"][place],
            message=self._narrow["boot"][place] << _SEQ_BITS | self._narrow["seq"][place],
            part=self._narrow["part"][place],
            wrong_clock=(marks & _WRONG_CLOCK) != 0,
            resident=self._kept["resident"][place] if self._resident_of is None else self._resident_of(slots),
            values=self._values[place],
            changed=(marks & _CHANGED) != 0,
        )

    def keep(self, rows: Rows, before: npt.NDArray[np.int64]) -> None:
        """Number and store the new ones of `rows` (in order, whole runs of slots) and chain all.

        `before`: for each slot's first row in `rows`, the id of the row before it; `chain_ends` for slots in order.
        """
        new = rows.id == NO_ROW
        all_new = bool(new.all())
        stored = rows if all_new else rows.take(new)
        count = len(stored)
        self._reserve(count)
        rows.id[new] = np.arange(self._next, self._next + count)
        # New rows lie one after the other in the ring: at most two pieces.
        place = self._next % self._capacity
        self._ts.write(place, stored.ts, lambda: np.arange(self._first, self._next) % self._capacity)
        self._narrow["boot"].write(place, stored.message >> _SEQ_BITS)
        self._narrow["seq"].write(place, stored.message & ((1 << _SEQ_BITS) - 1))
        self._narrow["part"].write(place, stored.part)
        ring_write(self._kept["delay"], place, stored.received - stored.ts)
        ring_write(self._kept["marks"], place, stored.wrong_clock * _WRONG_CLOCK | stored.changed * _CHANGED)
        if self._resident_of is None:
            ring_write(self._kept["resident"], place, stored.resident)
        self._values.write(place, stored.values, self._first_reading)
        self._next += count
        starts = run_starts(rows.slot)
        chain = np.empty(len(rows), np.int64)
        chain[1:] = rows.id[:-1]
        chain[starts] = before
        # What it was chained to may be long gone.
        back = np.where(chain >= self._first, rows.id - chain, 0)
        self._kept["back"][rows.id % self._capacity] = back
        ends = np.append(starts[1:], len(rows)) - 1
        self._last[rows.slot[ends]] = rows.id[ends]
        if count:
            until = int(max(stored.received.max(), stored.ts.max()))
            self._batches.append((self._next, self._values.next, until))

    def mark(self, ids: npt.NDArray[np.int64], changed: bool) -> None:
        """Note of these rows whether something was made of them."""
        marks, place = self._kept["marks"], ids % self._capacity
        marks[place] = marks[place] & ~_CHANGED | _CHANGED * changed

    def forget(self, before: int) -> None:
        """Drop the batches of which all was measured and received before that."""
        while self._batches and self._batches[0][-1] < before:
            self._first, self._first_reading, _ = self._batches.popleft()

    @property
    def _capacity(self) -> int:
        return len(self._ts)

    def _reserve(self, count: int) -> None:
        need = self._next - self._first + count
        if need <= self._capacity:
            return
        capacity = max(need, self._capacity * 5 // 4)
        ids = np.arange(self._first, self._next)
        old, new = ids % self._capacity, ids % capacity
        self._ts.move(capacity, old, new)
        for narrow in self._narrow.values():
            narrow.move(capacity, old, new)
        for name in self._columns:
            larger = np.zeros(capacity, _KEPT[name])
            larger[new] = self._kept[name][old]
            self._kept[name] = larger
        self._values.move(capacity, old, new)


def run_starts(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each run of equal `keys` begins."""
    changes = np.empty(len(keys), np.bool_)
    changes[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=changes[1:])
    return np.flatnonzero(changes)


def in_order_of(slot: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What puts `slot` into order; the first of those alike stays first."""
    bits = len(slot).bit_length()
    # Sorting numbers that hold their places is many times faster than a stable sort of the places.
    return np.sort((slot << bits) | np.arange(len(slot))) & ((1 << bits) - 1)

"""Readings and events on their way to the operators that want them in order: held back until no earlier one can come.

What is held lies in a ring of columns in order of arrival (about 30 bytes a row, and 4 for each metric that is read).
What is due is found by its time and sorted then, so that a row is moved once in and once out, however many devices.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from alerts.rules.narrow import Narrow, Times, ring_write
from alerts.rules.operator import Given, Scope
from homecare.metrics import METRICS
from homecare.samples import NO_TIME, Samples

EARLIEST = -(2**62)
SLACK_MS = 15_000
"""An event comes by another process and the database: what this takes at most and still is no reason to leave it out."""
SET_BACK_MS = 3_600_000
"""Times of receipt that fall back by more than this mean that the host's clock was set right, not that data is late."""
WIDTHS_MS = (1_000, 2_000, 5_000, 10_000, 30_000)
"""From one look for what is due to the next: the widest that makes nobody wait more than a sixth longer; every one fits
evenly into the last."""

_SAME = {"device": np.int32, "resident": np.int32, "seq": np.int32, "fix": np.int8}
_NARROW = {"boot": (np.int16, np.int32), "part": (np.int8, np.int16), "flags": (np.int8, np.int16)}
"""How narrow they begin, and as what they are read."""
_OWN = {"slot": np.int32, "delay": np.int32, "event": np.int8}  # delay: from measured to received
_POSITION = {"lat": np.float64, "lon": np.float64, "accuracy": np.float32, "speed": np.float32}
_NAME = ("device", "boot", "seq", "part", "event")


class Settled:
    """Rows of one scope for operators that wait equally long: of the values, `columns`, and `positions` or none. Heading, altitude and claimed time are not kept.

    `whose`: device or resident, which the slot stands for, and how its key is told from it; they are kept where it is None.
    """

    def __init__(
        self,
        wait_ms: int,
        columns: Sequence[int],
        *,
        positions: bool = True,
        wanted: npt.DTypeLike = np.uint64,
        whose: tuple[Scope, Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]] | None = None,
    ) -> None:
        self.wait_ms = wait_ms
        self.until = EARLIEST
        """All that was measured before this has been handed out."""
        self._width = max((width for width in WIDTHS_MS if 6 * width <= wait_ms), default=WIDTHS_MS[0])
        self._latest = EARLIEST
        self._columns: list[int] = []
        self._whose = whose
        kept = {**_SAME, **(_POSITION if positions else {})}
        if whose is not None:
            del kept[whose[0]]
        self._from_samples = [*kept, *_NARROW]
        self._ring = _Ring({**kept, **_OWN, "wanted": wanted})
        self.read(columns)
        self._of: dict[int, int] = {}
        """By id: what a `cancel` takes back."""

    def read(self, columns: Sequence[int]) -> None:
        """These columns of the values are read from now on."""
        new = [column for column in columns if column not in self._columns]
        self._columns += new
        self._ring.add_values(len(new))

    def __len__(self) -> int:
        return int(self._ring.ts.since(self.until).sum())

    def put(
        self,
        samples: Samples,
        event: npt.NDArray[np.int8],
        of: npt.NDArray[np.int32] | None,
        slot: npt.NDArray[np.int64],
        wanted: npt.NDArray[np.unsignedinteger[Any]],
        rows: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """Take in `rows` of these, in order of arrival. What is too late, or older than what was handed out, is left out;
        returns the others.
        """
        ts = samples.ts[rows]
        delay = samples.received[rows] - ts
        fresh = (delay <= self.wait_ms) & (ts >= self.until)
        if not fresh.all():
            rows, ts, delay = rows[fresh], ts[fresh], delay[fresh]
        if not len(rows):
            return rows
        ring, whole = self._ring, len(rows) == len(samples)
        ring.begin(len(rows))
        for name in self._from_samples:
            column = getattr(samples, name)
            ring.write(name, column if whole else column[rows])
        ring.write("slot", slot[rows])
        ring.write_times(ts, self.until)
        ring.write("delay", delay)
        ring.write("event", event[rows])
        ring.write("wanted", wanted[rows])
        for place, column in enumerate(self._columns):
            ring.write_value(place, samples.values[:, column] if whole else samples.values[rows, column])
        if of is not None:
            for index in np.flatnonzero(of[rows] >= 0).tolist():
                self._of[ring.next - len(rows) + index] = int(of[rows[index]])
        return rows

    def heard_until(self, received: int) -> None:
        """All that was received before this has been put in."""
        if received < self._latest - SET_BACK_MS:
            self._ring.ts.drop(self.until)
            self.until = min(self.until, self._edge(received))
            self._latest = received
        self._latest = max(self._latest, received)

    def take(self) -> tuple[Given, npt.NDArray[np.unsignedinteger[Any]]] | None:
        """What is settled since the last time, by slot and time, each row once, and who wants it; None: nothing."""
        edge, before = self._edge(self._latest), self.until
        if edge <= before:
            return None
        self.until = edge
        due = self._ring.between(before, edge)
        if not len(due):
            return None
        given = self._in_order(due)
        self._ring.forget(edge)
        return given

    def _edge(self, received: int) -> int:
        return (received - self.wait_ms - SLACK_MS) // self._width * self._width

    def _in_order(self, due: npt.NDArray[np.int64]) -> tuple[Given, npt.NDArray[np.unsignedinteger[Any]]]:
        ring = self._ring
        due = due[_order(ring, due)]
        count = len(due)
        values = np.full((count, len(METRICS)), np.nan, np.float32)
        for place, column in enumerate(self._columns):
            values[:, column] = ring.values[place][due]
        nan, nan32 = np.broadcast_to(np.float64("nan"), count), np.broadcast_to(np.float32("nan"), count)
        kept: dict[str, Any] = dict.fromkeys(("lat", "lon"), nan) | dict.fromkeys(
            ("accuracy", "speed", "heading", "altitude"), nan32
        )
        kept |= {name: ring[name][due] for name in self._from_samples}
        ts, slot = ring.ts[due], ring["slot"][due].astype(np.int64)
        if self._whose is not None:
            name, key_of = self._whose
            kept[name] = key_of(slot).astype(np.int32)
        claimed = np.broadcast_to(np.int64(NO_TIME), count)
        samples = Samples(ts=ts, received=ts + ring["delay"][due], claimed=claimed, values=values, **kept)
        of = None
        if self._of:
            ids = ring.ids(due)
            of = np.fromiter((self._of.pop(id_, -1) for id_ in ids.tolist()), np.int32, count)
            self._of = {id_: seq for id_, seq in self._of.items() if id_ >= ring.first}
        return Given(samples, ring["event"][due], slot, of), ring["wanted"][due]


class _Ring:
    """Columns of rows in order of arrival; a row's place is its id modulo the capacity, which grows by a quarter."""

    def __init__(self, columns: dict[str, npt.DTypeLike]) -> None:
        self.first = self.next = 0
        """Ids from the oldest row that is held to the next that comes."""
        self._start = 0
        self.ts = Times(0)
        self._narrow = {name: Narrow(0, least, read_as) for name, (least, read_as) in _NARROW.items()}
        self._arrays: dict[str, npt.NDArray[Any]] = {name: np.zeros(0, dtype) for name, dtype in columns.items()}
        self.values = np.zeros((0, 0), np.float32)

    def __getitem__(self, name: str) -> npt.NDArray[Any] | Narrow:
        return self._narrow[name] if name in self._narrow else self._arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self._narrow or name in self._arrays

    @property
    def _capacity(self) -> int:
        return len(self.ts)

    def add_values(self, more: int) -> None:
        """Room for so many metrics more; of the rows that are held, they are not known."""
        self.values = np.concatenate([self.values, np.full((more, self._capacity), np.nan, np.float32)])

    def begin(self, count: int) -> None:
        """So many rows come: each column of theirs is to be written."""
        need = self.next + count - self.first
        if need > self._capacity:
            self._grow(max(need, 1024, self._capacity * 5 // 4))
        self._start = self.next % self._capacity
        self.next += count

    def write(self, name: str, data: npt.NDArray[Any]) -> None:
        """A column of the rows that have come."""
        if (narrow := self._narrow.get(name)) is not None:
            narrow.write(self._start, data)
        else:
            ring_write(self._arrays[name], self._start, data)

    def write_times(self, ts: npt.NDArray[np.int64], until: int) -> None:
        """When the rows that have come were measured; what is before `until` has been handed out."""
        self.ts.write(self._start, ts, lambda: np.flatnonzero(self.ts.since(until)))

    def write_value(self, place: int, data: npt.NDArray[np.float32]) -> None:
        """A metric of the rows that have come."""
        ring_write(self.values[place], self._start, data)

    def between(self, since: int, until: int) -> npt.NDArray[np.int64]:
        """Where the rows are that were measured then, in order of arrival."""
        found = self.ts.between(since, until)
        if not len(found):
            return found
        turn = int(np.searchsorted(found, self.first % self._capacity))
        return np.concatenate([found[turn:], found[:turn]]) if turn else found

    def forget(self, before: int) -> None:
        """Nothing that was measured before this is needed any more."""
        held = self.ts.since(before)
        start = self.first % self._capacity
        for piece, skipped in ((held[start:], 0), (held[:start], self._capacity - start)):
            if len(piece) and piece[at := int(piece.argmax())]:
                self.first += skipped + at
                return
        self.first = self.next

    def ids(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The ids of the rows that are there."""
        return self.first + (places - self.first) % self._capacity

    def _grow(self, capacity: int) -> None:
        ids = np.arange(self.first, self.next)
        old, new = ids % max(self._capacity, 1), ids % capacity
        self.ts.move(capacity, old, new)
        for narrow in self._narrow.values():
            narrow.move(capacity, old, new)
        for name, array in self._arrays.items():
            larger = np.zeros(capacity, array.dtype)
            larger[new] = array[old]
            self._arrays[name] = larger
        values = np.zeros((len(self.values), capacity), np.float32)
        for larger, array in zip(values, self.values, strict=True):
            larger[new] = array[old]
        self.values = values


def _order(ring: _Ring, due: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """By slot, time and the device's own count; without rows that came again (the first to come stays)."""
    slot, ts = ring["slot"][due].astype(np.int64), ring.ts[due]
    first, span = int(ts.min()), int(ts.max() - ts.min()) + 1
    index_bits = len(due).bit_length()
    if (int(slot.max()) + 1) * span < 2 ** (62 - index_bits):
        # One number of slot, time and place: sorting numbers is faster than sorting places by them.
        order = np.sort(((slot * span + (ts - first)) << index_bits) | np.arange(len(due))) & ((1 << index_bits) - 1)
    else:
        order = np.lexsort((ts, slot))
    slot, ts = slot[order], ts[order]
    alike = (slot[1:] == slot[:-1]) & (ts[1:] == ts[:-1])
    if not alike.any():
        return order
    # Of those of one slot and moment, which are few, the device's own count decides.
    places = np.flatnonzero(np.append(alike, False) | np.append(False, alike))
    few, slot, ts = order[places], slot[places], ts[places]
    names = [ring[name][due[few]] for name in _NAME if name in ring]
    sorted_ = np.lexsort((*reversed(names), ts, slot))
    order[places] = few[sorted_]
    again = np.ones(max(len(few) - 1, 0), np.bool_)
    for column in (slot, ts, *names):
        again &= column[sorted_][1:] == column[sorted_][:-1]
    kept: npt.NDArray[np.int64] = np.delete(order, places[1:][again])
    return kept

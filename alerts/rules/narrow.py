"""Whole numbers by the place in a ring, kept as narrow as those that have come allow; read, they are what they were."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
_SPARE = 1 << 24
"""So much earlier (4.6 h of ms) than the first that is kept another one may be without a new base."""
_SPAN = (1 << 32) - 2 * _SPARE


class Narrow:
    """Begins with `least`; from the first number on that does not fit, all are kept wider, at most as `read_as`."""

    def __init__(self, places: int, least: npt.DTypeLike, read_as: npt.DTypeLike) -> None:
        self._array: npt.NDArray[Any] = np.zeros(places, least)
        self._read_as = np.dtype(read_as)

    @property
    def nbytes(self) -> int:
        """In memory."""
        return self._array.nbytes

    def __getitem__(self, places: Ints) -> npt.NDArray[Any]:
        return self._array[places].astype(self._read_as)

    def write(self, start: int, data: npt.NDArray[Any]) -> None:
        """From `start` on, and from the ring's beginning where it ends."""
        narrow = data.astype(self._array.dtype, copy=False)
        if narrow.dtype != self._read_as and not np.array_equal(narrow, data):
            fits = (kind for kind in (np.int16, np.int32, np.int64) if np.array_equal(data.astype(kind), data))
            self._array = self._array.astype(np.promote_types(self._array.dtype, next(fits)))
            narrow = data
        ring_write(self._array, start, narrow)

    def move(self, places: int, old: Ints, new: Ints) -> None:
        """So many places, and what was at `old` is at `new`."""
        array = np.zeros(places, self._array.dtype)
        array[new] = self._array[old]
        self._array = array


class Times:
    """Moments (Unix ms) as 32 bits from a base that moves on; as 64 bits once those kept lie 49 days apart."""

    def __init__(self, places: int) -> None:
        self._base = 0
        self._array: npt.NDArray[Any] = np.full(places, np.iinfo(np.int32).min, np.int32)

    def __len__(self) -> int:
        return len(self._array)

    @property
    def nbytes(self) -> int:
        """In memory."""
        return self._array.nbytes

    def __getitem__(self, places: Ints) -> Ints:
        return self._array[places].astype(np.int64) + self._base

    def since(self, moment: int) -> npt.NDArray[np.bool_]:
        """By place: whether one is kept there that is not before `moment`."""
        not_before: npt.NDArray[np.bool_] = self._array >= max(moment - self._base, self._gone + 1)
        return not_before

    def between(self, since: int, until: int) -> Ints:
        """Where those from `since` on and before `until` are."""
        return np.flatnonzero(self.since(since) & (self._array < until - self._base))

    def drop(self, before: int) -> None:
        """Keep none that is before that."""
        self._array[self._array < before - self._base] = self._gone

    def write(self, start: int, data: Ints, kept: Callable[[], Ints]) -> None:
        """As `Narrow.write`; `kept`: the places of what is still needed, asked only where the base moves."""
        if self._array.dtype == np.int32:
            offset = data - self._base
            if len(data) and (int(offset.min()) <= self._gone or int(offset.max()) > np.iinfo(np.int32).max):
                self._rebase(data, kept())
        ring_write(self._array, start, data - self._base)

    def move(self, places: int, old: Ints, new: Ints) -> None:
        """As `Narrow.move`."""
        array = np.full(places, self._gone, self._array.dtype)
        array[new] = self._array[old]
        self._array = array

    @property
    def _gone(self) -> int:
        """What stands where none is kept."""
        return int(np.iinfo(self._array.dtype).min)

    def _rebase(self, data: Ints, places: Ints) -> None:
        kept = self[places]
        first = min(int(data.min()), int(kept.min(initial=data.min())))
        last = max(int(data.max()), int(kept.max(initial=data.max())))
        if last - first > _SPAN:
            self._base, self._array = 0, np.zeros(len(self._array), np.int64)
        else:
            self._base = first - _SPARE - self._gone
        self._array[:] = self._gone
        self._array[places] = kept - self._base


class Packed:
    """The few readings of each row that were measured, of at most 8 metrics: rows by place in a ring, readings in another
    one in the same order.
    """

    def __init__(self, places: int, metrics: int) -> None:
        self._bit = np.left_shift(1, np.arange(metrics)).astype(np.uint8)
        self._has = np.zeros(places, np.uint8)
        self._at = np.zeros(places, np.int32)
        """Where the first reading of the row is."""
        self._readings = np.zeros(places, np.float32)
        self.next = 0
        """Number of the next reading; its place is that modulo the length."""

    def __getitem__(self, places: Ints) -> npt.NDArray[np.float32]:
        """(n, metrics); NaN: not measured."""
        has = (self._has[places][:, None] & self._bit) != 0
        values = np.full(has.shape, np.nan, np.float32)
        row, column = np.nonzero(has)
        which = np.cumsum(has, axis=1)[row, column] - 1
        values[row, column] = self._readings[(self._at[places[row]] + which) % len(self._readings)]
        return values

    def write(self, start: int, values: npt.NDArray[np.float32], first: int) -> None:
        """As `Narrow.write`, n rows; `first`: number of the oldest reading that is still needed."""
        has = ~np.isnan(values)
        count = has.sum(axis=1)
        total = int(count.sum())
        need = self.next - first + total
        if need > len(self._readings):
            self._grow(max(need, len(self._readings) * 5 // 4), first)
        size = len(self._readings)
        ring_write(self._has, start, (has * self._bit).sum(axis=1, dtype=np.uint8))
        ring_write(self._at, start, (self.next + np.cumsum(count) - count) % size)
        ring_write(self._readings, self.next % size, values[has])
        self.next += total

    def move(self, places: int, old: Ints, new: Ints) -> None:
        """As `Narrow.move`."""
        for name in ("_has", "_at"):
            array = getattr(self, name)
            larger = np.zeros(places, array.dtype)
            larger[new] = array[old]
            setattr(self, name, larger)

    def _grow(self, size: int, first: int) -> None:
        was = len(self._readings)
        numbers = np.arange(first, self.next)
        readings = np.zeros(size, np.float32)
        readings[numbers % size] = self._readings[numbers % was]
        self._at = ((first + (self._at.astype(np.int64) - first) % was) % size).astype(np.int32)
        self._readings = readings


class Dense:
    """As `Packed`, of as few or as many metrics that it does not pay."""

    next = 0

    def __init__(self, places: int, metrics: int) -> None:
        self._values = np.zeros((places, metrics), np.float32)

    def __getitem__(self, places: Ints) -> npt.NDArray[np.float32]:
        return self._values[places]

    def write(self, start: int, values: npt.NDArray[np.float32], first: int) -> None:  # noqa: ARG002
        ring_write(self._values, start, values)

    def move(self, places: int, old: Ints, new: Ints) -> None:
        larger = np.zeros((places, self._values.shape[1]), np.float32)
        larger[new] = self._values[old]
        self._values = larger


def ring_write(ring: npt.NDArray[Any], start: int, data: npt.NDArray[Any]) -> None:
    """From `start` on, and from the ring's beginning where it ends."""
    room = len(ring) - start
    if len(data) <= room:
        ring[start : start + len(data)] = data
    else:
        ring[start:] = data[:room]
        ring[: len(data) - room] = data[room:]

"""State by slot for rules that concern few: a row of its own only for a slot that has something to keep.

A million devices hold a thousand care beds; whoever never had a reading that matters shares row 0, which stays blank.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerts.rules.room import with_room


class Column(NamedTuple):
    """One value (or a fixed number of them) that is kept: its type, what a blank holds, its shape beside the slot."""

    dtype: type[np.generic]
    blank: float
    shape: tuple[int, ...] = ()


class Columns:
    """Named arrays whose first axis is the row; `rows` tells a slot's."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = dict(columns)
        self._row = np.zeros(0, np.int32)
        self._slot = np.zeros(1, np.int32)
        self._used = 1
        self._arrays = {name: _blank(column, 1) for name, column in self._columns.items()}

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """The array of that name; row 0 is blank and must stay so."""
        return self._arrays[name]

    @property
    def names(self) -> tuple[str, ...]:
        """What is kept."""
        return tuple(self._columns)

    def blank(self, name: str) -> float:
        """What an empty row holds there."""
        return self._columns[name].blank

    @property
    def used(self) -> int:
        """How many rows are in use, the blank one among them."""
        return self._used

    @property
    def slots(self) -> int:
        """For how many slots there is room."""
        return len(self._row)

    def slot(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Whose rows these are."""
        return self._slot[rows].astype(np.int64)

    def rows(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The row of each slot; 0: it has none."""
        return self._row[slots].astype(np.int64)

    def make_room(self, slots: int) -> None:
        """Room for `slots` slots."""
        self._row = with_room(self._row, slots)

    def give(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The row of each slot, a new one where it had none."""
        rows = self._row[slots]
        without = rows == 0
        if without.any():
            new = np.unique(slots[without])
            self._extend(self._used + len(new))
            places = np.arange(self._used, self._used + len(new))
            self._row[new] = places
            self._slot[places] = new
            for name, column in self._columns.items():
                if column.blank:  # zeros are there already, and take no memory until something else is written
                    self._arrays[name][places[0] : places[-1] + 1] = column.blank
            self._used += len(new)
            rows = self._row[slots]
        return rows.astype(np.int64)

    def widen(self, name: str, shape: tuple[int, ...]) -> None:
        """Make the last axis of a column as long as asked, filled with blanks; it never gets shorter."""
        column, array = self._columns[name], self._arrays[name]
        more = shape[-1] - array.shape[-1]
        if more > 0:
            self._columns[name] = column._replace(shape=shape)
            added = np.full((*array.shape[:-1], more), column.blank, column.dtype)
            self._arrays[name] = np.concatenate([array, added], axis=-1)

    def dump(self) -> dict[str, npt.NDArray[Any]]:
        """All that is kept, a row for every slot."""
        return {name: array[self._row] for name, array in self._arrays.items()}

    def dump_few(self) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[Any]]]:
        """The slots that have a row, and what is kept of each of them."""
        rows = slice(1, self._used)
        return self._slot[rows].astype(np.int64), {name: array[rows].copy() for name, array in self._arrays.items()}

    def load(self, state: Mapping[str, npt.NDArray[Any]], slots: npt.NDArray[np.int64]) -> None:
        """What `dump` gave, of `slots` now; nothing of it if a column is missing or of another shape."""
        for name, column in self._columns.items():
            if name not in state or state[name].shape[1:] != column.shape:
                return
        kept = np.zeros(len(slots), np.bool_)
        for name, column in self._columns.items():
            differs = state[name] != column.blank
            kept |= differs.any(axis=tuple(range(1, differs.ndim))) if differs.ndim > 1 else differs
        rows = self.give(slots[kept])
        for name in self._columns:
            self._arrays[name][rows] = state[name][kept]

    def _extend(self, rows: int) -> None:
        if rows <= len(self._slot):
            return
        # Blank only once they are given, so that nothing is in memory before.
        room = max(rows, len(self._slot) * 5 // 4)
        self._slot = with_room(self._slot, room)
        self._arrays = {name: with_room(array, room) for name, array in self._arrays.items()}


class KeptInColumns:
    """An operator whose whole state stands in one `Columns`: what of it outlives a restart (`Operator`, `KeepsFew`)."""

    _state: Columns

    def dump(self) -> dict[str, npt.NDArray[Any]]:
        """As `Operator.dump`."""
        return self._state.dump()

    def dump_few(self) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[Any]]]:
        """As `KeepsFew.dump_few`."""
        return self._state.dump_few()

    def load(self, state: dict[str, npt.NDArray[Any]], slots: npt.NDArray[np.int64]) -> None:
        """As `Operator.load`."""
        self._state.load(state, slots)


def _blank(column: Column, rows: int) -> npt.NDArray[Any]:
    return np.full((rows, *column.shape), column.blank, column.dtype)

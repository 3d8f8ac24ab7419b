"""Held silences: found, and not told before it is known who else is silent.

A county without power holds a million of them, and a sweep must not look through them all in detail: it is asked for a
few areas at a time, and what is told or heard is only crossed out until half of the rows are.
"""

import numpy as np
import numpy.typing as npt

from alerts.rules.together import NEVER, Ints

_FIRST = 1024


class HeldSilences:
    """Rows (slot, area, since when silent, until when held) in the order they came; of a slot's rows the last counts."""

    def __init__(self) -> None:
        self._slot = np.zeros(_FIRST, np.int32)
        self._area = np.zeros(_FIRST, np.int32)
        self._silent_at = np.zeros(_FIRST, np.int64)
        self._until = np.zeros(_FIRST, np.int64)
        self._used = 0
        self._crossed_out = 0

    def add(
        self,
        slots: Ints,
        areas: npt.NDArray[np.int32],
        silent_at: Ints,
        until: Ints,
        held: npt.NDArray[np.bool_],
    ) -> None:
        """Hold these, each once; `held`: by slot, whose silence is held now."""
        if self._used + len(slots) > len(self._slot) or self._crossed_out > max(_FIRST, self._used // 2):
            self._make_room(len(slots), held)
        rows = slice(self._used, self._used + len(slots))
        self._slot[rows], self._area[rows] = slots, areas
        self._silent_at[rows], self._until[rows] = silent_at, until
        self._used += len(slots)

    def up(self, now: int) -> npt.NDArray[np.intp]:
        """The rows held until before `now`."""
        return np.flatnonzero(self._until[: self._used] < now)

    def areas(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
        """(n,) Their areas."""
        return self._area[rows]

    def of_areas(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """All rows of the areas that `chosen` (by area) marks."""
        return np.flatnonzero(chosen[self._area[: self._used]])

    def take(
        self, rows: npt.NDArray[np.intp], held: npt.NDArray[np.bool_], areas: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[np.intp], Ints, Ints, Ints]:
        """Those of `rows` that count: (row, slot, since when silent, until when held). The others are crossed out.

        `held`, `areas`: by slot, whose silence is held now, and where they are.
        """
        slot = self._slot[rows]
        last = np.zeros(len(rows), np.bool_)
        last[len(rows) - 1 - np.unique(slot[::-1], return_index=True)[1]] = True
        counts = last & held[slot] & (areas[slot] == self._area[rows])
        self.cross_out(rows[~counts & (self._until[rows] != NEVER)])
        rows = rows[counts & (self._until[rows] != NEVER)]
        return rows, self._slot[rows].astype(np.int64), self._silent_at[rows], self._until[rows]

    def cross_out(self, rows: npt.NDArray[np.intp]) -> None:
        """These are held no more."""
        self._until[rows] = NEVER
        self._crossed_out += len(rows)

    def _make_room(self, more: int, held: npt.NDArray[np.bool_]) -> None:
        slot = self._slot[: self._used]
        last = np.zeros(len(held), np.int32)
        last[slot] = np.arange(self._used, dtype=np.int32)
        kept = np.flatnonzero((last[slot] == np.arange(self._used)) & held[slot] & (self._until[: self._used] != NEVER))
        size = _FIRST
        while size < 2 * (len(kept) + more):
            size *= 2
        for name in ("_slot", "_area", "_silent_at", "_until"):
            old = getattr(self, name)
            new = np.zeros(size, old.dtype)
            new[: len(kept)] = old[kept]
            setattr(self, name, new)
        self._used, self._crossed_out = len(kept), 0

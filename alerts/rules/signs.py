"""Signs of life among the readings, and which of them are worth looking at: only the first of a day tells anything.

A sign's code: 1.. for the metrics, then the events.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from alerts.rules.operator import EVENT_CODE, Given
from homecare.metrics import INDEX, METRICS
from homecare.samples import Samples

_EVENTS_FROM = len(METRICS)
_LAST_SECOND = 2**32 - 1
CODES = _EVENTS_FROM + len(EVENT_CODE) + 1


def code(sign: str) -> int:
    """The code of a metric or an event."""
    return INDEX[sign] + 1 if sign in INDEX else _EVENTS_FROM + EVENT_CODE[sign]


def sign_name(sign: int) -> str:
    """The metric or event of a code."""
    return METRICS[sign - 1].name if sign <= _EVENTS_FROM else list(EVENT_CODE)[sign - _EVENTS_FROM - 1]


@dataclass(slots=True)
class Marks:
    """n signs; every array has n rows. Times are Unix ms."""

    slot: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    device: npt.NDArray[np.int32]
    sign: npt.NDArray[np.int16]
    received: npt.NDArray[np.int64]
    value: npt.NDArray[np.float32]

    def take(self, rows: npt.NDArray[np.int64]) -> "Marks":
        """Those at `rows`."""
        return Marks(*(getattr(self, field.name)[rows] for field in fields(self)))


def signs_among(
    samples: Samples, event: npt.NDArray[np.int8], signs: Sequence[str], counts: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.int16]:
    """(n,) The code of each row's sign, the first one of `signs` that it has; 0: none.

    `counts` (n, CODES): which codes count for the row's person; None: all.
    """
    result = np.zeros(len(samples), np.int16)
    for sign in reversed(signs):
        number = code(sign)
        here = samples.values[:, INDEX[sign]] > 0 if sign in INDEX else event == EVENT_CODE[sign]
        if counts is not None:
            here &= counts[:, number]
        result[here] = number
    return result


def any_sign(samples: Samples, event: npt.NDArray[np.int8], signs: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(n,) Rows with one of `signs`; what `signs_among` finds, in less time."""
    found = np.zeros(len(samples), np.bool_)
    for sign in signs:
        if sign in INDEX:
            found |= samples.values[:, INDEX[sign]] > 0
    events = [EVENT_CODE[sign] for sign in signs if sign in EVENT_CODE]
    if events and event.any():
        found |= np.isin(event, events)
    return found


def marks_of(given: Given, sign: npt.NDArray[np.int16]) -> Marks:
    """The signs of `given`, in its order."""
    rows = np.flatnonzero(sign)
    samples = given.samples
    column = np.minimum(sign[rows], _EVENTS_FROM) - 1
    value = np.where(sign[rows] <= _EVENTS_FROM, samples.values[rows, column], np.float32(0))
    return Marks(given.slot[rows], samples.ts[rows], samples.device[rows], sign[rows], samples.received[rows], value)


class Done:
    """For whom a day's first sign is known: a later one of that day needs no second look.

    A cache by the resident's key; two that share a place drive each other out, which costs time and nothing else.
    """

    def __init__(self) -> None:
        self._make(64)

    def _make(self, size: int) -> None:
        # Resident, since, until side by side: one look into memory for each row, not three.
        # In whole seconds, the day no longer than it is: at its edges a sign is looked at once more.
        self._kept = np.zeros((size, 3), np.uint32)
        self._came = 0
        """How many were told that were not known."""

    def forget(self) -> None:
        """Days have changed."""
        self._kept[:] = 0

    def told(self, resident: npt.NDArray[np.int32], ts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """(n,) An earlier sign of that day is known."""
        kept = self._kept.take(resident & (len(self._kept) - 1), axis=0)
        second = ts // 1000
        known: npt.NDArray[np.bool_] = (kept[:, 0] == resident) & (second >= kept[:, 1]) & (second < kept[:, 2])
        return known

    def tell(
        self, resident: npt.NDArray[np.int32], since: npt.NDArray[np.int64], until: npt.NDArray[np.int64], most: int
    ) -> None:
        """Each one's first sign of a day, and when that day ends; of several days, the last one given stays.

        `most`: how many people there are; it takes about as many places as give a sign.
        """
        place = resident & (len(self._kept) - 1)
        self._came += int((self._kept[place, 0] != resident).sum())
        if min(self._came, most) > len(self._kept):
            kept = self._kept[self._kept[:, 0] != 0]
            self._make(1 << (min(self._came, most) - 1).bit_length())
            self._came = len(kept) + len(resident)
            self._kept[kept[:, 0] & (len(self._kept) - 1)] = kept
            place = resident & (len(self._kept) - 1)
        # A row is written whole: whoever comes last has all three.
        day = np.clip(np.stack([-(-since // 1000), until // 1000]), 0, _LAST_SECOND)
        self._kept[place] = np.stack([resident, *day], axis=1)

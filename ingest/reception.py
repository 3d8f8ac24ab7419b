"""How each device's messages come in: how many, how often twice, how late, by how much its clock differs. Figures, not facts:
kept in columns, one row per device key, and written now and then.
"""

from dataclasses import dataclass

import numpy as np

from homecare.samples import NO_TIME, Flag
from ingest.arrivals import Array
from ingest.sequences import Counted

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
CLASSES_MS = np.array(
    [
        0,
        SECOND,
        3 * SECOND,
        10 * SECOND,
        30 * SECOND,
        MINUTE,
        5 * MINUTE,
        30 * MINUTE,
        2 * HOUR,
        12 * HOUR,
        DAY,
        7 * DAY,
    ],
    np.int64,
)
"""Upper bounds of the classes of lateness, for the median; what is later than all is in one more."""
FADING = 0.9
"""How much of what a class held counts at the next writing, so that the median follows."""
UNKNOWN = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Figures:
    """Of n devices, since the last time they were taken; None where nothing told it. Milliseconds."""

    device: list[int]
    messages: list[int]
    duplicates: list[int]
    found: list[int]
    late: list[int]
    lateness_p50_ms: list[int | None]
    lateness_max_ms: list[int | None]
    clock_ahead_ms: list[int | None]


class Reception:
    """Counts what was committed."""

    def __init__(self) -> None:
        self._counts: Array = np.zeros((1024, 4), np.int32)  # messages, duplicates, found, late
        self._classes: Array = np.zeros((1024, len(CLASSES_MS) + 1), np.float32)
        self._latest: Array = np.full(1024, -UNKNOWN, np.int64)
        self._least: Array = np.full(1024, UNKNOWN, np.int64)

    def keep(self, counted: Counted, found: dict[int, int]) -> None:
        """A batch is committed; `found`: how many of its late messages closed a gap, by device."""
        rows = counted.arrivals
        if not len(rows):
            return
        self._make_room(int(rows.device.max()))
        add = np.add.at
        add(self._counts[:, 0], counted.messages, 1)
        add(self._counts[:, 1], counted.duplicates, 1)
        add(self._counts[:, 1], counted.late[0], 1)
        for key, count in found.items():
            self._counts[key, 1] -= count
            self._counts[key, 2] += count
        told = np.flatnonzero(rows.measured != NO_TIME)
        device = rows.device[told]
        # A claimed time may be anything; a century is enough for a difference.
        difference = np.clip(
            rows.received[told] - np.maximum(rows.measured[told], -UNKNOWN // 2), -(10**12) * 4, 10**12 * 4
        )
        np.minimum.at(self._least, device, difference)
        right = (rows.flags[told] & Flag.WRONG_CLOCK) == 0
        device, lateness = device[right], difference[right]
        add(self._classes, (device, np.searchsorted(CLASSES_MS, lateness)), 1)
        np.maximum.at(self._latest, device, lateness)
        add(self._counts[:, 3], device[(rows.flags[told][right] & Flag.LATE) != 0], 1)

    def take(self, most: int) -> Figures:
        """The figures of some devices that have any, and begin anew with them."""
        device = np.flatnonzero(self._counts[:, 0])[:most]
        classes = self._classes[device]
        half = classes.sum(axis=1, keepdims=True) / 2
        median = np.argmax(np.cumsum(classes, axis=1) >= np.maximum(half, 1e-9), axis=1)
        bounds = [*CLASSES_MS.tolist(), None]
        latest, least = self._latest[device], self._least[device]
        messages, duplicates, found, late = (column.tolist() for column in self._counts[device].T)
        figures = Figures(
            device.tolist(),
            messages,
            duplicates,
            found,
            late,
            [bounds[n] if some else None for n, some in zip(median.tolist(), (half[:, 0] > 0).tolist(), strict=True)],
            [None if ms == -UNKNOWN else ms for ms in latest.tolist()],
            [None if ms == UNKNOWN else -ms for ms in least.tolist()],
        )
        self._counts[device] = 0
        self._classes[device] = classes * FADING
        self._latest[device], self._least[device] = -UNKNOWN, UNKNOWN
        return figures

    def _make_room(self, most: int) -> None:
        have = len(self._counts)
        if most < have:
            return
        more = max(most + 1, 2 * have) - have
        self._counts = np.concatenate([self._counts, np.zeros((more, 4), np.int32)])
        self._classes = np.concatenate([self._classes, np.zeros((more, len(CLASSES_MS) + 1), np.float32)])
        self._latest = np.concatenate([self._latest, np.full(more, -UNKNOWN, np.int64)])
        self._least = np.concatenate([self._least, np.full(more, UNKNOWN, np.int64)])

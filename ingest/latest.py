"""The latest reading of each metric, by device and person measured: gathered from what is committed, written within a second.

Nothing here remembers what is written: the table keeps whatever is newer, so that the same samples may be gathered again.
"""

from dataclasses import dataclass

import numpy as np

from homecare.metrics import INDEX
from homecare.samples import Samples
from ingest.arrivals import Array
from ingest.rows import EPOCH_MS, CopyRows, lay_out

MOST_ROWS = 50_000
"""Of samples gathered; more are reduced at once, to one row for each device and person and metric at most."""


@dataclass(frozen=True, slots=True)
class Readings:
    """One row for each device and person, all of one length. `metrics`: (name, value, at or NO_TIME); times are Unix ms."""

    device: Array
    resident: Array
    ts: Array
    received: Array
    metrics: list[tuple[str, Array, Array]]
    place: tuple[Array, Array, Array, Array] | None
    place_at: Array

    def __len__(self) -> int:
        return len(self.device)


class Latest:
    """Samples that are committed and whose readings are not yet written as the latest."""

    def __init__(self) -> None:
        self._parts: list[Samples] = []
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, samples: Samples) -> None:
        """These are committed."""
        if not len(samples):
            return
        self._parts.append(samples)
        self._rows += len(samples)
        if self._rows > MOST_ROWS and len(self._parts) > 1:
            self._put(needed(Samples.concatenate(self._parts)))

    def take(self) -> Samples:
        """All that was gathered, in order of arrival; nothing is gathered then."""
        parts, self._parts, self._rows = self._parts, [], 0
        return parts[0] if len(parts) == 1 else Samples.concatenate([Samples.empty(0), *parts])

    def give_back(self, samples: Samples) -> None:
        """They could not be written."""
        self._parts.insert(0, samples)
        self._rows += len(samples)

    def _put(self, samples: Samples) -> None:
        self._parts, self._rows = [samples], len(samples)


def needed(samples: Samples) -> Samples:
    """Those that hold the latest reading of something, in order of arrival."""
    if not len(samples):
        return samples
    order, groups = _sorted(samples)
    kept = np.zeros(len(samples), np.bool_)
    kept[_last_of_each(groups, len(samples))] = True
    for present in [*(~np.isnan(samples.values[order, n]) for n in range(len(INDEX))), ~np.isnan(samples.lat[order])]:
        if present.any():
            row = _last(present, groups)
            kept[row[row >= 0]] = True
    return samples.take(np.sort(order[kept]))


def readings_of(samples: Samples) -> Readings:
    """The latest readings among `samples`, of which there must be some."""
    order, groups = _sorted(samples)
    samples = samples.take(order)
    newest = _last_of_each(groups, len(samples))
    metrics = []
    for name, n in INDEX.items():
        present = ~np.isnan(samples.values[:, n])
        if present.any():
            row = _last(present, groups)
            there = row >= 0
            metrics.append((name, np.where(there, samples.values[row, n], np.nan), np.where(there, samples.ts[row], 0)))
    located = ~np.isnan(samples.lat)
    row = _last(located, groups)
    there = row >= 0
    place = None
    if located.any():
        lat, lon, accuracy = (
            np.where(there, column[row], np.nan) for column in (samples.lat, samples.lon, samples.accuracy)
        )
        place = (lat, lon, accuracy, np.where(there, samples.fix[row], -1))
    return Readings(
        samples.device[newest],
        samples.resident[newest],
        samples.ts[newest],
        np.maximum.reduceat(samples.received, groups),
        metrics,
        place,
        np.where(there, samples.ts[row], 0),
    )


def encode(readings: Readings) -> CopyRows:
    """As rows for COPY into a table like `latest`."""
    sent: list[tuple[str, str, Array, Array | None]] = [
        ("device", ">i4", readings.device, None),
        ("resident", ">i4", readings.resident, None),
        ("ts", ">i8", _time(readings.ts), None),
        ("received", ">i8", _time(readings.received), None),
    ]
    for name, values, at in readings.metrics:
        missing = np.isnan(values)
        sent += [(name, ">f4", values, missing), (f"{name}_at", ">i8", _time(at), missing)]
    if readings.place is not None:
        lat, lon, accuracy, fix = readings.place
        nowhere = np.isnan(lat)
        sent += [
            ("lat", ">f8", lat, nowhere),
            ("lon", ">f8", lon, nowhere),
            ("accuracy", ">f4", accuracy, np.isnan(accuracy)),
            ("fix", ">i2", fix, fix < 0),
            ("position_at", ">i8", _time(readings.place_at), nowhere),
        ]
    return lay_out(sent)


def _time(ms: Array) -> Array:
    return (ms - EPOCH_MS) * 1000


def _sorted(samples: Samples) -> tuple[Array, Array]:
    """(order by device, person and time, what is measured at one time as it was counted; where each stream begins)."""
    stream = samples.device.astype(np.int64) << 32 | samples.resident
    order = np.lexsort((samples.part, samples.seq, samples.ts, stream))
    stream = stream[order]
    begins = np.append(True, stream[1:] != stream[:-1])
    return order, np.flatnonzero(begins)


def _last_of_each(groups: Array, n: int) -> Array:
    return np.append(groups[1:], n) - 1


def _last(present: Array, groups: Array) -> Array:
    """Of each group the last row where it is present, -1 where it is nowhere."""
    return np.maximum.reduceat(np.where(present, np.arange(len(present)), -1), groups)

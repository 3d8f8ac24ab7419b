"""Readings and events on their way to the operators that want them in order: held back until no earlier one can come.

What is held is packed (about 70 bytes and 5 for each value) and lies in buckets by time of measurement, so that a row
is sorted once, when its bucket is due, however many devices there are.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from alerts.rules.operator import Given
from homecare.samples import Samples

EARLIEST = -(2**62)
SLACK_MS = 15_000
"""An event comes by another process and the database: what this takes at most and still is no reason to leave it out."""
SET_BACK_MS = 3_600_000
"""Times of receipt that fall back by more than this mean that the host's clock was set right, not that data is late."""
WIDTHS_MS = (1_000, 2_000, 5_000, 10_000, 30_000)
"""Of a bucket: the widest that makes nobody wait more than a tenth longer; every one fits evenly into the last."""

_ROW = np.dtype(
    [
        ("slot", np.int32),
        ("device", np.int32),
        ("resident", np.int32),
        ("ts", np.int64),
        ("delay", np.int32),  # received - ts
        ("boot", np.int32),
        ("seq", np.int32),
        ("of", np.int32),
        ("part", np.int16),
        ("flags", np.int16),
        ("event", np.int8),
        ("fix", np.int8),
        ("measured", np.uint8),  # how many values there are
        ("wanted", np.uint64),  # bit i: operator i of the group has a use for it
        ("lat", np.float64),
        ("lon", np.float64),
        ("accuracy", np.float32),
        ("speed", np.float32),
    ]
)
_SAME = ("device", "resident", "boot", "seq", "part", "flags", "fix", "lat", "lon", "accuracy", "speed")


class _Chunk:
    """Packed rows in order of arrival; `column` and `value` hold the values of all rows, one row after the other."""

    __slots__ = ("column", "rows", "value")

    def __init__(
        self, rows: npt.NDArray[np.void], column: npt.NDArray[np.int8], value: npt.NDArray[np.float32]
    ) -> None:
        self.rows, self.column, self.value = rows, column, value


class Settled:
    """Rows of one scope for operators that wait equally long. Heading, altitude and claimed time are not kept."""

    def __init__(self, wait_ms: int) -> None:
        self.wait_ms = wait_ms
        self._width = max((width for width in WIDTHS_MS if 10 * width <= wait_ms), default=WIDTHS_MS[0])
        self._buckets: dict[int, list[_Chunk]] = {}
        self._latest = EARLIEST
        self.until = EARLIEST
        """All that was measured before this has been handed out."""

    def __len__(self) -> int:
        return sum(len(chunk.rows) for chunks in self._buckets.values() for chunk in chunks)

    def put(
        self,
        samples: Samples,
        event: npt.NDArray[np.int8],
        of: npt.NDArray[np.int32],
        slot: npt.NDArray[np.int64],
        wanted: npt.NDArray[np.uint64],
        rows: npt.NDArray[np.int64],
    ) -> None:
        """Take in `rows` of these, in order of arrival. What is too late, or older than what was handed out, is left out."""
        ts = samples.ts[rows]
        rows = rows[(ts >= samples.received[rows] - self.wait_ms) & (ts >= self.until)]
        if not len(rows):
            return
        bucket = samples.ts[rows] // self._width
        if (bucket != bucket[0]).any():
            order = np.argsort(bucket, kind="stable")
            rows, bucket = rows[order], bucket[order]
        packed, column, value = _packed(samples, event, of, slot, wanted, rows)
        starts = np.flatnonzero(np.append(True, bucket[1:] != bucket[:-1]))
        if len(starts) == 1:
            self._buckets.setdefault(int(bucket[0]), []).append(_Chunk(packed, column, value))
            return
        ends = np.append(starts[1:], len(rows))
        values = np.concatenate([[0], np.cumsum(packed["measured"], dtype=np.int64)])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            first, last = values[start], values[end]
            # Copies: a slice would keep the whole batch in memory as long as its latest row.
            chunk = _Chunk(packed[start:end].copy(), column[first:last].copy(), value[first:last].copy())
            self._buckets.setdefault(int(bucket[start]), []).append(chunk)

    def heard_until(self, received: int) -> None:
        """All that was received before this has been put in."""
        if received < self._latest - SET_BACK_MS:
            self.until = min(self.until, self._edge(received))
            self._latest = received
        self._latest = max(self._latest, received)

    def take(self) -> tuple[Given, npt.NDArray[np.uint64]] | None:
        """What is settled since the last time, by slot and time, each row once, and who wants it; None: nothing."""
        edge = self._edge(self._latest)
        if edge <= self.until:
            return None
        self.until = edge
        due = sorted(bucket for bucket in self._buckets if bucket * self._width < edge)
        if not due:
            return None
        return _in_order([chunk for bucket in due for chunk in self._buckets.pop(bucket)])

    def _edge(self, received: int) -> int:
        return (received - self.wait_ms - SLACK_MS) // self._width * self._width


def _packed(
    samples: Samples,
    event: npt.NDArray[np.int8],
    of: npt.NDArray[np.int32],
    slot: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    packed = np.empty(len(rows), _ROW)
    for name in _SAME:
        packed[name] = getattr(samples, name)[rows]
    packed["slot"], packed["event"], packed["of"], packed["wanted"] = slot[rows], event[rows], of[rows], wanted[rows]
    packed["ts"], packed["delay"] = samples.ts[rows], samples.received[rows] - samples.ts[rows]
    values = samples.values[rows]
    row, column = np.nonzero(~np.isnan(values))
    packed["measured"] = np.bincount(row, minlength=len(rows))
    return packed, column.astype(np.int8), values[row, column]


def _in_order(chunks: Iterable[_Chunk]) -> tuple[Given, npt.NDArray[np.uint64]]:
    chunks = list(chunks)
    rows = np.concatenate([chunk.rows for chunk in chunks])
    order = _order(rows)
    place = np.full(len(rows), -1, np.int64)  # where each row as it came went; those that came again went nowhere
    place[order] = np.arange(len(order))
    samples = Samples.empty(len(order))
    into = np.repeat(place, rows["measured"])
    kept = into >= 0
    column = np.concatenate([chunk.column for chunk in chunks])
    value = np.concatenate([chunk.value for chunk in chunks])
    samples.values[into[kept], column[kept]] = value[kept]
    rows = rows[order]
    for name in _SAME:
        setattr(samples, name, rows[name].copy())
    samples.ts = rows["ts"].copy()
    samples.received = samples.ts + rows["delay"]
    given = Given(samples, rows["event"].copy(), rows["slot"].astype(np.int64), rows["of"].copy())
    return given, rows["wanted"].copy()


def _order(rows: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """By slot, time and the device's own count; without rows that came again (the first to come stays)."""
    slot, ts = rows["slot"].astype(np.int64), rows["ts"].copy()
    first, span = int(ts.min()), int(ts.max() - ts.min()) + 1
    index_bits = len(rows).bit_length()
    if (int(slot.max()) + 1) * span < 2 ** (62 - index_bits):
        # One number of slot, time and place: sorting numbers is faster than sorting places by them.
        order = np.sort(((slot * span + (ts - first)) << index_bits) | np.arange(len(rows))) & ((1 << index_bits) - 1)
    else:
        order = np.lexsort((ts, slot))
    alike = (slot[order[1:]] == slot[order[:-1]]) & (ts[order[1:]] == ts[order[:-1]])
    if not alike.any():
        return order
    # Of those of one slot and moment, which are few, the device's own count decides.
    places = np.flatnonzero(np.append(alike, False) | np.append(False, alike))
    names = ("device", "boot", "seq", "part", "event")
    few = order[places]
    few = few[np.lexsort((*(rows[name][few] for name in reversed(names)), ts[few], slot[few]))]
    order[places] = few
    again = (slot[few[1:]] == slot[few[:-1]]) & (ts[few[1:]] == ts[few[:-1]])
    for name in names:
        again &= rows[name][few[1:]] == rows[name][few[:-1]]
    kept: npt.NDArray[np.int64] = np.delete(order, places[1:][again])
    return kept

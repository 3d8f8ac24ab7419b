"""Samples <-> the bytes of a binary COPY, without a Python loop over rows.

In binary COPY a row is its number of fields, then each field's length and bytes; NULL is the length -1 and no bytes.
So the rows are laid out as if every field were there, and what is missing is struck out of all rows at once.
Columns that no row of the batch has are not sent at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from homecare.metrics import INDEX
from homecare.samples import NO_TIME, Samples

Array = npt.NDArray[Any]

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
EPOCH_MS = 946_684_800_000
"""2000-01-01, where PostgreSQL's own times begin, in Unix ms."""
TIMES = ("ts", "received")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `sample`: its name, its type on the wire, its array in `Samples`, what stands for NULL there (None: none is)."""

    name: str
    wire: str
    array: Callable[[Samples], Array]
    null: float | None = None

    def values(self, samples: Samples) -> Array:
        """As PostgreSQL has them: times are microseconds since 2000."""
        values = self.array(samples)
        return (values - EPOCH_MS) * 1000 if self.name in TIMES else values

    def missing(self, values: Array) -> Array | None:
        """Where they are NULL."""
        if self.null is None:
            return None
        return np.isnan(values) if np.isnan(self.null) else values == self.null


def _column(name: str, wire: str, null: float | None = None) -> Column:
    return Column(name, wire, lambda samples: getattr(samples, name), null)


def _metric(name: str, index: int) -> Column:
    return Column(name, ">f4", lambda samples: samples.values[:, index], np.nan)


COLUMNS = (
    _column("ts", ">i8"),
    _column("received", ">i8"),
    _column("claimed", ">i8", NO_TIME),
    _column("device", ">i4"),
    _column("resident", ">i4", 0),
    _column("boot", ">i4"),
    _column("seq", ">i4"),
    _column("part", ">i2"),
    _column("flags", ">i2"),
    *(_metric(name, index) for name, index in INDEX.items()),
    _column("lat", ">f8", np.nan),
    _column("lon", ">f8", np.nan),
    *(_column(name, ">f4", np.nan) for name in ("accuracy", "speed", "heading", "altitude")),
    _column("fix", ">i2", -1),
)
READINGS = frozenset(column.name for column in COLUMNS[9:])
"""Those a device measures; the others say what the row is."""


@dataclass(frozen=True, slots=True)
class CopyRows:
    """The columns that are sent, in order, and everything COPY wants to hear."""

    columns: tuple[str, ...]
    data: bytes


def encode(samples: Samples) -> CopyRows:
    """The rows of one COPY; `samples` must not be empty."""
    sent: list[tuple[Column, Array, Array | None]] = []
    for column in COLUMNS:
        values = column.values(samples)
        missing = column.missing(values)
        if missing is not None and not missing.any():
            missing = None
        if missing is None or not missing.all():
            sent.append((column, values, missing))

    return lay_out([(column.name, column.wire, values, missing) for column, values, missing in sent])


def lay_out(sent: Sequence[tuple[str, str, Array, Array | None]]) -> CopyRows:
    """The rows of one COPY from its columns: name, type on the wire, values, where they are NULL (None: nowhere)."""
    n = len(sent[0][2])
    layout = _layout(tuple((name, wire) for name, wire, _, _ in sent))
    rows = np.empty(n, layout)
    rows["fields"] = len(sent)
    kept: Array | None = None
    for name, _, values, missing in sent:
        rows[name] = values
        size = layout[name].itemsize
        if missing is None:
            rows[_length(name)] = size
            continue
        rows[_length(name)] = np.where(missing, -1, size)
        if kept is None:
            kept = np.ones((n, layout.itemsize), np.bool_)
        at = layout.fields[name][1] if layout.fields else 0
        kept[:, at : at + size] = ~missing[:, np.newaxis]
    whole = rows.view(np.uint8).reshape(n, layout.itemsize)
    body = rows.tobytes() if kept is None else whole[kept].tobytes()
    return CopyRows(tuple(name for name, _, _, _ in sent), HEADER + body + TRAILER)


WHOLE_ROW_COLUMNS = tuple((column.name, column.wire) for column in COLUMNS)


def decode(rows: bytes) -> Samples:
    """The samples again, from rows that have every field (NULL as what stands for it); header and trailer taken off."""
    read = np.frombuffer(rows, _layout(WHOLE_ROW_COLUMNS))
    samples = Samples.empty(len(read))
    for column in COLUMNS:
        values = read[column.name]
        column.array(samples)[:] = values // 1000 + EPOCH_MS if column.name in TIMES else values
    return samples


def row_size() -> int:
    """Bytes of a row that `decode` reads."""
    return _layout(WHOLE_ROW_COLUMNS).itemsize


def _length(name: str) -> str:
    return f"{name}_length"


@lru_cache(maxsize=256)
def _layout(columns: tuple[tuple[str, str], ...]) -> np.dtype[np.void]:
    fields = [("fields", ">i2")]
    for name, wire in columns:
        fields += [(_length(name), ">i4"), (name, wire)]
    return np.dtype(fields)

"""Samples -> the bytes of a binary COPY, without a Python loop over rows.

In binary COPY a row is its number of fields, then each field's length and bytes; NULL is the length -1 and no bytes.
So the rows are laid out as if every field were there, and what is missing is struck out of all rows at once.
Columns that no row of the batch has are not sent at all.
"""

from collections.abc import Callable
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


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `sample`: its name, its type on the wire, its values, and where they are missing (None: nowhere)."""

    name: str
    wire: str
    values: Callable[[Samples], Array]
    missing: Callable[[Array], Array] | None = None


def _timestamp(name: str) -> Column:
    return Column(name, ">i8", lambda samples: to_timestamps(getattr(samples, name)))


def _number(name: str, wire: str, missing: Callable[[Array], Array] | None = None) -> Column:
    return Column(name, wire, lambda samples: getattr(samples, name), missing)


def _metric(name: str, index: int) -> Column:
    return Column(name, ">f4", lambda samples: samples.values[:, index], np.isnan)


COLUMNS = (
    _timestamp("ts"),
    _timestamp("received"),
    _number("claimed", ">i8", lambda claimed: claimed == NO_TIME),
    _number("device", ">i4"),
    _number("resident", ">i4", lambda resident: resident == 0),
    _number("boot", ">i4"),
    _number("seq", ">i4"),
    _number("part", ">i2"),
    _number("flags", ">i2"),
    *(_metric(name, index) for name, index in INDEX.items()),
    _number("lat", ">f8", np.isnan),
    _number("lon", ">f8", np.isnan),
    *(_number(name, ">f4", np.isnan) for name in ("accuracy", "speed", "heading", "altitude")),
    _number("fix", ">i2", lambda fix: fix < 0),
)


@dataclass(frozen=True, slots=True)
class CopyRows:
    """The columns that are sent, in order, and everything COPY wants to hear."""

    columns: tuple[str, ...]
    data: bytes


def to_timestamps(ms: Array) -> Array:
    """Unix ms -> PostgreSQL's microseconds since 2000."""
    return (ms - EPOCH_MS) * 1000


def encode(samples: Samples) -> CopyRows:
    """The rows of one COPY; `samples` must not be empty."""
    sent: list[tuple[Column, Array, Array | None]] = []
    for column in COLUMNS:
        values = column.values(samples)
        missing = column.missing(values) if column.missing else None
        if missing is not None and not missing.any():
            missing = None
        if missing is None or not missing.all():
            sent.append((column, values, missing))

    columns = tuple(column.name for column, _, _ in sent)
    layout = _layout(tuple((column.name, column.wire) for column, _, _ in sent))
    rows = np.empty(len(samples), layout)
    rows["fields"] = len(sent)
    kept: Array | None = None
    for column, values, missing in sent:
        rows[column.name] = values
        size = layout[column.name].itemsize
        if missing is None:
            rows[_length(column.name)] = size
            continue
        rows[_length(column.name)] = np.where(missing, -1, size)
        if kept is None:
            kept = np.ones((len(samples), layout.itemsize), np.bool_)
        at = layout.fields[column.name][1] if layout.fields else 0
        kept[:, at : at + size] = ~missing[:, np.newaxis]
    whole = rows.view(np.uint8).reshape(len(samples), layout.itemsize)
    body = rows.tobytes() if kept is None else whole[kept].tobytes()
    return CopyRows(columns, HEADER + body + TRAILER)


def _length(name: str) -> str:
    return f"{name}_length"


@lru_cache(maxsize=256)
def _layout(columns: tuple[tuple[str, str], ...]) -> np.dtype[np.void]:
    fields = [("fields", ">i2")]
    for name, wire in columns:
        fields += [(_length(name), ">i4"), (name, wire)]
    return np.dtype(fields)

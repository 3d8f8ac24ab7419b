"""Samples to COPY and back: every column, whatever is missing."""

import dataclasses
import struct

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homecare.clock import to_datetime
from homecare.samples import NO_TIME, Samples
from ingest.rows import COLUMNS, HEADER, TRAILER, Array, decode, encode, row_size
from ingest.store import Store
from tests.ingest.home import NOW, Home, checked_of


def varied(n: int, device: int, seed: int) -> Samples:
    """Samples in which every column has values and gaps of its own."""
    random = np.random.default_rng(seed)
    made = Samples.empty(n)
    made.device[:] = device
    made.seq[:] = np.arange(n)
    made.boot[:] = random.integers(0, 2**31 - 1, n)
    made.part[:] = random.integers(0, 512, n)
    made.flags[:] = random.integers(0, 64, n) & ~1
    made.ts[:] = NOW + random.integers(-(10**9), 10**5, n)
    made.received[:] = NOW + random.integers(0, 10**6, n)

    def gaps(values: Array, missing: float) -> Array:
        return np.where(random.random(values.shape) < 0.5, values, missing)

    made.claimed[:] = np.where(random.random(n) < 0.5, random.integers(-(2**60), 2**60, n), NO_TIME)
    made.resident[:] = gaps(random.integers(1, 1000, n), 0)
    made.values[:] = gaps(random.normal(80, 30, made.values.shape), np.nan)
    for name in ("lat", "lon", "accuracy", "speed", "heading", "altitude"):
        getattr(made, name)[:] = gaps(random.normal(50, 20, n), np.nan)
    made.fix[:] = random.integers(-1, 4, n)
    return made


def assert_equal(a: Samples, b: Samples) -> None:
    for column in dataclasses.fields(Samples):
        np.testing.assert_array_equal(getattr(a, column.name), getattr(b, column.name), column.name)


async def test_every_column_round_trips_with_its_gaps(store: Store, home: Home, db: psycopg.Connection) -> None:
    stored = varied(300, home.handset, seed=1)
    assert (await store.write(checked_of(stored))).samples == 300
    names = [column.name for column in COLUMNS]
    rows = db.execute(f"select {', '.join(names)} from sample order by seq").fetchall()
    for n, row in enumerate(rows):
        for column, value in zip(COLUMNS, row, strict=True):
            expected = column.array(stored)[n]
            if column.name in ("ts", "received"):
                assert value == to_datetime(int(expected))
            elif column.null is not None and (np.isnan(expected) or expected == column.null):
                assert value is None, column.name
            else:
                assert np.dtype(column.wire).type(value) == expected, column.name


async def test_columns_are_those_of_the_table(db: psycopg.Connection) -> None:
    columns = db.execute("select column_name from information_schema.columns where table_name = 'sample'").fetchall()
    assert {name for (name,) in columns} - {"committed"} == {column.name for column in COLUMNS}


async def test_committed_is_the_database_time_of_writing(store: Store, home: Home, db: psycopg.Connection) -> None:
    before = db.execute("select clock_timestamp()").fetchone()
    await store.write(checked_of(varied(2, home.handset, seed=2)))
    row = db.execute("select min(committed), max(committed), clock_timestamp() from sample").fetchone()
    assert before
    assert row
    assert before[0] < row[0] <= row[1] < row[2]


@given(n=st.integers(1, 40), seed=st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_copy_is_what_the_format_says(n: int, seed: int) -> None:
    samples = varied(n, 1, seed)
    sent = encode(samples)
    assert sent.data.startswith(HEADER)
    assert sent.data.endswith(TRAILER)
    at = len(HEADER)
    by_name = {column.name: column for column in COLUMNS}
    for row in range(n):
        (fields,) = struct.unpack_from(">h", sent.data, at)
        assert fields == len(sent.columns)
        at += 2
        for name in sent.columns:
            (length,) = struct.unpack_from(">i", sent.data, at)
            at += 4
            missing = by_name[name].missing(by_name[name].array(samples))
            if length == -1:
                assert missing is not None
                assert missing[row]
            else:
                assert length == np.dtype(by_name[name].wire).itemsize
                at += length
    assert sent.data[at:] == TRAILER


def test_columns_nobody_has_are_not_sent() -> None:
    assert encode(Samples.empty(3)).columns == ("ts", "received", "device", "boot", "seq", "part", "flags")


def test_whole_rows_are_read_back() -> None:
    samples = varied(1, 1, seed=3)
    for column in COLUMNS:  # nothing missing, so that what is sent is a whole row
        if column.null is not None:
            column.array(samples)[:] = 1
    rows = encode(samples).data[len(HEADER) : -len(TRAILER)]
    assert len(rows) == row_size()
    assert_equal(decode(rows), samples)


def test_half_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        decode(bytes(row_size() + 1))

"""Hours and days against a plain GROUP BY over the samples: on time, late, interrupted, and after samples were dropped."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import psycopg
import pytest

from homecare.clock import wall_clock
from homecare.metrics import METRICS
from homecare.samples import Samples
from ingest.connection import LiveConnection
from ingest.rollups import HOUR_MS, RollUps
from ingest.store import Store
from tests.ingest.home import Home, checked_of

COLUMNS = "samples, " + ", ".join(
    f"{m.name}_min, {m.name}_max, round({m.name}_sum::numeric, 3), {m.name}_count" for m in METRICS
)
PLAIN = "count(*), " + ", ".join(
    f"min({m.name}), max({m.name}), round(sum({m.name}::float8)::numeric, 3), count({m.name})" for m in METRICS
)
HOUR = "date_trunc('hour', ts, 'UTC')"
DAY = "date_trunc('day', ts, 'Asia/Shanghai')"


@pytest.fixture
async def beside(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    connection = LiveConnection(url, "tests rollups")
    yield await connection.get()
    await connection.close()


@pytest.fixture
def roll(url: str) -> RollUps:
    return RollUps(LiveConnection(url, "tests rollups"), 0)


def read(db: psycopg.Connection, view: str) -> list[tuple[Any, ...]]:
    return db.execute(f"select bucket, device, resident, {COLUMNS} from {view} order by 1, 2, 3".encode()).fetchall()


def assert_same(db: psycopg.Connection) -> None:
    for view, bucket in (("sample_hourly", HOUR), ("sample_daily", DAY)):
        plain = f"select {bucket}, device, resident, {PLAIN} from sample group by 1, 2, 3 order by 1, 2, 3"
        assert read(db, view) == db.execute(plain.encode()).fetchall()


def days_of(home: Home, days: float, n: int, seed: int, first_seq: int = 0) -> Samples:
    """n samples at random times of the last days, of two devices and of one person or nobody, each with some metrics."""
    random = np.random.default_rng(seed)
    made = Samples.empty(n)
    made.device[:] = np.where(random.random(n) < 0.5, home.handset, home.kiosk)
    made.resident[:] = np.where(random.random(n) < 0.7, home.resident, 0)
    made.boot[:] = 1
    made.seq[:] = first_seq + np.arange(n)
    now = wall_clock()
    made.ts[:] = now - random.integers(0, int(days * 24 * HOUR_MS), n)
    made.received[:] = now
    made.values[:] = np.where(random.random(made.values.shape) < 0.3, random.normal(80, 20, made.values.shape), np.nan)
    return made


def turn_back(db: psycopg.Connection, hours: int) -> None:
    """As if the roll-ups had stood still for so long, with what is stored since."""
    db.execute("truncate rollup_due, sample_hour")
    db.execute(
        "update rollup_state set closed_until = date_trunc('hour', now()) - make_interval(hours => %s),"
        " marked_until = date_trunc('hour', now()) - make_interval(hours => %s)",
        [hours, hours],
    )


def state(db: psycopg.Connection) -> tuple[Any, ...]:
    row = db.execute("select closed_until, marked_until, next_device from rollup_state").fetchone()
    assert row is not None
    return row


async def test_what_is_not_rolled_up_yet_is_counted_from_the_samples(
    store: Store, home: Home, db: psycopg.Connection
) -> None:
    turn_back(db, 80)
    await store.write(checked_of(days_of(home, 3, 500, seed=1)))
    assert db.execute("select count(*) from sample_hour").fetchone() == (0,)
    assert_same(db)


async def test_hours_are_closed_and_say_the_same(
    store: Store, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection, roll: RollUps
) -> None:
    turn_back(db, 80)
    await store.write(checked_of(days_of(home, 3, 800, seed=2)))
    await roll.roll_up(beside)
    closed, marked, _ = state(db)
    assert closed == marked
    assert 0 < (db.execute("select now() - %s", [closed]).fetchone() or [None])[0].total_seconds() < 2 * 3600  # type: ignore[union-attr]
    kept = db.execute("select sum(samples), max(bucket) < %s from sample_hour", [closed]).fetchone()
    assert kept is not None
    assert kept[0] > 500
    assert kept[1]
    assert_same(db)
    before = read(db, "sample_hour")
    await roll.roll_up(beside)
    assert read(db, "sample_hour") == before


async def test_late_samples_are_counted_and_those_that_come_twice_are_not(
    store: Store, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection, roll: RollUps
) -> None:
    turn_back(db, 80)
    first = days_of(home, 3, 300, seed=3)
    await store.write(checked_of(first))
    await roll.roll_up(beside)
    for n in range(3):
        late = days_of(home, 40, 200, seed=10 + n, first_seq=1000 * (n + 1))
        await store.write(checked_of(late))
        await store.write(checked_of(late, first))
        await roll.roll_up(beside)
        assert_same(db)
    assert db.execute("select count(*) from rollup_due").fetchone() == (0,)


async def test_part_that_is_filled_in_later_is_counted(
    store: Store, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection, roll: RollUps
) -> None:
    turn_back(db, 80)
    partial = days_of(home, 2, 20, seed=5)
    partial.flags[:] = 4
    whole = partial.take(slice(None))
    whole.flags[:] = 0
    partial.values = partial.values.copy()
    partial.values[:, :4] = np.nan
    await store.write(checked_of(partial))
    await roll.roll_up(beside)
    await store.write(checked_of(whole))
    await roll.roll_up(beside)
    assert_same(db)


async def test_goes_on_where_it_stopped(
    store: Store, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection, roll: RollUps
) -> None:
    turn_back(db, 30)
    await store.write(checked_of(days_of(home, 1, 400, seed=6)))
    # It died after the first device of the first hour.
    db.execute("update rollup_state set marked_until = closed_until + interval '1 hour'")
    db.execute("select rollup_hour(closed_until, %s) from rollup_state", [[home.handset]])
    db.execute("update rollup_state set next_device = %s", [home.handset])
    # And something came for it meanwhile.
    late = days_of(home, 1, 1, seed=7, first_seq=5000)
    late.device[:] = home.handset
    closed, _, _ = state(db)
    late.ts[:] = int(closed.timestamp() * 1000) + 5000
    await store.write(checked_of(late))
    assert db.execute("select device, hour from rollup_due").fetchall() == [(home.handset, closed)]
    assert_same(db)
    await roll.roll_up(beside)
    assert_same(db)


async def test_old_samples_are_dropped_and_their_hours_stay(
    url: str, store: Store, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection, roll: RollUps
) -> None:
    turn_back(db, 90 * 24)
    await store.write(checked_of(days_of(home, 80, 400, seed=8)))
    await roll.roll_up(beside)
    hours = read(db, "sample_hour")
    keep = RollUps(LiveConnection(url, "tests retention"), 40)
    await keep.retain(beside)
    oldest = db.execute("select min(ts) > now() - interval '42 days', count(*) > 100 from sample").fetchone()
    assert oldest == (True, True)
    assert read(db, "sample_hour") == hours
    late = days_of(home, 1, 1, seed=9, first_seq=9000)
    late.ts[:] = wall_clock() - 60 * 24 * HOUR_MS
    await store.write(checked_of(late))
    await keep.roll_up(beside)
    assert db.execute("select count(*) from rollup_due").fetchone() == (0,)
    assert read(db, "sample_hour") == hours, "an hour whose samples were dropped is not made of what is left"


async def test_kept_for_ever_unless_it_is_said(
    store: Store, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection, roll: RollUps
) -> None:
    await store.write(checked_of(days_of(home, 400, 50, seed=8)))
    await roll.retain(beside)
    assert db.execute("select count(*) from sample").fetchone() == (50,)


async def test_only_one_process_keeps_them(url: str, home: Home) -> None:
    connections = [LiveConnection(url, f"tests {n}") for n in range(2)]
    first, second = (RollUps(connection, 0) for connection in connections)
    assert await first._mine(await connections[0].get())
    assert not await second._mine(await connections[1].get())
    await connections[0].close()
    async with asyncio.timeout(30):
        while not await second._mine(await connections[1].get()):  # noqa: ASYNC110  # the server tells nobody of the end
            await asyncio.sleep(0.02)
    await connections[1].close()


async def test_buckets_are_those_of_the_continuous_aggregates(
    database_url: str,
) -> None:
    """Which this build of TimescaleDB does not have; their bucket functions it has."""
    with psycopg.connect(database_url) as timescale:
        differing = timescale.execute(
            "select count(*) from generate_series('2015-01-01 00:00Z'::timestamptz, '2027-01-01 00:00Z', interval '37 min') as t (ts)"
            f" where time_bucket(interval '1 hour', ts) <> {HOUR} or time_bucket(interval '1 day', ts, 'Asia/Shanghai') <> {DAY}"
        ).fetchone()
    assert differing == (0,)

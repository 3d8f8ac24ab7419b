"""Gaps, the latest readings and the figures in the database: with the batch, after a restart, and when events turn up."""

import asyncio
import random
from collections.abc import AsyncIterator

import numpy as np
import psycopg
import pytest

from homecare.clock import to_datetime
from homecare.messages import Inbound, Rejection
from homecare.samples import LATE_MS, NO_TIME, Flag
from ingest.connection import LiveConnection
from ingest.store import Refused, Store
from ingest.upkeep import MOST_GAPS, Upkeep
from tests.ingest.home import AREA, NOW, WHOLE, Home, checked_of, open_store, samples, status
from tests.ingest.test_sequences import Kept, batch_of

GAPS = "select device, boot, first_seq, last_seq from device_gap order by 1, 2, 3"


@pytest.fixture
async def beside(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    connection = LiveConnection(url, "tests upkeep")
    yield await connection.get()
    await connection.close()


def upkeep(url: str, store: Store) -> Upkeep:
    return Upkeep(LiveConnection(url, "tests upkeep"), store.counting, str(WHOLE))


def gaps(db: psycopg.Connection) -> list[tuple[int, ...]]:
    return db.execute(GAPS).fetchall()


async def test_gap_opens_shrinks_splits_and_closes(store: Store, home: Home, db: psycopg.Connection) -> None:
    h = home.handset
    await store.write(checked_of(samples(h, 1, 2)))
    await store.write(checked_of(samples(h, 8)))
    assert gaps(db) == [(h, 1, 3, 7)]
    await store.write(checked_of(samples(h, 5, 3, 5)))
    assert gaps(db) == [(h, 1, 4, 4), (h, 1, 6, 7)]
    await store.write(checked_of(samples(h, 7, 6, 9, 4)))
    assert gaps(db) == []


async def test_many_random_orders_agree_with_the_sets(url: str, home: Home, db: psycopg.Connection) -> None:
    chance = random.Random(4)
    kept = Kept()
    async with open_store(url) as store:
        await _random_batches(chance, kept, store, home, 25)
    async with open_store(url) as store:  # nothing but what is in the database
        kept.restart()
        await _random_batches(chance, kept, store, home, 25)
    found = {(d, b, seq) for d, b, first, last in gaps(db) for seq in range(first, last + 1)}
    assert found == kept.missing
    assert found


async def _random_batches(chance: random.Random, kept: Kept, store: Store, home: Home, count: int) -> None:
    for _ in range(count):
        names = [
            (chance.choice((home.handset, home.kiosk)), chance.randint(1, 3), chance.randint(0, 200))
            for _ in range(chance.randint(1, 30))
        ]
        batch = batch_of(names)
        batch.ts[:] = NOW + batch.seq.astype(np.int64) * 1000 + batch.boot
        checked = checked_of(batch)
        kept.take(checked)
        await store.write(checked)


async def test_restart_neither_loses_nor_invents_a_gap(url: str, home: Home, db: psycopg.Connection) -> None:
    h = home.handset
    async with open_store(url) as store:
        await store.write(checked_of(samples(h, 1, 2)))
        await store.write(checked_of(samples(h, 5)))
    assert db.execute("select count(*) from device_sequence").fetchone() == (0,)
    async with open_store(url) as store:
        await store.write(checked_of(samples(h, 6)))
        assert gaps(db) == [(h, 1, 3, 4)]
        await store.write(checked_of(samples(h, 4, 3)))
        assert gaps(db) == []
        await store.write(checked_of(samples(h, 9)))
    assert gaps(db) == [(h, 1, 7, 8)]


async def test_counts_follow_and_the_journal_ends(
    url: str, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection
) -> None:
    h = home.handset
    async with open_store(url) as store:
        keep = upkeep(url, store)
        await store.write(checked_of(samples(h, 1, 2)))
        await keep.write_counts(beside)
        assert db.execute("select count(*) from ingest_journal").fetchone() == (0,)
        await store.write(checked_of(samples(h, 3)))
    assert db.execute("select device, boot, highest from device_sequence").fetchall() == [(h, 1, 2)]
    async with open_store(url) as store:
        await store.write(checked_of(samples(h, 4)))
        assert gaps(db) == []
        await upkeep(url, store).write_counts(beside)
    assert db.execute("select highest from device_sequence").fetchall() == [(4,)]


async def test_earlier_start_goes_on_being_counted(url: str, home: Home, db: psycopg.Connection) -> None:
    h = home.handset
    async with open_store(url) as store:
        await store.write(checked_of(samples(h, 5)))
        later = samples(h, 2, at=NOW + 10**6)
        later.boot[:] = 2
        await store.write(checked_of(later))
        assert gaps(db) == [(h, 2, 1, 1)], "of a start that was heard from its beginning the first is missing"
    async with open_store(url) as store:
        await store.write(checked_of(samples(h, 7)))
    assert gaps(db) == [(h, 1, 6, 6), (h, 2, 1, 1)]


async def test_batch_the_database_refuses_counts_nothing(store: Store, home: Home, db: psycopg.Connection) -> None:
    await store.write(checked_of(samples(home.handset, 1)))
    broken = checked_of(samples(home.handset, 4), statuses=[status(home.handset, "online", NOW, model="nul\0")])
    with pytest.raises(Refused):
        await store.write(broken)
    assert gaps(db) == []
    await store.write(checked_of(samples(home.handset, 4)))
    assert gaps(db) == [(home.handset, 1, 2, 3)]


async def test_event_is_not_missing(
    url: str, store: Store, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection
) -> None:
    h = home.handset
    await store.write(checked_of(samples(h, 1, 2, 6)))
    shown = "select first_seq, last_seq, missing from device_missing where missing > 0 order by 1"
    assert db.execute(shown).fetchall() == [(3, 5, 3)]
    db.execute(
        "insert into event (device_id, device, area, event, boot, seq, ts, received, flags)"
        " values ('H-1', %s, %s, 'sos', 1, 4, now(), now(), 0)",
        [h, AREA],
    )
    assert db.execute(shown).fetchall() == [(3, 5, 2)]
    await upkeep(url, store).settle_gaps(beside)
    assert db.execute(shown).fetchall() == [(3, 3, 1), (5, 5, 1)]


async def test_late_messages_and_events_close_one_gap_at_the_same_time(
    url: str, store: Store, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection
) -> None:
    h = home.handset
    keep = upkeep(url, store)
    await store.write(checked_of(samples(h, 1, 100)))
    for seq in range(2, 100, 2):
        db.execute(
            "insert into event (device_id, device, area, event, boot, seq, ts, received, flags)"
            " values ('H-1', %s, %s, 'check_in', 1, %s, now(), now(), 0)",
            [h, AREA, seq],
        )
        await asyncio.gather(store.write(checked_of(samples(h, seq + 1))), keep.settle_gaps(beside))
    await keep.settle_gaps(beside)
    assert gaps(db) == []


async def test_device_has_so_many_gaps_at_most_and_the_others_are_counted(
    url: str, store: Store, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection
) -> None:
    await store.write(checked_of(samples(home.handset, *range(1, 2 * MOST_GAPS + 10, 2))))
    keep = upkeep(url, store)
    await keep.write_counts(beside)
    await keep.settle_gaps(beside)
    assert len(gaps(db)) == MOST_GAPS
    assert db.execute("select given_up from device_sequence").fetchall() == [(4,)]


async def test_latest_reading_of_each_metric_is_kept_and_late_ones_replace_nothing(
    url: str, store: Store, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection
) -> None:
    h = home.handset
    keep = upkeep(url, store)
    first = samples(h, 1, 2, heart_rate=70)
    first.lat[0], first.lon[0] = 26.5, 104.8
    await store.write(checked_of(first, samples(h, 5, spo2=97)))
    await keep.write_latest(beside)
    kept = "select ts, heart_rate, heart_rate_at, spo2, spo2_at, lat, accuracy, position_at, battery from latest"
    at = {seq: to_datetime(NOW + 1000 * seq) for seq in range(10)}
    assert db.execute(kept).fetchall() == [(at[5], 70, at[2], 97, at[5], 26.5, None, at[1], None)]
    late = samples(h, 4, heart_rate=99, spo2=80, flags=Flag.LATE)
    late.lat[:], late.lon[:], late.accuracy[:] = 27, 105, 8
    older = samples(h, 0, heart_rate=55, battery=50)
    older.lat[:], older.lon[:] = 1, 1
    await store.write(checked_of(late))
    await store.write(checked_of(older))
    await keep.write_latest(beside)
    assert db.execute(kept).fetchall() == [(at[5], 99, at[4], 97, at[5], 27, 8, at[4], 50)]
    await keep.write_latest(beside)
    assert db.execute("select count(*) from latest").fetchone() == (1,)


async def test_latest_is_of_device_and_person(
    url: str, store: Store, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection
) -> None:
    kiosk = samples(home.kiosk, 1, 2, 3, systolic=150)
    kiosk.resident[:2] = home.resident
    await store.write(checked_of(kiosk, samples(home.handset, 1)))
    await upkeep(url, store).write_latest(beside)
    rows = db.execute("select device, resident, systolic_at from latest order by 1, 2").fetchall()
    assert rows == [
        (home.handset, 0, None),
        (home.kiosk, 0, to_datetime(NOW + 3000)),
        (home.kiosk, home.resident, to_datetime(NOW + 2000)),
    ]


async def test_after_a_crash_the_latest_reading_is_put_right(
    url: str, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection
) -> None:
    async with open_store(url) as store:
        await store.write(checked_of(samples(home.handset, 1, 2), samples(home.kiosk, 1, flags=Flag.UNCOUNTED)))
    async with open_store(url) as store:
        await upkeep(url, store).write_latest(beside)
    rows = db.execute("select device, heart_rate_at from latest order by 1").fetchall()
    assert rows == [(home.handset, to_datetime(NOW + 2000)), (home.kiosk, to_datetime(NOW + 1000))]


async def test_gathered_readings_are_bounded_and_complete(store: Store, home: Home) -> None:
    made = samples(home.handset, *range(30_000))
    latest = store.counting.latest
    made.values[5:, 0] = np.nan
    made.values[7, 3] = 140
    for _ in range(5):
        latest.add(made)
        assert len(latest) <= 60_000
    taken = latest.take()
    assert {4, 7, 29_999} <= set(taken.seq.tolist())
    assert len(latest) == 0


async def test_figures_of_a_device(
    url: str, store: Store, home: Home, db: psycopg.Connection, beside: psycopg.AsyncConnection
) -> None:
    h = home.handset
    keep = upkeep(url, store)
    usual = samples(h, 1, 2, 3, 3, 5)
    usual.received[:] = usual.ts + np.array([500, 700, 2000, 2000, LATE_MS + 9])
    usual.flags[4] = Flag.LATE
    await store.write(checked_of(usual))
    await store.write(checked_of(samples(h, 4), samples(h, 2)))
    rejected = Rejection(Inbound("t", b'{"boot":1,"seq":6}', NOW), "unknown_subject", "", device_key=h)
    await store.write(checked_of(rejections=[rejected]))
    await keep.write_figures(beside)
    figures = "select messages, duplicates, found, late, lateness_p50_ms, lateness_max_ms, clock_ahead_ms from device_reception"
    assert db.execute(figures).fetchall() == [(8, 2, 1, 1, 1000, LATE_MS + 9, -50)]
    ahead = samples(h, 7, received=NOW, flags=Flag.WRONG_CLOCK)
    ahead.claimed[:] = NOW + 3_600_000
    unset = samples(h, 8, received=NOW, flags=Flag.WRONG_CLOCK)
    unset.claimed[:] = NO_TIME
    await store.write(checked_of(ahead, unset))
    await keep.write_figures(beside)
    assert db.execute(figures).fetchall() == [(10, 2, 1, 1, 1000, LATE_MS + 9, 3_600_000)]
    db.execute("update device_reception set day = day - 1")
    await store.write(checked_of(samples(h, 9)))
    await keep.write_figures(beside)
    assert db.execute("select messages, late, lateness_max_ms, clock_ahead_ms from device_reception").fetchall() == [
        (1, 0, 50, -50)
    ]

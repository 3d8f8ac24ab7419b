"""What a commit holds, and what coming again does not change."""

import math
from random import Random

import psycopg
import pytest

from homecare.checked import Stranger
from homecare.clock import to_datetime
from homecare.errors import DatabaseUnavailable
from homecare.messages import Origin, Rejection
from homecare.samples import Flag
from ingest.connection import LiveConnection, WriterConnection
from ingest.repeats import without
from ingest.shards import Shard
from ingest.store import Refused, Store, Written
from tests.ingest.home import AREA, NOW, Home, checked_of, inbound, open_store, samples, status, trigger, window

MINUTE = 60_000
NOISE = Random(1).randbytes(9000).hex()
"""Text that does not compress."""


def one(db: psycopg.Connection, query: str) -> tuple[object, ...]:
    row = db.execute(query.encode()).fetchone()
    assert row is not None
    return row


async def deliver(store: Store, *parts: object, **other: object) -> Written:
    """As the lane does it: what only (device, boot, seq) knows is left out before."""
    checked = checked_of(*parts, **other)  # type: ignore[arg-type]
    return await store.write(without(checked, await store.repeats(checked)))


async def test_samples_that_come_again_are_counted_and_change_nothing(
    store: Store, home: Home, db: psycopg.Connection
) -> None:
    await store.write(checked_of(samples(home.handset, 1, 2, 3, heart_rate=70)))
    again = await store.write(checked_of(samples(home.handset, 2, 3, 4, heart_rate=99)))
    assert (again.samples, again.repeated) == (1, 2)
    assert db.execute("select seq, heart_rate from sample order by seq").fetchall() == [
        (1, 70),
        (2, 70),
        (3, 70),
        (4, 99),
    ]


async def test_samples_twice_in_a_batch_are_stored_once(store: Store, home: Home, db: psycopg.Connection) -> None:
    written = await store.write(checked_of(samples(home.handset, 1, 2), samples(home.handset, 2, 3)))
    assert (written.samples, written.repeated) == (3, 1)
    assert one(db, "select count(*) from sample") == (3,)


async def test_after_repeats_fresh_batches_go_straight_in_again(store: Store, home: Home) -> None:
    for first in (1, 1, 1, 10, 20):
        await store.write(checked_of(samples(home.handset, first, first + 1)))
    assert not store._expect_repeats
    assert (await store.write(checked_of(samples(home.handset, 30)))).samples == 1


async def test_part_that_was_rejected_is_filled_in_when_it_comes_again_after_a_fix(
    store: Store, home: Home, db: psycopg.Connection
) -> None:
    kept = "select heart_rate, spo2, battery, flags from sample"
    await store.write(checked_of(samples(home.handset, 1, heart_rate=70, flags=Flag.PARTIAL | Flag.SUBJECT)))
    unfixed = samples(home.handset, 1, heart_rate=71, flags=Flag.PARTIAL)
    assert (await store.write(checked_of(unfixed, unfixed))).repeated == 2
    assert one(db, kept) == (70, None, None, Flag.PARTIAL | Flag.SUBJECT)
    fixed = samples(home.handset, 1, heart_rate=71, spo2=97, flags=Flag.LATE)
    assert (await store.write(checked_of(fixed, fixed))).repeated == 2
    assert one(db, kept) == (70, 97, None, Flag.SUBJECT)
    await store.write(checked_of(samples(home.handset, 1, heart_rate=71, spo2=98, battery=50)))
    assert one(db, kept) == (70, 97, None, Flag.SUBJECT), "a whole sample is not touched again"


async def test_windows_round_trip_and_come_again(store: Store, home: Home, db: psycopg.Connection) -> None:
    first = window(home.handset, 1, resident_key=home.resident, claimed=5, flags=2)
    assert (await store.write(checked_of(windows=[first, window(home.handset, 2)]))).windows == 2
    again = await store.write(checked_of(windows=[window(home.handset, 2), window(home.handset, 3)]))
    assert (again.windows, again.repeated) == (1, 1)
    kept = one(db, "select ts, received, claimed, device, resident, boot, seq, part, flags, hz, unit, scale, xyz"
                   " from acceleration where seq = 1")  # fmt: skip
    assert kept == (
        to_datetime(first.ts), to_datetime(first.received), 5, home.handset, home.resident, 1, 1, 0, 2, 50.0, "m/s2", 0.5, first.xyz,
    )  # fmt: skip


async def test_wrong_clock_message_that_comes_again_is_known(url: str, home: Home, db: psycopg.Connection) -> None:
    first = samples(home.handset, 1, 2, received=NOW, flags=Flag.WRONG_CLOCK)
    wrong_window = window(home.handset, 3, ts=NOW, received=NOW, flags=int(Flag.WRONG_CLOCK))
    again = samples(home.handset, 1, 2, received=NOW + MINUTE, flags=Flag.WRONG_CLOCK)
    window_again = window(home.handset, 3, ts=NOW + MINUTE, received=NOW + MINUTE, flags=int(Flag.WRONG_CLOCK))
    async with open_store(url) as fresh:
        assert (await deliver(fresh, first, windows=[wrong_window])).samples == 2
        assert await deliver(fresh, again, windows=[window_again]) == Written()
    async with open_store(url) as restarted:
        assert await deliver(restarted, again, windows=[window_again]) == Written()
    assert one(db, "select count(*) from sample") == (2,)
    assert one(db, "select count(*) from acceleration") == (1,)


async def test_message_whose_clock_was_ahead_is_known_when_its_time_has_come(
    store: Store, home: Home, db: psycopg.Connection
) -> None:
    ahead = samples(home.handset, 1, at=NOW + 6 * MINUTE, received=NOW, flags=Flag.WRONG_CLOCK)
    await deliver(store, ahead)
    later = samples(home.handset, 1, at=NOW + 6 * MINUTE, received=NOW + 2 * MINUTE)
    assert (await deliver(store, later, samples(home.handset, 2))).samples == 1
    assert db.execute("select seq from sample order by seq").fetchall() == [(1,), (2,)]


async def test_wrong_clock_message_twice_in_a_batch_is_stored_once(
    store: Store, home: Home, db: psycopg.Connection
) -> None:
    twice = [samples(home.handset, 1, received=NOW + n, flags=Flag.WRONG_CLOCK) for n in (0, 7)]
    await deliver(store, *twice)
    assert one(db, "select count(*), min(received) from sample") == (1, to_datetime(NOW))


async def test_wrong_clock_message_is_known_while_it_is_being_written(store: Store, home: Home) -> None:
    first = checked_of(samples(home.handset, 1, received=NOW, flags=Flag.WRONG_CLOCK))
    again = checked_of(samples(home.handset, 1, received=NOW + 9, flags=Flag.WRONG_CLOCK))
    assert not await store.repeats(first)
    assert len(await store.repeats(again)) == 1
    store.give_up(first)
    assert not await store.repeats(again)


async def test_devices_whose_clock_was_always_right_are_not_looked_up(url: str, home: Home) -> None:
    nowhere = LiveConnection("postgresql://127.0.0.1:1/nowhere", "tests")
    store = Store(WriterConnection(url, Shard()), nowhere)
    assert not await store.repeats(checked_of(samples(home.handset, 1)))
    with pytest.raises(DatabaseUnavailable):
        await store.repeats(checked_of(samples(home.handset, 1, received=NOW, flags=Flag.WRONG_CLOCK)))


async def test_trigger_is_stored_once_with_who_and_where(store: Store, home: Home, db: psycopg.Connection) -> None:
    raised = trigger("k1", home.handset, home.resident, value=math.nan, limit=100)
    first = await store.write(checked_of(samples(home.handset, 1)), [raised, raised])
    assert first.triggers == [("vital", "raised")]
    assert (await store.write(checked_of(), [raised, trigger("k2", home.handset)])).triggers == [("vital", "raised")]
    kept = one(
        db, "select at, kind, device, device_id, resident, area, evidence, zh, handled_at from trigger where key = 'k1'"
    )
    evidence = {"value": None, "limit": 100}
    assert kept == (to_datetime(NOW), "vital", home.handset, "H-1", home.resident, AREA, evidence, "心率过高", None)
    assert one(db, "select resident from trigger where key = 'k2'") == (None,)


async def test_trigger_of_somebody_erased_is_kept_without_them(
    store: Store, home: Home, db: psycopg.Connection
) -> None:
    await store.write(checked_of(), [trigger("k", home.handset, resident=999_999)])
    assert one(db, "select resident, device_id from trigger") == (None, "H-1")


async def test_same_bytes_are_one_entry_of_the_quarantine(store: Store, home: Home, db: psycopg.Connection) -> None:
    def rejected(
        received: int, payload: bytes = b"\xff", reason: str = "not_utf8", detail: str = "byte 0"
    ) -> Rejection:
        return Rejection(inbound(payload=payload, received=received), reason, detail, "H-1", AREA)  # type: ignore[arg-type]

    await store.write(checked_of(rejections=[rejected(NOW), rejected(NOW + 5), rejected(NOW, b"[", "not_json")]))
    await store.write(checked_of(rejections=[rejected(NOW + 9)]))
    entry = one(
        db,
        "select times, received, last_received, payload, detail, device, area, lane from quarantine where reason = 'not_utf8'",
    )
    assert entry == (3, to_datetime(NOW), to_datetime(NOW + 9), b"\xff", "byte 0", "H-1", AREA, "telemetry")
    db.execute("update quarantine set replayed_at = now()")
    await store.write(checked_of(rejections=[rejected(NOW + 10)]))
    assert one(db, "select count(*) from quarantine where reason = 'not_utf8'") == (2,)


async def test_topic_of_any_length_is_kept_once(store: Store, home: Home, db: psycopg.Connection) -> None:
    long = Rejection(inbound(topic=f"care/v1/{NOISE}/H-1/telemetry"), "wrong_area", "")
    for _ in range(2):
        await store.write(checked_of(rejections=[long]))
    assert one(db, "select topic, times from quarantine") == (long.message.topic, 2)


async def test_two_rejections_of_one_message_are_one_time(store: Store, home: Home, db: psycopg.Connection) -> None:
    message = inbound()
    found = [Rejection(message, "out_of_range", detail) for detail in ("heart_rate: 900", "spo2: 900")]
    await store.write(checked_of(rejections=found))
    assert one(db, "select times, detail from quarantine") == (1, "heart_rate: 900; spo2: 900")


async def test_strangers_are_kept_for_adoption(store: Store, home: Home, db: psycopg.Connection) -> None:
    met = [Stranger(Origin("X-9", AREA), inbound(received=NOW + n)) for n in (3, 1, 2)]
    await store.write(checked_of(strangers=met[:2]))
    await store.write(checked_of(strangers=met[2:]))
    kept = one(db, "select device, area, first_seen, last_seen, messages from unknown_device")
    assert kept == ("X-9", AREA, to_datetime(NOW + 1), to_datetime(NOW + 3), 3)


DEVICE = "select state, state_at, boot, model, interval_s from device where id = 'H-1'"


async def test_status_moves_a_device_on(store: Store, home: Home, db: psycopg.Connection) -> None:
    online = status(home.handset, "online", NOW, boot=3, model="M", firmware="1.0", interval=30.0)
    await store.write(checked_of(statuses=[online]))
    assert one(db, DEVICE) == ("online", to_datetime(NOW), 3, "M", 30.0)
    await store.write(checked_of(statuses=[status(home.handset, "offline", NOW + 5)]))
    assert one(db, DEVICE) == ("offline", to_datetime(NOW + 5), 3, "M", 30.0)


async def test_status_of_an_earlier_start_or_time_is_left_aside(
    store: Store, home: Home, db: psycopg.Connection
) -> None:
    await store.write(checked_of(statuses=[status(home.handset, "online", NOW, boot=3, interval=30.0)]))
    await store.write(checked_of(statuses=[status(home.handset, "offline", NOW + 5, boot=2, retained=True)]))
    await store.write(checked_of(statuses=[status(home.handset, "offline", NOW - 5)]))
    assert one(db, DEVICE) == ("online", to_datetime(NOW), 3, None, 30.0)


async def test_statuses_of_a_batch_count_in_their_order(store: Store, home: Home, db: psycopg.Connection) -> None:
    batch = [status(home.handset, "offline", NOW + 1), status(home.handset, "online", NOW + 2, boot=4)]
    for _ in range(2):  # and once more, as after a lost acknowledgement
        await store.write(checked_of(statuses=batch))
        assert one(db, DEVICE)[:3] == ("online", to_datetime(NOW + 2), 4)


async def test_status_that_says_nothing_new_changes_nothing(store: Store, home: Home, db: psycopg.Connection) -> None:
    said = {"boot": 3, "model": "M", "firmware": "1.0", "interval": 0.3}
    await store.write(checked_of(statuses=[status(home.handset, "online", NOW, **said)]))
    before = one(db, "select changed_at, state_at from device where id = 'H-1'")
    await store.write(checked_of(statuses=[status(home.handset, "online", NOW + 9, retained=True, **said)]))
    assert one(db, "select changed_at, state_at from device where id = 'H-1'") == before


async def test_telemetry_is_no_status(store: Store, home: Home, db: psycopg.Connection) -> None:
    await store.write(checked_of(samples(home.handset, 1)))
    assert one(db, DEVICE)[:2] == ("unknown", None)


@pytest.mark.parametrize(
    "other",
    [
        {"statuses": [status(1, "online", NOW, model="nul\0")]},
        {"windows": [window(1, 1, xyz=b"12345")]},
        {"strangers": [Stranger(Origin("\ud800", AREA), inbound())]},
    ],
    ids=["NUL in a text", "broken window", "lone surrogate"],
)
async def test_refused_batch_leaves_nothing_behind(
    store: Store, home: Home, db: psycopg.Connection, other: dict[str, object]
) -> None:
    with pytest.raises(Refused):
        await store.write(checked_of(samples(home.handset, 1), **other))
    assert one(db, "select count(*) from sample") == (0,)
    assert (await store.write(checked_of(samples(home.handset, 1)))).samples == 1

"""Events reach the rules by way of the table `event`: each once, whatever order their transactions end in."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from homecare.clock import to_datetime
from homecare.messages import Event, Position
from homecare.samples import Flag
from ingest import occurrences
from ingest.connection import LiveConnection
from ingest.occurrences import Occurrences
from ingest.shards import Shard
from tests.ingest.home import AREA, NOW, WHOLE, Home

INSERT = """
insert into event (device_id, device, resident, area, event, boot, seq, of_seq, ts, received, flags, "values", position)
values ('H-1', %s, %s, %s, %s, 1, %s, %s, %s, %s, %s, '{"heart_rate": 88}', '{"lat": 26.5, "lon": 104.8}')
"""


def happens(
    db: psycopg.Connection, home: Home, seq: int, event: str = "sos", flags: int = 0, of: int | None = None
) -> None:
    at = to_datetime(NOW + 1000 * seq)
    db.execute(INSERT, [home.handset, home.resident, AREA, event, seq, of, at, at, flags])


async def seen(follower: Occurrences) -> list[Event]:
    return [event async for page in follower.look() for event in page]


@pytest.fixture
async def connection(url: str) -> AsyncIterator[LiveConnection]:
    live = LiveConnection(url, "tests")
    yield live
    await live.close()


async def test_each_event_is_told_once_and_whole(
    connection: LiveConnection, home: Home, db: psycopg.Connection
) -> None:
    follower = Occurrences(connection, WHOLE)
    assert await follower.restore(await connection.get(), 0) == []
    happens(db, home, 1)
    happens(db, home, 2, "cancel", of=1)
    first, second = await seen(follower)
    assert (first.event, first.seq, first.ts, first.origin.device_key) == ("sos", 1, NOW + 1000, home.handset)
    assert (first.values, first.position, first.forwarded) == ({"heart_rate": 88}, Position(26.5, 104.8), False)
    assert (second.event, second.of, second.origin.resident_key) == ("cancel", 1, home.resident)
    assert await seen(follower) == []
    happens(db, home, 3, flags=Flag.UNCOUNTED)
    assert [(event.seq, event.forwarded) for event in await seen(follower)] == [(3, True)]


async def test_one_that_is_committed_after_a_later_one_is_not_missed(
    connection: LiveConnection, home: Home, db: psycopg.Connection, url: str
) -> None:
    follower = Occurrences(connection, WHOLE)
    await follower.restore(await connection.get(), 0)
    with psycopg.connect(url) as slow:
        happens(slow, home, 1)
        happens(db, home, 2)
        assert [event.seq for event in await seen(follower)] == [2]
        slow.commit()
    assert [event.seq for event in await seen(follower)] == [1]
    assert await seen(follower) == []


async def test_more_than_a_page_comes_in_pages(
    connection: LiveConnection, home: Home, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occurrences, "MOST", 3)
    follower = Occurrences(connection, WHOLE)
    await follower.restore(await connection.get(), 0)
    for seq in range(10):
        happens(db, home, seq)
    pages = [[event.seq for event in page] async for page in follower.look()]
    assert pages == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert await seen(follower) == []


async def test_after_a_restart_what_was_restored_is_not_told_again_nor_what_is_another_shards(
    connection: LiveConnection, home: Home, db: psycopg.Connection
) -> None:
    for seq in range(3):
        happens(db, home, seq)
    follower = Occurrences(connection, WHOLE)
    assert [event.seq for event in await follower.restore(await connection.get(), NOW + 1000)] == [1, 2]
    happens(db, home, 3)
    assert [event.seq for event in await seen(follower)] == [3]
    ours = next(Shard(index, 2) for index in (1, 2) if Shard(index, 2).has(AREA))
    other = Shard(3 - ours.index, 2)
    assert await Occurrences(connection, other).restore(await connection.get(), 0) == []

"""The registry follows the directory in a real database."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from gateway.registry import Registry
from gateway.registry_store import CHANNEL, Pool, follow, load
from homecare.clock import to_datetime
from homecare.database import open_pool
from homecare.devices import RegisteredDevice, Wearing
from homecare.errors import DatabaseUnavailable
from homecare.wakeups import Wakeups

SINCE = 1_795_000_000_000
WITHIN_S = 30.0
"""Nothing takes that long; a machine with much else to do takes longer than one would think."""


@pytest.fixture
async def db(plain_database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(plain_database_url, autocommit=True) as opened:
        await opened.execute(
            "insert into area (code, level, name_zh, name_en) values ('990101', 'village', '示例村', 'Sample Village')"
        )
        await opened.execute(
            "insert into resident (id, card, area, name) values ('R-1', 'CARD-1', '990101', '示例·甲一')"
        )
        await opened.execute(
            "insert into device (id, area, kind) values ('H-1', '990101', 'handset'), ('K-1', '990101', 'kiosk')"
        )
        await opened.execute(
            "insert into wearing (device, resident, since, until) select d.key, r.key, %s, %s from device d, resident r where d.id = 'H-1'",
            [to_datetime(SINCE), to_datetime(SINCE + 1000)],
        )
        await opened.execute(
            "insert into wearing (device, resident, since) select d.key, r.key, %s from device d, resident r where d.id = 'H-1'",
            [to_datetime(SINCE + 5000)],
        )
        yield opened


@pytest.fixture
async def pool(plain_database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(plain_database_url, name="test", max_size=2) as opened:
        yield opened


def known(registry: Registry, name: str) -> RegisteredDevice:
    device = registry.device(name)
    assert device is not None
    return device


async def test_everything_is_loaded_at_first(db: psycopg.AsyncConnection, pool: Pool) -> None:
    registry = Registry()
    changed, _ = await load(pool, registry)
    assert sorted(device.id for device in changed) == ["H-1", "K-1"]
    handset = known(registry, "H-1")
    resident = registry.subject("CARD-1")
    assert resident is not None
    assert handset.wearings == (Wearing(resident, SINCE, SINCE + 1000), Wearing(resident, SINCE + 5000))
    assert (handset.area, handset.kind, handset.interval_s, handset.revoked) == ("990101", "handset", 60.0, False)
    assert known(registry, "K-1").wearings == ()
    assert registry.areas == {"990101"}


async def test_only_what_changed_is_told(db: psycopg.AsyncConnection, pool: Pool) -> None:
    registry = Registry()
    _, horizon = await load(pool, registry)
    again, horizon = await load(pool, registry, horizon)
    assert again == []
    await db.execute("update device set interval_s = 30 where id = 'K-1'")
    await db.execute("update wearing set until = now() where until is null")
    await db.execute("update resident set card = 'CARD-2'")
    changed, _ = await load(pool, registry, horizon)
    assert sorted(device.id for device in changed) == ["H-1", "K-1"]
    assert known(registry, "K-1").interval_s == 30
    assert known(registry, "H-1").wearings[-1].until is not None
    assert registry.subject("CARD-1") is None
    assert registry.subject("CARD-2") is not None


async def test_a_change_is_found_even_if_its_transaction_took_long(
    db: psycopg.AsyncConnection, pool: Pool, plain_database_url: str
) -> None:
    registry = Registry()
    async with await psycopg.AsyncConnection.connect(plain_database_url) as slow:
        await slow.execute("update device set interval_s = 15 where id = 'H-1'")
        await slow.execute("select pg_sleep(0.01)")
        (started,) = await (await slow.execute("select extract(epoch from now())::float8")).fetchone() or (0.0,)
        _, horizon = await load(pool, registry)
        assert horizon <= started
        await slow.commit()
    changed, _ = await load(pool, registry, horizon)
    assert [device.id for device in changed] == ["H-1"]


async def test_what_is_deleted_is_forgotten(db: psycopg.AsyncConnection, pool: Pool) -> None:
    registry = Registry()
    _, horizon = await load(pool, registry)
    await db.execute("delete from wearing")
    await db.execute("delete from resident")
    await db.execute("delete from device where id = 'K-1'")
    changed, _ = await load(pool, registry, horizon)
    assert [device.id for device in changed] == ["H-1"]
    assert known(registry, "H-1").wearings == ()
    assert registry.device("K-1") is None
    assert registry.subject("R-1") is None


async def test_following_is_woken_by_the_directory(
    db: psycopg.AsyncConnection, pool: Pool, plain_database_url: str
) -> None:
    registry = Registry()
    _, horizon = await load(pool, registry)
    told: asyncio.Queue[list[RegisteredDevice]] = asyncio.Queue()
    wakeups = Wakeups(plain_database_url, [CHANNEL])
    tasks = [
        asyncio.create_task(wakeups.listen()),
        asyncio.create_task(follow(pool, registry, wakeups, horizon, told.put_nowait, poll_s=600)),
    ]
    await db.execute("insert into device (id, area, kind) values ('H-2', '990101', 'handset')")
    async with asyncio.timeout(WITHIN_S):
        assert [device.id for device in await told.get()] == ["H-2"]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_without_a_database_the_registry_stays_as_it_is(pool: Pool, db: psycopg.AsyncConnection) -> None:
    registry = Registry()
    _, horizon = await load(pool, registry)
    await pool.close()
    with pytest.raises(DatabaseUnavailable):
        await load(pool, registry, horizon)
    assert registry.device("H-1") is not None

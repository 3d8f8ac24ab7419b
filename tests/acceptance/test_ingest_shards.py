"""Several `homecare ingest` at once: one of each shard at work, another ready to take over, devices that move between them."""

import asyncio

import psycopg
import pytest

from homecare.broker import Broker
from ingest.shards import Shard
from tests.acceptance.ingest_site import AREA, SEQS, publisher, reading, register_village, send
from tests.acceptance.waiting import fetch, until
from tests.services.processes import Processes


@pytest.fixture(autouse=True)
def directory(database_url: str) -> None:
    register_village(database_url)


async def test_standby_that_is_asked_to_stop_ends(processes: Processes) -> None:
    await processes.start("ingest")
    second = await processes.start("ingest", ready=False)
    async with asyncio.timeout(20):
        while "standing_by" not in second.tail():  # noqa: ASYNC110  # the log has no event for it
            await asyncio.sleep(0.02)
    assert await second.stop() == 0


async def test_second_process_takes_over_when_the_first_dies(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    first = await processes.start("ingest")
    second = await processes.start("ingest", ready=False)
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(1))
        await until(database_url, SEQS, [(1, 1)])
        assert second.returncode is None
        first.kill()
        await send(client, "telemetry", reading(2))
        await until(database_url, SEQS, [(1, 1), (2, 1)])
    assert await second.stop() == 0


async def test_shards_share_the_areas(processes: Processes, broker: Broker, database_url: str) -> None:
    with psycopg.connect(database_url) as db:
        db.execute("insert into device (id, area, kind) values ('H-2', '990104', 'handset')")
    for shard in ("1/2", "2/2"):
        await processes.start("ingest", "--shard", shard)
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(1))
        await send(client, "telemetry", reading(2), device="H-2", area="990104")
    await until(database_url, SEQS, [(1, 1), (2, 1)])


async def test_a_device_that_moves_to_another_shards_area_goes_on_there(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    """While both run: nothing is lost or stored twice, no gap is invented, and what it missed before is found after."""
    other = "990104"
    assert [Shard.parse(text).has(AREA) for text in ("1/2", "2/2")] != [
        Shard.parse(text).has(other) for text in ("1/2", "2/2")
    ], "the two areas are of two shards"
    for shard in ("1/2", "2/2"):
        await processes.start("ingest", "--shard", shard)
    gaps = "select first_seq, last_seq from device_gap order by first_seq"
    async with publisher(broker) as client:
        for seq in (1, 2, 4):
            await send(client, "telemetry", reading(seq))
        await until(database_url, gaps, [(3, 3)])
        with psycopg.connect(database_url) as db:
            db.execute("update device set area = %s where id = 'H-1'", [other])
        # How soon each process knows of it cannot be seen but by what it does: what came too soon is in the quarantine.
        seq = 4
        async with asyncio.timeout(60):
            while not fetch(database_url, "select from sample where seq > 4"):
                seq += 1
                await send(client, "telemetry", reading(seq), area=other)
                await asyncio.sleep(0.1)
        first = seq + 1
        for seq in range(first, first + 20):
            await send(client, "telemetry", reading(seq), area=other)
        await send(client, "telemetry", reading(3), area=other)
        stored = "select min(seq), count(*), count(distinct seq) from sample where seq >= %s"
        await until(database_url, stored, [(first, 20, 20)], first)
        await until(database_url, "select count(*) from sample where seq = 3", [(1,)])
        await until(
            database_url, "select count(*) from device_gap where first_seq <= 3 or first_seq >= %s", [(0,)], first
        )

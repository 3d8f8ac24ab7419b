"""What `homecare ingest` does while something it needs is away, and after it was killed itself: nothing is lost, nothing is twice."""

import asyncio

import psycopg
import pytest

from homecare.broker import Broker
from tests.acceptance.ingest_site import AREA, SEQS, figure, publisher, reading, register_village, send
from tests.acceptance.waiting import fetch, until
from tests.services.postgres import TimescaleServer
from tests.services.processes import Processes


@pytest.fixture(autouse=True)
def directory(database_url: str) -> None:
    register_village(database_url)


async def test_killed_in_the_middle_every_sample_is_there_once(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    count = 3000
    process = await processes.start("ingest")
    async with publisher(broker) as client:

        async def publish() -> None:
            for seq in range(count):
                await send(client, "telemetry", reading(seq) if seq % 10 else reading(seq, ts=None))

        publishing = asyncio.create_task(publish())
        for stored in (300, 1200):
            await until(database_url, f"select count(*) > {stored} from sample", [(True,)])
            process.kill()
            process = await processes.start("ingest")
        await publishing
    await until(database_url, "select count(*) from sample", [(count,)], within=60)
    assert fetch(database_url, SEQS) == [(seq, 1) for seq in range(count)]
    assert await process.stop() == 0


async def test_database_that_goes_and_comes_back_costs_nothing(
    processes: Processes, broker: Broker, timescale: TimescaleServer, database_url: str
) -> None:
    await processes.start("ingest")
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(0))
        await until(database_url, SEQS, [(0, 1)])
        timescale.kill()
        for seq in range(1, 50):
            await send(client, "telemetry", reading(seq))
        timescale.start()
    await until(database_url, SEQS, [(seq, 1) for seq in range(50)])


async def test_asked_to_stop_while_the_database_is_away_it_ends_and_loses_nothing(
    processes: Processes, broker: Broker, timescale: TimescaleServer, database_url: str
) -> None:
    process = await processes.start("ingest")
    timescale.kill()
    async with publisher(broker) as client:
        for seq in range(20):
            await send(client, "telemetry", reading(seq))
    async with asyncio.timeout(10):
        while "retrying" not in process.tail():  # noqa: ASYNC110  # the log has no event for it
            await asyncio.sleep(0.02)
    assert await process.stop() == 0
    timescale.start()
    await processes.start("ingest")
    await until(database_url, SEQS, [(seq, 1) for seq in range(20)])


async def test_plain_postgresql_is_served_with_a_warning(
    processes: Processes, broker: Broker, plain_database_url: str
) -> None:
    with psycopg.connect(plain_database_url) as db:
        db.execute(
            "insert into area (code, level, name_zh, name_en) values (%s, 'village', '示例村', 'Sample Village')",
            [AREA],
        )
        db.execute("insert into device (id, area, kind) values ('H-1', %s, 'handset')", [AREA])
    process = await processes.start("ingest", database_url=plain_database_url)
    assert process.tail().count("plain_postgresql") == 1
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(1))
    await until(plain_database_url, SEQS, [(1, 1)])


async def test_broker_that_goes_and_comes_back_is_found_again(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    process = await processes.start("ingest")
    broker.kill()
    broker.start()
    await process.ready()
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(1))
    await until(database_url, SEQS, [(1, 1)])


async def test_it_says_what_the_broker_dropped_and_how_long_messages_wait(
    processes: Processes, broker: Broker, timescale: TimescaleServer
) -> None:
    process = await processes.start("ingest")
    assert await figure(process, "homecare_broker_connected_clients", lambda value: value >= 2)
    assert await figure(process, "homecare_broker_dropped_messages", lambda value: value >= 0)
    timescale.kill()
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(1))
    assert await figure(process, "homecare_ingest_oldest_unacknowledged_seconds", lambda value: value > 0.5)
    assert await figure(process, "homecare_ingest_backlog_messages", lambda value: value == 1)
    timescale.start()
    assert await figure(process, "homecare_ingest_backlog_messages", lambda value: value == 0)

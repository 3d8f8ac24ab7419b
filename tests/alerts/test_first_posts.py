"""The first notifications of an alert: leased by the event's own transaction, posted right after its commit, never before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import psycopg
import pytest
from psycopg import AsyncConnection

from alerts import store
from alerts.first import begin
from alerts.rules.events import event_trigger
from alerts.store import Recorded
from homecare.database import open_pool
from tests.alerts.places import Directory
from tests.alerts.receiver import Receiver
from tests.alerts.service import PACK, Service, assembled, event, row, rows, running

LEASED = "select body, leased_until > clock_timestamp() as leased from notification"


@asynccontextmanager
async def posting(url: str) -> AsyncIterator[Service]:
    """A service of which only the outbox runs."""
    async with assembled(url) as service, asyncio.TaskGroup() as group:
        task = group.create_task(service.outbox.run(), name="outbox")
        try:
            await asyncio.sleep(0)  # it has begun
            yield service
        finally:
            task.cancel()


async def press(service: Service, db: AsyncConnection, resident: int, key: int, seq: int = 1) -> Recorded:
    """What the event lane does, within the caller's transaction."""
    pressed = event("sos", seq, key=key, resident=resident)
    first = partial(begin, service.escalation, service.outbox)
    return await store.record_event(db, pressed, event_trigger(pressed, PACK), first)


async def test_it_is_leased_with_the_event_and_posted_as_it_was_fixed_then(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    resident = await directory.add_resident()
    key = await directory.add_device("H-1", wearer=resident)
    await directory.add_contact("C-1", receiver.url, resident=resident)
    async with posting(database_url) as service:
        async with service.pool.connection() as own, own.transaction():
            recorded = await press(service, own, resident, key)
        leased = await row(db, LEASED)
        assert leased["leased"]
        assert receiver.posts == []
        service.outbox.post(recorded.posts)
        (post,) = await receiver.wait(1)
    assert post.body.decode() == leased["body"]


async def test_of_an_event_that_is_not_committed_nothing_is_posted_or_leased(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    resident = await directory.add_resident()
    key = await directory.add_device("H-1", wearer=resident)
    await directory.add_contact("C-1", receiver.url, resident=resident)
    async with posting(database_url) as service:
        async with service.pool.connection() as own, own.transaction(force_rollback=True):
            assert len((await press(service, own, resident, key)).posts) == 1
        assert await rows(db, "select from notification") == []
        async with service.pool.connection() as own, own.transaction():
            recorded = await press(service, own, resident, key, seq=2)
        service.outbox.post(recorded.posts)
        await receiver.wait(1)
    assert len(receiver.posts) == 1


async def test_while_no_outbox_runs_it_is_left_for_the_one_that_will(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    resident = await directory.add_resident()
    key = await directory.add_device("H-1", wearer=resident)
    await directory.add_contact("C-1", receiver.url, resident=resident)
    async with assembled(database_url) as service, service.pool.connection() as own, own.transaction():
        assert (await press(service, own, resident, key)).posts == ()
    async with running(database_url):
        await receiver.wait(1)


async def test_a_connection_the_server_ended_is_replaced_before_it_is_used(
    database_url: str, db: AsyncConnection
) -> None:
    async with open_pool(database_url, name="test-ended", max_size=1, plan_once=True) as pool:
        async with pool.connection() as own:
            first = own.info.backend_pid
        await db.execute("select pg_terminate_backend(%s, 5000)", [first])
        async with pool.connection() as own:
            assert own.info.backend_pid != first
            assert await (await own.execute("select 1")).fetchone() == (1,)
        async with pool.connection() as own:
            await db.execute("select pg_terminate_backend(%s, 5000)", [own.info.backend_pid])
            with pytest.raises(psycopg.OperationalError):
                await own.execute("select 1")

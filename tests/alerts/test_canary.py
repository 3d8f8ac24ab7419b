"""The canary's press comes back as a post through the whole chain; where it does not, the operators are told, and nobody before."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import msgspec
import pytest
from aiohttp import web
from prometheus_client import REGISTRY
from psycopg import AsyncConnection

from alerts.channels.delivery import Delivery, Outcome
from alerts.watch.auditor import Auditor
from alerts.watch.canary import NAME, Canary, Press, beside
from homecare.errors import BrokerUnavailable
from tests.alerts.places import VAULT, Directory, new_secret
from tests.alerts.service import Service, event, row, rows, running, until
from tests.services.ports import free_port

ROOT = "990100"


@pytest.fixture
async def service(directory: Directory, database_url: str) -> AsyncIterator[Service]:
    await directory.add_operator("li", ROOT)
    async with running(database_url) as service:
        yield service


def a_canary(
    service: Service, press: Press, *, within_s: float = 10.0, heartbeat: str = "", holder: str = "one"
) -> Canary:
    return Canary(
        service.pool,
        press,
        service.escalation.begin,
        url=f"http://127.0.0.1:{free_port()}/canary",
        secret=VAULT.seal(new_secret()),
        holder=holder,
        every_s=0.2,
        heartbeat=heartbeat,
        within_s=within_s,
    )


def button(service: Service) -> Press:
    async def pressed(boot: int, seq: int, ts: int) -> None:
        sos = event("sos", seq, device=NAME, area=NAME, boot=boot)
        await service.broker.send(msgspec.structs.replace(sos, ts=ts))

    return pressed


async def lost(boot: int, seq: int, ts: int) -> None:
    """The broker takes it, and that is the last of it."""


async def no_broker(boot: int, seq: int, ts: int) -> None:
    raise BrokerUnavailable("no connection")


async def test_a_press_comes_back_and_leaves_no_work_to_anybody(service: Service, db: AsyncConnection) -> None:
    canary = a_canary(service, button(service))
    before = REGISTRY.get_sample_value("homecare_canary_seconds_count") or 0
    async with canary.listening():
        assert await canary.beat()
        assert await canary.beat()
    assert REGISTRY.get_sample_value("homecare_canary_seconds_count") == before + 2
    cases = await rows(db, "select area, kind, state, outcome, closed_by from alert")
    assert (
        cases == [{"area": NAME, "kind": "sos", "state": "resolved", "outcome": "technical", "closed_by": "system"}] * 2
    )
    told = await rows(db, "select distinct contact, channel_kind from notification")
    assert told == [{"contact": NAME, "channel_kind": "webhook"}]
    assert [found.wrong for found in await Auditor(service.pool, service.escalation.begin).look()] == [0] * 6


@pytest.mark.parametrize("press", [lost, no_broker])
async def test_two_presses_in_a_row_that_do_not_come_back_are_told_until_one_does(
    service: Service, db: AsyncConnection, press: Press
) -> None:
    canary = a_canary(service, press, within_s=0.1)
    async with canary.listening():
        assert not await canary.beat()
        assert await rows(db, "select 1 from alert") == []
        assert not await canary.beat()
        assert not await canary.beat()
        case = await row(db, "select id, area, kind, severity, triggers from alert")
        told = await rows(db, "select channel_kind, area from notification where alert = %s", case.pop("id"))
        assert case == {"area": ROOT, "kind": "outage", "severity": "critical", "triggers": 1}
        assert told == [{"channel_kind": "console", "area": ROOT}]
        again = a_canary(service, button(service))
        async with again.listening():
            assert await again.beat()
    await until(db, "select state = 'resolved' and outcome = 'technical' from alert where kind = 'outage'")


async def test_a_post_of_an_earlier_press_is_not_taken_for_this_one(service: Service) -> None:
    pressed = button(service)

    async def late(boot: int, seq: int, ts: int) -> None:
        await pressed(boot, seq, ts - 60_000)

    canary = a_canary(service, late, within_s=1.0)
    async with canary.listening():
        assert not await canary.beat()


async def test_each_press_that_comes_back_is_a_heartbeat_and_one_process_presses(
    service: Service, db: AsyncConnection
) -> None:
    beats: asyncio.Queue[str] = asyncio.Queue(100)

    async def heard(request: web.Request) -> web.Response:
        await beats.put(request.path)
        return web.Response(status=200)

    app = web.Application()
    app.router.add_get("/beat", heard)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    first = a_canary(service, button(service), heartbeat=f"http://127.0.0.1:{port}/beat")
    second = a_canary(service, no_broker, holder="two", within_s=0.1)
    try:
        async with asyncio.TaskGroup() as group, asyncio.timeout(10):
            one = group.create_task(first.run(), name="first")
            assert await beats.get() == "/beat"
            other = group.create_task(second.run(), name="second")
            await beats.get()
            await beats.get()
            assert (await row(db, "select holder from canary"))["holder"] == "one"
            one.cancel()
            # It takes over once the first has been silent for three presses.
            await until(db, "select holder = 'two' from canary")
            other.cancel()
    finally:
        await runner.cleanup()


async def test_without_a_root_nothing_is_pressed(database_url: str, db: AsyncConnection) -> None:
    async with running(database_url) as service:
        canary = a_canary(service, no_broker)
        async with canary.listening():
            assert not await canary.prepare()
            assert not await canary.beat()
    assert await rows(db, "select 1 from area union all select 1 from device") == []


async def test_an_sos_from_nowhere_never_goes_to_the_canarys_area(service: Service, db: AsyncConnection) -> None:
    assert await a_canary(service, lost).prepare()
    await service.broker.send(event("sos", 1, device="X-1", area="nowhere"))
    assert (await row(db, "select area from alert"))["area"] == ROOT


async def test_only_the_canarys_own_address_goes_its_own_way() -> None:
    async def people(_: Delivery) -> Outcome:
        return Outcome("failed", error="people")

    async def own(_: Delivery) -> Outcome:
        return Outcome("failed", error="own")

    send = beside(people, own, "http://127.0.0.1:8003/x")
    for address, way in (("http://127.0.0.1:8003/x", "own"), ("http://127.0.0.1:8003/y", "people")):
        delivery = Delivery(uuid4(), address, ("s",), b"")
        assert (await send(delivery)).error == way

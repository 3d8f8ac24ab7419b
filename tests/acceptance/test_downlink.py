"""What the backend asks of a device, with a simulated handset that answers over the real broker, and one that is out of reach."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from homecare.broker import Broker
from homecare.messages import Position
from simulators.device import Device
from simulators.link import Credentials, Mqtt5Link
from tests.acceptance.waiting import fetch, until
from tests.services.processes import Processes

AREA, PASSWORD = "990102", "a device's password"
HERE = Position(lat=26.5921, lon=104.8302, accuracy=8, fix="gnss")


@pytest.fixture
def town(database_url: str, broker: Broker) -> str:
    """One village, one person with a handset that the broker knows; the database's address."""
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute(
            "insert into area (code, level, name_zh, name_en) values (%s, 'village', '示例村', 'Sample')", [AREA]
        )
        db.execute("insert into resident (id, area, name) values ('R-1', %s, '示例·甲一')", [AREA])
        db.execute("insert into device (id, area, kind) values ('H-1', %s, 'handset')", [AREA])
        db.execute(
            "insert into wearing (device, resident, since) select d.key, r.key, '2026-01-01' from device d, resident r"
        )
    broker.set_users({"H-1": PASSWORD})
    return database_url


@asynccontextmanager
async def handset(broker: Broker, boot: int = 1) -> AsyncIterator[Device]:
    link = Mqtt5Link(Credentials("127.0.0.1", broker.port, "H-1", PASSWORD))
    device = Device("H-1", AREA, "handset", link, boot, position=HERE)
    running = asyncio.create_task(device.run(), name="handset")
    try:
        async with asyncio.timeout(10):
            await device.online()
        yield device
    finally:
        running.cancel()
        await asyncio.wait([running])


def ask(url: str, name: str, args: dict[str, Any] | None = None, seconds: float = 60) -> str:
    ((ident,),) = fetch(
        url,
        "insert into command (device, name, args, expires_at, created_by)"
        " select key, %s, %s, clock_timestamp() + make_interval(secs => %s), 'operator:li' from device returning id::text",
        name, Jsonb(args or {}), seconds,
    )  # fmt: skip
    return str(ident)


async def test_a_device_does_what_it_is_asked_once_and_answers(town: str, broker: Broker, processes: Processes) -> None:
    await processes.start("alerts")
    async with handset(broker) as device:
        asked: dict[str, tuple[dict[str, Any], str]] = {
            "locate": ({}, "answered"),
            "ring": ({}, "answered"),
            "call": ({"number": "010-00000000"}, "answered"),
            "test": ({}, "answered"),
            "set_interval": ({"interval": 30}, "answered"),
        }
        for name, (args, _) in asked.items():
            ask(town, name, args)
        await until(
            town, "select name, state from command_shown order by created_at", [(n, s) for n, (_, s) in asked.items()]
        )
        assert device.rang == 1
        assert device.interval_s == 30
        assert fetch(town, "select interval_s from device") == [(30.0,)]
        ((result,),) = fetch(town, "select result from command where name = 'locate'")
        assert (result["lat"], result["lon"]) == (HERE.lat, HERE.lon)
        ask(town, "set_interval", {"interval": -1})
        await until(town, "select state from command_shown order by created_at desc limit 1", [("refused",)])
        assert fetch(town, "select interval_s from device") == [(30.0,)]
        # The answer to one of them got lost: asked again, it answers again and does not ring twice.
        town_asks_again = "update command set replied_at = null, ok = null, next_at = clock_timestamp() where name = 'ring' returning 1"
        assert fetch(town, town_asks_again) == [(1,)]
        await until(town, "select state, attempts > 1 from command_shown where name = 'ring'", [("answered", True)])
        assert device.rang == 1


async def test_an_sos_asks_the_handset_where_it_is_and_the_case_says_so(
    town: str, broker: Broker, processes: Processes
) -> None:
    await processes.start("alerts")
    async with handset(broker) as device:
        pressed = await device.signal("sos")
        await until(
            town,
            "select name, state, created_by from command_shown where alert = %s",
            [("locate", "answered", "system")],
            pressed.alert,
        )
        await until(
            town,
            "select lat, lon, round(accuracy)::int, position_at > raised_at from alert where id = %s",
            [(HERE.lat, HERE.lon, 8, True)],
            pressed.alert,
        )
        said = fetch(
            town,
            "select action, actor from log where alert = %s and action like 'command.%%' order by id",
            pressed.alert,
        )
        assert said == [("command.sent", "system"), ("command.replied", "device:H-1")]


async def test_who_is_out_of_reach_is_asked_when_back_or_not_at_all(
    town: str, broker: Broker, processes: Processes
) -> None:
    await processes.start("alerts")
    soon = ask(town, "ring", seconds=1.5)
    later = ask(town, "test", seconds=120)
    await until(town, "select state from command_shown where id = %s", [("expired",)], soon)
    await until(
        town,
        "select action, detail ->> 'command' from log where action = 'command.expired'",
        [("command.expired", soon)],
    )
    assert fetch(town, "select state from command_shown where id = %s", later) == [("sent",)]
    async with handset(broker) as device:
        # The broker threw away what came before the device had ever subscribed; only being asked again reaches it.
        fetch(town, "update command set next_at = clock_timestamp() where id = %s returning 1", later)
        await until(town, "select state from command_shown where id = %s", [("answered",)], later)
        assert device.rang == 0
    assert fetch(town, "select count(*) from command where next_at is not null") == [(0,)]

"""What the tests of `homecare ingest` share: a directory of one village, messages of its devices, a look at what the process says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import aiomqtt
import msgspec
import psycopg

from homecare.broker import Broker
from homecare.clock import wall_clock
from tests.services.processes import HomecareProcess, Processes

AREA = "990101"
SEQS = "select seq, count(*) from sample group by seq order by seq"


def register_village(database_url: str) -> None:
    """H-1, a handset worn by R-1, and K-1, a kiosk."""
    with psycopg.connect(database_url, autocommit=True) as db:
        for code, zh, en in ((AREA, "示例村", "Sample Village"), ("990104", "样例村", "Example Village")):
            db.execute(
                "insert into area (code, level, name_zh, name_en) values (%s, 'village', %s, %s)", [code, zh, en]
            )
        db.execute("insert into resident (id, card, area, name) values ('R-1', 'C-77', %s, '示例·甲一')", [AREA])
        db.execute(
            "insert into device (id, area, kind) values ('H-1', %s, 'handset'), ('K-1', %s, 'kiosk')", [AREA, AREA]
        )
        db.execute(
            "insert into wearing (device, resident, since) select d.key, r.key, '2026-01-01' from device d, resident r where d.id = 'H-1'"
        )


@asynccontextmanager
async def publisher(broker: Broker) -> AsyncIterator[aiomqtt.Client]:
    url = urlsplit(broker.url())
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, username=url.username, password=broker.users["homecare"]
    ) as client:
        yield client


async def send(client: aiomqtt.Client, route: str, payload: object, device: str = "H-1", area: str = AREA) -> None:
    data = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    await client.publish(f"care/v1/{area}/{device}/{route}", data, qos=1)


def reading(seq: int, **more: Any) -> dict[str, Any]:
    return {"boot": 1, "seq": seq, "ts": wall_clock(), "values": {"heart_rate": 72}} | more


class Said(msgspec.Struct):
    status: int
    out: str


async def run(processes: Processes, *arguments: str) -> Said:
    process = await processes.start(*arguments, ready=False)
    status = await process.ended(within=20)
    return Said(status, process.tail(100_000))


async def figure(process: HomecareProcess, name: str, wanted: Callable[[float], bool], within: float = 30.0) -> bool:
    """Wait until /metrics has it so."""
    async with asyncio.timeout(within), aiohttp.ClientSession() as http:
        while True:
            async with http.get(process.url + "/metrics") as answer:
                lines = (await answer.text()).splitlines()
            if any(wanted(float(line.split()[1])) for line in lines if line.startswith(name + " ")):
                return True
            await asyncio.sleep(0.1)

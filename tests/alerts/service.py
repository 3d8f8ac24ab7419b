"""The alerts process within a test: the same parts on a real database, with the test as the broker."""

import asyncio
import ipaddress
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from alerts.channels.delivery import Send
from alerts.channels.webhook import Webhooks
from alerts.commands import Command
from alerts.escalation import Escalation
from alerts.event_lane import EventLane
from alerts.first import begin
from alerts.intake import Intake
from alerts.letters import Letters
from alerts.outbox import Outbox
from alerts.rules.events import event_trigger
from alerts.rules.pack import load_pack
from alerts.store import State
from homecare.checked import Checked
from homecare.clock import wall_clock
from homecare.database import open_pool
from homecare.messages import Event, Inbound, Origin, Position
from homecare.wakeups import Wakeups
from tests.alerts.places import VAULT

PACK = load_pack()
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
CHANNELS = ("homecare_trigger", "homecare_escalation", "homecare_outbox", "homecare_command", "homecare_reply")
Acks = list[tuple[int, UUID | None, State]]
Also = Callable[[AsyncConnectionPool[AsyncConnection], Wakeups], dict[str, Send]]
"""Channels beside the webhook."""


@dataclass
class Batch:
    """A batch of one message that stands for `checked`."""

    checked: Checked
    messages: Sequence[Inbound] = (Inbound("care/v1/990102/d/event", b"{}", 0),)
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)

    def acknowledge(self) -> None:
        self.acknowledged.set()


class Broker:
    """Hands batches to the lane and keeps what goes to devices."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Batch] = asyncio.Queue()
        self.acks: Acks = []
        self.published: list[tuple[str, bytes]] = []
        self._batch: Batch | None = None

    async def batches(self) -> AsyncIterator[Batch]:
        while True:
            self._batch = await self.queue.get()
            yield self._batch

    async def publish(self, topic: str, payload: bytes) -> None:
        self.published.append((topic, payload))

    def check(self, _: Sequence[Inbound]) -> Checked:
        assert self._batch is not None
        return self._batch.checked

    def ack(self, event: Event, alert: UUID | None, state: State) -> tuple[str, bytes]:
        assert event.seq is not None
        self.acks.append((event.seq, alert, state))
        return f"care/v1/{event.origin.area}/{event.origin.device}/ack", b""

    async def tell(self, *events: Event, checked: Checked | None = None) -> Batch:
        """One batch on its way."""
        batch = Batch(checked or Checked(events=list(events)))
        await self.queue.put(batch)
        return batch

    async def send(self, *events: Event, checked: Checked | None = None) -> None:
        """One batch, and wait until the broker would have its acknowledgement."""
        batch = await self.tell(*events, checked=checked)
        async with asyncio.timeout(10):
            await batch.acknowledged.wait()


def command_message(command: Command) -> tuple[str, bytes]:
    return f"care/v1/{command.area}/{command.device_id}/command", command.name.encode()


@dataclass
class Service:
    """One instance; `broker.send` gives it events."""

    pool: AsyncConnectionPool[AsyncConnection]
    wakeups: Wakeups
    broker: Broker
    lane: EventLane
    outbox: Outbox
    escalation: Escalation
    intake: Intake

    def tasks(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        return {
            "wakeups": self.wakeups.listen,
            "lane": self.lane.run,
            "outbox": self.outbox.run,
            "escalation": self.escalation.run,
            "intake": self.intake.run,
        }


@asynccontextmanager
async def assembled(
    url: str, broker: Broker | None = None, timeout_s: float = 2.0, also: Also = lambda *_: {}
) -> AsyncIterator[Service]:
    """The parts, not running."""
    broker = broker or Broker()
    async with open_pool(url, name="test-alerts", max_size=12) as pool:
        webhooks = Webhooks(allow_networks=LOOPBACK, allow_http=True, timeout_s=timeout_s)
        wakeups = Wakeups(url, CHANNELS)
        letters = Letters(VAULT, "https://care.example.org")
        channels: dict[str, Send] = {"webhook": webhooks.send} | also(pool, wakeups)
        escalation = Escalation(pool, wakeups, tuple(channels))
        outbox = Outbox(pool, wakeups, channels, letters, jitter=random.Random(1))
        try:
            yield Service(
                pool,
                wakeups,
                broker,
                EventLane(
                    broker,
                    pool,
                    check=broker.check,
                    event_trigger=lambda event: event_trigger(event, PACK),
                    begin=partial(begin, escalation, outbox),
                    ack=broker.ack,
                    post=outbox.post,
                    woke=wakeups.wake,
                ),
                outbox,
                escalation,
                Intake(pool, wakeups, partial(begin, escalation, outbox), outbox.post),
            )
        finally:
            await webhooks.close()


@asynccontextmanager
async def running(url: str, *, timeout_s: float = 2.0, also: Also = lambda *_: {}) -> AsyncIterator[Service]:
    """One instance at work until the end of the block; a task that fails fails the test."""
    async with assembled(url, timeout_s=timeout_s, also=also) as service, asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(), name=name) for name, run in service.tasks().items()]
        try:
            yield service
        finally:
            for task in tasks:
                task.cancel()


async def rows(db: AsyncConnection, sql: str, *values: object) -> list[dict[str, Any]]:
    async with db.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), values)
        return await cursor.fetchall()


async def row(db: AsyncConnection, sql: str, *values: object) -> dict[str, Any]:
    found = await rows(db, sql, *values)
    assert len(found) == 1, found
    return found[0]


async def until(db: AsyncConnection, sql: str, *values: object, within_s: float = 10.0) -> None:
    """Wait until the query's first column is true."""
    async with asyncio.timeout(within_s):
        while True:
            found = await (await db.execute(sql.encode(), values)).fetchone()
            if found is not None and found[0]:
                return
            await asyncio.sleep(0.02)


def event(
    name: str,
    seq: int | None,
    *,
    device: str = "H-1",
    key: int | None = None,
    resident: int | None = None,
    area: str = "990102",
    boot: int | None = 1,
    of: int | None = None,
    values: dict[str, float] | None = None,
    position: Position | None = None,
    ago_ms: int = 0,
    service: str | None = None,
) -> Event:
    now = wall_clock()
    origin = Origin(device, area, key, resident)
    return Event(
        origin=origin,
        event=name,
        boot=None if seq is None else boot,
        seq=seq,
        ts=now - ago_ms,
        claimed=None,
        received=now,
        flags=0,
        of=of,
        service=service,
        values=values or {},
        position=position,
    )

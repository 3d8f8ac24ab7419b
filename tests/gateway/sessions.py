"""A session that runs beside a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from gateway.session import Batch, Session
from tests.gateway.scripted_broker import Peer, ScriptedBroker

FILTERS = ("care/v1/+/+/telemetry", "care/v1/+/+/event")
WITHIN_S = 30.0
"""Nothing takes that long; a machine with much else to do takes longer than one would think."""


def at_once(reason: str, failures: int, chance: float) -> float:
    """No pause between two tries."""
    return 0.0


def new_session(url: str, **arguments: Any) -> Session:
    defaults: dict[str, Any] = {"client_id": f"test-{uuid4().hex[:8]}", "filters": FILTERS, "pause": at_once}
    return Session(url, **(defaults | arguments))


@asynccontextmanager
async def running(session: Session) -> AsyncIterator["asyncio.Task[None]"]:
    """`run()` beside the block; its task. The session is closed afterwards."""
    task = asyncio.create_task(session.run(), name="session")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        await session.close()


@asynccontextmanager
async def welcomed(
    broker: ScriptedBroker, *at_once: Any, **arguments: Any
) -> AsyncIterator[tuple[Session, Peer, "asyncio.Task[None]"]]:
    """A session that is connected to the scripted broker and runs."""
    session = new_session(broker.url(), **arguments)
    async with asyncio.TaskGroup() as group:
        group.create_task(session.connect())
        peer = await broker.accept()
        await peer.welcome(*at_once)
    async with running(session) as task:
        yield session, peer, task


async def next_batch(session: Session, most: int = 5000) -> Batch:
    async with asyncio.timeout(WITHIN_S):
        return await anext(aiter(session.batches(most)))


async def payloads(session: Session, count: int, acknowledge: bool = True) -> list[bytes]:
    """The payloads of the next `count` messages."""
    found: list[bytes] = []
    async with asyncio.timeout(WITHIN_S):
        while len(found) < count:
            batch = await next_batch(session, count - len(found))
            found += [message.payload for message in batch.messages]
            if acknowledge:
                batch.acknowledge()
    return found

"""The quarantine as a person uses it: look at what could not be kept, and send it through again after a fix."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from homecare.database import load_queries, unavailable

QUERIES = load_queries("ingest")
PAGE = 500

Publish = Callable[[str, bytes], Awaitable[Any]]
"""Publishes bytes on a topic and returns when the broker has them."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be kept; `times` the same `size` bytes came, the last time at `last_received`."""

    id: int
    received: datetime
    last_received: datetime
    times: int
    lane: str
    reason: str
    device: str | None
    area: str | None
    topic: str
    size: int
    detail: str
    replayed_at: datetime | None
    payload: bytes | None = None
    """The raw bytes, only in `show`."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; None: whatever it is."""

    reason: str | None = None
    device: str | None = None
    since: datetime | None = None
    ids: tuple[int, ...] | None = None


async def list_entries(
    db: AsyncConnection, selection: Selection, *, replayed: bool = False, most: int = 100
) -> list[Entry]:
    """The newest first; with `replayed` also those that were replayed. DatabaseUnavailable."""
    asked = msgspec.structs.asdict(selection) | {"replayed": replayed, "most": most}
    with unavailable():
        async with db.cursor(row_factory=class_row(Entry)) as cursor:
            return await (await cursor.execute(QUERIES["quarantine_list"], asked)).fetchall()


async def show(db: AsyncConnection, entry: int) -> Entry | None:
    """One with its raw bytes, or None where there is no such."""
    with unavailable():
        async with db.cursor(row_factory=class_row(Entry)) as cursor:
            return await (await cursor.execute(QUERIES["quarantine_show"], {"id": entry})).fetchone()


async def replay(db: AsyncConnection, selection: Selection, publish: Publish) -> int:
    """Publish the raw bytes again on their topics, in the order they came; returns how many.

    Each is marked in a transaction that ends when the broker has it. What is interrupted is sent twice rather than never,
    which is harmless; what is still wrong comes back as a new entry, since its writer waits for that transaction.
    """
    count = 0
    async for entry, topic, payload in _to_replay(db, selection):
        with unavailable():
            async with db.transaction():
                marked = await db.execute(QUERIES["quarantine_replayed"], {"id": entry})
                if marked.rowcount:  # nobody else replays it now
                    await publish(topic, payload)
                    count += 1
    return count


async def _to_replay(db: AsyncConnection, selection: Selection) -> AsyncIterator[tuple[int, str, bytes]]:
    """Page by page, up to the entries there were at the start: what comes back must not go round and round."""
    asked: dict[str, Any] = msgspec.structs.asdict(selection) | {"most": PAGE, "after": 0}
    asked["ids"] = None if selection.ids is None else list(selection.ids)
    with unavailable():
        row = await (await db.execute(QUERIES["quarantine_newest"])).fetchone()
    asked["newest"] = row[0] if row else 0
    while True:
        with unavailable():
            page = await (await db.execute(QUERIES["quarantine_to_replay"], asked)).fetchall()
        for entry in page:
            yield entry
        if len(page) < PAGE:
            return
        asked["after"] = page[-1][0]

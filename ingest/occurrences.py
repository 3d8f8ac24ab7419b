"""The events of a shard's devices, for the rules: the event lane stores them, and here they are read again.

NOTIFY wakes, a look every few seconds is the truth. Rows become visible in another order than they were numbered and
timed in, so each look goes back a little, and what was told before is left out.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from psycopg import AsyncConnection

from homecare.clock import to_datetime
from homecare.database import load_queries, unavailable
from homecare.errors import DatabaseUnavailable
from homecare.messages import Event, Origin, Position
from homecare.samples import Flag
from homecare.wakeups import Wakeups
from ingest import measures
from ingest.connection import LiveConnection
from ingest.shards import Shard

log = structlog.get_logger()
QUERIES = load_queries("ingest")
CHANNEL = "homecare_events"
POLL_S = 2.0
LOOK_BACK = timedelta(seconds=30)
"""Longer than a transaction that records an event lasts."""
MOST = 2_000
"""In one page, which is all that is held at a time."""


class Occurrences:
    """Follows the table `event`."""

    def __init__(self, connection: LiveConnection, shard: Shard, *, poll_s: float = POLL_S) -> None:
        self._connection, self._shard, self._poll_s = connection, shard, poll_s
        self._until: datetime | None = None
        self._told: dict[int, datetime] = {}
        """Events that the next look may find again."""

    async def restore(self, db: AsyncConnection, since: int) -> list[Event]:
        """Those since then (Unix ms, by the time they happened), in order of receipt. What follows begins after them."""
        with unavailable():
            ((now,),) = await (await db.execute(QUERIES["events_now"])).fetchall()
            self._until = now
            events = []
            async with db.cursor() as cursor:
                asked = {"since": to_datetime(since), "recent": now - LOOK_BACK}
                async for row in cursor.stream(QUERIES["events_to_restore"].encode(), asked):
                    event = _event(row)
                    if self._shard.has(event.origin.area) and event.ts >= since:
                        events.append(event)
                    self._told[row[0]] = row[1]
        self._forget()
        return events

    async def follow(self, wakeups: Wakeups) -> AsyncIterator[list[Event]]:
        """Runs until cancelled; new events, a page at a time. Waits while there is no database."""
        while True:
            try:
                async for events in self.look():
                    if events:
                        measures.EVENTS_TOLD.inc(len(events))
                        yield events
            except DatabaseUnavailable as error:
                log.warning("events_unread", problem=str(error))
            await wakeups.wait(CHANNEL, self._poll_s)

    async def look(self) -> AsyncIterator[list[Event]]:
        """What has come since the last look, of this shard's areas. DatabaseUnavailable."""
        db = await self._connection.get()
        if self._until is None:
            with unavailable():
                ((self._until,),) = await (await db.execute(QUERIES["events_now"])).fetchall()
        place: tuple[Any, int] = (self._until - LOOK_BACK, 0)
        while True:
            with unavailable():
                asked = {"committed": place[0], "id": place[1], "most": MOST}
                rows = await (await db.execute(QUERIES["events_since"], asked)).fetchall()
            new = [row for row in rows if row[0] not in self._told]
            self._told.update((row[0], row[1]) for row in new)
            yield [_event(row) for row in new if self._shard.has(row[5])]
            if len(rows) < MOST:
                break
            place = rows[-1][1], rows[-1][0]
        if rows:
            self._until = max(self._until, rows[-1][1])
        self._forget()

    def _forget(self) -> None:
        assert self._until is not None
        oldest = self._until - 2 * LOOK_BACK
        self._told = {id_: committed for id_, committed in self._told.items() if committed >= oldest}


def _event(row: tuple[Any, ...]) -> Event:
    _, _, device, key, resident, area, event, boot, seq, of, service, ts, claimed, received, flags, values, place = row
    return Event(
        Origin(device, area, key, resident),
        event,
        boot,
        seq,
        ts,
        claimed,
        received,
        flags,
        of=of,
        service=service,
        values=values,
        position=msgspec.convert(place, Position) if place else None,
        forwarded=bool(flags & Flag.UNCOUNTED),
    )

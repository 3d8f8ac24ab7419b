"""What changed about alerts, told to every open page: one reader of the log per process, a bounded queue per page.

The log's id is the event's id, so that a page that was away resumes where it was (Last-Event-ID). Transactions may
commit out of the order of their ids: for `SETTLE_S` the reader looks back, and tells what turned up late.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge

from dashboards.store import Store
from homecare.errors import DatabaseUnavailable
from homecare.tasks import retry
from homecare.wakeups import Wakeups

log = structlog.get_logger()
POLL_S = 1.0
LOOK_S = 3.0
"""A look at the log that takes longer has failed: nobody may believe in a stream that hears nothing."""
SETTLE_S = 20.0
QUEUE = 256
"""Announcements that may wait for one slow page; one more and it is told to load anew."""
MOST_REPLAYED = 1000
CHANNEL = "homecare_log"

LISTENERS = Gauge("homecare_dashboard_stream_clients", "Pages that listen to the alerts")
OVERFLOWS = Counter("homecare_dashboard_stream_overflows_total", "Pages too slow for the stream, told to load anew")


@dataclass(frozen=True, slots=True)
class Announcement:
    """A line of the log about an alert. `state` is the alert's when it was read."""

    id: int
    alert: UUID
    area: str | None
    action: str
    kind: str
    severity: str
    state: str


class Listener:
    """One page's queue. `overflowed`: something was dropped; the page must load anew."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Announcement | None] = asyncio.Queue(QUEUE)
        self.overflowed = False

    def offer(self, announcement: Announcement | None) -> None:
        try:
            self._queue.put_nowait(announcement)
        except asyncio.QueueFull:
            if not self.overflowed:
                OVERFLOWS.inc()
            self.overflowed = True

    async def next(self, timeout_s: float) -> Announcement | None:
        """The next announcement; None after `timeout_s`, or early where the streams should end."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None

    def drain(self) -> None:
        """Forget what waits; the page loads anew."""
        self.overflowed = False
        while not self._queue.empty():
            self._queue.get_nowait()


class Announcements:
    """Reads the log and fans it out.

    `live`: the log could be read just now; where it cannot, and when the process is `closing`, streams end by themselves,
    and the pages say that they have lost them.
    """

    def __init__(self, store: Store, wakeups: Wakeups, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._wakeups = wakeups
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._settled = 0
        self._told: dict[int, float] = {}
        self._order: deque[int] = deque()
        self.live = True
        self.closing = False

    async def run(self) -> None:
        """Until cancelled; rides out a database that is away."""
        await retry(self._begin, what="announcements", on=DatabaseUnavailable)
        while True:
            await self._wakeups.wait(CHANNEL, POLL_S)
            if not await self._could_look():
                await asyncio.sleep(POLL_S)

    async def _could_look(self) -> bool:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._look()
        except (DatabaseUnavailable, TimeoutError) as error:
            log.warning("announcements_wait", problem=str(error) or "no answer in time")
            self.live = False
            self._wake()
        else:
            self.live = True
        return self.live

    async def _begin(self) -> None:
        self._settled = await self.last_id()

    async def last_id(self) -> int:
        """Where a page that is made now may begin to listen."""
        rows = await self._store.mappings("last_announcement")
        return int(rows[0]["last"])

    async def since(self, after: int) -> list[Announcement] | None:
        """What happened after the log's line `after`; None where that is too much or not this log's: load anew."""
        if after > await self.last_id():
            return None
        missed = await self._read(after, MOST_REPLAYED + 1)
        return missed if len(missed) <= MOST_REPLAYED else None

    async def _read(self, after: int, most: int) -> list[Announcement]:
        return await self._store.rows("announcements", Announcement, after=after, most=most)

    async def _look(self) -> None:
        """Tell what is new above the settled line, also what committed late among what was told before."""
        full = True
        while full:
            found = await self._read(self._settled, MOST_REPLAYED)
            fresh = [announcement for announcement in found if announcement.id not in self._told]
            for announcement in fresh:
                self._remember(announcement.id)
                for listener in self._listeners:
                    listener.offer(announcement)
            full = len(found) == MOST_REPLAYED
            if full:  # more than one look's worth: what was read is settled, go on above it
                self._settled = found[-1].id
        self._forget()

    def _remember(self, number: int) -> None:
        self._told[number] = self._clock()
        self._order.append(number)

    def _forget(self) -> None:
        horizon = self._clock() - SETTLE_S
        while self._order and self._told[self._order[0]] < horizon:
            number = self._order.popleft()
            del self._told[number]
            self._settled = max(self._settled, number)

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """A queue that is fed for as long as the block lasts."""
        listener = Listener()
        self._listeners.add(listener)
        LISTENERS.set(len(self._listeners))
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            LISTENERS.set(len(self._listeners))

    def close(self) -> None:
        """Let every stream end now."""
        self.closing = True
        self._wake()

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.offer(None)

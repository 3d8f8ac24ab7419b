"""The event lane: from a batch of messages to committed events, each acknowledged to its device.

SOS and fall go first, to workers of their own, and never queue behind anything else. A batch is acknowledged to the
broker when all of it is committed, batches in their order; what waits is bounded by the session's receive maximum.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from alerts import meters, store
from alerts.store import URGENT, Recorded
from homecare.checked import Checked
from homecare.database import unavailable
from homecare.errors import BrokerUnavailable, DatabaseUnavailable
from homecare.messages import Event, Inbound
from homecare.tasks import retry
from homecare.triggers import Trigger

log = structlog.get_logger()
URGENT_WORKERS = 4
WORKERS = 2
PUBLISH_S = 5.0

Pool = AsyncConnectionPool[AsyncConnection]
T = TypeVar("T")


class Batch(Protocol):
    """Messages, and their acknowledgement to the broker."""

    @property
    def messages(self) -> Sequence[Inbound]: ...
    def acknowledge(self) -> None: ...


class Session(Protocol):
    """Where batches come from and acknowledgements to devices go."""

    def batches(self) -> AsyncIterator[Batch]: ...
    async def publish(self, topic: str, payload: bytes) -> None: ...


class AckMessage(Protocol):
    """(topic, payload) that tells the device its event is on disk. The event has boot and seq."""

    def __call__(self, event: Event, alert: UUID | None, state: store.State) -> tuple[str, bytes]: ...


Transaction = Callable[[AsyncConnection], Awaitable[T]]
Work = Callable[[], Awaitable[None]]


class _Job:
    """A batch whose parts are being worked on."""

    def __init__(self, batch: Batch, parts: int) -> None:
        self.batch, self.left = batch, parts


class EventLane:
    """`check` must not raise; `event_trigger` is the rules' word on an event. After each commit `post` is given what
    `begin` leased in it, and `woke` is called with the wake-up channels it is about.
    """

    def __init__(
        self,
        session: Session,
        pool: Pool,
        *,
        check: Callable[[Sequence[Inbound]], Checked],
        event_trigger: Callable[[Event], Trigger | None],
        begin: store.Begin,
        ack: AckMessage,
        post: Callable[[Sequence[Any]], None] = lambda _: None,
        woke: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._session, self._pool = session, pool
        self._check, self._event_trigger, self._begin, self._ack = check, event_trigger, begin, ack
        self._post, self._woke = post, woke
        self._urgent: asyncio.Queue[tuple[_Job, Work]] = asyncio.Queue()
        self._others: asyncio.Queue[tuple[_Job, Work]] = asyncio.Queue()
        self._jobs: deque[_Job] = deque()

    async def run(self) -> None:
        """Until cancelled. What was not acknowledged then comes again."""
        async with asyncio.TaskGroup() as group:
            for n in range(URGENT_WORKERS):
                group.create_task(self._work(self._urgent), name=f"urgent-events-{n}")
            for n in range(WORKERS):
                group.create_task(self._work(self._others), name=f"other-events-{n}")
            async for batch in self._session.batches():
                self._take(batch)

    def _take(self, batch: Batch) -> None:
        checked = self._check(batch.messages)
        urgent = [e for e in checked.events if e.event in URGENT]
        others = [e for e in checked.events if e.event not in URGENT]
        aside = bool(checked.rejections or checked.strangers or checked.replies)
        job = _Job(batch, len(urgent) + len(others) + aside)
        self._jobs.append(job)
        for event in urgent:
            self._urgent.put_nowait((job, partial(self._record, event)))
        for event in others:
            self._others.put_nowait((job, partial(self._record, event)))
        if aside:
            self._others.put_nowait((job, partial(self._set_aside, checked)))
        self._acknowledge_done()

    async def _work(self, queue: asyncio.Queue[tuple[_Job, Work]]) -> None:
        while True:
            job, work = await queue.get()
            await work()
            job.left -= 1
            self._acknowledge_done()

    def _acknowledge_done(self) -> None:
        while self._jobs and self._jobs[0].left == 0:
            self._jobs.popleft().batch.acknowledge()

    async def _record(self, event: Event) -> None:
        """Commit, then tell the device. An event that cannot be stored is logged; the device, without its ack, repeats it."""
        recorded: Recorded | None = None
        for version in versions(event):
            try:
                trigger = self._event_trigger(version)
                recorded = await self._commit(
                    partial(store.record_event, event=version, trigger=trigger, begin=self._begin)
                )
                break
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one event, those behind it go on
                meters.FAILURES.labels("event").inc()
                log.error("event_not_stored", kind=event.event, device=event.origin.device, problem=_problem(error))
        if recorded is None:
            return
        self._post(recorded.posts)
        meters.EVENTS.labels(event.event, recorded.state).inc()
        meters.EVENT_SECONDS.observe(max(0.0, time.time() - event.received / 1000))
        if recorded.state == "opened":
            self._woke("homecare_outbox")
        if recorded.command:
            self._woke("homecare_command")
        if event.boot is not None and event.seq is not None and not event.forwarded:
            await self._tell_device(event, recorded)

    async def _tell_device(self, event: Event, recorded: Recorded) -> None:
        try:
            topic, payload = self._ack(event, recorded.alert, recorded.state)
            async with asyncio.timeout(PUBLISH_S):
                await self._session.publish(topic, payload)
        except (TimeoutError, BrokerUnavailable, ValueError) as error:
            # ValueError: from a topic that no acknowledgement can go to.
            log.warning("ack_not_sent", device=event.origin.device, problem=_problem(error))

    async def _set_aside(self, checked: Checked) -> None:
        """Quarantine, strangers, replies: each on its own, so that none takes another with it."""
        for rejection in checked.rejections:
            meters.REJECTIONS.labels(rejection.reason).inc()
        works: list[Transaction[object]] = [
            *(partial(store.record_rejection, rejection=rejection) for rejection in checked.rejections),
            *(partial(store.record_stranger, stranger=stranger) for stranger in checked.strangers),
            *(partial(store.record_reply, reply=reply) for reply in checked.replies),
        ]
        for work in works:
            try:
                await self._commit(work)
            except Exception as error:  # noqa: BLE001 - as above
                meters.FAILURES.labels("set_aside").inc()
                log.error("not_set_aside", problem=_problem(error))

    async def _commit(self, work: Transaction[T]) -> T:
        """`work` in a transaction, again and again while the database is not there."""

        async def attempt() -> T:
            with unavailable():
                async with self._pool.connection() as db, db.pipeline(), db.transaction():
                    return await work(db)

        result: T = await retry(attempt, what="event", on=DatabaseUnavailable)
        return result


def versions(event: Event) -> Iterator[Event]:
    """The event; and for an SOS or fall less and less of it, for when the whole cannot be stored."""
    yield event
    if event.event in URGENT:
        yield msgspec.structs.replace(event, values={}, position=None, claimed=None)
        origin = msgspec.structs.replace(event.origin, device_key=None, resident_key=None)
        yield msgspec.structs.replace(event, origin=origin, values={}, position=None, claimed=None)


def _problem(error: Exception) -> str:
    """The kind of an error and, where it is the database's, its first line; never a payload."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return f"{type(error).__name__}: {error.diag.message_primary}"
    return type(error).__name__

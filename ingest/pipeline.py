"""The telemetry lane: check -> drop repeats -> rules -> store -> acknowledge. `Lane.stages` is its table of contents.

The stages before the store work on the next batch while this one is written; one at a time, in order, at most
`AHEAD` batches ahead, so that a database that is away stops the source and memory stays bounded.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from homecare.checked import Checked
from homecare.clock import Clock, wall_clock
from homecare.devices import RegisteredDevice
from homecare.messages import AccelerationWindow, Event, Inbound
from homecare.samples import Samples
from homecare.triggers import Trigger
from ingest import measures
from ingest.hearing import Hearing
from ingest.repeats import Delivery, without
from ingest.store import Store
from ingest.writing import Writing

log = structlog.get_logger()

MOST_MESSAGES = 5_000
"""In one batch."""
AHEAD = 1
DRAIN_S = 6.0
"""How long what is in hand may take to commit when the process is asked to stop."""
SWEEP_S = 1.0


class Batch(Protocol):
    """Messages in order of arrival, and the way to acknowledge them all."""

    @property
    def messages(self) -> Sequence[Inbound]: ...

    def acknowledge(self) -> None: ...


class Source(Protocol):
    """Where batches come from. What is not acknowledged comes again; how much can be under way is the source's bound."""

    @property
    def connected(self) -> bool: ...

    def batches(self, most: int = ...) -> AsyncIterator[Batch]: ...


class Checks(Protocol):
    """Raw messages -> what can be kept, and what not and why. Pure; whatever the bytes are, it does not raise."""

    def check(self, messages: Sequence[Inbound]) -> Checked: ...


class Rules(Protocol):
    """The rules' state, one slot per device; each call moves it on."""

    @property
    def memory_ms(self) -> int:
        """How far back, by `ts`, samples are needed to rebuild the state."""

    def register(self, devices: Iterable[RegisteredDevice]) -> None: ...

    def apply(self, samples: Samples) -> list[Trigger]: ...

    def windows(self, windows: Sequence[AccelerationWindow]) -> list[Trigger]:
        """Raw acceleration; its devices were heard."""

    def events(self, events: Sequence[Event]) -> list[Trigger]:
        """What else happened; the event lane has told people of it already."""

    def sweep(self, now: int) -> list[Trigger]: ...

    def listen(self, since: int) -> None:
        """Nobody could be heard before `since`."""


@dataclass(slots=True)
class Work:
    """What goes down the lane: a batch, or (with no messages) what a sweep found. Each stage fills in its part."""

    messages: Sequence[Inbound] = ()
    acknowledge: Callable[[], None] = lambda: None
    checked: Checked = field(default_factory=Checked)
    repeats: frozenset[Delivery] = frozenset()
    triggers: list[Trigger] = field(default_factory=list)
    written: asyncio.Event = field(default_factory=asyncio.Event)


Stage = Callable[[Work], Awaitable[None]]


class Lane:
    """One source's measurements, into one store."""

    def __init__(
        self,
        checks: Checks,
        rules: Rules,
        store: Store,
        *,
        clock: Clock = wall_clock,
        sweep_s: float = SWEEP_S,
        events: Callable[[], AsyncIterator[list[Event]]] | None = None,
    ) -> None:
        """`events`: what happens to the devices, page by page, for as long as it is asked."""
        self._checks = checks
        self._rules = rules
        self._writing = Writing(checks.check, store)
        self._clock = clock
        self._hearing = Hearing()
        self._sweep_s = sweep_s
        self._ready: asyncio.Queue[Work] = asyncio.Queue(AHEAD)
        self._picked_up = asyncio.Event()
        """What was put into the queue last is being written."""
        self._events = events
        self._unwritten: dict[int, Work] = {}
        """By `id`: work whose triggers the rules have given, or are being asked for, and that is not stored yet."""
        self._in_hand: deque[Work] = deque()
        """Batches that are taken and not yet acknowledged, the oldest first."""
        measures.BACKLOG.set_function(lambda: sum(len(work.messages) for work in self._in_hand))
        measures.OLDEST.set_function(self._oldest_s)
        self.stages: tuple[tuple[Stage, ...], tuple[Stage, ...]] = (
            (self._check, self._drop_repeats, self._apply_rules),
            (self._store, self._acknowledge),
        )
        """Those before the queue, and those after it."""

    async def run(self, source: Source) -> None:
        """Until cancelled; then what was taken is finished, if the database lets it within `DRAIN_S`."""
        # What an earlier run could not finish was not acknowledged, so it comes again; but the rules know it by now.
        owed = [trigger for work in self._unwritten.values() for trigger in work.triggers]
        self._unwritten.clear()
        self._ready, self._hearing = asyncio.Queue(AHEAD), Hearing()
        self._in_hand.clear()
        self._writing.forget()
        async with asyncio.TaskGroup() as group:
            finishing = group.create_task(self._finish(), name="finish")
            await self._tell(lambda: owed)
            others = [group.create_task(self._sweep(source), name="sweep")]
            if self._events is not None:
                others.append(group.create_task(self._follow(self._events()), name="events"))
            try:
                async for batch in source.batches(MOST_MESSAGES):
                    await self._take(batch)
            finally:
                for task in others:
                    task.cancel()
                await self._drain(finishing)
                finishing.cancel()

    async def _take(self, batch: Batch) -> None:
        work = Work(batch.messages, batch.acknowledge)
        measures.BATCH_MESSAGES.observe(len(work.messages))
        self._in_hand.append(work)
        self._unwritten[id(work)] = work
        self._hearing.taken(self._clock(), full=len(work.messages) >= MOST_MESSAGES)
        before, _ = self.stages
        for stage in before:
            await stage(work)
        self._hearing.applied()
        self._picked_up.clear()
        await self._ready.put(work)
        # Taken before this one is being written, the next would only wait in here, and be smaller than it could be.
        await self._picked_up.wait()
        self._hearing.waiting()

    async def _finish(self) -> None:
        _, after = self.stages
        while True:
            work = await self._ready.get()
            self._picked_up.set()
            for stage in after:
                await stage(work)
            self._unwritten.pop(id(work), None)
            work.written.set()
            if work.messages:
                self._in_hand.popleft()
            self._ready.task_done()

    async def _drain(self, finishing: asyncio.Task[None]) -> None:
        if finishing.done():  # it failed, and nothing goes on without it
            return
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._ready.join()
        except TimeoutError:
            log.warning("not_drained", batches=self._ready.qsize() + 1)

    async def _check(self, work: Work) -> None:
        work.checked = self._checks.check(work.messages)

    async def _drop_repeats(self, work: Work) -> None:
        work.repeats = await self._writing.repeats(work.checked)
        work.checked = without(work.checked, work.repeats)

    async def _apply_rules(self, work: Work) -> None:
        work.triggers = self._ask_rules(lambda: self._rules.windows(work.checked.windows))
        work.triggers += self._ask_rules(lambda: self._rules.apply(work.checked.samples))

    async def _store(self, work: Work) -> None:
        await self._writing.write(work.messages, work.checked, work.repeats, work.triggers)

    async def _acknowledge(self, work: Work) -> None:
        work.acknowledge()
        measures.MESSAGES.inc(len(work.messages))

    def _oldest_s(self) -> float:
        """Since when the oldest message in hand waits for its acknowledgement, seconds."""
        return max(0.0, (self._clock() - self._in_hand[0].messages[0].received) / 1000) if self._in_hand else 0.0

    async def _sweep(self, source: Source) -> None:
        """Who is silent; told only while everybody would be heard. Sweeps are stored in line with the batches."""
        while True:
            await asyncio.sleep(self._sweep_s)
            now = self._clock()
            if self._hearing.connected(now, connected=source.connected):
                self._rules.listen(now)
            until = self._hearing.complete_until(now)
            if until is None:
                continue
            measures.HEARD_UNTIL.set(until / 1000)
            await self._tell(lambda until=until: self._rules.sweep(until))  # type: ignore[misc]

    async def _follow(self, pages: AsyncIterator[list[Event]]) -> None:
        """The events of the shard's devices, which come by way of the database."""
        async for page in pages:
            await self._tell(lambda page=page: self._rules.events(page))  # type: ignore[misc]

    async def _tell(self, question: Callable[[], list[Trigger]]) -> None:
        """What the rules say of other things than a batch is stored in line with the batches."""
        work = Work(triggers=self._ask_rules(question))
        if work.triggers:
            self._unwritten[id(work)] = work
            await self._ready.put(work)

    def owe(self, triggers: Sequence[Trigger]) -> None:
        """Triggers that are to be stored before anything else."""
        work = Work(triggers=list(triggers))
        self._unwritten[id(work)] = work

    async def all_written(self) -> None:
        """Returns when all that the rules have said by now is stored."""
        for work in list(self._unwritten.values()):
            await work.written.wait()

    def _ask_rules(self, question: Callable[[], list[Trigger]]) -> list[Trigger]:
        """A rule that fails must not stop the measurements, nor the other process, which has SOS and fall."""
        try:
            return question()
        except Exception:
            measures.RULE_FAILURES.inc()
            log.exception("rules_failed")
            return []

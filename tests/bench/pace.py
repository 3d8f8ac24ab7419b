"""One contender's turn: the load generator at the consumer's pace, and how fast it went once it was in swing."""

import asyncio
import contextlib
import itertools
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from homecare.broker import Broker
from tests.bench.load import publishing
from tests.bench.site import Site
from tests.services.processes import HomecareProcess

BACKLOG = 40_000
"""How many messages the broker holds at most: twice what it may have in flight to one client."""
SWING_S = 1.5
"""Not counted: a contender's first moments."""
LOOK_S = 0.1
CATCHES_UP_WITHIN_S = 60.0
DONE = re.compile(rb"^homecare_ingest_messages_total (\S+)", re.MULTILINE)

Progress = Callable[[], Awaitable[int]]
"""How many messages are committed and acknowledged."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A contender that is ready: its processes, and their word on how far they are."""

    pids: tuple[int, ...]
    progress: Progress


@dataclass(frozen=True, slots=True)
class Turn:
    """What was counted in the middle of a run: messages committed and acknowledged, in so many seconds."""

    messages: int
    seconds: float
    cpu_s: float
    """Of the contender's processes."""
    published: int
    """In the whole run: what must be in the database afterwards."""

    @property
    def rate(self) -> float:
        return self.messages / self.seconds


async def drive(site: Site, broker: Broker, consumer: Consumer, seconds: float, **options: float) -> Turn:
    """Load for `seconds` beyond the first moments; every message must arrive. `options` are publish.c's."""
    looks: list[tuple[float, int, float]] = []

    async def look() -> int:
        done = await consumer.progress()
        looks.append((time.monotonic(), done, sum(map(cpu_seconds, consumer.pids))))
        return done

    options = {"devices": 10_000, "backlog": BACKLOG, "seconds": seconds + SWING_S} | options
    async with publishing(site.publisher, broker, **options) as load:
        start = time.monotonic()
        while load.running and time.monotonic() < start + SWING_S + seconds:
            load.consumed(await look())
            await asyncio.sleep(LOOK_S)
        published = await load.published()
    counted = [one for one in looks if one[0] >= start + SWING_S]
    await arrived(consumer, published)
    # a batch is counted when it is done: from the end of one to the end of another
    changes = [after for before, after in itertools.pairwise(counted) if after[1] > before[1]]
    (first_at, first, first_cpu), (last_at, last, last_cpu) = changes[0], changes[-1]
    return Turn(last - first, last_at - first_at, last_cpu - first_cpu, published)


async def arrived(consumer: Consumer, published: int) -> None:
    """Wait until the consumer has dealt with all that was published."""
    deadline = time.monotonic() + CATCHES_UP_WITHIN_S
    while (done := await consumer.progress()) < published:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{published - done} of {published} messages had not arrived in {CATCHES_UP_WITHIN_S} s")
        await asyncio.sleep(LOOK_S)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, its living threads' together; counted in nanoseconds, not in ticks."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += int((task / "schedstat").read_text("utf-8").split()[0])
    return total / 1e9


@asynccontextmanager
async def watched(*processes: HomecareProcess) -> AsyncIterator[Consumer]:
    """The product's `ingest`, or its shards together, by their own metrics."""
    async with aiohttp.ClientSession() as http:

        async def done(process: HomecareProcess) -> int:
            async with http.get(process.url + "/metrics") as answer:
                found = DONE.search(await answer.read())
            return int(float(found[1])) if found else 0

        async def progress() -> int:
            return sum(await asyncio.gather(*map(done, processes)))

        yield Consumer(tuple(process.pid for process in processes), progress)


@asynccontextmanager
async def rival(module: str, broker: Broker, url: str) -> AsyncIterator[Consumer]:
    """`python -m tests.bench.MODULE`, ready; ends with the block."""
    user = "homecare"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", f"tests.bench.{module}", str(broker.port), user, broker.users[user], url),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    output, done = process.stdout, 0

    async def follow() -> None:
        nonlocal done
        async for line in output:
            done = int(line)

    async def progress() -> int:
        if following.done():
            raise RuntimeError(f"the contender {module} ended")
        return done

    try:
        async with asyncio.timeout(20):
            if await output.readline() != b"ready\n":
                raise RuntimeError(f"the contender {module} did not start")
        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow(), name=module)
            yield Consumer((process.pid,), progress)
            following.cancel()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()

"""From a rule's trigger to the first post at a contact's endpoint: at a steady pace, and when a thousand come within a minute."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection

from tests.alerts.endpoints import Endpoints, open_endpoints
from tests.alerts.town import Town
from tests.bench.goals import Results
from tests.bench.numbers import quantile
from tests.bench.say import Say
from tests.bench.site import SECRET_KEY, Site
from tests.services.processes import Processes

ENDPOINTS = 100
PACE, STEADY = 10, 400
BURST = 1_000
"""In ten batches, one right after the other: a thousand a minute at its worst."""
WITHIN_S = 120.0


class Place:
    """A town on a database of its own, its contacts' endpoints, and processes that are not started."""

    def __init__(self, town: Town, endpoints: Endpoints, processes: Processes) -> None:
        self.town, self.endpoints, self.processes = town, endpoints, processes

    @property
    def db(self) -> AsyncConnection:
        return self.town.db

    async def posts(self, number: int, within_s: float = WITHIN_S) -> None:
        """Once there are so many."""
        async with asyncio.timeout(within_s):
            while len(self.endpoints.look()) < number:  # noqa: ASYNC110  # what comes is read from a file
                await asyncio.sleep(0.1)


@asynccontextmanager
async def open_place(site: Site) -> AsyncIterator[Place]:
    """Everything fresh."""
    template = site.make_migrated("bench_alerts")
    record = site.directory / f"posts-{template}.jsonl"
    record.unlink(missing_ok=True)
    with site.database(template) as url, site.broker() as broker, open_endpoints(ENDPOINTS, record) as endpoints:
        async with (
            await AsyncConnection.connect(url, autocommit=True) as db,
            site.processes(url, broker) as processes,
        ):
            town = Town(db, SECRET_KEY)
            await town.found()
            yield Place(town, endpoints, processes)
    site.databases.drop_database(template)


async def measure(site: Site, results: Results, say: Say) -> None:
    """trigger_to_first_post_p99_ms, trigger_to_first_post_burst_p99_ms, with the real `alerts`."""
    async with open_place(site) as place:
        people = await place.town.settle([[[place.endpoints.url(n)]] for n in range(STEADY + BURST)])
        await place.processes.start("alerts")
        steady = await _steady(place, people[:STEADY])
        say(f"{PACE} triggers a second: {_words(steady)}")
        burst = await _burst(place, people[STEADY:])
        say(f"{BURST:,} triggers at once: {_words(burst)}")
    results.add("trigger_to_first_post_p99_ms", quantile(steady, 0.99))
    results.add("trigger_to_first_post_burst_p99_ms", quantile(burst, 0.99))


def _words(waits: list[float]) -> str:
    return f"p50 {quantile(waits, 0.5):.1f} ms, p99 {quantile(waits, 0.99):.1f} ms, at most {max(waits):.1f} ms"


async def _steady(place: Place, people: list[str]) -> list[float]:
    raised: dict[str, float] = {}
    began = time.monotonic()
    for number, person in enumerate(people):
        await asyncio.sleep(max(0.0, began + number / PACE - time.monotonic()))
        raised[person] = time.time()
        await place.town.trigger(person)
    return await _waits(place, raised)


async def _burst(place: Place, people: list[str]) -> list[float]:
    raised: dict[str, float] = {}
    for first in range(0, len(people), 100):
        batch = people[first : first + 100]
        raised.update(dict.fromkeys(batch, time.time()))
        await place.town.trigger(*batch)
    return await _waits(place, raised)


async def _waits(place: Place, raised: dict[str, float]) -> list[float]:
    """Milliseconds from before a trigger was written to its post's arrival."""
    arrived: dict[str, float] = {}
    async with asyncio.timeout(WITHIN_S):
        while raised.keys() - arrived.keys():
            await asyncio.sleep(0.1)
            for post in place.endpoints.look():
                arrived.setdefault(post.resident, post.at)
    return [(arrived[person] - at) * 1000 for person, at in raised.items()]

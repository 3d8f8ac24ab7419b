"""Two processes for two halves of the areas, against one for all: only where there are cores for them.

Messages of ten samples: with one sample each the one broker, a single thread of 13 us a message, would be what is measured.
"""

import os
from collections import defaultdict

import psycopg

from tests.bench.goals import Results
from tests.bench.pace import Turn, drive, watched
from tests.bench.say import Say
from tests.bench.site import OTHER_AREA, Site
from tests.bench.throughput import rate

CORES = 4
"""Two processes, a broker and a database must not wait for each other's."""
SETS = (("1/1",), ("1/2", "2/2"))
DEVICES, SAMPLES = 10_000, 10
ROUNDS, SECONDS = 3, 8.0


async def measure(site: Site, results: Results, say: Say) -> None:
    """shards_2_vs_1."""
    cores = os.cpu_count() or 1
    small = f"{cores} cores, shared with the broker and the database"
    if cores < CORES and not site.anyway:
        results.skip(small, "shards_2_vs_1")
        return
    directory = site.make_directory("bench_shards", devices=DEVICES, other=OTHER_AREA)
    turns: dict[tuple[str, ...], list[Turn]] = defaultdict(list)
    for number in range(1, ROUNDS + 1):
        for shards in SETS:
            turns[shards].append(await _turn(site, directory, shards))
            say(f"round {number}/{ROUNDS} {len(shards)} shards {turns[shards][-1].rate * SAMPLES:9,.0f} samples/s")
    one, two = (rate(turns[shards]) for shards in SETS)
    if cores < CORES:
        results.skip(f"{small}; tried all the same it was {two / one:.2f}", "shards_2_vs_1")
    else:
        results.add("shards_2_vs_1", two / one)


async def _turn(site: Site, directory: str, shards: tuple[str, ...]) -> Turn:
    """What these processes did together; every sample is stored, once."""
    with site.database(directory) as url, site.broker() as broker:
        async with site.processes(url, broker) as processes:
            started = [await processes.start("ingest", "--shard", shard) for shard in shards]
            async with watched(*started) as consumer:
                turn = await drive(
                    site, broker, consumer, SECONDS, devices=DEVICES, samples=SAMPLES, other=int(OTHER_AREA)
                )
        with psycopg.connect(url) as db:
            stored = db.execute("select count(*) from sample").fetchone()
    assert stored == (turn.published * SAMPLES,), f"{stored} rows of {turn.published} messages"
    return turn

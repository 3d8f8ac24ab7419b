"""From publish to commit, at half of the load."""

import asyncio

import psycopg

from tests.bench.goals import Results
from tests.bench.load import publishing
from tests.bench.pace import SWING_S, arrived, watched
from tests.bench.say import Say
from tests.bench.site import Site

RATE = 20_000
SECONDS = 20.0
WAITS = """
    select percentile_disc(array[0.5, 0.99]) within group (order by waited), count(*)
    from (select extract(epoch from greatest(committed, pg_xact_commit_timestamp(xmin)) - ts) * 1000 as waited
          from sample where ts > (select min(ts) from sample) + make_interval(secs => %s)) as one
"""
"""`committed` is when the row was written, xmin's time when its transaction began to commit; ms since it was published."""
SYNCS = "select wal_sync_time / nullif(wal_sync, 0) from pg_stat_wal"


async def measure(site: Site, results: Results, say: Say) -> None:
    """commit_p50_ms, commit_p99_ms."""
    directory = site.make_directory("bench_latency", devices=10_000)
    with site.database(directory) as url, site.broker() as broker:
        async with site.processes(url, broker) as processes, watched(await processes.start("ingest")) as consumer:
            options = {"devices": 10_000, "rate": RATE, "seconds": SECONDS + SWING_S}
            async with publishing(site.publisher, broker, **options) as load:
                published = await load.published()
            await arrived(consumer, published)
        await asyncio.to_thread(_read, url, results, say, published / (SECONDS + SWING_S))


def _read(url: str, results: Results, say: Say, rate: float) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        found = db.execute(WAITS, [SWING_S]).fetchone()
        synced = db.execute(SYNCS).fetchone()
    assert found is not None
    (p50, p99), count = found
    results.add("commit_p50_ms", float(p50))
    results.add("commit_p99_ms", float(p99))
    sync = f"{synced[0]:.1f} ms" if synced and synced[0] else "unknown"
    say(
        f"{rate:,.0f} msg/s: {count:,} rows committed, p50 {p50:.0f} ms, p99 {p99:.0f} ms; one WAL sync on average: {sync}"
    )

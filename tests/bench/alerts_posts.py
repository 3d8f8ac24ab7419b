"""How many posts a second reach a hundred endpoints, and what twenty that accept and never answer cost the others."""

import asyncio
import random
import time

from tests.bench.alerts import ENDPOINTS, Place, open_place
from tests.bench.goals import Results
from tests.bench.numbers import quantile
from tests.bench.say import Say
from tests.bench.site import Site

WAITING = 10_000
DEAD = 20
PACE, TURN_S, TURNS = 100, 20.0, 2
TICK_S = 0.05
ALERTS = """
    insert into alert (dedup_key, kind, severity, resident, area, raised_at, reason_code, reason_zh, reason_en)
    select 'bench:' || r.id || ':' || clock_timestamp() || ':' || random(), 'vital', 'critical', r.key, '990101', clock_timestamp(),
        'limit', '血氧低', 'Low oxygen'
    from unnest(%(people)s::text[]) as p (id) join resident r on r.id = p.id
    returning id, resident
"""
NOTIFY = f"""
    with a as ({ALERTS})
    insert into notification (alert, type, step, channel_kind, channel, contact)
    select a.id, 'alert.opened', 1, 'webhook', c.id, c.contact
    from a join resident_contact rc on rc.resident = a.resident join channel c on c.contact = rc.contact
    returning 'msg_' || replace(id::text, '-', '')
"""


async def measure(site: Site, results: Results, say: Say) -> None:
    """posts_per_s, posts_p99_with_20_dead_endpoints_ratio."""
    results.add("posts_per_s", await _throughput(site, say))
    well, ill = [], []
    for _ in range(TURNS):
        well += await _turn(site, say, dead=0)
        ill += await _turn(site, say, dead=DEAD)
    results.add("posts_p99_ms", quantile(well, 0.99))
    results.add("posts_p99_with_20_dead_endpoints_ratio", quantile(ill, 0.99) / quantile(well, 0.99))


async def _throughput(site: Site, say: Say) -> float:
    """All are due when it starts; it ends when the last outcome is written down."""
    async with open_place(site) as place:
        people = await place.town.settle([[[place.endpoints.url(n)]] for n in range(ENDPOINTS)])
        await place.db.execute(NOTIFY, {"people": [people[n % ENDPOINTS] for n in range(WAITING)]})
        await place.db.execute("vacuum analyze")
        await place.db.execute("checkpoint")
        await place.processes.start("alerts", ready=False)
        await place.posts(WAITING)
        await _delivered(place, WAITING)
        row = await (
            await place.db.execute("select extract(epoch from max(at))::float8, count(*) from attempt")
        ).fetchone()
        assert row is not None
        assert row[1] == WAITING, f"{row[1]} attempts"
        posts = place.endpoints.posts
        assert len({post.id for post in posts}) == len(posts) == WAITING
        lasted = row[0] - posts[0].at
        say(f"{WAITING:,} posts to {ENDPOINTS} endpoints in {lasted:.1f} s: {WAITING / lasted:,.0f} a second")
        return float(WAITING / lasted)


async def _delivered(place: Place, number: int) -> None:
    async with asyncio.timeout(60):
        while True:
            row = await (
                await place.db.execute("select count(*) from notification where state = 'delivered'")
            ).fetchone()
            if row == (number,):
                return
            await asyncio.sleep(0.1)


async def _turn(site: Site, say: Say, *, dead: int) -> list[float]:
    """Milliseconds from before a notification was written to its arrival, at the endpoints that live in every turn."""
    pick = random.Random(dead)
    async with open_place(site) as place:
        ways = ["hang" if n < dead else "ok" for n in range(ENDPOINTS)]
        people = await place.town.settle([[[place.endpoints.url(n, way)]] for n, way in enumerate(ways)])
        await place.processes.start("alerts")
        written: dict[str, float] = {}
        began, sent = time.monotonic(), 0
        while (passed := time.monotonic() - began) < TURN_S:
            now_due = int(passed * PACE) - sent
            sent += now_due
            at = time.time()
            chosen = [pick.choice(people) for _ in range(now_due)]
            rows = await (await place.db.execute(NOTIFY, {"people": chosen})).fetchall()
            written.update(dict.fromkeys((row[0] for row in rows), at))
            await asyncio.sleep(TICK_S)
        await asyncio.sleep(3)
        living = {int(post.path.split("/")[2]) for post in place.endpoints.look()} - set(range(DEAD))
        arrived = {post.id: post.at for post in reversed(place.endpoints.posts)}
        waits = [
            (arrived[post.id] - written[post.id]) * 1000
            for post in place.endpoints.posts
            if int(post.path.split("/")[2]) in living and post.id in written
        ]
    p50, p99 = quantile(waits, 0.5), quantile(waits, 0.99)
    say(f"{dead} dead endpoints: {len(waits)} posts to the others, p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    return waits

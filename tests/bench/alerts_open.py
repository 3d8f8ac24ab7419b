"""How late a step is taken while a hundred thousand alerts are open, each with its timer."""

import asyncio

from tests.bench.alerts import Place, open_place
from tests.bench.goals import Results
from tests.bench.numbers import quantile
from tests.bench.say import Say
from tests.bench.site import Site

OPEN = 100_000
SPREAD_S = 1_800
"""The timers are spread over half an hour: about 55 steps a second, each with its post."""
BEGINS_S, LASTS_S = 15, 30
HOMES = 1_000
ALERTS = """
    insert into alert (dedup_key, kind, severity, resident, area, raised_at, reason_code, reason_zh, reason_en)
    select 'bench:' || n, 'vital', 'critical', r.key, '990101', clock_timestamp(), 'limit', '血氧低', 'Low oxygen'
    from generate_series(1, %(open)s::int) n join resident r on r.id = 'R-' || (1 + n %% %(homes)s::int);
"""
TIMERS = """
    insert into escalation (alert, policy, step, next_at)
    select id, 'p', 1, clock_timestamp() + make_interval(secs => %(begins)s::int + number %% %(spread)s::int + random())
    from alert
"""
DUE = "create table bench_due as select alert, next_at from escalation"
LATE = """
    select extract(epoch from l.at - d.next_at)::float8 * 1000
    from bench_due d join log l on l.alert = d.alert and l.action = 'escalation.step' order by l.id
"""
OVERDUE = """
    select count(*) from bench_due d where next_at < clock_timestamp() - interval '5 seconds'
    and not exists (select from log l where l.alert = d.alert and l.action = 'escalation.step')
"""


async def measure(site: Site, results: Results, say: Say) -> None:
    """step_lateness_p99_ms: from a timer's deadline to the row of the log that says the step was taken."""
    async with open_place(site) as place:
        await _fill(place)
        await place.processes.start("alerts")
        await asyncio.sleep(BEGINS_S + LASTS_S)
        late = [float(row[0]) for row in await (await place.db.execute(LATE)).fetchall()]
        overdue = await (await place.db.execute(OVERDUE)).fetchone()
        assert overdue == (0,), f"{overdue} steps were due and not taken"
        say(f"{len(late)} steps: p50 {quantile(late, 0.5):.1f} ms, p99 {quantile(late, 0.99):.1f} ms late")
    results.add("step_lateness_p99_ms", quantile(late, 0.99))


async def _fill(place: Place) -> None:
    town, url = place.town, place.endpoints.url
    await town.settle([[[url(n)], [url(n + 1)]] for n in range(HOMES)])
    await town.agree(0, 60, 3600, ranks=2)
    await place.db.execute(ALERTS, {"open": OPEN, "homes": HOMES})
    await place.db.execute("vacuum analyze alert")
    await place.db.execute(TIMERS, {"begins": BEGINS_S, "spread": SPREAD_S})
    await place.db.execute(DUE)
    await place.db.execute("vacuum analyze escalation")
    await place.db.execute("checkpoint")

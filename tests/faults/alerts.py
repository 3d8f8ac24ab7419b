"""What goes wrong between a trigger and the contacts: processes killed at every statement, races, floods, a database that is away."""

import asyncio
import time
from itertools import pairwise
from uuid import UUID

from psycopg import AsyncConnection

from tests.alerts.town import Town
from tests.faults.alerts_check import judge, lateness
from tests.faults.alerts_stage import AlertsStage
from tests.faults.stage import SECRET_KEY, Verdict

STEP = ("claim_steps", "circles", "page", "move_on", "log", "step_commit")
DELIVERY = (
    "claim_notifications",
    "lease",
    "lease_commit",
    "post",
    "hold_alert",
    "insert_attempt",
    "log:2",
    "delivered",
    "outcome_commit",
)
WITHOUT_BEFORE = ("step_commit", "lease_commit", "post", "outcome_commit")
"""Places in the code rather than statements: there is an `after` only."""
POINTS = [
    f"{where}.{what}"
    for what in (*STEP, *DELIVERY)
    for where in ("before", "after")
    if where == "after" or what not in WITHOUT_BEFORE
]
"""Every statement boundary of an escalation's step and of a delivery."""
STEP_S = 2.0
DIES_WITHIN_S = 40.0
"""What a killed sender had leased is due again after 30 s, and may be what the next one waits for."""


async def kill_points(stage: AlertsStage) -> Verdict:
    """A process for each point, which it dies at; the next one takes up what it left."""
    await stage.have(0)
    before = len(stage.account.triggers)
    await stage.begin(0, STEP_S, ranks=2)
    not_reached = 0
    async with stage.town() as town:
        points = stage.random.sample(POINTS, min(stage.plan.points, len(POINTS)))
        people = await settle(stage, town, len(points), ranks=2)
        for point, person in zip(points, people, strict=True):
            process = await stage.start(stop_at=point, ready=False)
            await stage.trigger(town, person)
            try:
                await process.ended(DIES_WITHIN_S)
            except AssertionError:
                not_reached += 1
            stage.kill(process)
        await stage.start()
    await until_taken(stage, 2)
    await stage.settle()
    verdict = await judge(stage, before)
    verdict.notes["step_late_s"] = await lateness(stage, STEP_S)
    verdict.notes["points_not_reached"] = not_reached
    verdict.notes["points"] = len(points)
    return verdict


async def instances(stage: AlertsStage) -> Verdict:
    """Two to four at once, nobody dies: no step twice, no post twice."""
    await stage.have(stage.random.randint(2, 4))
    before = len(stage.account.triggers)
    await stage.begin(0, 0.5, 0.5, 0.5, ranks=2)
    async with stage.town() as town:
        people = await settle(stage, town, 40, ranks=2)
        for first in range(0, len(people), 8):
            await stage.trigger(town, *people[first : first + 8])
    await until_taken(stage, 4)
    await stage.settle()
    verdict = await judge(stage, before)
    verdict.notes["step_late_s"] = await lateness(stage, 0.5)
    return verdict


async def random_kills(stage: AlertsStage) -> Verdict:
    """Two to four, and every second or so one of them dies and another is started."""
    many = stage.random.randint(2, 4)
    await stage.have(many)
    before = len(stage.account.triggers)
    await stage.begin(0, 1, 1, ranks=2)
    async with stage.town() as town:
        people = await settle(stage, town, 60, ranks=2)
        for number, person in enumerate(people):
            await stage.trigger(town, person)
            await asyncio.sleep(stage.random.uniform(0.05, 0.25))
            if number % 8 == 7:
                stage.kill(stage.random.choice(stage.running))
                await stage.start(ready=False)
    await until_taken(stage, 3)
    await stage.settle()
    verdict = await judge(stage, before)
    verdict.notes["step_late_s"] = await lateness(stage, 1)
    await stage.have(0)
    return verdict


async def database_stopped(stage: AlertsStage) -> Verdict:
    """What became due meanwhile takes one step each, and waits its delay again."""
    delay_s, steps = 4.0, 20
    await stage.have(2)
    before = len(stage.account.triggers)
    await stage.begin(0, *[delay_s] * (steps - 1))
    async with stage.town() as town:
        people = await settle(stage, town, 30)
        await stage.trigger(town, *people)
    await until_taken(stage, 2)
    stage.server.stop()
    await asyncio.sleep(stage.plan.alerts_outage_s)
    stage.server.start()
    back = time.time()
    stage.account.started.append(back)
    async with await AsyncConnection.connect(stage.url, autocommit=True) as db:
        row = await (await db.execute("select max(id) from log")).fetchone()
        assert row is not None
        await until_taken(stage, 4)
        taken = await (
            await db.execute(
                "select alert, extract(epoch from at)::float8 from log where action = 'escalation.step' and id > %s order by alert, id",
                [row[0]],
            )
        ).fetchall()
        firsts: dict[UUID, list[float]] = {}
        for alert, at in taken:
            firsts.setdefault(alert, []).append(at)
        await db.execute("select alert_resolve(id, 'operator:li', 'page', 'drill', '') from alert where state = 'open'")
    await stage.settle()
    verdict = await judge(stage, before)
    verdict.notes["resumed_within_s"] = max(ats[0] for ats in firsts.values()) - back
    verdict.notes["steps_too_soon"] = sum(
        later - sooner < delay_s - 0.1 for ats in firsts.values() for sooner, later in pairwise(ats)
    )
    return verdict


async def answer_races(stage: AlertsStage) -> Verdict:
    """An acknowledgement at the moment at which the next step is due: either the step is before it in the log, or it is not taken."""
    await stage.have(2)
    before = len(stage.account.triggers)
    await stage.begin(0, 1.0, 600, ranks=2)
    async with stage.town() as town:
        people = await settle(stage, town, 20, ranks=2)
        await stage.trigger(town, *people)
        await until_taken(stage, 1)
        rows = await (
            await town.db.execute(
                "select alert, extract(epoch from next_at - clock_timestamp())::float8 from escalation where next_at is not null and step = 1"
            )
        ).fetchall()
    began = time.monotonic()

    async def answer(alert: UUID, due_s: float) -> None:
        await asyncio.sleep(max(0.0, began + due_s + stage.random.uniform(-0.03, 0.06) - time.monotonic()))
        async with await AsyncConnection.connect(stage.url, autocommit=True) as db:
            await stage.acknowledge(db, alert)

    async with asyncio.TaskGroup() as tasks:
        for alert, due_s in rows:
            tasks.create_task(answer(alert, due_s), name=f"answer {alert}")
    await stage.settle()
    await asyncio.sleep(1.2)
    verdict = await judge(stage, before)
    async with await AsyncConnection.connect(stage.url, autocommit=True) as db:
        row = await (
            await db.execute(
                "select count(*) from log s join log a on a.alert = s.alert and a.action = 'alert.acknowledged'"
                " where s.action = 'escalation.step' and s.place > a.place and a.alert = any(%s)",
                [[alert for alert, _ in rows]],
            )
        ).fetchone()
        taken = await (
            await db.execute(
                "select count(*) from escalation where step = 2 and alert = any(%s)", [[alert for alert, _ in rows]]
            )
        ).fetchone()
    assert row is not None
    assert taken is not None
    verdict.notes["steps_after_answer"] = row[0]
    verdict.notes["steps_that_came_first"] = taken[0]
    verdict.notes["answers_lost"] = sum(alert not in stage.account.answered for alert, _ in rows)
    return verdict


async def flood(stage: AlertsStage) -> Verdict:
    """Hundreds of triggers for one resident, from several writers at once: one alert, counted, told once."""
    await stage.have(2)
    before = len(stage.account.triggers)
    await stage.begin(0, 600)
    writers, batches, size = 4, 5, 20
    async with stage.town() as town:
        (person,) = await settle(stage, town, 1)
        given = iter(range(1 << 30))

        async def write() -> None:
            for _ in range(batches):
                async with await AsyncConnection.connect(stage.url, autocommit=True) as db:
                    other = Town(db, SECRET_KEY, triggers=10_000 * (1 + before) + size * next(given))
                    await stage.trigger(other, *[person] * size)

        async with asyncio.TaskGroup() as tasks:
            for number in range(writers):
                tasks.create_task(write(), name=f"flood {number}")
        await stage.settle()
        rows = await (
            await town.db.execute(
                "select a.triggers from alert a join resident r on r.key = a.resident where r.id = %s", [person]
            )
        ).fetchall()
    verdict = await judge(stage, before)
    told = sum(post.resident == person for post in stage.endpoints.look())
    verdict.notes["told_wrong"] = float(rows != [(writers * batches * size,)] or told != 1)
    return verdict


async def settle(stage: AlertsStage, town: Town, homes: int, ranks: int = 1) -> list[str]:
    """So many new residents with a contact of each rank."""
    return await town.settle([[[stage.endpoints.url(n + rank)] for rank in range(ranks)] for n in range(homes)])


async def until_taken(stage: AlertsStage, step: int) -> None:
    await stage.until(
        "not exists (select from trigger where handled_at is null)"
        f" and not exists (select from alert a join escalation e on e.alert = a.id where a.state = 'open' and e.step < {step})",
        60,
        f"step {step} of every alert",
    )

"""Drills: each household once a month. The handset is asked whether it is there, and the first contact that an SOS would call is
told by their own channel and asked to answer by the link, as in earnest; whom it does not reach is listed.

A drill's alert says so in its reason, is of the lowest severity, joins no real one and calls nobody else, whatever is
answered (migration 0017); a real alert of the same person ends it. Any number of processes may run this; one at a time works.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time
from typing import Any

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from alerts import meters
from alerts.circle import Circle, Recipient
from alerts.policies import preview
from alerts.store import one, rows, run, write_log
from homecare import answers
from homecare.database import unavailable
from homecare.errors import DatabaseUnavailable
from homecare.tasks import retry

log = structlog.get_logger()
EVERY_S = 1.0
AFTER_FAILURE_S = 60.0
LOCK = 0x6472696C
AS_IF: dict[str, Any] = {"kind": "sos", "severity": "critical", "service": None}
"""Whom a drill calls is whom this would call first."""
ZH = "演练，不是真的报警：请点“我去”，表明求助通知能到您这里。无需出门。"
EN = "A drill, not an emergency: please press “I am going” to show that calls for help reach you. Nobody needs to go."


class Drills:
    """`kinds`: of channel, that this program can send. `wake` wakes a loop of this process."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection],
        kinds: Sequence[str],
        wake: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._pool, self._kinds, self._wake = pool, list(kinds), wake

    async def run(self) -> None:
        """Until cancelled. What goes wrong with drills never stops what the people's alerts are made of."""
        while True:
            pause_s = EVERY_S
            try:
                await retry(self.step, what="drills", on=DatabaseUnavailable)
            except Exception as error:  # noqa: BLE001 - see above
                log.error("drills_failed", problem=str(error), kind=type(error).__name__)
                meters.FAILURES.labels("drills").inc()
                pause_s = AFTER_FAILURE_S
            await asyncio.sleep(pause_s)

    async def step(self) -> None:
        """Begin what is due, tell whose turn it is, and write down what came of those who were told."""
        with unavailable():
            async with self._pool.connection() as db:
                if not (await (await db.execute("select pg_try_advisory_lock(%s)", [LOCK])).fetchone() or (False,))[0]:
                    return
                try:
                    await self._step(db)
                finally:
                    await db.execute("select pg_advisory_unlock(%s)", [LOCK])

    async def _step(self, db: AsyncConnection) -> None:
        async with db.transaction():
            for drill in await rows(db, "begin_drills", {}):
                await _enrol(db, drill, "system")
        await run(db, "leave_untold", {})
        for household in await rows(db, "households_waiting", {}):
            await self._each(db, household, self._settle)
        for household in await rows(db, "households_to_tell", {}):
            await self._each(db, household, self._tell)
        async with db.transaction():
            for drill in await rows(db, "end_drills", {}):
                detail = {
                    "drill": drill.id,
                    "area": drill.area,
                    "households": drill.households,
                    "reached": drill.reached,
                }
                await write_log(db, None, "drill.ended", detail)
                log.info("drill_ended", **detail)

    async def _each(self, db: AsyncConnection, household: Any, work: Callable[[AsyncConnection, Any], Any]) -> None:
        """One household's trouble must not keep the others from their turn."""
        try:
            async with db.transaction():
                await work(db, household)
        except psycopg.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            log.error("drill_failed", drill=household.drill, problem=str(error), kind=type(error).__name__)
            meters.FAILURES.labels("drill").inc()
            await run(db, "household_failed", {"drill": household.drill, "resident": household.resident})

    async def _tell(self, db: AsyncConnection, household: Any) -> None:
        recipient = await self._first(db, household.resident_id)
        trigger = await one(
            db,
            "insert_drill_trigger",
            {
                "key": f"drill:{household.drill}:{household.resident}",
                "resident": household.resident,
                "area": household.area,
                "evidence": Jsonb({"drill": household.drill}),
                "zh": ZH,
                "en": EN,
            },
        )
        alert = (await one(db, "raise_alert", {"trigger": trigger.id})).alert_id
        command = None
        if household.device is not None:
            command = (await one(db, "test_device", {"device": household.device, "alert": alert})).id
        if recipient is not None:
            whom = {"kind": recipient.kind, "channel": recipient.channel, "contact": recipient.contact}
            await run(db, "tell_of_drill", {"alert": alert, **whom})
        told = {"contact": recipient and recipient.contact, "device_id": household.device_id}
        keys = {"drill": household.drill, "resident": household.resident}
        await run(db, "household_told", {**keys, **told, "alert": alert, "command": command})
        detail = {"drill": household.drill, "contact": told["contact"], "device": household.device_id}
        await write_log(db, alert, "drill.told", detail)
        meters.DRILLED.labels("told").inc()
        self._wake("homecare_outbox")
        self._wake("homecare_command")

    async def _first(self, db: AsyncConnection, resident: str) -> Recipient | None:
        """The first contact whom an SOS of theirs would call now; None: there is none before the operators."""
        now = datetime.now(UTC)
        values = {"alerts": [], "kinds": self._kinds, "resident": resident, "at": now, **AS_IF}
        for found in await rows(db, "circles", values):
            circle = msgspec.convert(found._asdict(), Circle)
            for planned in preview(circle, now):
                for recipient in planned.page.recipients:
                    if recipient.contact is not None:
                        return recipient
        return None

    async def _settle(self, db: AsyncConnection, household: Any) -> None:
        if household.people is not None and household.open:
            await answers.resolve(db, household.alert, "system", "drill", "drill")
        if household.people is None or household.device is None:
            return
        verdict = {"people": household.people, "device": household.device}
        keys = {"drill": household.drill, "resident": household.resident}
        if await one(db, "end_household", {**keys, **verdict}):
            await write_log(db, household.alert, "drill.result", {"drill": household.drill, **verdict})
            meters.DRILLED.labels(household.people).inc()


async def start(
    db: AsyncConnection,
    area: str,
    by: str,
    *,
    begins: time | None = None,
    ends: time | None = None,
    per_minute: int | None = None,
    answer_s: float | None = None,
) -> int | None:
    """Begin a drill of an area by hand, in the hours `begins`..`ends` of its clock; its number. None: there is no such area, or one runs."""
    async with db.transaction():
        values = {
            "area": area,
            "by": by,
            "begins": begins,
            "ends": ends,
            "per_minute": per_minute,
            "answer_s": answer_s,
        }
        drill = await one(db, "start_drill", values)
        if drill is not None:
            await _enrol(db, drill, by)
    return None if drill is None else int(drill.id)


async def stop(db: AsyncConnection, area: str, by: str) -> int | None:
    """Tell nobody more; its number, None: none runs there."""
    async with db.transaction():
        drill = await one(db, "stop_drill", {"area": area, "by": by})
        if drill is not None:
            await write_log(db, None, "drill.stopped", {"drill": drill.id, "area": area, "by": by})
    return None if drill is None else int(drill.id)


async def _enrol(db: AsyncConnection, drill: Any, by: str) -> None:
    await run(db, "enrol", {"drill": drill.id})
    await write_log(db, None, "drill.started", {"drill": drill.id, "area": drill.area, "by": by})

"""Triggers that the rules wrote: each raised one opens or joins an alert, each cleared one clears it, in their order."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from alerts import meters
from alerts.store import Begin, one, rows, run, write_log
from homecare.database import unavailable
from homecare.errors import DatabaseUnavailable
from homecare.tasks import retry
from homecare.wakeups import Wakeups

log = structlog.get_logger()
POLL_S = 1.0
MOST = 200
BEGUN_AT_ONCE = 8
"""Alerts of one batch whose first step is taken with it. Beyond that it is quicker to let escalation take many in one go."""
Handled = tuple[str, UUID | None]
"""What became of a trigger, and the alert that it opened."""


class Intake:
    """Any number of processes may run one; one at a time works.

    `begin` takes the first step of an alert in the transaction that opens it, `post` is given what it leased after the commit.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection],
        wakeups: Wakeups,
        begin: Begin,
        post: Callable[[Sequence[Any]], None],
    ) -> None:
        self._pool, self._wakeups, self._begin, self._post = pool, wakeups, begin, post

    async def run(self) -> None:
        """Until cancelled. NOTIFY wakes it early."""
        while True:
            if await retry(self.handle, what="intake", on=DatabaseUnavailable) < MOST:
                await self._wakeups.wait("homecare_trigger", POLL_S)

    async def handle(self) -> int:
        """One batch of waiting triggers in one transaction; how many there were."""
        opened: list[UUID] = []
        posts: list[Any] = []
        with unavailable():
            async with self._pool.connection() as db, db.transaction():
                locked = await one(db, "lock_intake", {})
                waiting = await rows(db, "waiting_triggers", {"most": MOST}) if locked[0] else []
                for outcome, alert in await self._handle_all(db, waiting):
                    meters.TRIGGERS.labels(outcome).inc()
                    if alert is not None:
                        opened.append(alert)
                # What the same batch may have cleared is left to escalation, which looks at what became of it.
                if len(opened) <= BEGUN_AT_ONCE and all(trigger.state == "raised" for trigger in waiting):
                    for alert in opened:
                        posts += await self._begin(db, alert)
        self._post(posts)
        if opened:
            self._wakeups.wake("homecare_outbox" if posts else "homecare_escalation")
        return len(waiting)

    async def _handle_all(self, db: AsyncConnection, waiting: Sequence[Any]) -> list[Handled]:
        """In their order. A whole batch that only raises goes in one statement, unless one of them is in trouble."""
        if len(waiting) > 1 and all(trigger.plain for trigger in waiting):
            try:
                async with db.transaction():
                    raised = await rows(db, "raise_alerts", {"triggers": [trigger.id for trigger in waiting]})
                    return [_outcome(each) for each in raised]
            except psycopg.OperationalError:
                raise
            except psycopg.Error as error:
                log.warning("batch_not_raised", triggers=len(waiting), problem=error.diag.message_primary)
        return [await self._handle(db, trigger) for trigger in waiting]

    async def _handle(self, db: AsyncConnection, trigger: Any) -> Handled:
        try:
            async with db.transaction():
                if trigger.plain:
                    return _outcome(await one(db, "raise_alert", {"trigger": trigger.id}))
                return await (_join(db, trigger.id) if trigger.state == "raised" else _clear(db, trigger.id))
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            # It must not stop those behind it; people learn of it by the log and the counter.
            problem = error.diag.message_primary or type(error).__name__
            log.error("trigger_not_handled", trigger=trigger.id, problem=problem)
            await write_log(db, None, "trigger.failed", {"trigger": trigger.id, "problem": problem})
            await run(db, "trigger_handled", {"trigger": trigger.id, "alert": None})
            return "failed", None


def _outcome(raised: Any) -> Handled:
    return raised.outcome, raised.alert_id if raised.outcome == "opened" else None


async def _join(db: AsyncConnection, trigger: int) -> Handled:
    about = await one(db, "case_of_sequence", {"trigger": trigger})
    if about is not None:
        # An SOS that was taken back has its case already, in which somebody is asked to confirm.
        await run(db, "trigger_handled", {"trigger": trigger, "alert": about.id})
        detail = {"trigger": trigger, "rule": about.rule, "severity": about.severity, "at": about.at.isoformat()}
        await write_log(db, about.id, "alert.joined", detail)
        return "joined", None
    return _outcome(await one(db, "raise_alert", {"trigger": trigger}))


async def _clear(db: AsyncConnection, trigger: int) -> Handled:
    about = await one(db, "alert_to_clear", {"trigger": trigger})
    alert: UUID | None = None if about is None else about.id
    await run(db, "trigger_handled", {"trigger": trigger, "alert": alert})
    if about is None:
        return "nothing_open", None
    # After the trigger has joined the alert, whose series then tell whether all of it is over.
    return str((await one(db, "clear_alert", {"alert": alert, "at": about.at}))[0]), None

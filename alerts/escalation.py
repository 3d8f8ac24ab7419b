"""Escalation: one transaction claims what is due, writes the notifications and the next deadline; others go to the network.

All the state is the row `escalation`, all time the database's, so a restart, a second instance or a wrong host clock
changes nothing. What is long overdue takes one step and waits its delay again: steps never fire all at once.
"""

from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from alerts import meters, stops
from alerts.circle import Recipient
from alerts.circles import circle_rows, to_circle
from alerts.policies import Page, next_page
from alerts.store import one, rows, run, write_log
from homecare.database import unavailable
from homecare.errors import DatabaseUnavailable
from homecare.tasks import retry
from homecare.wakeups import Wakeups

log = structlog.get_logger()
POLL_S = 1.0
MOST = 100


class Due(NamedTuple):
    """An alert whose next step is due: its state, the last step taken, in which round, by which policy, how long it is open."""

    alert: UUID
    state: str
    step: int
    round: int
    policy: str | None
    age_s: float


class Escalation:
    """`kinds`: of channel, that this program can send."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection], wakeups: Wakeups, kinds: tuple[str, ...]) -> None:
        self._pool, self._wakeups, self._kinds = pool, wakeups, kinds

    async def run(self) -> None:
        """Until cancelled. NOTIFY wakes it early, and so does the next deadline."""
        while True:
            wait_s = await retry(self.step, what="escalation", on=DatabaseUnavailable)
            if wait_s > 0:
                await self._wakeups.wait("homecare_escalation", wait_s)

    async def step(self) -> float:
        """Take all steps that are due, at most MOST; seconds until there may be another."""
        with unavailable():
            async with self._pool.connection() as db:
                if (back := (await one(db, "clock_check", {}))[0]) is not None:
                    log.warning("clock_set_back", seconds=back.total_seconds())
                async with db.pipeline(), db.transaction():
                    due = [Due(*row) for row in await rows(db, "claim_steps", {"most": MOST})]
                    open_ = [alert for alert in due if alert.state == "open"]
                    circles = await circle_rows(db, [alert.alert for alert in open_], self._kinds) if open_ else {}
                    for alert in due:
                        if alert.state == "open":
                            await self._take(db, alert, circles[alert.alert])
                        else:
                            # Of an answer the time is over; where that opens the alert again, its first step is due now.
                            await run(db, "answer_overdue", {"alert": alert.alert})
                if due:
                    stops.reached("after", "step_commit")
                    self._wakeups.wake("homecare_outbox")
                if len(due) == MOST:
                    return 0.0
                soon = await one(db, "next_step_in", {})
                return POLL_S if soon[0] is None else min(POLL_S, max(0.01, soon[0]))

    async def begin(self, db: AsyncConnection, alert: UUID) -> None:
        """The first step, in the transaction that opened the alert: nobody waits for another. If it fails, the timer has it."""
        await self._take(db, Due(alert, "open", 0, 0, None, 0.0))

    async def _take(self, db: AsyncConnection, due: Due, found: Any = None) -> None:
        """`found`: the alert's row of the query `circles`, where it was read before."""
        try:
            async with db.transaction():
                found = found or (await circle_rows(db, [due.alert], self._kinds))[due.alert]
                circle = to_circle(found)
                if circle.severity == "critical" and circle.kind not in ("sos", "fall"):
                    await run(db, "end_quiet", {"alert": due.alert})
                page = next_page(circle, due.policy, due.step, due.round, due.age_s)
                await self._write(db, due.alert, page)
            meters.STEPS.labels(page.reason).inc()
        except psycopg.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - one alert's trouble must not stop the others, nor may it be forgotten
            log.error("step_failed", alert=str(due.alert), problem=str(error), kind=type(error).__name__)
            meters.FAILURES.labels("escalation").inc()
            await run(db, "postpone", {"alert": due.alert})
            if await one(db, "page_at_last", {"alert": due.alert}) is not None:
                await write_log(db, due.alert, "escalation.failed", {"step": due.step, "problem": type(error).__name__})

    async def _write(self, db: AsyncConnection, alert: Any, page: Page) -> None:
        wanted: list[tuple[Recipient, int, Any]] = [(recipient, page.step, None) for recipient in page.recipients]
        wanted += ((deferred.recipient, deferred.step, deferred.until) for deferred in page.deferred)
        told = await rows(
            db,
            "page",
            {
                "alert": alert,
                "round": page.round,
                "contacts": [r.contact for r, _, _ in wanted],
                "channels": [r.channel for r, _, _ in wanted],
                "kinds": [r.kind for r, _, _ in wanted],
                "areas": [r.area for r, _, _ in wanted],
                "steps": [step for _, step, _ in wanted],
                "types": [page.type_of(step) for _, step, _ in wanted],
                "untils": [until for _, _, until in wanted],
            },
        )
        values = {"alert": alert, "step": page.step, "round": page.round, "policy": page.policy.id}
        await run(db, "move_on", {**values, "delay_s": page.delay_s})
        for skipped in page.skipped:
            await write_log(db, alert, "escalation.skipped", {"step": skipped.step, "reason": skipped.reason})
        for gap in page.gaps:
            await write_log(db, alert, "escalation.gap", {"step": gap.step, "round": page.round, "rota": gap.rota})
        for row in told:
            if row.not_before is not None:
                detail = {"contact": row.contact, "step": row.step, "until": row.not_before.isoformat()}
                await write_log(db, alert, "escalation.deferred", {**detail, "notification": str(row.id)})
        if page.reason != "waiting":
            detail = {
                "reason": page.reason,
                "policy": page.policy.id,
                "step": page.step,
                "round": page.round,
                "to": [_named(recipient) for recipient in page.recipients],
                "notifications": [str(row.id) for row in told if row[1] and row.not_before is None],
                "again": [str(row.id) for row in told if not row[1]],
            }
            await write_log(db, alert, "escalation.step", detail)


def _named(recipient: Recipient) -> dict[str, Any]:
    named: dict[str, Any] = msgspec.to_builtins(recipient)
    return named

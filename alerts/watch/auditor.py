"""The auditor: every 30 s it looks whether what must always hold does hold, mends what is safe to mend, and tells the operators.

It shares nothing with what it audits but the database. Any number of processes may run one: a repair looks again under
its lock, and of each trouble one alert is open however many find it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from alerts import meters
from alerts.store import one, rows, write_log
from alerts.watch.troubles import Begin, Trouble, over, tell
from homecare.database import unavailable
from homecare.errors import DatabaseUnavailable
from homecare.tasks import retry

log = structlog.get_logger()
EVERY_S = 30.0
EXAMPLES = 5


class Check(NamedTuple):
    """What should never be found. `name` is also its query; `repair` the query that mends one; `wakes` who should have seen to it.

    `zh` and `en` with {count} and {seconds}, how long the worst has lasted.
    """

    name: str
    repair: str | None
    wakes: str
    zh: str
    en: str


CHECKS = (
    Check(
        "no_timer",
        "repair_no_timer",
        "homecare_escalation",
        "系统自查：{count} 个无人处理的报警没有计时，不会再通知任何人；已自动补上。请查看这些报警。",
        "Self-check: {count} alerts that nobody has had no timer, and nobody would have been called; it was set. Please look at them.",
    ),
    Check(
        "late_timer",
        None,
        "homecare_escalation",
        "系统自查：{count} 个报警的下一步通知晚了，最久 {seconds} 秒。请人工查看未处理的报警。",
        "Self-check: the next step of {count} alerts is late, by up to {seconds} s. Please look through the open alerts.",
    ),
    Check(
        "stuck_lease",
        "repair_stuck_lease",
        "homecare_outbox",
        "系统自查：{count} 条通知卡在已停止的发送程序中，最久 {seconds} 秒；已放开重发。",
        "Self-check: {count} notifications were held by a sender that is gone, for up to {seconds} s; they were let go.",
    ),
    Check(
        "waiting_notification",
        None,
        "homecare_outbox",
        "系统自查：{count} 条通知到时未发出，最久已等 {seconds} 秒。请直接打电话给相关联系人。",
        "Self-check: {count} notifications are due and not sent, for up to {seconds} s. Please call the contacts yourself.",
    ),
    Check(
        "waiting_command",
        None,
        "homecare_command",
        "系统自查：{count} 条设备指令未发出，最久已等 {seconds} 秒。",
        "Self-check: {count} commands to devices are not sent, for up to {seconds} s.",
    ),
    Check(
        "unhandled_trigger",
        None,
        "homecare_trigger",
        "系统自查：{count} 条触发尚未变成报警，最久已等 {seconds} 秒。",
        "Self-check: {count} triggers have not become alerts yet, for up to {seconds} s.",
    ),
)


class Found(NamedTuple):
    """What a check found in one round."""

    name: str
    wrong: int
    repaired: int


class Auditor:
    """`begin` takes the first step of an alert; `wake` wakes a loop of this process."""

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection], begin: Begin, wake: Callable[[str], None] = lambda _: None
    ) -> None:
        self._pool, self._begin, self._wake = pool, begin, wake

    async def run(self) -> None:
        """Until cancelled. The first look is after the first pause: what was overdue at the start has been seen to by then."""
        while True:
            await asyncio.sleep(EVERY_S)
            await retry(self.look, what="audit", on=DatabaseUnavailable)

    async def look(self) -> list[Found]:
        """One round of every check; one that fails does not keep the others from theirs."""
        found = []
        for check in CHECKS:
            try:
                with unavailable():
                    async with self._pool.connection() as db:
                        found.append(await self._check(db, check))
            except DatabaseUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - see above
                log.error("check_failed", check=check.name, problem=str(error), kind=type(error).__name__)
                meters.FAILURES.labels("audit").inc()
        meters.AUDITED.set_to_current_time()
        return found

    async def _check(self, db: AsyncConnection, check: Check) -> Found:
        wrong = await rows(db, check.name, {})
        repaired = [row.id for row in wrong if check.repair and await self._repair(db, check, row)]
        meters.TROUBLES.labels(check.name).set(len(wrong))
        meters.REPAIRS.labels(check.name).inc(len(repaired))
        trouble = _trouble(check, wrong, repaired)
        async with db.transaction():
            if wrong:
                await tell(db, trouble, self._begin)
            else:
                await over(db, trouble)
        if wrong:
            log.error("audit_found", check=check.name, **trouble.evidence)
            for channel in {check.wakes, "homecare_escalation"}:
                self._wake(channel)
        return Found(check.name, len(wrong), len(repaired))

    async def _repair(self, db: AsyncConnection, check: Check, row: Any) -> bool:
        assert check.repair is not None
        async with db.transaction():
            mended = await one(db, check.repair, {"id": row.id})
            if mended is not None:
                detail = {"check": check.name, "id": str(row.id), "seconds": round(row.seconds, 1)}
                await write_log(db, mended.alert, "audit.repaired", detail)
        return mended is not None


def _trouble(check: Check, wrong: Sequence[Any], repaired: Sequence[Any]) -> Trouble:
    worst = max((row.seconds for row in wrong), default=0.0)
    return Trouble(
        rule=f"service.{check.name}",
        kind="device",
        severity="urgent",
        zh=check.zh.format(count=len(wrong), seconds=round(worst)),
        en=check.en.format(count=len(wrong), seconds=round(worst)),
        evidence={
            "count": len(wrong),
            "repaired": len(repaired),
            "longest_s": round(worst, 1),
            "examples": [str(row.id) for row in wrong[:EXAMPLES]],
        },
    )

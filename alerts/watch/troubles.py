"""What is wrong with the service itself, as one alert of the operators at each root: opened once, joined never, and over when it is.

It opens its alert and takes its first step itself, in one transaction: the intake or the escalation may be what is wrong.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import msgspec
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from alerts.store import one, rows, run
from homecare.triggers import Kind, Severity

Begin = Callable[[AsyncConnection, UUID], Awaitable[object]]
"""Takes an alert's first step, in the transaction that opened it."""
VERSION = 1


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """`rule` names it and is its alert's reason code, like `service.late_timer`."""

    rule: str
    kind: Kind
    severity: Severity
    zh: str
    en: str
    evidence: dict[str, Any]


async def tell(db: AsyncConnection, trouble: Trouble, begin: Begin) -> list[UUID]:
    """Open an alert at every root where none is open for it; those that were opened. In its caller's transaction."""
    opened = []
    for root in await rows(db, "trouble_untold", {"kind": trouble.kind, "rule": trouble.rule}):
        stored = await one(db, "insert_own_trigger", _trigger(trouble, root.code, "raised"))
        raised = await one(db, "raise_alert", {"trigger": stored.id})
        if raised.outcome == "opened":
            await begin(db, raised.alert_id)
            opened.append(raised.alert_id)
    return opened


async def over(db: AsyncConnection, trouble: Trouble) -> int:
    """It is no more: what is open for it is cleared by whoever handles triggers. How many alerts that concerns."""
    told = await rows(db, "trouble_told", {"kind": trouble.kind, "rule": trouble.rule})
    for case in told:
        await run(db, "insert_own_trigger", _trigger(trouble, case.code, "cleared"))
    return len(told)


def _trigger(trouble: Trouble, area: str, state: str) -> dict[str, Any]:
    ident = uuid4()
    return {
        "key": f"{trouble.rule}:{area}:{ident}",
        "rule": trouble.rule,
        "version": VERSION,
        "kind": trouble.kind,
        "severity": trouble.severity,
        "state": state,
        "area": area,
        "evidence": Jsonb(trouble.evidence),
        "zh": trouble.zh,
        "en": trouble.en,
    }

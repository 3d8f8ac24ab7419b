"""Whom an alert can reach, read from the database: for alerts whose step is due, or for a resident in whose place one might be."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from alerts.circle import Circle
from alerts.store import one, rows
from homecare.triggers import Severity

NO_CASE = dict.fromkeys(("resident", "kind", "severity", "service", "at"))


async def circle_rows(db: AsyncConnection, alerts: list[UUID], kinds: tuple[str, ...]) -> dict[UUID, Any]:
    """A row for `to_circle` by alert. `kinds`: of channel, that can be sent."""
    found = await rows(db, "circles", {"alerts": alerts, "kinds": list(kinds), **NO_CASE})
    return {row.id: row for row in found}


def to_circle(row: Any) -> Circle:
    """The circle of a row. msgspec.ValidationError where the database holds what no circle does."""
    return msgspec.convert(row._asdict(), Circle)


async def circle_of_resident(
    db: AsyncConnection, resident: str, kind: str, severity: Severity, at: datetime, service: str | None
) -> Circle | None:
    """As if such an alert were raised at `at`; channels of every kind there is. None: there is no such resident."""
    kinds = await one(db, "channel_kinds", {})
    case = {"resident": resident, "kind": kind, "severity": severity, "service": service, "at": at}
    row = await one(db, "circles", {"alerts": [], "kinds": kinds[0], **case})
    return None if row is None else to_circle(row)

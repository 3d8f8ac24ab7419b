"""What may be done with an alert, for every way in: thin calls of the database's own functions (migrations 0004 and 0014)."""

from typing import Literal
from uuid import UUID

from psycopg import AsyncConnection

Answer = Literal[
    "acknowledged",
    "already_acknowledged",
    "arrived",
    "already_arrived",
    "declined",
    "confirmed",
    "already_confirmed",
    "reopened",
    "resolved",
    "cancelled",
    "cleared",
    "noted",
    "closed",
    "unknown",
]
"""`closed`: it was resolved or cancelled before; `unknown`: there is no such alert."""
Outcome = Literal["true", "false", "drill", "technical"]


async def _call(db: AsyncConnection, sql: str, *args: object) -> Answer:
    row = await (await db.execute(sql, args)).fetchone()
    assert row is not None
    answer: Answer = row[0]
    return answer


async def acknowledge(db: AsyncConnection, alert: UUID, actor: str, how: str, note: str = "") -> Answer:
    """Somebody has it: escalation stops, everyone told is told. `actor` like `operator:li`, `how` like `page`, `api`, `link`."""
    return await _call(db, "select alert_acknowledge(%s, %s, %s, %s)", alert, actor, how, note)


async def arrive(db: AsyncConnection, alert: UUID, actor: str, how: str, note: str = "") -> Answer:
    """Somebody is with the person: the acknowledgement holds until it is resolved."""
    return await _call(db, "select alert_arrive(%s, %s, %s, %s)", alert, actor, how, note)


async def decline(db: AsyncConnection, alert: UUID, actor: str, how: str, note: str = "") -> Answer:
    """They cannot: who had it gives it back; where all who were told cannot, the next step is due at once."""
    return await _call(db, "select alert_decline(%s, %s, %s, %s)", alert, actor, how, note)


async def confirm(db: AsyncConnection, alert: UUID, actor: str, how: str, *, well: bool, note: str = "") -> Answer:
    """Of an SOS its wearer took back: somebody made sure that they are well, or it is open again (`reopened`)."""
    return await _call(db, "select alert_confirm(%s, %s, %s, %s, %s)", alert, actor, how, well, note)


async def resolve(db: AsyncConnection, alert: UUID, actor: str, how: str, outcome: Outcome, note: str = "") -> Answer:
    """It is over, with what it turned out to be."""
    return await _call(db, "select alert_resolve(%s, %s, %s, %s, %s)", alert, actor, how, outcome, note)


async def cancel(db: AsyncConnection, alert: UUID, actor: str, how: str, note: str = "") -> Answer:
    """The wearer takes it back."""
    return await _call(db, "select alert_cancel(%s, %s, %s, %s)", alert, actor, how, note)


async def note(db: AsyncConnection, alert: UUID, actor: str, text: str) -> Answer:
    """A remark on the case, in the log."""
    return await _call(db, "select alert_note(%s, %s, %s)", alert, actor, text)

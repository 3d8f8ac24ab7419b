"""Alerts as the pages and the API see them: what is live, one with its story, and the answers people give."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dashboards.store import Store
from dashboards.viewer import Viewer
from homecare import answers
from homecare.answers import Answer, Outcome

MOST_LIVE = 500
MOST_CLOSED = 30


@dataclass(frozen=True, slots=True)
class Shown:
    """A row of the view `alert_shown`. `told` and `next_to` are lists of who was told and who is next."""

    id: UUID
    number: int
    kind: str
    metric: str | None
    severity: str
    state: str
    area: str | None
    dedup_key: str
    area_zh: str | None
    area_en: str | None
    resident_id: str | None
    resident_name: str | None
    resident_phone: str | None
    resident_address: str | None
    device_id: str | None
    device_kind: str | None
    raised_at: datetime
    opened_at: datetime
    delayed_s: float
    reason_code: str
    reason_zh: str
    reason_en: str
    lat: float | None
    lon: float | None
    accuracy: float | None
    position_at: datetime | None
    triggers: int
    last_trigger_at: datetime
    cleared_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledged_name: str | None
    acknowledged_how: str | None
    acknowledged_note: str | None
    closed_at: datetime | None
    closed_by: str | None
    closed_name: str | None
    closed_how: str | None
    closed_note: str | None
    outcome: str | None
    step: int
    round: int
    next_at: datetime | None
    told: list[dict[str, Any]]
    next_to: list[dict[str, Any]]
    console_waiting: bool
    answer_until: datetime | None
    arrived_at: datetime | None
    arrived_by: str | None
    arrived_name: str | None
    confirm_until: datetime | None
    confirmed_at: datetime | None
    confirmed_by: str | None
    confirmed_name: str | None

    @property
    def live(self) -> bool:
        return self.state in ("open", "acknowledged")

    @property
    def to_confirm(self) -> bool:
        """Whether the wearer took an SOS back and nobody has made sure yet that they are well."""
        return self.state == "cancelled" and self.kind == "sos" and self.confirmed_at is None

    @property
    def late(self) -> bool:
        """Whether it was raised noticeably before it came here."""
        return self.delayed_s >= 60


@dataclass(frozen=True, slots=True)
class Contact:
    """The contact a link was sent to, and the zone they read times in."""

    id: str
    name: str
    language: str
    timezone: str


async def live_alerts(store: Store, viewer: Viewer) -> list[Shown]:
    """Unanswered first, then by severity, then the longest waiting."""
    return await store.rows("live_alerts", Shown, most=MOST_LIVE, **viewer.reach)


async def closed_alerts(store: Store, viewer: Viewer) -> list[Shown]:
    """Of the last day, the latest first."""
    return await store.rows("closed_alerts", Shown, most=MOST_CLOSED, **viewer.reach)


async def find_alert(store: Store, viewer: Viewer, alert: UUID) -> Shown | None:
    """None where there is none, or it is not theirs to see."""
    return await store.row("alert", Shown, id=alert, **viewer.reach)


async def page_of_alerts(
    store: Store, viewer: Viewer, *, before: int, states: Sequence[str] | None, most: int
) -> list[Shown]:
    """The newest first, with numbers below `before`."""
    return await store.rows(
        "page_of_alerts", Shown, before=before, states=list(states) if states else None, most=most, **viewer.reach
    )


async def resident_alerts(store: Store, viewer: Viewer, resident: str) -> list[Shown]:
    """A person's latest, as far as they are the viewer's."""
    return await store.rows("resident_alerts", Shown, resident=resident, most=50, **viewer.reach)


async def acknowledge(store: Store, alert: UUID, actor: str, how: str, note: str = "") -> Answer:
    async with store.connection() as db:
        return await answers.acknowledge(db, alert, actor, how, note)


async def arrive(store: Store, alert: UUID, actor: str, how: str, note: str = "") -> Answer:
    async with store.connection() as db:
        return await answers.arrive(db, alert, actor, how, note)


async def decline(store: Store, alert: UUID, actor: str, how: str, note: str = "") -> Answer:
    async with store.connection() as db:
        return await answers.decline(db, alert, actor, how, note)


async def declined(store: Store, alert: Shown, actor: str) -> bool:
    """Whether they said that they cannot, in the round that is now."""
    row = await store.mappings("declined", id=alert.id, actor=actor, round=alert.round)
    return bool(row)


async def confirm(store: Store, alert: UUID, actor: str, how: str, *, well: bool, note: str = "") -> Answer:
    async with store.connection() as db:
        return await answers.confirm(db, alert, actor, how, well=well, note=note)


async def resolve(store: Store, alert: UUID, actor: str, how: str, outcome: Outcome, note: str = "") -> Answer:
    async with store.connection() as db:
        return await answers.resolve(db, alert, actor, how, outcome, note)


async def add_note(store: Store, alert: UUID, actor: str, text: str) -> Answer:
    async with store.connection() as db:
        return await answers.note(db, alert, actor, text)


async def confirm_console(store: Store, viewer: Viewer, alerts: Sequence[UUID]) -> int:
    """The viewer's page shows these alerts: their console notifications are delivered. Returns how many were."""
    return await store.execute("confirm_console", alerts=list(alerts), actor=viewer.actor, **viewer.reach)

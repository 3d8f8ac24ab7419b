"""What happened to an alert, step by step: the log, the notifications and every attempt at them, as one line of time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dashboards.store import Store


@dataclass(frozen=True, slots=True)
class Logged:
    """A line of the log; `name` of the operator or contact behind `actor`, where there is one."""

    id: int
    at: datetime
    actor: str
    name: str | None
    action: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notified:
    """A notification with its attempts ({at, outcome, status, error, took_ms})."""

    id: UUID
    created_at: datetime
    type: str
    step: int
    round: int
    channel_kind: str
    state: str
    last_error: str | None
    next_at: datetime
    name: str | None
    attempts: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Triggered:
    """What called for people, with its evidence."""

    at: datetime
    rule: str
    version: int
    severity: str
    state: str
    evidence: dict[str, Any]
    zh: str
    en: str
    device_id: str | None


@dataclass(frozen=True, slots=True)
class Moment:
    """One point of the story: exactly one of the three is there."""

    at: datetime
    logged: Logged | None = None
    notified: Notified | None = None
    attempted: tuple[Notified, dict[str, Any]] | None = None


def line_of_time(log: list[Logged], notifications: list[Notified]) -> list[Moment]:
    """Everything in the order it happened. The log's own lines about notifications give way to the attempts themselves."""
    moments = [Moment(entry.at, logged=entry) for entry in log if not entry.action.startswith("notification.")]
    for notification in notifications:
        moments.append(Moment(notification.created_at, notified=notification))
        moments += [
            Moment(datetime.fromisoformat(attempt["at"]), attempted=(notification, attempt))
            for attempt in notification.attempts
        ]
    return sorted(moments, key=lambda moment: moment.at)


async def tell_story(store: Store, alert: UUID) -> tuple[list[Moment], list[Triggered]]:
    """The line of time, and the triggers; the caller has checked that the alert may be seen."""
    log = await store.rows("alert_log", Logged, id=alert)
    notifications = await store.rows("alert_notifications", Notified, id=alert)
    return line_of_time(log, notifications), await store.rows("alert_triggers", Triggered, id=alert)

"""What may be done with a letter that nobody got, for every way in: thin calls of the database's functions (migration 0016)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Outcome = Literal[
    "replayed", "dismissed", "not_there", "channel_deleted", "channel_disabled", "not_needed", "no_reason"
]
"""`not_there`: no dead letter (any more), or not theirs; `not_needed`: its alert is no longer open."""
MOST_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A notification that was given up: columns of the view `dead_letter`."""

    id: UUID
    type: str
    alert: UUID | None
    number: int | None
    kind: str | None
    severity: str | None
    alert_state: str | None
    resident_id: str | None
    resident_name: str | None
    contact: str | None
    contact_name: str | None
    contact_phone: str | None
    channel_kind: str
    disabled_reason: str | None
    created_at: datetime
    attempts: int
    last_error: str | None
    last_attempt: datetime | None
    area: str | None

"""A trigger: a rule or an event that calls for people, with the evidence that made it."""

from typing import Any, Literal

import msgspec

Kind = Literal[
    "sos",
    "fall",
    "assist",
    "vital",
    "change",
    "score",
    "silence",
    "routine",
    "place",
    "wander",
    "battery",
    "device",
    "home",
    "outage",
]
Severity = Literal["critical", "urgent", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "urgent", "warning", "info")
"""Most severe first."""


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says at one moment about one device or person.

    `key` is the same however often and in whatever batches the same input is seen, so that a replay stores it once.
    `state` is "raised", or "cleared" when what was raised before is over.
    """

    key: str
    at: int
    """Unix ms of the reading (or, for silence, of the sweep's threshold) that made it."""
    rule: str
    version: int
    kind: Kind
    metric: str | None
    severity: Severity
    state: Literal["raised", "cleared"]
    device: int
    """Key of the device; 0: none, it is about an area."""
    resident: int
    """Key of the person measured; 0: nobody."""
    area: str | None = None
    """Code of the area it is about, where it is about no device."""
    evidence: dict[str, Any]
    """JSON: the readings, limits and times behind it, units by the metric."""
    zh: str
    en: str

"""What programs are sent: the webhook's body, exactly in the contract's shape, and what a device shows while it rings.

Pure: what is known goes in, JSON comes out.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from homecare.clock import to_rfc3339


class Place(msgspec.Struct, frozen=True):
    """WGS-84 degrees, accuracy m or None, and when the device was there."""

    lat: float
    lon: float
    accuracy: float | None
    at: datetime


class AlertMessage(msgspec.Struct, frozen=True):
    """What a contact is told of an alert. `resident` is (id, name)."""

    type: str
    timestamp: datetime
    alert_id: UUID
    kind: str
    severity: str
    state: str
    resident: tuple[str, str] | None
    device: str | None
    area: str | None
    raised_at: datetime
    delayed_s: float
    position: Place | None
    reason_code: str
    reason_zh: str
    reason_en: str
    step: int
    acknowledge_url: str


def render_alert(message: AlertMessage) -> str:
    """The JSON text of an `alert.*` notification."""
    position = message.position
    return _json(
        message.type,
        message.timestamp,
        {
            "alert_id": str(message.alert_id),
            "kind": message.kind,
            "severity": message.severity,
            "state": message.state,
            "resident": {"id": message.resident[0], "name": message.resident[1]} if message.resident else None,
            "device": message.device,
            "area": message.area,
            "raised_at": to_rfc3339(message.raised_at),
            "delayed_s": int(message.delayed_s),
            "position": position
            and {
                "lat": position.lat,
                "lon": position.lon,
                "accuracy": position.accuracy,
                "at": to_rfc3339(position.at),
            },
            "reason": {"code": message.reason_code, "zh": message.reason_zh, "en": message.reason_en},
            "step": message.step,
            "acknowledge_url": message.acknowledge_url,
        },
    )


def render_test(timestamp: datetime) -> str:
    """The JSON text of a `test` notification: no alert, no person."""
    return _json(
        "test", timestamp, {"zh": "这是一条测试消息，无需处理。", "en": "This is a test. Nothing needs to be done."}
    )


def render_ring(alert: UUID | None, text: str, number: str | None) -> str:
    """The JSON text of a command's `args`: what to show, and whom to call where the device is to call."""
    args = {"alert": None if alert is None else str(alert), "text": text, "number": number}
    return msgspec.json.encode({name: value for name, value in args.items() if value is not None}).decode()


def _json(type_: str, timestamp: datetime, data: dict[str, Any]) -> str:
    return msgspec.json.encode({"type": type_, "timestamp": to_rfc3339(timestamp), "data": data}).decode()

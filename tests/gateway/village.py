"""A small village for the checks: one worn handset, one kiosk, one sensor nobody wears, one revoked handset."""

import json
from typing import Any

from gateway.edge import Edge
from gateway.registry import Registry
from homecare.checked import Checked
from homecare.devices import RegisteredDevice, Wearing
from homecare.messages import Inbound

AREA = "990101"
NOW = 1_795_289_357_123
"""The time of receipt in these tests, Unix ms."""
WEARER, EARLIER_WEARER, VISITOR = 11, 12, 13
HANDSET, KIOSK, SENSOR = 1, 2, 3
MOVED_IN = NOW - 86_400_000
"""Since when WEARER has the handset."""


def registry() -> Registry:
    known = Registry(
        [
            RegisteredDevice(
                HANDSET, "H-1", AREA, "handset", 60.0, (Wearing(EARLIER_WEARER, 0, MOVED_IN), Wearing(WEARER, MOVED_IN))
            ),
            RegisteredDevice(KIOSK, "K-1", AREA, "kiosk", 3600.0),
            RegisteredDevice(SENSOR, "S-1", AREA, "home_sensor", 300.0),
            RegisteredDevice(4, "H-revoked", AREA, "handset", 60.0, revoked=True),
        ],
        areas=[AREA, "990102"],
    )
    known.update_subjects([(VISITOR, "R-000013", "CARD-77"), (WEARER, "R-000011", None)])
    return known


def inbound(
    payload: Any, kind: str = "telemetry", device: str = "H-1", area: str = AREA, retained: bool = False
) -> Inbound:
    """A message received at NOW; `payload` is the bytes, or what they are the JSON of."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Inbound(f"care/v1/{area}/{device}/{kind}", raw, NOW, retained)


def check(payload: Any, kind: str = "telemetry", device: str = "H-1", area: str = AREA) -> Checked:
    return Edge(registry()).check([inbound(payload, kind, device, area)])


def reasons(checked: Checked) -> dict[str, str]:
    """reason -> detail of every rejection."""
    return {rejection.reason: rejection.detail for rejection in checked.rejections}


def telemetry(**members: Any) -> dict[str, Any]:
    """A good message, with these members instead."""
    return {"boot": 3, "seq": 7, "ts": NOW - 1000, "values": {"heart_rate": 72}} | members


def sos(**members: Any) -> dict[str, Any]:
    return {"boot": 3, "seq": 8, "ts": NOW - 1000, "event": "sos"} | members

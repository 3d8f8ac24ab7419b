"""What one message is on its way through: raw as it came, then checked and typed.

The gateway turns `Inbound` into the checked kinds below; ingest and alerts take them from there.
Times are Unix milliseconds, UTC.
"""

from typing import Any, Literal

import msgspec

RejectionReason = Literal[
    "too_large",
    "not_utf8",
    "not_json",
    "bad_schema",
    "unknown_device",
    "wrong_area",
    "unknown_metric",
    "not_a_number",
    "out_of_range",
    "unknown_subject",
]

Fix = Literal["gnss", "wifi", "lbs", "none"]
FIXES: tuple[Fix, ...] = ("none", "lbs", "wifi", "gnss")
"""Position fixes; the index is what `Samples.fix` and the column `sample.fix` hold (-1 / NULL: not said)."""


class Inbound(msgspec.Struct, frozen=True, gc=False):
    """A message as the broker handed it over. `received` is the host's clock."""

    topic: str
    payload: bytes
    received: int
    retained: bool = False
    duplicate: bool = False
    """The MQTT DUP flag: the broker thinks it may have sent this before."""


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """WGS-84 degrees; accuracy m (68 %), speed m/s, heading degrees from north, altitude m."""

    lat: float
    lon: float
    accuracy: float | None = None
    speed: float | None = None
    heading: float | None = None
    altitude: float | None = None
    fix: Fix | None = None


class Origin(msgspec.Struct, frozen=True):
    """Who a message is from, decided by its topic alone (Traccar's: by its `device.uniqueId`). Keys are the database's; None: not registered."""

    device: str
    area: str
    """The area in the topic, whether or not it is in the directory."""
    device_key: int | None = None
    resident_key: int | None = None


class Event(msgspec.Struct, frozen=True):
    """A checked event. `boot`/`seq` are None only for an SOS or fall salvaged from a damaged message."""

    origin: Origin
    event: str
    boot: int | None
    seq: int | None
    ts: int
    """When it happened: measured, or received where the clock is wrong."""
    claimed: int | None
    """The device's own `ts` where it was unusable and sent; else None."""
    received: int
    flags: int
    of: int | None = None
    service: str | None = None
    values: dict[str, float] = {}
    position: Position | None = None
    forwarded: bool = False
    """Another server speaks for the device (Traccar): nobody waits for an ack or takes a command, and what was
    measured with the event is stored by the telemetry lane."""


class Status(msgspec.Struct, frozen=True):
    """A device's own word on itself; `interval` in seconds between two normal telemetry messages."""

    origin: Origin
    state: Literal["online", "offline"]
    received: int
    boot: int | None = None
    model: str | None = None
    firmware: str | None = None
    interval: float | None = None
    retained: bool = False


class Reply(msgspec.Struct, frozen=True):
    """A device's answer to the command `id`."""

    origin: Origin
    id: str
    ok: bool
    received: int
    result: dict[str, Any] | None = None
    error: str | None = None


class AccelerationWindow(msgspec.Struct, frozen=True):
    """A window of wrist acceleration, gravity included: value = int16 × scale, in `unit`; `ts` of its first sample."""

    device_key: int
    resident_key: int | None
    ts: int
    claimed: int | None
    received: int
    boot: int
    seq: int
    part: int
    flags: int
    hz: float
    unit: Literal["m/s2", "g"]
    scale: float
    xyz: bytes
    """Little-endian int16 x,y,z,x,y,z…"""


class Rejection(msgspec.Struct, frozen=True):
    """What went to the quarantine and why. One per message and reason; `detail` says which part."""

    message: Inbound
    reason: RejectionReason
    detail: str
    device: str | None = None
    area: str | None = None
    device_key: int = 0
    """Of the registered device in whose count the message has its place; 0: in nobody's."""

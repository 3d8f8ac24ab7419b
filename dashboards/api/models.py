"""What the API says, as the OpenAPI document describes it. Times are RFC 3339, UTC; units stand with the fields."""

import base64
from datetime import date, datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field

from dashboards import fleet, people
from dashboards.cases import Shown
from homecare.answers import Answer, Outcome
from homecare.devices import DeviceKind
from homecare.triggers import Kind, Severity

State = Literal["open", "acknowledged", "resolved", "cancelled"]
Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """Part of a list; `next` is the cursor of the following part, null at the end."""

    items: list[Item]
    next: str | None


class Position(BaseModel):
    """WGS-84 degrees; accuracy in m (68 %)."""

    lat: float
    lon: float
    accuracy: float | None
    at: datetime | None


class Reason(BaseModel):
    """Which rule or event, and its sentence in Chinese and English."""

    code: str
    zh: str
    en: str


class Person(BaseModel):
    """A resident, by id."""

    id: str
    name: str


class Answered(BaseModel):
    """Who answered, when and how; `by` like `operator:li`, `contact:C-1`, `device:…`, `token:…`, `system`."""

    at: datetime
    by: str
    how: str | None
    note: str | None


class Witness(BaseModel):
    """Who was there, and since when; `by` as in an answer."""

    at: datetime
    by: str


class Alert(BaseModel):
    """The case people work on. `number` counts alerts; `delayed_s` seconds from raised to received."""

    id: UUID
    number: int
    kind: Kind
    metric: str | None
    severity: Severity
    state: State
    resident: Person | None
    device: str | None
    area: str | None
    raised_at: datetime
    opened_at: datetime
    delayed_s: float
    position: Position | None
    reason: Reason
    triggers: int
    step: int
    next_at: datetime | None
    cleared_at: datetime | None
    acknowledged: Answered | None
    answer_until: datetime | None
    """Until then the acknowledgement holds, without anybody there; then it escalates anew."""
    arrived: Witness | None
    confirmed: Witness | None
    """Who made sure that the wearer, who took an SOS back, is well."""
    closed: Answered | None
    outcome: Outcome | None

    @classmethod
    def of(cls, alert: Shown) -> "Alert":
        fields = {name: getattr(alert, name) for name in cls.model_fields if hasattr(alert, name)}
        here = alert.lat is not None and alert.lon is not None
        place = {"lat": alert.lat, "lon": alert.lon, "accuracy": alert.accuracy, "at": alert.position_at}
        person = {"id": alert.resident_id, "name": alert.resident_name}
        return cls.model_validate(
            fields
            | {
                "device": alert.device_id,
                "resident": person if alert.resident_id else None,
                "position": place if here else None,
                "reason": {"code": alert.reason_code, "zh": alert.reason_zh, "en": alert.reason_en},
                "acknowledged": _answered(alert, "acknowledged"),
                "arrived": {"at": alert.arrived_at, "by": alert.arrived_by} if alert.arrived_at else None,
                "confirmed": {"at": alert.confirmed_at, "by": alert.confirmed_by} if alert.confirmed_at else None,
                "closed": _answered(alert, "closed"),
            }
        )


def _answered(alert: Shown, what: str) -> dict[str, Any] | None:
    answered = {name: getattr(alert, f"{what}_{name}") for name in ("at", "by", "how", "note")}
    return answered if answered["at"] else None


class Acknowledgement(BaseModel):
    """What may be said with it."""

    note: str = Field("", max_length=2000)


class Confirmation(BaseModel):
    """`well`: false opens the alert again."""

    well: bool
    note: str = Field("", max_length=2000)


class Resolution(BaseModel):
    """`true`: help was needed; `false`: false alarm; `drill`; `technical`."""

    outcome: Outcome
    note: str = Field("", max_length=2000)


class Remark(BaseModel):
    """A note on the case."""

    note: str = Field(min_length=1, max_length=2000)


class Happened(BaseModel):
    """What the answer did, by name; a lost race is `already_acknowledged` or `closed`. The alert as it is now."""

    answer: Answer
    alert: Alert


class ResidentListed(BaseModel):
    """A resident in a list; `live_alerts`: open or acknowledged."""

    id: str
    name: str
    area: str
    birth_date: date | None
    sex: Literal["f", "m", "x"] | None
    live_alerts: int

    @classmethod
    def of(cls, resident: people.Listed) -> "ResidentListed":
        return cls.model_validate(resident, from_attributes=True)


class Contact(BaseModel):
    """`channels`: by how many ways the system can reach them."""

    id: str
    name: str
    role: str
    phone: str | None
    rank: int
    relation: str
    channels: int


class Wears(BaseModel):
    """A device the person has; `battery` in %."""

    id: str
    kind: DeviceKind
    model: str | None
    state: Literal["unknown", "online", "offline"]
    since: datetime
    last_sample: datetime | None
    battery: float | None


class Resident(BaseModel):
    """One person; `home` in WGS-84 degrees."""

    id: str
    name: str
    area: str
    birth_date: date | None
    sex: Literal["f", "m", "x"] | None
    phone: str | None
    address: str | None
    home: Position | None
    language: Literal["zh", "en"]
    conditions: list[str]
    contacts: list[Contact]
    devices: list[Wears]


class Sample(BaseModel):
    """The values one device measured at one time, by metric, units beside them."""

    ts: datetime
    device: str
    late: bool
    wrong_clock: bool
    values: dict[str, float]
    position: Position | None


class Samples(BaseModel):
    """`units`: UCUM, by metric."""

    units: dict[str, str]
    samples: list[Sample]


class Device(BaseModel):
    """A registered device; `interval_s` seconds between two normal telemetry messages; `last_seen`: when telemetry of it was
    last received; `missing` messages that it counted and that did not come.
    """

    id: str
    area: str
    kind: DeviceKind
    model: str | None
    firmware: str | None
    interval_s: float
    state: Literal["unknown", "online", "offline"]
    state_at: datetime | None
    registered_at: datetime
    revoked_at: datetime | None
    resident_id: str | None
    last_seen: datetime | None
    missing: int

    @classmethod
    def of(cls, device: fleet.Device) -> "Device":
        return cls.model_validate(device, from_attributes=True)


class UnknownDevice(BaseModel):
    """A device that spoke and is not registered."""

    device: str
    area: str
    first_seen: datetime
    last_seen: datetime
    messages: int

    @classmethod
    def of(cls, stranger: fleet.Stranger) -> "UnknownDevice":
        return cls.model_validate(stranger, from_attributes=True)


class Adoption(BaseModel):
    """`interval_s`: seconds between two normal telemetry messages; `resident`: the id of who has it, or null."""

    device: str = Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")
    area: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")
    kind: DeviceKind
    interval_s: float = Field(60, ge=1, le=86400)
    resident: str | None = Field(None, max_length=64)


class Quarantined(BaseModel):
    """What could not be kept; `payload` base64 of the raw bytes."""

    id: int
    received: datetime
    last_received: datetime
    times: int
    topic: str
    reason: str
    detail: str
    device: str | None
    area: str | None
    payload: str
    replayed_at: datetime | None

    @classmethod
    def of(cls, message: fleet.Quarantined) -> "Quarantined":
        fields = {name: getattr(message, name) for name in cls.model_fields if name != "payload"}
        return cls(**fields, payload=base64.b64encode(message.payload).decode())


class TestSent(BaseModel):
    """The notifications that are on their way, one per channel."""

    __test__ = False
    notifications: list[UUID]

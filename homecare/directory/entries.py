"""What a directory file holds, entry by entry; the shapes JSON and CSV share. What is wrong here, the database never sees."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from homecare.broker import RESERVED_USERS
from homecare.devices import DeviceKind
from homecare.directory.fields import (
    AreaCode,
    Clock,
    Entry,
    Id,
    Language,
    Latitude,
    Login,
    Longitude,
    Rank,
    Role,
    Service,
    Text,
    check_zone,
)
from homecare.directory.policies import Policy, Rota

WEBHOOK_SECRET = r"^whsec_[A-Za-z0-9+/]{32,86}={0,2}$"  # noqa: S105  # a pattern, not a secret


class Area(Entry, frozen=True):
    """One area of the tree; `parent` None: a root."""

    code: AreaCode
    level: Literal["province", "city", "county", "township", "village"]
    name_zh: Text
    name_en: Text
    parent: AreaCode | None = None
    timezone: str = "Asia/Shanghai"

    def __post_init__(self) -> None:
        check_zone(self.timezone)


class Resident(Entry, frozen=True):
    """Someone who is cared for. `lat`, `lon`: home, WGS-84, degrees."""

    id: Id
    area: AreaCode
    name: Text
    card: Text | None = None
    birth_date: dt.date | None = None
    sex: Literal["f", "m", "x"] | None = None
    phone: str | None = None
    address: str | None = None
    lat: Latitude | None = None
    lon: Longitude | None = None
    language: Language = "zh"
    conditions: list[str] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat, lon: expected both or neither")


class Channel(Entry, frozen=True):
    """A way to a contact: webhook (a URL), email, device (their own device's id), apprise (a URL with tokens, kept sealed).

    `secret` (webhook): `whsec_` + base64 of 24..64 bytes; left out, the stored one stays.
    """

    kind: Text
    address: Text
    secret: Annotated[str, Meta(pattern=WEBHOOK_SECRET)] | None = None


class Contact(Entry, frozen=True):
    """Someone who is told; `channels` are tried in their order.

    `quiet`, like 22:00-07:00 by the clock of their area: what can wait then does; never an SOS, a fall or what is critical.
    `watch_group`: helps the people near `lat`, `lon`, where they live (WGS-84, degrees). `services`: what they do for people
    who ask for it; they accept or decline within `accept_within_s`, and are there `done_within_s` after that.
    """

    id: Id
    name: Text
    role: Role
    area: AreaCode | None = None
    phone: str | None = None
    language: Language = "zh"
    channels: list[Channel] = msgspec.field(default_factory=list)
    quiet: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")] | None = None
    watch_group: bool = False
    lat: Latitude | None = None
    lon: Longitude | None = None
    services: list[Service] = msgspec.field(default_factory=list)
    accept_within_s: Annotated[float, Meta(ge=30, le=86_400)] | None = None
    done_within_s: Annotated[float, Meta(ge=60, le=604_800)] | None = None

    def __post_init__(self) -> None:
        if self.quiet is not None and self.quiet[:5] == self.quiet[6:]:
            raise ValueError("quiet: expected two times that differ")
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat, lon: expected both or neither")
        if self.watch_group and self.lat is None:
            raise ValueError("watch_group: expected lat and lon, or nobody knows whom they are near")


class ResidentContact(Entry, frozen=True):
    """`contact` is the resident's contact of this rank, the first being 1. A file states all of a resident's contacts."""

    resident: Id
    contact: Id
    rank: Rank
    relation: str = ""


class Device(Entry, frozen=True):
    """`interval_s`: seconds between two normal telemetry messages.

    `wearer` left out: whoever wears it goes on; null: nobody any more. `since`: from when, now if left out.
    `password` is plain, or a hash as Mosquitto's password file holds it; left out, the stored one stays.
    """

    id: Id
    area: AreaCode
    kind: DeviceKind
    model: str | None = None
    interval_s: Annotated[float, Meta(gt=0, le=86_400 * 7)] = 60
    wearer: Id | UnsetType | None = UNSET
    since: Annotated[dt.datetime, Meta(tz=True)] | None = None
    password: Text | None = None

    def __post_init__(self) -> None:
        if self.kind == "kiosk" and isinstance(self.wearer, str):
            raise ValueError("wearer: a kiosk serves many, nobody can wear it")
        if self.id in RESERVED_USERS:
            raise ValueError("id: the broker keeps this name for the backend")
        if self.password is not None and ":" in self.id:
            raise ValueError(
                "password: a ':' in the id ends the name in the broker's password file; use a client certificate"
            )


class Operator(Entry, frozen=True):
    """`password` is plain (10 characters at least) or an argon2id hash; left out, the stored one stays."""

    login: Login
    name: Text
    area: AreaCode
    role: Literal["operator", "doctor", "manager", "auditor"] = "operator"
    language: Language = "zh"
    password: Annotated[str, Meta(min_length=10)] | None = None


class Place(Entry, frozen=True):
    """A place that matters for a resident: a circle (one point, `radius_m`) or a polygon (3 points or more).

    `watch`: "leave" and "enter" tell when they do; "home_by" when they are not in it `by` HH:MM, by the time of their
    area. A file states all of a resident's places.
    """

    resident: Id
    name: Text
    watch: Literal["leave", "enter", "home_by"]
    points: Annotated[list[tuple[Latitude, Longitude]], Meta(min_length=1, max_length=200)]
    radius_m: Annotated[float, Meta(ge=0, le=100_000)] = 0
    by: Clock | None = None

    def __post_init__(self) -> None:
        if self.radius_m > 0 and len(self.points) != 1:
            raise ValueError("points: expected one point in a place with radius_m")
        if self.radius_m == 0 and len(self.points) < 3:
            raise ValueError("points: expected 3 or more where there is no radius_m")
        if (self.watch == "home_by") != (self.by is not None):
            raise ValueError("by: expected HH:MM with home_by, and only there")


class Order(Entry, frozen=True):
    """What a clinician ordered for a resident's rules, `by` whom and `at` when; `until`: it no longer holds.

    spo2_scale_2: NEWS2's second scale for oxygen saturation (hypercapnic respiratory failure).
    """

    resident: Id
    what: Literal["spo2_scale_2"]
    by: Text
    at: Annotated[dt.datetime, Meta(tz=True)]
    until: Annotated[dt.datetime, Meta(tz=True)] | None = None

    def __post_init__(self) -> None:
        if self.until is not None and self.until <= self.at:
            raise ValueError("until: expected a time after at")


class RuleOverride(Entry, frozen=True):
    """One field of one rule that differs for an area and all below it, or for a resident; `value` null: no longer.

    `rule` like `limit.heart_rate`, `field` like `reading.heart_rate:high.bands.warning.limit`.
    """

    rule: Text
    field: Text
    value: Any
    area: AreaCode | None = None
    resident: Id | None = None
    by: Text = "directory import"

    def __post_init__(self) -> None:
        if (self.area is None) == (self.resident is None):
            raise ValueError("area, resident: expected exactly one of the two")


class Drill(Entry, frozen=True):
    """When the households of an area and below are drilled, by its clock: from `day` of every month on, between two hours.

    `per_minute`: households told in a minute at most; `answer_hours`: until a household is listed. `day` null: no longer.
    """

    area: AreaCode
    day: Annotated[int, Meta(ge=1, le=28)] | None
    begins: Clock = "10:00"
    ends: Clock = "17:00"
    per_minute: Annotated[int, Meta(ge=1, le=600)] = 6
    answer_hours: Annotated[float, Meta(ge=1, le=168)] = 24

    def __post_init__(self) -> None:
        if self.begins >= self.ends:
            raise ValueError("ends: expected a time after begins")


class Directory(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A whole file, in the order it is written to the database."""

    areas: list[Area] = []
    residents: list[Resident] = []
    contacts: list[Contact] = []
    resident_contacts: list[ResidentContact] = []
    devices: list[Device] = []
    rotas: list[Rota] = []
    policies: list[Policy] = []
    operators: list[Operator] = []
    places: list[Place] = []
    orders: list[Order] = []
    overrides: list[RuleOverride] = []
    drills: list[Drill] = []


KINDS = Directory.__struct_fields__
"""areas, residents, …: what a file or a folder may hold."""


@dataclass(slots=True)
class Source:
    """A directory and where each of its entries was read, for messages: `places["residents"][3]` is entry 4's."""

    directory: Directory
    places: dict[str, list[str]] = field(default_factory=dict)

    def place(self, kind: str, index: int) -> str:
        """Where entry `index` (from 0) of `kind` stands."""
        places = self.places.get(kind)
        return places[index] if places else f"{kind}[{index}]"

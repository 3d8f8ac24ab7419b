"""All that an alert can reach, as plain values: people, channels, rotas, areas, and the policies that may apply."""

from datetime import datetime

import msgspec

from homecare.triggers import Severity


class Target(msgspec.Struct, frozen=True):
    """Exactly one of: whom a step calls.

    `contact_rank`: the resident's contact of this rank. `operators`: those of the alert's area. `role`: the resident's own
    contacts of that role, else those of the nearest area upwards. `rota`: who is on duty. `nearest`: so many of the watch
    group within `radius_m`. `provider`: the provider of this place, from 1, of the service that was called for.
    `area_up`: the operators so many levels above.
    """

    contact: str | None = None
    contact_rank: int | None = None
    operators: bool = False
    role: str | None = None
    rota: str | None = None
    nearest: int | None = None
    radius_m: float | None = None
    provider: int | None = None
    area_up: int | None = None


class Step(msgspec.Struct, frozen=True):
    """`delay_s` after the step before; step 1 after the alert opened."""

    delay_s: float
    to: tuple[Target, ...]


class Policy(msgspec.Struct, frozen=True):
    """`area` None: the resident's own. `kinds` None: all. `id` None: the built-in one."""

    id: str | None
    steps: tuple[Step, ...]
    repeat_s: float
    area: str | None = None
    kinds: tuple[str, ...] | None = None


class FamilyContact(msgspec.Struct, frozen=True):
    """A contact of the resident; rank 1 is first."""

    contact: str
    rank: int


class UsableChannel(msgspec.Struct, frozen=True):
    """A channel that is not disabled and of a kind that this program can send."""

    contact: str
    id: int
    kind: str


class Area(msgspec.Struct, frozen=True):
    """`operators`: has it any of its own?"""

    code: str
    operators: bool


class Person(msgspec.Struct, frozen=True):
    """What is known of a contact. Quiet hours in minutes after midnight of `timezone`; home in WGS-84 degrees."""

    contact: str
    name: str = ""
    role: str = "other"
    area: str | None = None
    timezone: str = "Asia/Shanghai"
    quiet_from: int | None = None
    quiet_to: int | None = None
    watch_group: bool = False
    lat: float | None = None
    lon: float | None = None
    services: tuple[str, ...] = ()
    accept_within_s: float | None = None


class Shift(msgspec.Struct, frozen=True):
    """Weekly: begins on `days` (1 is Monday) at `from_minute`, ends at `to_minute`, on the day after where that is not later.

    Or dated: from `starts` to `ends`, local time. Ends are exclusive.
    """

    contact: str
    days: tuple[int, ...] | None = None
    from_minute: int | None = None
    to_minute: int | None = None
    starts: datetime | None = None
    ends: datetime | None = None


class Rota(msgspec.Struct, frozen=True):
    """Who is on duty when, by the clock of `timezone`."""

    id: str
    timezone: str
    shifts: tuple[Shift, ...]


class Circle(msgspec.Struct, frozen=True):
    """All an alert can reach at the moment `at`. Areas from its own upwards, channels of a contact in their order.

    `service`: what `assist` asks for. `lat`, `lon`: where the person was last, else their home; WGS-84 degrees.
    `timezone`: of the alert's area.
    """

    kind: str
    severity: Severity
    areas: tuple[Area, ...]
    family: tuple[FamilyContact, ...]
    channels: tuple[UsableChannel, ...]
    policies: tuple[Policy, ...]
    at: datetime
    people: tuple[Person, ...] = ()
    rotas: tuple[Rota, ...] = ()
    service: str | None = None
    lat: float | None = None
    lon: float | None = None
    timezone: str = "Asia/Shanghai"


class Recipient(msgspec.Struct, frozen=True):
    """A contact by one channel, or (channel None) the operators of an area by their console."""

    kind: str
    contact: str | None = None
    channel: int | None = None
    area: str | None = None

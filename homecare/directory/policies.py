"""Who is called, and who is on duty when: the entries `policies` and `rotas` of a directory file."""

import datetime as dt
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from homecare.directory.fields import AreaCode, Entry, Id, Rank, Role, Text, check_zone
from homecare.triggers import Kind

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)


class Target(Entry, frozen=True):
    """Exactly one of those below; `radius_m` goes with `nearest`.

    The resident's contact of a rank; a contact by id; the area's operators; the resident's own contacts of a role, else those of
    the nearest area upwards; who is on duty by a rota; so many of the watch group, the nearest first, within `radius_m`; the
    provider of this place (from 1) of the service that was called for; the operators so many levels above.
    """

    contact_rank: Rank | None = None
    contact: Id | None = None
    operators: bool = False
    role: Role | None = None
    rota: Id | None = None
    nearest: Annotated[int, Meta(ge=1, le=20)] | None = None
    radius_m: Annotated[float, Meta(gt=0, le=100_000)] | None = None
    provider: Rank | None = None
    area_up: Annotated[int, Meta(ge=1, le=15)] | None = None

    def __post_init__(self) -> None:
        named: tuple[Any, ...] = (
            self.contact_rank,
            self.contact,
            self.operators or None,
            self.role,
            self.rota,
            self.nearest,
            self.provider,
            self.area_up,
        )
        if sum(one is not None for one in named) != 1:
            raise ValueError(
                "to: expected exactly one of contact_rank, contact, operators, role, rota, nearest, provider, area_up"
            )
        if (self.nearest is None) != (self.radius_m is None):
            raise ValueError("to: expected radius_m with nearest, and only there")


class Step(Entry, frozen=True):
    """`delay_s`: seconds after the step before (the first: after the alert opened)."""

    delay_s: Annotated[float, Meta(ge=0)]
    to: Annotated[list[Target], Meta(min_length=1)]


class Policy(Entry, frozen=True):
    """Who is told when; for an area and all below it, or for one resident. `kinds` None: every kind of alert.

    `repeat_s`: seconds until the last step is taken again; `answer_s`: how long an acknowledgement lasts without anybody
    there, None: by severity.
    """

    id: Id
    steps: Annotated[list[Step], Meta(min_length=1)]
    area: AreaCode | None = None
    resident: Id | None = None
    kinds: list[Kind] | None = None
    repeat_s: Annotated[int, Meta(ge=5)] = 60
    answer_s: Annotated[float, Meta(ge=60, le=604_800)] | None = None

    def __post_init__(self) -> None:
        if (self.area is None) == (self.resident is None):
            raise ValueError("area, resident: expected exactly one of the two")


class Shift(Entry, frozen=True):
    """Weekly: on `days` from `begins` to `ends`, HH:MM; an end that is not later is on the day after.

    Dated, without `days`: from and to local times like 2026-12-24T08:00; then the weekly shifts do not hold.
    """

    contact: Id
    begins: str
    ends: str
    days: list[Day] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        times = [_time(text, "%H:%M" if self.days else "%Y-%m-%dT%H:%M") for text in (self.begins, self.ends)]
        if None in times:
            expected = "HH:MM with days" if self.days else "times like 2026-12-24T08:00 without days"
            raise ValueError(f"begins, ends: expected {expected}")
        if not self.days and self.begins >= self.ends:
            raise ValueError("ends: expected a time after begins")


class Rota(Entry, frozen=True):
    """Who is on duty when, by the clock of `timezone`. Shifts that meet hand over at that minute."""

    id: Id
    area: AreaCode
    name: Text
    shifts: Annotated[list[Shift], Meta(min_length=1)]
    timezone: str = "Asia/Shanghai"

    def __post_init__(self) -> None:
        check_zone(self.timezone)


def _time(text: str, form: str) -> dt.datetime | None:
    try:
        parsed = dt.datetime.strptime(text, form)  # noqa: DTZ007 - local, the rota says where
    except ValueError:
        return None
    return parsed if parsed.strftime(form) == text else None

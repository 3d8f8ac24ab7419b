"""The members that the entries of a directory file are made of."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
AreaCode = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Login = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.@-]{1,64}$")]
Text = Annotated[str, Meta(min_length=1)]
Rank = Annotated[int, Meta(ge=1)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Language = Literal["zh", "en"]
Role = Literal["family", "neighbour", "village_doctor", "grid_worker", "service", "other"]
Service = Literal["health", "housekeeping", "shopping", "other"]
Clock = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Members that are left out take their default; unknown ones are refused, for they are typing errors."""


def check_zone(name: str) -> None:
    """ValueError unless it is a time zone's name."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError("timezone: expected an IANA name like Asia/Shanghai") from None

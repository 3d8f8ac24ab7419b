"""A resident as the rules know them: where and when they live, what was ordered for them."""

from typing import Literal

import msgspec


class Place(msgspec.Struct, frozen=True, gc=False):
    """A place that matters for one person: a circle (`radius_m` round the first point) or a polygon (3 points or more).

    `watch`: "leave" tells when they leave it, "enter" when they enter it, "home_by" when they are not in it at
    `minute` of the local day.
    """

    name: str
    watch: Literal["leave", "enter", "home_by"]
    points: tuple[tuple[float, float], ...]
    """(lat, lon), degrees, WGS-84."""
    radius_m: float = 0.0
    minute: int | None = None
    """Minutes after local midnight, for `home_by`."""


class Profile(msgspec.Struct, frozen=True, gc=False):
    """One resident. Which of the rules' variants holds for them is told beside it."""

    key: int
    id: str
    area: str
    zone: str = "Asia/Shanghai"
    """IANA name of their time zone."""
    lat: float | None = None
    lon: float | None = None
    """Home."""
    spo2_scale: Literal[1, 2] = 1
    """NEWS2's scale for oxygen saturation; 2 only by a clinician's order."""
    places: tuple[Place, ...] = ()

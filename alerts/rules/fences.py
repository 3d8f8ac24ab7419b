"""Which places matter for whom: circles and polygons of all residents, one after the other, and who has which.

A person's own places come from their profile; everybody whose home is known has a circle round it besides (`HOME`).
"""

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from alerts.rules.geometry import Edges, Floats, beyond_polygon, offset
from alerts.rules.room import with_room
from homecare.residents import Place, Profile

MOST = 8
"""Places watched for one person, home among them; their profile's first ones."""
WATCHES = ("leave", "enter", "home_by")
LEAVE, ENTER, HOME_BY = range(3)
HOME = "home"
"""What the circle round everybody's home is called in evidence; texts say it in their language."""


_HOME = Struct("ddd")


class Fence(NamedTuple):
    """One place as it is watched."""

    place: Place
    always: bool
    """False: leaving it tells at certain hours only (home)."""


class Fences:
    """The places by slot. A place is known again by its `mark`, whatever its number."""

    def __init__(self) -> None:
        self._first = np.zeros(0, np.int32)
        self.count = np.zeros(0, np.int8)
        """(slots,) how many places somebody has."""
        self._room = np.zeros(0, np.int8)
        self.stamp = np.zeros(0, np.int64)
        """(slots,) of somebody's places together; the same after a restart. 0: none."""
        self._used = 0
        self._own: dict[int, Place] = {}
        """By number: the places of profiles. Homes are too many to keep as objects."""
        self._lat, self._lon, self._radius = np.zeros(0), np.zeros(0), np.zeros(0)
        self._mark = np.zeros(0, np.int64)
        self.watch = np.zeros(0, np.int8)
        """By number of the place: index in `WATCHES`."""
        self.always = np.zeros(0, np.bool_)
        self.minute = np.zeros(0, np.int16)
        """Of the local day, for `home_by`."""
        self._edge_first, self._edge_count = np.zeros(0, np.int32), np.zeros(0, np.int32)
        self._edges: list[tuple[float, float, float, float]] = []
        self._sides = Edges(*(np.zeros(0) for _ in range(4)))

    def make_room(self, slots: int) -> None:
        """Room for `slots` slots."""
        for name in ("_first", "count", "_room", "stamp"):
            setattr(self, name, with_room(getattr(self, name), slots))

    @property
    def widest(self) -> int:
        """The most places anybody has."""
        return int(self.count.max(initial=0))

    def know(self, slots: npt.NDArray[np.int64], whose: Sequence[tuple[Profile | None, float]]) -> None:
        """The places of these people: their profile, and the radius of the circle round their home (m, 0: none)."""
        sides = len(self._edges)
        homes: list[tuple[int, float, float, float]] = []
        for slot, (profile, radius_m) in zip(slots.tolist(), whose, strict=True):
            if profile is not None and not profile.places and radius_m > 0 and None not in (profile.lat, profile.lon):
                homes.append((slot, profile.lat, profile.lon, radius_m))  # type: ignore[arg-type]
                continue
            fences = _fences(profile, radius_m)
            if stamp(fences) != self.stamp[slot]:
                self._put(slot, fences)
        if homes:
            self._put_homes(homes)
        if len(self._edges) > sides:
            self._sides = Edges(*np.array(self._edges, np.float64).T)

    def numbers(
        self, slots: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The places of n slots: (m,) index into `slots`, which of their places, and its number."""
        count = self.count[slots].astype(np.int64)
        row = np.repeat(np.arange(len(slots)), count)
        which = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        return row, which, self._first[slots[row]] + which

    def first(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The number of each slot's first place; the others follow."""
        return self._first[slots].astype(np.int64)

    def marks(self, slots: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.int64]:
        """(n, width) the marks of each slot's places in their order; 0 where there is none."""
        result = np.zeros((len(slots), width), np.int64)
        row, which, number = self.numbers(slots)
        result[row, which] = self._mark[number]
        return result

    def beyond(self, number: npt.NDArray[np.int64], lat: Floats, lon: Floats) -> Floats:
        """(n,) metres by which a position lies outside of the place of that number; negative inside."""
        x, y = offset(self._lat[number], self._lon[number], lat, lon)
        away = np.sqrt(x * x + y * y) - self._radius[number]
        polygon = np.flatnonzero(self._edge_count[number])
        if len(polygon):
            which = number[polygon]
            first, count = (each[which].astype(np.int64) for each in (self._edge_first, self._edge_count))
            away[polygon] = beyond_polygon(x[polygon], y[polygon], self._sides, first, count)
        return away

    def fence(self, number: int) -> Fence:
        """The place of that number."""
        own = self._own.get(number)
        if own is not None:
            return Fence(own, always=True)
        home = (float(self._lat[number]), float(self._lon[number]))
        return Fence(Place(HOME, "leave", (home,), float(self._radius[number])), always=False)

    def _put_homes(self, homes: Sequence[tuple[int, float, float, float]]) -> None:
        """As `_put`, of the many who have a home and no other place: (slot, lat, lon, radius)."""
        stamps = np.array([_home_mark(lat, lon, radius_m) for _, lat, lon, radius_m in homes], np.int64)
        slots = np.array([home[0] for home in homes], np.int64)
        changed = np.flatnonzero(stamps != self.stamp[slots])
        slots, stamps = slots[changed], stamps[changed]
        without = slots[self._room[slots] == 0]
        self._first[without] = np.arange(self._used, self._used + len(without))
        self._room[without] = 1
        self._used += len(without)
        self._extend(self._used)
        number = self._first[slots].astype(np.int64)
        if self._own:
            for one in number.tolist():
                self._own.pop(one, None)
        places = np.array([homes[at][1:] for at in changed.tolist()], np.float64).reshape(-1, 3)
        self._lat[number], self._lon[number], self._radius[number] = places.T
        for column in (self.watch, self.minute, self.always, self._edge_count):  # a home has LEAVE, 0, False, 0
            column[number[column[number] != 0]] = 0
        self._mark[number] = stamps
        self.count[slots], self.stamp[slots] = 1, stamps

    def _put(self, slot: int, fences: list[Fence]) -> None:
        if len(fences) > self._room[slot]:
            self._first[slot], self._room[slot] = self._used, len(fences)
            self._used += len(fences)
            self._extend(self._used)
        self.count[slot], self.stamp[slot] = len(fences), stamp(fences)
        for number, fence in enumerate(fences, int(self._first[slot])):
            self._set(number, fence)

    def _set(self, number: int, fence: Fence) -> None:
        place = fence.place
        lat, lon = place.points[0]
        self._own.pop(number, None)
        if fence.always:
            self._own[number] = place
        self._lat[number], self._lon[number], self._radius[number] = lat, lon, place.radius_m
        self.watch[number], self.minute[number] = WATCHES.index(place.watch), place.minute or 0
        self.always[number] = fence.always
        self._mark[number] = mark(fence)
        self._edge_first[number], self._edge_count[number] = len(self._edges), 0
        if len(place.points) >= 3:
            corners = np.array(place.points)
            xs, ys = offset(np.full(len(corners), lat), np.full(len(corners), lon), corners[:, 0], corners[:, 1])
            self._edges += zip(
                xs.tolist(), ys.tolist(), np.roll(xs, -1).tolist(), np.roll(ys, -1).tolist(), strict=True
            )
            self._edge_count[number] = len(corners)

    def _extend(self, numbers: int) -> None:
        have = len(self._lat)
        if numbers <= have:
            return
        room = max(numbers, have * 5 // 4)
        for name in ("_lat", "_lon", "_radius", "_mark", "watch", "always", "minute", "_edge_first", "_edge_count"):
            setattr(self, name, with_room(getattr(self, name), room))


def mark(fence: Fence) -> int:
    """A number that two places share only if they are the same (or once in 2^32). Not 0."""
    place = fence.place
    if not fence.always:
        return _home_mark(*place.points[0], place.radius_m)
    what = (place.name, place.watch, place.points, float(place.radius_m), place.minute)
    return 1 + crc32(repr(what).encode())


def _home_mark(lat: float, lon: float, radius_m: float) -> int:
    return 1 + crc32(_HOME.pack(lat, lon, radius_m))


def stamp(fences: Sequence[Fence]) -> int:
    """Of all places of one person, in their order."""
    if len(fences) <= 1:
        return sum(map(mark, fences))
    return 1 + crc32(repr([mark(fence) for fence in fences]).encode())


def _fences(profile: Profile | None, radius_m: float) -> list[Fence]:
    if profile is None:
        return []
    fences: list[Fence] = []
    if radius_m > 0 and profile.lat is not None and profile.lon is not None:
        fences.append(Fence(Place(HOME, "leave", ((profile.lat, profile.lon),), radius_m), always=False))
    return [*fences, *(Fence(place, always=True) for place in profile.places)][:MOST]

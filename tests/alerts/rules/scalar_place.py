"""Places once more, one fix at a time in plain Python: written to be read, and what `place.Places` must equal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.rules.place_rule import PlaceRule
from homecare.residents import Place, Profile
from homecare.triggers import Severity
from tests.alerts.rules.battery import Row, Told

EARTH_M = 6_371_008.8


@dataclass(frozen=True)
class Fix:
    """One position."""

    at: int
    lat: float
    lon: float
    accuracy: float = 0
    fix: str | None = None
    device: int = 0


@dataclass
class Side:
    """What is known of a person and one place."""

    inside: bool | None = None
    aim: bool | None = None
    aim_since: int = 0
    aim_count: int = 0
    raised: bool = False
    due: int | None = None


@dataclass
class Person:
    """What is known of a person's positions."""

    device: int = 0
    last: Fix | None = None
    doubted: list[Fix] = field(default_factory=list)
    told_at: int | None = None
    repeated: list[Fix] = field(default_factory=list)
    stuck: bool = False


@dataclass
class Diary:
    """What is said of one person."""

    resident: int
    said: list[Told] = field(default_factory=list)

    def tell(self, at: int, rule: str, state: str, severity: Severity, device: int) -> None:
        self.said.append(Told(at, rule, state, severity, device, self.resident, None))


def fixes_of(rows: Sequence[Row], unsaid_m: float) -> list[Fix]:
    """The positions among `rows`, in their order; `unsaid_m` is the accuracy of one that does not say."""
    return [
        Fix(row.ts, row.lat, row.lon, unsaid_m if math.isnan(row.accuracy) else row.accuracy, row.fix, row.device)
        for row in rows
        if not (math.isnan(row.lat) or math.isnan(row.lon) or row.fix == "none")
    ]


def place_triggers(rule: PlaceRule, profile: Profile, fixes: Sequence[Fix], until: int) -> list[Told]:
    """What is said of one person whose fixes, in order, are these, by `until`."""
    diary = Diary(profile.key)
    person, sides = Person(), [(place, own, Side()) for place, own in _places(rule, profile)]
    for fix in fixes:
        for place, _, side in sides:
            if place.watch == "home_by" and side.due is None:
                side.due = _next(profile, place, fix.at)
        _absent(rule, profile, person, sides, fix.at, diary)
        person.device = fix.device
        if not _believe(rule, person, fix, diary):
            continue
        for place, own, side in sides:
            _move(rule, profile, place, own, side, fix, diary)
    _absent(rule, profile, person, sides, until, diary)
    return diary.said


def _places(rule: PlaceRule, profile: Profile) -> list[tuple[Place, bool]]:
    places = [(place, True) for place in profile.places]
    if profile.lat is not None and profile.lon is not None and rule.home_radius_m > 0:
        home = Place("home", "leave", ((profile.lat, profile.lon),), rule.home_radius_m)
        places.insert(0, (home, False))
    return places[:8]


def _next(profile: Profile, place: Place, at: int) -> int:
    zone, minute = ZoneInfo(profile.zone), place.minute or 0
    day = datetime.fromtimestamp(at / 1000, zone).date()
    while True:
        moment = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone)
        if round(moment.timestamp() * 1000) > at:
            return round(moment.timestamp() * 1000)
        day += timedelta(days=1)


def _absent(
    rule: PlaceRule,
    profile: Profile,
    person: Person,
    sides: Sequence[tuple[Place, bool, Side]],
    before: int,
    diary: Diary,
) -> None:
    for place, _, side in sides:
        while side.due is not None and side.due < before:
            due = side.due
            if side.inside is False and person.last is not None and due - person.last.at <= rule.stale_s * 1000:
                side.raised = True
                diary.tell(due, f"place.home_by.{place.name}", "raised", rule.home_by.severity, person.device)
            side.due = _next(profile, place, due)


def _believe(rule: PlaceRule, person: Person, fix: Fix, diary: Diary) -> bool:
    believed = person.last is None or not _too_fast(rule, person.last, fix)
    if not believed:
        if person.doubted and _too_fast(rule, person.doubted[-1], fix):
            person.doubted = []
        person.doubted.append(fix)
        believed = len(person.doubted) >= rule.doubts
        if not believed and (person.told_at is None or fix.at - person.told_at >= rule.again_s * 1000):
            person.told_at = fix.at
            diary.tell(fix.at, "place.jump", "raised", rule.jump.severity, fix.device)
    if believed:
        person.last, person.doubted = fix, []
    if fix.fix in {"gnss", None}:
        _repeat(rule, person, fix, diary)
    return believed


def _too_fast(rule: PlaceRule, before: Fix, fix: Fix) -> bool:
    away = math.hypot(*offset(before.lat, before.lon, fix))
    return away - before.accuracy - fix.accuracy > rule.top_speed * max(fix.at - before.at, 1000) / 1000


def _repeat(rule: PlaceRule, person: Person, fix: Fix, diary: Diary) -> None:
    if person.repeated and (person.repeated[0].lat, person.repeated[0].lon) != (fix.lat, fix.lon):
        if person.stuck:
            diary.tell(fix.at, "place.stuck", "cleared", rule.stuck.severity, fix.device)
        person.repeated, person.stuck = [], False
    person.repeated.append(fix)
    long_enough = fix.at - person.repeated[0].at >= rule.stuck_s * 1000
    if long_enough and len(person.repeated) >= rule.stuck_fixes and not person.stuck:
        person.stuck = True
        diary.tell(fix.at, "place.stuck", "raised", rule.stuck.severity, fix.device)


def _move(rule: PlaceRule, profile: Profile, place: Place, own: bool, side: Side, fix: Fix, diary: Diary) -> None:
    away = _beyond(place, fix)
    if away > max(rule.sure * fix.accuracy, rule.margin_m):
        inside = False
    elif (away <= 0 and fix.accuracy <= rule.worst_m) or away <= -rule.sure * fix.accuracy:
        inside = True
    else:
        return
    if inside == side.inside:
        side.aim = None
        return
    if side.aim != inside:
        side.aim, side.aim_since, side.aim_count = inside, fix.at, 0
    side.aim_count += 1
    if side.aim_count < rule.fixes or fix.at - side.aim_since < rule.dwell_s * 1000:
        return
    before, side.inside, side.aim = side.inside, inside, None
    name = f"place.{place.watch}.{place.name}"
    if inside == (place.watch == "enter"):
        if (
            before is not None
            and place.watch != "home_by"
            and (own or within(rule.home_from, rule.home_until, profile, fix.at))
        ):
            side.raised = True
            diary.tell(fix.at, name, "raised", rule.call(place.watch).severity, fix.device)
    elif side.raised:
        side.raised = False
        diary.tell(fix.at, name, "cleared", rule.call(place.watch).severity, fix.device)


def within(first: int, last: int, profile: Profile, at: int) -> bool:
    """Whether the person's clock shows something from minute `first` of the day to before `last`."""
    clock = datetime.fromtimestamp(at / 1000, ZoneInfo(profile.zone))
    minute = clock.hour * 60 + clock.minute
    return first <= minute < last if first <= last else minute >= first or minute < last


def offset(lat: float, lon: float, fix: Fix) -> tuple[float, float]:
    """Metres east and north of a point."""
    east = math.radians(fix.lon - lon) * math.cos(math.radians(lat)) * EARTH_M
    return east, math.radians(fix.lat - lat) * EARTH_M


def _beyond(place: Place, fix: Fix) -> float:
    lat, lon = place.points[0]
    x, y = offset(lat, lon, fix)
    if len(place.points) < 3:
        return math.hypot(x, y) - place.radius_m
    corners = [offset(lat, lon, Fix(0, *corner)) for corner in place.points]
    inside, nearest = False, math.inf
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
        along = min(max(along, 0), 1)
        nearest = min(nearest, math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)))
        if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            inside = not inside
    return -nearest if inside else nearest

"""Wandering once more, one fix at a time in plain Python: what `wandering.Wandering` must equal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from alerts.rules.tracks import CORNERS
from alerts.rules.wandering_rule import WanderingRule
from homecare.residents import Profile
from tests.alerts.rules.battery import Row, Told
from tests.alerts.rules.scalar_place import Diary, Fix, fixes_of, offset, within


class Corner(NamedTuple):
    """Decimetres from where the walk began."""

    x: int
    y: int
    at: int


@dataclass
class Walker:
    """What is known of one person's walk."""

    start: Fix | None = None
    corners: list[Corner] = field(default_factory=list)
    over_at: int | None = None
    device: int = 0


def good_fixes(rows: Sequence[Row], rule: WanderingRule) -> list[Fix]:
    """The satellite fixes among `rows` that are good enough."""
    fixes = fixes_of(rows, unsaid_m=0)
    return [fix for fix in fixes if fix.fix in {"gnss", None} and fix.accuracy <= rule.worst_m]


def wandering_triggers(rule: WanderingRule, profile: Profile, fixes: Sequence[Fix], until: int) -> list[Told]:
    """What is said of one person whose fixes, in order, are these, by `until`."""
    diary = Diary(profile.key)
    walker = Walker()
    for fix in fixes:
        _end(rule, walker, fix.at, diary)
        if _at_home(rule, profile, fix):
            continue
        if _walk(rule, walker, fix) and _aimless(rule, walker.corners):
            if walker.over_at is None:
                night = within(rule.night_from, rule.night_until, profile, fix.at)
                severity = rule.night_severity if night else rule.severity
                diary.tell(fix.at, "wandering", "raised", severity, fix.device)
            walker.over_at = fix.at + round(rule.calm_s * 1000)
    _end(rule, walker, until, diary)
    return diary.said


def _end(rule: WanderingRule, walker: Walker, before: int, diary: Diary) -> None:
    if walker.over_at is not None and walker.over_at < before:
        diary.tell(walker.over_at, "wandering", "cleared", rule.severity, walker.device)
        walker.over_at = None


def _at_home(rule: WanderingRule, profile: Profile, fix: Fix) -> bool:
    if profile.lat is None or profile.lon is None:
        return False
    return math.hypot(*offset(profile.lat, profile.lon, fix)) <= rule.home_m


def _walk(rule: WanderingRule, walker: Walker, fix: Fix) -> bool:
    """Whether this fix is a new corner of the walk."""
    if walker.start is None:
        walker.start, walker.corners = fix, [Corner(0, 0, fix.at)]
        return False
    east, north = offset(walker.start.lat, walker.start.lon, fix)
    corner = Corner(round(east * 10), round(north * 10), fix.at)
    last = walker.corners[-1]
    far = max(abs(east), abs(north)) > 3200
    way = math.hypot(corner.x - last.x, corner.y - last.y)
    step = max(round(rule.step_m * 10), round(fix.accuracy * 10))
    if not far and way < step:
        return False
    span = fix.at - last.at
    if far or span > rule.pause_s * 1000 or way * 1000 > rule.fastest * 10 * span + step * 1000:
        walker.start, walker.corners = fix, [Corner(0, 0, fix.at)]
        return False
    walker.corners, walker.device = [*walker.corners, corner][-CORNERS:], fix.device
    return True


def _aimless(rule: WanderingRule, corners: Sequence[Corner]) -> bool:
    if len(corners) < 6:
        return False
    now = corners[-1]
    path = 0
    for first in range(len(corners) - 2, -1, -1):
        here, after = corners[first], corners[first + 1]
        path += round(math.sqrt((here.x - after.x) ** 2 + (here.y - after.y) ** 2))
        span = now.at - here.at
        if span > rule.window_s * 1000:
            return False
        reach = _extent(corners[first:])
        ratio = rule.ratio if reach <= rule.near_m * 10 else rule.far_ratio
        if path >= rule.path_m * 10 and path >= ratio * reach and path * 100 >= rule.slowest * span:
            return True
    return False


def _extent(corners: Sequence[Corner]) -> int:
    def width(across: list[int]) -> int:
        return max(across) - min(across)

    oblique = max(width([c.x + c.y for c in corners]), width([c.x - c.y for c in corners]))
    return max(width([c.x for c in corners]), width([c.y for c in corners]), oblique * 181 // 256)

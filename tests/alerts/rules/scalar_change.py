"""A change against the baseline once more, one reading at a time: written to be read, and what `change.Change` must equal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from alerts.rules.change_rule import ChangeRule
from homecare.residents import Profile
from tests.alerts.rules.battery import Row, Told


class Day(NamedTuple):
    """What one day came to."""

    day: int
    readings: tuple[float, ...]


@dataclass
class Part:
    """One part of one person's days."""

    days: list[Day] = field(default_factory=list)
    """Newest first."""
    beyond_since: int | None = None
    active: bool = False
    held: float = math.nan
    began: int = 0


@dataclass
class Person:
    """One person's days by part, and when it was last raised."""

    parts: dict[int, Part] = field(default_factory=dict)
    raised_at: int = 0

    @property
    def active(self) -> bool:
        return any(part.active for part in self.parts.values())


def change_triggers(name: str, rule: ChangeRule, profiles: Sequence[Profile], rows: Sequence[Row]) -> list[Told]:
    """What the rule says of `rows`, which are in order."""
    said: list[Told] = []
    people: dict[int, Person] = {}
    zones = {profile.key: ZoneInfo(profile.zone) for profile in profiles}
    for row in rows:
        value = float(np.float32(row.values.get(rule.metric, math.nan)))
        if math.isnan(value) or not row.resident:
            continue
        local = datetime.fromtimestamp(row.ts / 1000, zones[row.resident])
        person = people.setdefault(row.resident, Person())
        part = person.parts.setdefault((local.hour * 60 + local.minute) * rule.bins // 1440, Part())
        state = _judge(rule, person, part, local.toordinal(), row.ts, value)
        if state:
            said.append(Told(row.ts, name, state, rule.severity, row.device, row.resident, rule.metric))
    return said


def _judge(rule: ChangeRule, person: Person, part: Part, today: int, at: int, value: float) -> str | None:
    days = _with(part.days, today, value)[: rule.keep]
    today = days[0].day
    recent = [day for day in days[: rule.recent] if day.day >= today - rule.days]
    before = [day for day in days[rule.recent :] if day.day >= today - rule.days]
    held = part.active and at - part.began < rule.hold_days * 86_400_000
    speaks = held or (len(recent) == rule.recent and len(before) >= rule.least)
    usual = part.held if held else _reference(rule, before)
    if speaks and rule.most is not None and abs(round(value - usual, 3)) > rule.most:
        return None
    part.days = days

    now = median([_value(rule, day) for day in recent]) if speaks else math.nan
    difference = round(now - usual, 3)
    away = {"up": difference, "down": -difference, "both": abs(difference)}[rule.direction]
    known = before if rule.against == "usual" else days[rule.recent :]
    needed = (
        max(rule.limit, round(rule.spreads * _spread(rule, known), 3)) if len(known) >= rule.spread_days else rule.limit
    )
    beyond = speaks and away >= needed
    over = not speaks or away <= needed - rule.hysteresis
    if not beyond:
        part.beyond_since = None
    elif part.beyond_since is None:
        part.beyond_since = at
    sure = part.beyond_since is not None and at - part.beyond_since >= rule.for_s * 1000
    was = person.active
    if over and not beyond:
        part.active = False
    elif sure and not part.active:
        part.active, part.held, part.began = True, usual, at
    if sure and (not was or at - person.raised_at >= rule.again_s * 1000):
        person.raised_at = at
        return "raised"
    return "cleared" if was and not person.active else None


def _with(days: list[Day], today: int, value: float) -> list[Day]:
    """The days with a reading of today among them; the calendar never goes back."""
    if days and today <= days[0].day:
        return [Day(days[0].day, (*days[0].readings, value)), *days[1:]]
    return [Day(today, (value,)), *days]


def _value(rule: ChangeRule, day: Day) -> float:
    if rule.day_value == "mean":
        return float(np.float32(sum(day.readings) / len(day.readings)))
    return min(day.readings) if rule.day_value == "lowest" else max(day.readings)


def _reference(rule: ChangeRule, days: list[Day]) -> float:
    values = [_value(rule, day) for day in days]
    if not values:
        return math.nan
    if rule.against == "usual":
        return median(values)
    return min(values) if rule.direction == "up" else max(values)


def _spread(rule: ChangeRule, days: list[Day]) -> float:
    values = [_value(rule, day) for day in days]
    centre = median(values)
    return 1.4826 * median([abs(value - centre) for value in values])

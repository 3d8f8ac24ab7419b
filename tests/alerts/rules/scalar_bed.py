"""A bed left at night once more, one word of the bed at a time: written to be read, and what `bed.Bed` must equal."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.rules.bed_rule import BedRule
from homecare.residents import Profile
from tests.alerts.rules.battery import Row, Told

DAY_MS = 86_400_000
Say = Callable[[int, str], None]


@dataclass
class Person:
    """What is known of a resident and their bed."""

    zone: ZoneInfo
    device: int = 0
    heard: int = 0
    inside: bool | None = None
    returns: bool = False
    left_at: int | None = None
    deadline: int | None = None
    due: int | None = None
    back_at: int | None = None
    raised: bool = False
    absences: list[int] = field(default_factory=list)
    """Seconds, newest first."""


def bed_triggers(name: str, rule: BedRule, profiles: Sequence[Profile], rows: Sequence[Row], until: int) -> list[Told]:
    """What the rule says of `rows`, which are in order, by `until`."""
    said: list[Told] = []
    for profile in profiles:
        person = Person(ZoneInfo(profile.zone))

        def say(at: int, state: str, person: Person = person, key: int = profile.key) -> None:
            said.append(Told(at, name, state, rule.severity, person.device, key, "presence"))

        for row in rows:
            presence = row.values.get("presence", math.nan)
            if row.resident != profile.key or (row.event != "bed_exit" and math.isnan(presence)):
                continue
            _settle(rule, person, row.ts, say)
            _hear(rule, person, row, presence, say)
        _settle(rule, person, until, say)
    return said


def _settle(rule: BedRule, person: Person, until: int, say: Say) -> None:
    if person.back_at is not None:
        at = person.back_at + round(rule.back_s * 1000)
        if at > until:
            return
        assert person.left_at is not None
        if person.raised:
            say(at, "cleared")
        away = person.back_at - person.left_at
        if away >= rule.short_s * 1000 and person.back_at < _morning(rule, person.zone, person.left_at):
            person.absences = [away // 1000, *person.absences][: rule.keep]
        person.left_at = person.back_at = person.deadline = person.due = None
        person.raised = False
    elif person.due is not None and person.due <= until:
        if rule.on:
            say(person.due, "raised")
            person.raised = True
        person.due = None


def _hear(rule: BedRule, person: Person, row: Row, presence: float, say: Say) -> None:
    left = row.event == "bed_exit"
    if person.device not in (0, row.device) and not left and row.ts - person.heard < DAY_MS:
        return
    if person.device != row.device:
        person.returns = False
    person.device, person.heard = row.device, row.ts
    if not left and presence >= 0.5:
        person.inside = person.returns = True
        if person.left_at is not None and person.back_at is None:
            person.back_at = row.ts
        return
    was, person.inside = person.inside, (False if left or person.inside is not None else None)
    if person.left_at is not None and person.back_at is not None:
        person.back_at = None
        person.due = max(person.deadline, row.ts) if person.deadline is not None and not person.raised else None
    elif left and was is not True and not person.returns:
        if person.raised:
            say(row.ts, "cleared")
        _leave(rule, person, row.ts)
    elif person.left_at is None and (was is True or (left and was is None)):
        _leave(rule, person, row.ts)


def _leave(rule: BedRule, person: Person, at: int) -> None:
    person.left_at = person.back_at = person.deadline = person.due = None
    person.raised = False
    morning = _morning(rule, person.zone, at)
    if at >= morning:
        return
    person.left_at = at
    allowed = rule.floor_s
    if len(person.absences) >= rule.least:
        rank = min(math.ceil(round(rule.share * len(person.absences), 6)), max(len(person.absences) - 1, 1))
        allowed = min(max(sorted(person.absences)[rank - 1] + rule.margin_s, rule.floor_s), rule.most_s)
    if at + round(allowed * 1000) < morning:
        person.deadline = person.due = at + round(allowed * 1000)


def _morning(rule: BedRule, zone: ZoneInfo, at: int) -> int:
    """When the night ends that began last."""
    night = datetime.fromtimestamp(at / 1000, zone).date()
    while _clock(zone, night, rule.from_minute) > at:
        night -= timedelta(days=1)
    later = rule.to_minute < rule.from_minute
    return _clock(zone, night + timedelta(days=1) if later else night, rule.to_minute)


def _clock(zone: ZoneInfo, day: date, minute: int) -> int:
    local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone)
    return round(local.timestamp() * 1000)

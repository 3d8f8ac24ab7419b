"""A routine once more, one day at a time: written to be read, and what `routine.Routine` must equal."""

import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from alerts.rules.routine_rule import RoutineRule
from homecare.metrics import INDEX
from homecare.residents import Profile
from tests.alerts.rules.battery import Row, Told


class Sign(NamedTuple):
    """The first sign of a day."""

    at: int
    device: int
    metric: str | None


def routine_triggers(
    name: str, rule: RoutineRule, profiles: Sequence[Profile], rows: Sequence[Row], until: int
) -> list[Told]:
    """What the rule says of `rows` by `until`."""
    return [told for profile in profiles for told in _of_one(name, rule, profile, rows, until)]


def _of_one(name: str, rule: RoutineRule, profile: Profile, rows: Sequence[Row], until: int) -> list[Told]:
    zone = ZoneInfo(profile.zone)
    first: dict[date, Sign] = {}
    for row in rows:
        sign = _sign(rule, row)
        if row.resident == profile.key and sign is not None:
            day = _day(rule, zone, row.ts)
            new = Sign(row.ts, row.device, sign if sign in INDEX else None)
            first[day] = min(first.get(day, new), new, key=lambda one: one.at)
    said: list[Told] = []
    if not first:
        return said
    habit: list[tuple[date, int]] = []  # newest first: day, minutes after its midnight
    devices: list[int] = []
    raised = False
    day = min(first)
    while _moment(zone, day, rule.from_minute) <= until:
        seen = first.get(day)
        deadline = _deadline(rule, zone, day, habit)
        if deadline is not None and deadline <= until and (seen is None or seen.at >= deadline) and rule.on:
            said.append(Told(deadline, name, "raised", rule.severity, min(devices), profile.key, None))
            raised = True
        if seen is not None and raised and seen.at < until:
            said.append(Told(seen.at, name, "cleared", rule.severity, seen.device, profile.key, seen.metric))
            raised = False
        if seen is not None:
            habit = [(day, _minute(zone, day, seen.at)), *habit][: rule.keep]
            devices.append(seen.device)
        day += timedelta(days=1)
    return said


def _sign(rule: RoutineRule, row: Row) -> str | None:
    for sign in rule.signs:
        if row.event == sign or row.values.get(sign, math.nan) > 0:
            return sign
    return None


def _deadline(rule: RoutineRule, zone: ZoneInfo, day: date, habit: list[tuple[date, int]]) -> int | None:
    if rule.by_minute is not None:
        return _moment(zone, day, rule.by_minute) if habit else None
    minutes = sorted(minute for known, minute in habit if (day - known).days <= rule.days)
    if len(minutes) < rule.least:
        return None
    rank = min(math.ceil(round(rule.share * len(minutes), 6)), max(len(minutes) - 1, 1))
    usual = minutes[rank - 1]
    deadline = _moment(zone, day, usual + rule.margin_minutes)
    return deadline if deadline < _moment(zone, day + timedelta(days=1), rule.from_minute) else None


def _day(rule: RoutineRule, zone: ZoneInfo, at: int) -> date:
    day = datetime.fromtimestamp(at / 1000, zone).date() + timedelta(days=1)
    while _moment(zone, day, rule.from_minute) > at:
        day -= timedelta(days=1)
    return day


def _minute(zone: ZoneInfo, day: date, at: int) -> int:
    local = datetime.fromtimestamp(at / 1000, zone).replace(tzinfo=None)
    return int((local - datetime(day.year, day.month, day.day)).total_seconds() // 60)  # noqa: DTZ001 (the wall's clock)


def _moment(zone: ZoneInfo, day: date, minute: int) -> int:
    """When the wall's clock shows this minute after the day's midnight."""
    local = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001 (the wall's clock)
    return round(local.replace(tzinfo=zone).timestamp() * 1000)

"""Who is on duty and who sleeps at a moment: wall clocks of time zones, whose hours may be missing or come twice.

Every local time stands for one instant, in the same order, so that two shifts that meet on the wall clock meet in time:
a hand-over leaves no gap and happens once, also in the night the clocks change.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.circle import Person, Rota, Shift

FALLBACK_ZONE = "Asia/Shanghai"
"""The directory's default, where a zone's name means nothing: an hour wrong is better than nobody."""
_SECOND = timedelta(seconds=1)


def on_duty(rota: Rota, at: datetime) -> tuple[str, ...]:
    """The contacts on duty at `at` (aware), each once. A dated shift stands in for the weekly ones. Nobody: empty."""
    zone = zone_of(rota.timezone)
    dated = [s.contact for s in rota.shifts if s.starts and s.ends and _covers(s.starts, s.ends, at, zone)]
    found = dated or [shift.contact for shift in rota.shifts if _weekly(shift, at, zone)]
    return tuple(dict.fromkeys(found))


def quiet_until(person: Person, at: datetime) -> datetime | None:
    """When the quiet hours that hold at `at` (aware) end, UTC; None: none hold."""
    if person.quiet_from is None or person.quiet_to is None:
        return None
    zone = zone_of(person.timezone)
    for day in _days_near(at, zone):
        starts, ends = _span(day, person.quiet_from, person.quiet_to)
        if _covers(starts, ends, at, zone):
            return instant(ends, zone)
    return None


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The first moment, UTC, at which the clocks of `zone` show `local` (naive, whole seconds) or later."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return first
    # The clocks jump over it: what should begin then begins with the jump, which lies between the two.
    before, after = second, first
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def zone_of(name: str) -> ZoneInfo:
    """The time zone of this name, or the fallback."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return ZoneInfo(FALLBACK_ZONE)


def _weekly(shift: Shift, at: datetime, zone: ZoneInfo) -> bool:
    if shift.days is None or shift.from_minute is None or shift.to_minute is None:
        return False
    return any(
        day.isoweekday() in shift.days and _covers(*_span(day, shift.from_minute, shift.to_minute), at, zone)
        for day in _days_near(at, zone)
    )


def _days_near(at: datetime, zone: ZoneInfo) -> Iterator[date]:
    """The days on which what holds now may have begun: clocks that go back at midnight show yesterday again."""
    today = at.astimezone(zone).date()
    for days in (-1, 0, 1):
        yield today + timedelta(days=days)


def _span(day: date, from_minute: int, to_minute: int) -> tuple[datetime, datetime]:
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - local, its zone comes with `instant`
    ends = midnight + timedelta(minutes=to_minute)
    return midnight + timedelta(minutes=from_minute), ends if to_minute > from_minute else ends + timedelta(days=1)


def _covers(starts: datetime, ends: datetime, at: datetime, zone: ZoneInfo) -> bool:
    return instant(starts, zone) <= at < instant(ends, zone)

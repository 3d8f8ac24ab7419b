"""Rotas and quiet hours: who is on at the moment, hand-overs at the minute, also in the nights the clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.circle import Person, Rota, Shift
from alerts.duty import instant, on_duty, quiet_until

EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "America/Havana", "Africa/Cairo")
NIGHTS = [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 4, 5, tzinfo=UTC)]


def local(zone: str, text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def rota(*shifts: Shift, zone: str = "Asia/Shanghai") -> Rota:
    return Rota("r", zone, shifts)


WEEK = rota(
    Shift("day", (1, 2, 3, 4, 5), 8 * 60, 20 * 60),
    Shift("night", (1, 2, 3, 4, 5), 20 * 60, 8 * 60),
    Shift("weekend", (6,), 12 * 60, 12 * 60),
    Shift("feast", starts=datetime(2026, 12, 25), ends=datetime(2026, 12, 26)),  # noqa: DTZ001
)


@pytest.mark.parametrize(
    ("at", "on"),
    [
        ("2026-11-23T07:59:59", ()),  # Monday: Sunday's night is nobody's
        ("2026-11-23T08:00", ("day",)),
        ("2026-11-23T19:59:59", ("day",)),
        ("2026-11-23T20:00", ("night",)),
        ("2026-11-24T07:59:59", ("night",)),
        ("2026-11-28T07:59", ("night",)),  # Friday's night ends on Saturday
        ("2026-11-28T08:00", ()),
        ("2026-11-28T12:00", ("weekend",)),
        ("2026-11-29T11:59", ("weekend",)),
        ("2026-11-29T12:00", ()),
        ("2026-12-25T09:00", ("feast",)),  # a dated shift stands in for the weekly ones
        ("2026-12-26T00:00", ("night",)),
    ],
)
def test_shifts_hand_over_at_the_minute(at: str, on: tuple[str, ...]) -> None:
    assert on_duty(WEEK, local("Asia/Shanghai", at)) == on


def test_two_on_the_same_shift_are_both_on_duty_and_one_on_two_shifts_once() -> None:
    both = rota(Shift("a", EVERY_DAY, 0, 0), Shift("b", EVERY_DAY, 0, 0), Shift("a", EVERY_DAY, 60, 120))
    assert on_duty(both, local("Asia/Shanghai", "2026-11-23T01:30")) == ("a", "b")


def test_a_shift_in_the_hour_that_comes_twice_is_handed_over_once() -> None:
    night = rota(Shift("a", EVERY_DAY, 22 * 60, 150), Shift("b", EVERY_DAY, 150, 22 * 60), zone="Europe/Berlin")
    on = [
        on_duty(night, local("Europe/Berlin", f"2026-10-25T02:{minute}", fold))
        for fold, minute in [(0, 29), (0, 30), (1, 10), (1, 30)]
    ]
    assert on == [("a",), ("b",), ("b",), ("b",)]


def test_a_shift_in_the_hour_that_is_missing_begins_when_the_clocks_jump() -> None:
    assert instant(datetime(2026, 3, 29, 2, 30), ZoneInfo("Europe/Berlin")) == datetime(2026, 3, 29, 1, tzinfo=UTC)  # noqa: DTZ001
    night = rota(Shift("a", EVERY_DAY, 22 * 60, 150), Shift("b", EVERY_DAY, 150, 22 * 60), zone="Europe/Berlin")
    assert on_duty(night, datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)) == ("a",)
    assert on_duty(night, datetime(2026, 3, 29, 1, 0, tzinfo=UTC)) == ("b",)


@settings(max_examples=200, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    night=st.sampled_from(NIGHTS),
    cuts=st.lists(st.integers(0, 1439), min_size=2, max_size=4, unique=True),
    seconds=st.integers(-2 * 86_400, 2 * 86_400),
)
def test_shifts_that_meet_leave_no_moment_without_one_and_none_with_two(
    zone: str, night: datetime, cuts: list[int], seconds: int
) -> None:
    cuts.sort()
    edges = zip(cuts, [*cuts[1:], cuts[0]], strict=True)
    whole = rota(*(Shift(f"c{n}", EVERY_DAY, begin, end) for n, (begin, end) in enumerate(edges)), zone=zone)
    assert len(on_duty(whole, night + timedelta(seconds=seconds))) == 1


@settings(max_examples=200, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    night=st.sampled_from(NIGHTS),
    span=st.lists(st.integers(0, 1439), min_size=2, max_size=2, unique=True),
    seconds=st.integers(-2 * 86_400, 2 * 86_400),
)
def test_quiet_hours_end_within_a_day_and_are_over_then(
    zone: str, night: datetime, span: list[int], seconds: int
) -> None:
    person = Person("C-1", timezone=zone, quiet_from=span[0], quiet_to=span[1])
    at = night + timedelta(seconds=seconds)
    until = quiet_until(person, at)
    if until is None:
        # Then they are quiet by no clock: the wall shows a time outside of them, or one that has been before.
        shown = at.astimezone(ZoneInfo(zone))
        minute = shown.hour * 60 + shown.minute
        inside = span[0] <= minute < span[1] if span[0] < span[1] else not span[1] <= minute < span[0]
        assert not inside or shown.fold == 1
    else:
        assert at < until <= at + timedelta(hours=26)
        assert quiet_until(person, until) is None


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-21T21:59:59", None),
        ("2026-11-21T22:00", "2026-11-22T07:00"),
        ("2026-11-22T06:59:59", "2026-11-22T07:00"),
        ("2026-11-22T07:00", None),
    ],
)
def test_quiet_hours_over_midnight(at: str, until: str | None) -> None:
    person = Person("C-1", timezone="Asia/Shanghai", quiet_from=22 * 60, quiet_to=7 * 60)
    expected = None if until is None else local("Asia/Shanghai", until)
    assert quiet_until(person, local("Asia/Shanghai", at)) == expected


def test_a_zone_that_nobody_knows_leaves_the_rota_on_duty() -> None:
    assert on_duty(rota(Shift("a", EVERY_DAY, 0, 0), zone="Mars/Base"), NIGHTS[0]) == ("a",)

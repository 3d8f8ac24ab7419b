"""The clock on the wall, for many at once, is the one that `zoneinfo` shows for each."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.rules.localtime import Zones, date_of, minute_name

NAMES = ("Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca")
EPOCH = date(1970, 1, 1)
ZONES = Zones()
NAMED = st.sampled_from(NAMES)
SETTINGS = settings(max_examples=200, deadline=None)


def one(value: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([value], np.int64)


def zone(name: str) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.array([ZONES.number(name)], np.int16)


@SETTINGS
@given(NAMED, st.datetimes(datetime(2015, 1, 1), datetime(2049, 1, 1)))  # noqa: DTZ001 (UTC)
def test_the_offset_is_that_of_the_zone(name: str, moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    offset = moment.astimezone(ZoneInfo(name)).utcoffset() or timedelta()
    found = ZONES.offset(zone(name), one(round(moment.timestamp() * 1000)))
    assert found[0] == round(offset.total_seconds() * 1000)


@SETTINGS
@given(NAMED, st.dates(date(2015, 1, 2), date(2048, 12, 31)), st.integers(0, 2879))
def test_a_minute_of_a_date_is_where_the_clock_shows_it_first(name: str, day: date, minute: int) -> None:
    local = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001 (the wall's clock)
    expected = round(local.replace(tzinfo=ZoneInfo(name)).timestamp() * 1000)
    assert ZONES.moment(zone(name), one((day - EPOCH).days), one(minute))[0] == expected


@SETTINGS
@given(NAMED, st.dates(date(2015, 3, 1), date(2048, 11, 30)), st.integers(0, 1439))
def test_days_follow_each_other_however_the_clocks_are_put(name: str, day: date, minute: int) -> None:
    start = round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    moments = start + np.arange(0, 4 * 86_400_000, 600_000)
    zones, minutes = np.repeat(zone(name), len(moments)), np.full(len(moments), minute)
    found = ZONES.day(zones, moments, minutes)
    assert set(np.diff(found).tolist()) <= {0, 1}
    assert (ZONES.moment(zones, found, minutes) <= moments).all()
    assert (ZONES.moment(zones, found + 1, minutes) > moments).all()


@pytest.mark.parametrize("hour", [0, 1, 2, 3])
def test_the_hour_that_is_left_out_and_the_one_shown_twice(hour: int) -> None:
    for day in (date(2027, 3, 28), date(2027, 10, 31)):
        expected = datetime(day.year, day.month, day.day, hour, 30, tzinfo=ZoneInfo("Europe/Berlin"))
        found = ZONES.moment(zone("Europe/Berlin"), one((day - EPOCH).days), one(60 * hour + 30))
        assert found[0] == round(expected.timestamp() * 1000)


def test_a_zone_that_is_not_known_counts_as_the_default() -> None:
    assert ZONES.number("Mars/Olympus") == ZONES.number("Asia/Shanghai") == 0


def test_days_and_minutes_by_name() -> None:
    assert (date_of(20_895), minute_name(425), minute_name(1_500)) == ("2027-03-18", "07:05", "01:00")

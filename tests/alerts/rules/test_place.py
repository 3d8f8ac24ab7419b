"""Who left, who entered, who is not home; and which positions are not believed."""

import math
from datetime import UTC, datetime

import msgspec
import pytest

from alerts.rules.pack import load_pack
from alerts.rules.place import Places
from alerts.rules.place_rule import PlaceRule, check_place
from alerts.rules.running import Named
from homecare.errors import InputError
from homecare.residents import Place, Profile
from homecare.triggers import Trigger
from tests.alerts.rules.battery import Case, Row, feed, started, whole
from tests.alerts.rules.place_cases import DENT, LAT, LON, each

RULE = msgspec.convert(load_pack().rules["place"]["place"], PlaceRule)
MINUTE = 60_000
NIGHT = round(datetime(2027, 1, 14, 16, 0, tzinfo=UTC).timestamp() * 1000)
"""Midnight in China."""
NOON = NIGHT + 12 * 60 * MINUTE
HOME = (LAT, LON)
NEAR, OUT, FAR = (LAT + 0.0012, LON), (LAT + 0.003, LON), (LAT + 0.5, LON)
"""130 m, 330 m and 55 km from home."""


def told(rows: list[Row], *places: Place, home: tuple[float, float] | None = HOME, tail_h: float = 1) -> list[Trigger]:
    lat, lon = home or (None, None)
    person = Profile(7, "R-7", "520201", lat=lat, lon=lon, places=places)
    case = Case(
        "place", lambda: [Named("place", Places(RULE))], None, each(lambda *_: []),  # type: ignore[arg-type]
        profiles=(person,), tail_ms=round(tail_h * 60 * MINUTE),
    )  # fmt: skip
    return whole(case, rows)


def stay(
    at: int, where: tuple[float, float], minutes: int, accuracy: float = 8, fix: str = "gnss", seq: int = 0
) -> list[Row]:
    """A fix a minute, never quite the same."""
    return [
        Row(at + n * MINUTE, {}, 1, 7, where[0] + n * 1e-6, where[1], accuracy, fix=fix, seq=seq + n,
            received=at + n * MINUTE + 500)
        for n in range(minutes)
    ]  # fmt: skip


def brief(triggers: list[Trigger]) -> list[tuple[str, str, int]]:
    return [(trigger.rule, trigger.state, trigger.at) for trigger in triggers]


def test_leaving_home_at_night_tells_once_three_fixes_in_two_minutes_agree_and_coming_back_ends_it() -> None:
    triggers = told(
        stay(NIGHT, HOME, 10) + stay(NIGHT + 10 * MINUTE, OUT, 10, seq=10) + stay(NIGHT + 20 * MINUTE, HOME, 5, seq=20)
    )
    assert brief(triggers) == [
        ("place.leave.home", "raised", NIGHT + 12 * MINUTE),
        ("place.leave.home", "cleared", NIGHT + 22 * MINUTE),
    ]
    assert triggers[0].zh == "00:12 已离开家，距边界 184 米"
    assert triggers[0].en == "Left home by 00:12, 184 m beyond its border"
    assert triggers[0].evidence["place"] == {"name": "home", "points": [[LAT, LON]], "radius_m": 150.0}
    assert triggers[0].evidence["since"] == NIGHT + 10 * MINUTE


def test_by_day_one_may_go_out() -> None:
    assert told(stay(NOON, HOME, 10) + stay(NOON + 10 * MINUTE, OUT, 60, seq=10)) == []


@pytest.mark.parametrize(
    ("where", "accuracy", "fix"),
    [(NEAR, 8, "gnss"), (OUT, 100, "wifi"), (OUT, 2000, "lbs"), (OUT, 8, "none"), (OUT, math.nan, "none")],
)
def test_drift_coarse_fixes_and_old_ones_take_nobody_out(where: tuple[float, float], accuracy: float, fix: str) -> None:
    assert told(stay(NIGHT, HOME, 10) + stay(NIGHT + 10 * MINUTE, where, 60, accuracy, fix, seq=10)) == []


def test_a_moment_outside_is_no_leaving() -> None:
    rows = (
        stay(NIGHT, HOME, 10) + stay(NIGHT + 10 * MINUTE, OUT, 2, seq=10) + stay(NIGHT + 12 * MINUTE, HOME, 3, seq=12)
    )
    assert told([*rows, *stay(NIGHT + 15 * MINUTE, OUT, 2, seq=15), *stay(NIGHT + 17 * MINUTE, HOME, 3, seq=17)]) == []


def test_whoever_is_out_when_one_begins_to_look_has_not_left() -> None:
    assert told(stay(NIGHT, OUT, 20)) == []


def test_entering_a_polygon_tells_and_its_dent_is_outside() -> None:
    river = Place("river", "enter", DENT)
    within, dent = (LAT + 0.0005, LON + 0.001), (LAT + 0.0017, LON + 0.001)
    rows = stay(NOON, (LAT - 0.002, LON), 5) + stay(NOON + 5 * MINUTE, dent, 5, seq=5)
    assert told(rows, river) == []
    triggers = told(
        rows + stay(NOON + 10 * MINUTE, within, 5, seq=10) + stay(NOON + 15 * MINUTE, FAR, 9, seq=15), river
    )
    assert [one for one in brief(triggers) if "river" in one[0]] == [
        ("place.enter.river", "raised", NOON + 12 * MINUTE),
        ("place.enter.river", "cleared", NOON + 19 * MINUTE),
    ]


def test_not_home_at_nine_is_said_of_nine_o_clock_and_over_when_they_come() -> None:
    nine, house = NIGHT + 21 * 60 * MINUTE, Place("house", "home_by", (HOME,), 150.0, minute=21 * 60)
    out = stay(nine - 60 * MINUTE, HOME, 5) + stay(nine - 55 * MINUTE, OUT, 10, seq=5)
    triggers = told([*out, *stay(nine + 90 * MINUTE, HOME, 4, seq=15)], house)
    assert brief(triggers) == [
        ("place.home_by.house", "raised", nine),
        ("place.home_by.house", "cleared", nine + 92 * MINUTE),
    ]
    assert triggers[0].en == "Not at house at 21:00; last seen 185 m beyond its border"
    assert triggers[0].evidence["position"]["at"] == nine - 46 * MINUTE
    at_home = stay(nine - 60 * MINUTE, OUT, 5) + stay(nine - 55 * MINUTE, HOME, 10, seq=5)
    assert told(at_home, house, tail_h=3) == []


def test_of_whom_nothing_was_seen_for_a_day_nobody_knows_where_they_are() -> None:
    house = Place("house", "home_by", (HOME,), 150.0, minute=12 * 60 + 30)
    triggers = told(stay(NOON, OUT, 10), house, home=None, tail_h=80)
    assert [trigger.at - NOON for trigger in triggers] == [30 * MINUTE]


def test_a_jump_is_doubted_and_told_once_and_believed_when_it_lasts() -> None:
    rows = stay(NIGHT, HOME, 5) + stay(NIGHT + 5 * MINUTE, FAR, 2, seq=5) + stay(NIGHT + 7 * MINUTE, HOME, 3, seq=7)
    (jump,) = told(rows)
    assert (jump.rule, jump.kind, jump.severity, jump.at) == ("place.jump", "device", "info", NIGHT + 5 * MINUTE)
    assert jump.en == "The position jumped 55.6 km within 1 min, as nobody can move: it is not believed"
    lasting = told(stay(NIGHT, HOME, 5) + stay(NIGHT + 5 * MINUTE, FAR, 8, seq=5))
    assert brief(lasting)[1] == ("place.leave.home", "raised", NIGHT + 9 * MINUTE)


def test_a_receiver_that_repeats_itself_is_stuck_and_a_network_s_table_is_not() -> None:
    def same(fix: str) -> list[Row]:
        hours = range(60)
        return [
            Row(NIGHT + n * 60 * MINUTE, {}, 1, 7, LAT, LON, 8, fix=fix, seq=n, received=NIGHT + n * 60 * MINUTE)
            for n in hours
        ]

    assert told(same("wifi")) == []
    triggers = told(same("gnss") + stay(NIGHT + 61 * 60 * MINUTE, NEAR, 1, seq=61))
    assert brief(triggers) == [
        ("place.stuck", "raised", NIGHT + 48 * 60 * MINUTE),
        ("place.stuck", "cleared", NIGHT + 61 * 60 * MINUTE),
    ]
    assert triggers[0].zh == "定位已 2 天丝毫未变，定位模块可能卡住"


def test_a_place_that_stays_keeps_its_state_when_others_come_and_go() -> None:
    yard, river = Place("yard", "leave", (HOME,), 100.0), Place("river", "enter", DENT)
    case = Case("place", lambda: [Named("place", Places(RULE))], None, each(lambda *_: []), profiles=())  # type: ignore[arg-type]
    engine = started(case)
    engine.know([Profile(7, "R-7", "520201", places=(yard,))])
    triggers = feed(engine, stay(NOON, HOME, 10))
    triggers += engine.sweep(NOON + 30 * MINUTE)
    engine.know([Profile(7, "R-7", "520201", places=(river, yard))])
    triggers += feed(engine, stay(NOON + 40 * MINUTE, OUT, 10, seq=10))
    triggers += engine.sweep(NOON + 120 * MINUTE)
    assert brief(triggers) == [("place.leave.yard", "raised", NOON + 42 * MINUTE)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 0}, "rule place, field version: expected 1 or more, got 0"),
        ({"fixes": 0}, "rule place, field fixes: expected 1 to 100, got 0"),
        ({"home_from": 1500}, "rule place, field home_from: expected 0 to 1440, got 1500"),
        (
            {"stuck": msgspec.structs.replace(RULE.stuck, zh="{place}")},
            "rule place, field stuck.zh: expected a text whose fields are among {duration}, got '{place}'",
        ),
    ],
)
def test_a_wrong_number_is_named(change: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as error:
        check_place("place", msgspec.structs.replace(RULE, **change))
    assert str(error.value) == says


def test_a_home_moves_with_its_resident_and_places_give_way_to_it() -> None:
    yard = Place("yard", "leave", (HOME,), 100.0)
    case = Case("place", lambda: [Named("place", Places(RULE))], None, each(lambda *_: []), profiles=())  # type: ignore[arg-type]
    engine = started(case)
    engine.know([Profile(7, "R-7", "520201", lat=LAT, lon=LON, places=(yard,)), Profile(8, "R-8", "520201")])
    engine.know([Profile(7, "R-7", "520201", lat=OUT[0], lon=OUT[1])])
    triggers = feed(engine, stay(NIGHT, OUT, 5) + stay(NIGHT + 5 * MINUTE, HOME, 5, seq=5))
    triggers += engine.sweep(NIGHT + 60 * MINUTE)
    assert brief(triggers) == [("place.leave.home", "raised", NIGHT + 7 * MINUTE)]
    assert triggers[0].evidence["place"]["points"] == [[round(OUT[0], 7), LON]]

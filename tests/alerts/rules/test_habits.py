"""Changes, routines and the bed with the default pack's numbers: what people are told, when, and with what evidence."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from alerts.rules.bed import Bed
from alerts.rules.change import Change
from alerts.rules.engine import Engine
from alerts.rules.operator import Operator, Subject
from alerts.rules.pack import build_pack, load_pack
from alerts.rules.routine import Routine
from alerts.rules.running import Named
from homecare.errors import InputError
from homecare.residents import Profile
from homecare.triggers import Trigger
from tests.alerts.rules.battery import PACK, Row, feed, to_samples

RULES = load_pack().rules
WEIGHT: Any = RULES["change"]["weight_gain"]
DRIFT: Any = RULES["change"]["systolic_drift"]
NOT_UP: Any = RULES["routine"]["not_up"]
NO_CHECK_IN: Any = RULES["routine"]["no_check_in"]
BED: Any = RULES["bed"]["bed"]
CHINA, BERLIN = "Asia/Shanghai", "Europe/Berlin"


def at(text: str, zone: str = CHINA) -> int:
    """Unix ms of a local `2027-03-01 07:00`."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def days(first: str, clock: str, count: int, zone: str = CHINA) -> list[int]:
    """The same hour by the clock on the wall, on `count` days."""
    start = datetime.fromisoformat(f"{first} {clock}")
    return [at((start + timedelta(days=day)).isoformat(), zone) for day in range(count)]


def told(operator: Operator, rows: Sequence[Row], until: int, zone: str = CHINA) -> list[Trigger]:
    """What an engine with this rule alone says of resident 7's rows, when all until `until` is known."""
    engine = Engine(PACK, [Named(f"{operator.section}.x", operator)])
    engine.know([Profile(7, "R-7", "520201", zone)])
    rows = [msgspec_row(row, seq) for seq, row in enumerate(rows)]
    return feed(engine, rows) + engine.sweep(until + operator.wait_ms + 60_000)


def msgspec_row(row: Row, seq: int) -> Row:
    return Row(row.ts, row.values, device=row.device, event=row.event, seq=seq, received=row.ts)


def states(triggers: Sequence[Trigger]) -> list[tuple[str, int]]:
    return [(trigger.state, trigger.at) for trigger in triggers]


def weighed(values: Sequence[float], first: str = "2027-03-01") -> list[Row]:
    moments = days(first, "08:00", len(values))
    return [Row(moment, {"weight": value}) for moment, value in zip(moments, values, strict=True)]


def test_two_kilograms_in_three_days_are_told_with_the_days_that_show_it() -> None:
    rows = weighed([70.1, 70.6, 71.3, 72.1])
    (raised,) = told(Change("weight_gain", WEIGHT), rows, rows[-1].ts)
    assert (raised.kind, raised.metric, raised.resident, raised.state) == ("change", "weight", 7, "raised")
    assert raised.en == "Weight 72.1 kg: +2 kg within 3 days (lowest before: 70.1 kg), perhaps retained fluid"
    assert raised.zh == "体重 72.1 公斤，3 天内增加 +2 公斤（此前最低 70.1 公斤），可能有体液潴留"
    assert raised.evidence["days"][0] == {"day": "2027-03-01", "value": 70.1}
    assert raised.evidence["compared_with"] == ["2027-03-01", "2027-03-02", "2027-03-03"]
    assert (raised.evidence["usual"], raised.evidence["limit"], raised.evidence["difference"]) == (70.1, 2, 2)


def test_the_same_gain_over_a_longer_time_is_not_told() -> None:
    rows = weighed([70.0, 70.6, 71.2, 71.8, 72.4, 73.0])
    assert told(Change("weight_gain", WEIGHT), rows, rows[-1].ts) == []


def test_another_person_on_the_scales_neither_raises_nor_spoils_the_baseline() -> None:
    rows = weighed([70.0, 30.0, 70.2, 95.0, 70.1])
    assert told(Change("weight_gain", WEIGHT), rows, rows[-1].ts) == []


def test_it_is_over_when_the_weight_is_down_again_not_when_one_got_used_to_it() -> None:
    rows = weighed([70.0, 72.5, 72.4, 72.5, 72.6, 72.5, 72.4, 70.9])
    operator = Change("weight_gain", msgspec.structs.replace(WEIGHT, again_s=1_000_000))
    assert states(told(operator, rows, rows[-1].ts)) == [("raised", rows[1].ts), ("cleared", rows[-1].ts)]


def test_a_blood_pressure_that_has_drifted_is_told_by_medians_not_by_one_reading() -> None:
    usual = [128, 131, 130, 133, 129, 130, 127, 132, 130, 131]
    values = [*usual, 165, *usual, 150, 149, 151, 148, 152]
    rows = [Row(r.ts, {"systolic": r.values["weight"]}) for r in weighed([float(value) for value in values])]
    (raised,) = told(Change("systolic_drift", DRIFT), rows, rows[-1].ts)
    assert raised.at == rows[-3].ts, "with three of five days away, the median is"
    assert raised.evidence["usual"] == 130
    assert raised.evidence["difference"] >= 15
    assert "+" in raised.zh


def test_a_limit_that_changes_while_it_runs_leaves_the_baseline_as_it_is() -> None:
    rows = weighed([70.0, 71.0, 71.1])
    operator = Change("weight_gain", WEIGHT)
    engine = Engine(PACK, [Named("change.weight_gain", operator)])
    assert feed(engine, [msgspec_row(row, seq) for seq, row in enumerate(rows[:2])]) == []
    engine.sweep(rows[1].ts + 3_600_000)
    operator.tune([msgspec.structs.replace(WEIGHT, limit=1.0)])
    feed(engine, [msgspec_row(rows[2], 2)])
    assert states(engine.sweep(rows[2].ts + 3_600_000)) == [("raised", rows[2].ts)]


@pytest.mark.parametrize("zone", [CHINA, BERLIN])
def test_who_is_not_up_an_hour_after_their_usual_time_is_told_by_the_clock_on_their_wall(zone: str) -> None:
    # In Berlin the clocks are put forward within these days.
    rows = [Row(moment, {"steps": 20.0}) for moment in days("2027-03-20", "07:05", 10, zone)]
    rows.append(Row(at("2027-03-30 08:40", zone), {"steps": 4.0}))
    raised, cleared = told(Routine("not_up", NOT_UP), rows, rows[-1].ts, zone)
    assert raised.at == at("2027-03-30 08:05", zone)
    assert raised.en == "No sign of activity by 08:05 (usually up by 07:05)"
    assert raised.zh == "到 08:05 仍没有任何活动（平时 07:05 前已起床活动）"
    assert raised.evidence["days"][-1] == {"day": "2027-03-29", "first": "07:05"}
    assert (raised.device, raised.resident, raised.kind) == (1, 7, "routine")
    assert (cleared.at, cleared.en) == (rows[-1].ts, "Active at 08:40")
    assert cleared.evidence["readings"] == [
        {"metric": "steps", "value": 4, "at": rows[-1].ts, "received": rows[-1].ts},
    ]


def test_an_absence_that_lasts_is_raised_again_every_day_until_the_habit_is_out_of_date() -> None:
    rows = [Row(moment, {"steps": 20.0}) for moment in days("2027-03-01", "07:00", 8)]
    triggers = told(Routine("not_up", NOT_UP), rows, at("2027-05-30 12:00"))
    assert states(triggers[:2]) == [("raised", at("2027-03-09 08:00")), ("raised", at("2027-03-10 08:00"))]
    assert triggers[-1].at == at("2027-03-30 08:00"), "seven days known within the last 28"


def test_too_few_days_say_nothing() -> None:
    rows = [Row(moment, {"steps": 20.0}) for moment in days("2027-03-01", "07:00", 6)]
    assert told(Routine("not_up", NOT_UP), rows, at("2027-03-20 12:00")) == []


def test_once_a_days_first_sign_is_known_its_further_ones_are_of_no_use() -> None:
    operator = Routine("not_up", NOT_UP)
    rows = [Row(at(f"2027-03-01 {hour:02d}:00"), {"steps": 20.0}) for hour in (7, 8, 23)]
    told(operator, rows[:1], rows[0].ts)
    tomorrow = Row(at("2027-03-02 04:00"), {"steps": 20.0})
    samples = to_samples([*rows, tomorrow])
    assert operator.concerns(samples, np.zeros(4, np.int8)).tolist() == [False, False, False, True]


def test_a_check_in_is_owed_by_those_who_agreed_from_the_day_after_their_first() -> None:
    on = msgspec.structs.replace(NO_CHECK_IN, on=True, by_minute=570)
    operator = Routine("no_check_in", NO_CHECK_IN)
    operator.tune([NO_CHECK_IN, on])
    engine = Engine(PACK, [Named("routine.no_check_in", operator)])
    engine.know([Profile(7, "R-7", "520201"), Profile(8, "R-8", "520201")])
    slots = np.arange(2)
    subjects = [Subject(None, Profile(7, "R-7", "520201")), Subject(None, Profile(8, "R-8", "520201"))]
    operator.know(slots, subjects, np.array([1, 0], np.int16))
    first = at("2027-03-01 10:00")
    rows = [Row(first, resident=key, device=key, event="check_in", received=first) for key in (7, 8)]
    triggers = feed(engine, rows) + engine.sweep(at("2027-03-02 12:00"))
    assert [(t.resident, t.at, t.en) for t in triggers] == [(7, at("2027-03-02 09:30"), "No check-in by 09:30")]


def bed_rows(*words: tuple[str, float | str]) -> list[Row]:
    return [
        Row(at(moment), event=word) if isinstance(word, str) else Row(at(moment), {"presence": word})
        for moment, word in words
    ]


def test_a_bed_left_at_night_is_told_after_twenty_minutes_and_cleared_by_the_return() -> None:
    rows = bed_rows(("2027-03-01 21:30", 1.0), ("2027-03-02 02:10", "bed_exit"), ("2027-03-02 02:45", 1.0))
    raised, cleared = told(Bed("bed", BED), rows, at("2027-03-02 03:00"))
    assert raised.at == at("2027-03-02 02:30")
    assert raised.en == "Out of bed since 02:10, for 20 min now (at night usually no longer than 20 min)"
    assert raised.evidence["readings"] == [{"event": "bed_exit", "at": rows[1].ts, "received": rows[1].ts}]
    assert (cleared.at, cleared.en) == (at("2027-03-02 02:46"), "Back in bed after 35 min")


def test_who_is_often_up_for_half_an_hour_is_missed_later() -> None:
    nights = [(f"2027-03-0{night} 02:00", f"2027-03-0{night} 02:30") for night in range(2, 8)]
    words: list[tuple[str, float | str]] = [("2027-03-01 22:00", 1.0)]
    for left, back in nights:
        words += [(left, 0.0), (back, 1.0)]
    triggers = told(Bed("bed", BED), bed_rows(*words, ("2027-03-08 01:00", 0.0)), at("2027-03-08 03:00"))
    assert states(triggers)[-1] == ("raised", at("2027-03-08 01:40"))
    assert triggers[-1].evidence["absences_s"] == [1800] * 6
    assert triggers[-1].evidence["allowed_s"] == 2400


def test_one_odd_night_does_not_become_the_habit() -> None:
    words: list[tuple[str, float | str]] = [("2027-03-01 22:00", 1.0)]
    for night, minutes in enumerate([8, 8, 8, 8, 8, 55], 2):
        words += [(f"2027-03-0{night} 02:00", 0.0), (f"2027-03-0{night} 02:{minutes:02d}", 1.0)]
    triggers = told(Bed("bed", BED), bed_rows(*words, ("2027-03-08 01:00", 0.0)), at("2027-03-08 03:00"))
    assert triggers[-1].evidence["usual_s"] == 480
    assert states(triggers)[-1] == ("raised", at("2027-03-08 01:20"))


def test_the_morning_and_a_motion_sensor_in_the_kitchen_say_nothing_about_the_bed() -> None:
    words = bed_rows(("2027-03-01 21:30", 1.0), ("2027-03-02 05:50", 0.0))
    assert told(Bed("bed", BED), words, at("2027-03-02 12:00")) == []
    kitchen = [Row(at(f"2027-03-02 01:{minute:02d}"), {"presence": float(minute % 2)}, device=2) for minute in range(9)]
    assert told(Bed("bed", BED), [*bed_rows(("2027-03-01 21:30", 1.0)), *kitchen], at("2027-03-02 12:00")) == []


def test_a_moment_in_bed_does_not_count_as_the_return() -> None:
    rows = bed_rows(("2027-03-01 22:00", 1.0), ("2027-03-02 01:00", 0.0), ("2027-03-02 01:10", 1.0))
    again = Row(rows[-1].ts + 30_000, {"presence": 0.0})
    assert states(told(Bed("bed", BED), [*rows, again], at("2027-03-02 02:00"))) == [("raised", at("2027-03-02 01:20"))]


@pytest.mark.parametrize(
    ("section", "field", "value", "expected"),
    [
        ("change.weight_gain", "metric", "wieght", "rule change.weight_gain, field metric: expected one of"),
        ("change.weight_gain", "keep", 3, "rule change.weight_gain, field keep: expected more than `days`"),
        ("change.weight_gain", "direction", "both", "rule change.weight_gain, field direction: expected up or down"),
        ("change.weight_gain", "bins", 5, "rule change.weight_gain, field bins: expected 1, 2, 3"),
        ("change.systolic_drift", "least", 24, "rule change.systolic_drift, field least: expected 1 to `keep`"),
        (
            "change.systolic_drift",
            "cleared_en",
            "{usual}",
            "rule change.systolic_drift, field cleared_en: expected a text",
        ),
        ("routine.not_up", "signs", ["stepps"], "rule routine.not_up, field signs[0]: expected a metric or an event"),
        ("routine.no_check_in", "by_minute", 1440, "rule routine.no_check_in, field by_minute: expected more than"),
        ("routine.not_up", "share", 0, "rule routine.not_up, field share: expected more than 0"),
        ("bed", "to_minute", 1320, "rule bed, field to_minute: expected another minute"),
        ("bed", "floor_s", 6000, "rule bed, field floor_s: expected 60 seconds to most_s"),
        ("bed", "spell", 1, "rule bed: Object contains unknown field `spell`"),
    ],
)
def test_names_the_rule_the_field_and_what_was_expected(section: str, field: str, value: object, expected: str) -> None:
    first, _, name = section.partition(".")
    body = msgspec.to_builtins(RULES[first][name or first]) | {field: value}
    raw: Any = {"pack": {"lateness_s": 300}, first: {name: body} if name else body}
    with pytest.raises(InputError) as error:
        build_pack(raw, partial=True)
    assert str(error.value).startswith(expected)

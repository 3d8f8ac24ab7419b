"""What a warning score says: its range, what is missing, what it is made of."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.rules.news2 import AIR, ALERT, CVPU, MEASURED, OXYGEN, UNKNOWN, Score, news2
from alerts.rules.pack import DEFAULT, parse_pack
from homecare.errors import InputError
from homecare.residents import Profile
from homecare.triggers import Trigger
from tests.alerts.rules.battery import START, Row, feed, started
from tests.alerts.rules.scalar_score import NEWS2_CASE, possible
from tests.quality import DataMissing
from tests.quality.news2 import measure

MINUTE = 60_000
NORMAL = {"respiratory_rate": 16.0, "spo2": 97.0, "systolic": 120.0, "heart_rate": 75.0, "temperature": 37.0}
UNWELL = {"spo2": 92.0, "heart_rate": 115.0, "temperature": 39.2, "systolic": 125.0}


def scored(
    values: dict[str, float], scale: int = 1, oxygen: int = UNKNOWN, consciousness: int = UNKNOWN
) -> tuple[int, int, Score]:
    """(least, most, all of it) of one person."""
    row = np.array([[values.get(metric, np.nan) for metric in MEASURED]], np.float32)
    score = news2(row, np.array([scale], np.int8), np.array([oxygen], np.int8), np.array([consciousness], np.int8))
    return int(score.least[0]), int(score.most[0]), score


def told(*rows: Row, scale: int = 1) -> list[Trigger]:
    """What the pack's rule says of resident 7."""
    engine = started(replace(NEWS2_CASE, profiles=(Profile(7, "R-7", "520201", spo2_scale=2 if scale == 2 else 1),)))
    counted = [replace(row, seq=seq, received=row.ts) for seq, row in enumerate(rows)]
    return [*feed(engine, counted), *engine.sweep(rows[-1].ts + 10 * MINUTE)]


def test_all_measured_it_is_one_number() -> None:
    assert scored(NORMAL, oxygen=AIR, consciousness=ALERT)[:2] == (0, 0)
    assert scored(NORMAL, oxygen=OXYGEN, consciousness=CVPU)[:2] == (5, 5)
    assert scored(NORMAL, oxygen=AIR, consciousness=ALERT)[2].exact.all()


def test_what_is_missing_leaves_a_range() -> None:
    assert scored({})[:2] == (0, 20)
    assert scored(NORMAL)[:2] == (0, 5)
    assert scored(NORMAL, scale=2)[:2] == (0, 8)  # on oxygen 97 % were too much
    assert not scored(NORMAL)[2].exact.any()


@pytest.mark.parametrize(
    ("value", "points"), [(35.04, 3), (35.05, 1), (35.1, 1), (36.0, 1), (36.05, 0), (38.04, 0), (38.05, 1), (39.05, 2)]
)
def test_temperature_is_read_in_tenths_halves_upwards(value: float, points: int) -> None:
    assert scored({**NORMAL, "temperature": value}, oxygen=AIR, consciousness=ALERT)[0] == points


PEOPLE = st.fixed_dictionaries(
    {},
    optional={
        "respiratory_rate": st.floats(2, 80, width=32),
        "spo2": st.floats(40, 100, width=32),
        "systolic": st.floats(40, 300, width=32),
        "heart_rate": st.floats(20, 250, width=32),
        "temperature": st.integers(250, 450).map(lambda tenths: tenths / 10),
    },
)


@settings(max_examples=200, deadline=None)
@given(PEOPLE, st.sampled_from([1, 2]), st.sampled_from([None, False, True]), st.sampled_from([None, False, True]))
def test_the_range_is_that_of_everything_that_is_possible(
    values: dict[str, float], scale: int, oxygen: bool | None, alert: bool | None
) -> None:
    on_oxygen = UNKNOWN if oxygen is None else OXYGEN if oxygen else AIR
    consciousness = UNKNOWN if alert is None else ALERT if alert else CVPU
    whole = {metric: float(round(value)) if metric != "temperature" else value for metric, value in values.items()}
    assert scored(whole, scale, on_oxygen, consciousness)[:2] == possible(whole, scale, oxygen, alert)


def test_it_is_the_colleges_chart() -> None:
    try:
        assert measure() == {"news2_correct": 1.0}
    except DataMissing as missing:
        pytest.skip(str(missing))


def test_a_visit_is_told_by_what_is_certain_with_its_range() -> None:
    (trigger,) = told(
        Row(START, {"spo2": 92.0, "heart_rate": 115.0}, 3),
        Row(START + MINUTE, {"systolic": 125.0, "diastolic": 80.0}, 3),
        Row(START + 2 * MINUTE, {"temperature": 39.2}, 1),
    )
    assert (trigger.kind, trigger.rule, trigger.severity, trigger.device, trigger.resident) == (
        "score", "news2", "urgent", 1, 7,
    )  # fmt: skip
    assert trigger.zh == (
        "NEWS2 早期预警评分至少 6 分（可能为 6–14 分）：血氧饱和度 92% (2)、收缩压 125 mmHg (0)、心率 115 次/分 (2)、"
        "体温 39.2 °C (2)；未测：呼吸频率、是否吸氧、意识"
    )
    assert trigger.en == (
        "NEWS2 early warning score of at least 6 (possible range 6–14): Oxygen saturation 92% (2), "
        "Systolic pressure 125 mmHg (0), Heart rate 115 bpm (2), Body temperature 39.2 °C (2); "
        "not measured: Respiratory rate, supplemental oxygen, consciousness"
    )
    assert trigger.evidence["score"] == [6, 14]
    assert trigger.evidence["missing"] == ["respiratory_rate", "oxygen", "consciousness"]
    assert [reading["at"] - START for reading in trigger.evidence["readings"]] == [0, MINUTE, 0, 2 * MINUTE]


def test_seven_are_an_emergency() -> None:
    (trigger,) = told(Row(START, {**UNWELL, "respiratory_rate": 25.0}))
    assert (trigger.severity, trigger.evidence["score"]) == ("critical", [9, 14])


def test_a_single_three_is_told_of_a_visit_but_not_of_one_reading() -> None:
    assert told(Row(START, {"heart_rate": 135.0})) == []
    (trigger,) = told(Row(START, {"heart_rate": 135.0, "spo2": 97.0, "systolic": 120.0}))
    assert (trigger.severity, trigger.evidence["score"][0]) == ("urgent", 3)


def test_the_second_scale_holds_by_order_alone() -> None:
    visit = Row(START, {"spo2": 88.0, "heart_rate": 95.0, "systolic": 105.0})
    assert [trigger.severity for trigger in told(visit)] == ["urgent"]  # 3 + 1 + 1
    assert told(visit, scale=2) == []


def test_readings_of_another_visit_do_not_count() -> None:
    first = Row(START, {"spo2": 92.0, "heart_rate": 115.0})
    assert told(first, Row(START + 31 * MINUTE, {"temperature": 39.2})) == []
    assert len(told(first, Row(START + 30 * MINUTE, {"temperature": 39.2}))) == 1


def test_it_is_over_when_what_made_it_was_measured_again() -> None:
    well = {"spo2": 97.0, "heart_rate": 80.0, "temperature": 36.8}
    hour = 60 * MINUTE
    triggers = told(
        Row(START, UNWELL),
        Row(START + hour, {"heart_rate": 80.0}),  # the rest is only missing
        Row(START + 2 * hour, well),
    )
    assert [(trigger.state, trigger.at - START) for trigger in triggers] == [("raised", 0), ("cleared", 2 * hour)]
    assert triggers[1].evidence["raised_at"] == START


@pytest.mark.parametrize(
    ("was", "wrong", "says"),
    [
        (
            "single_measured = 3",
            "single_measured = 9",
            "rule score.news2, field single_measured: expected 1 to 5 metrics",
        ),
        ("score = 7,", "score = 4,", "rule score.news2, field bands[1].score: expected 1 to 20, from mild to severe"),
        ("{least} 分（", "{lest} 分（", "rule score.news2, field zh: expected a text whose fields are among"),
        ('then = "cancel"', 'then = "cancle"', "rule sequence.sos_taken_back, field then: expected one of sos"),
        ("share = 0.5 ", "share = 1.5 ", "rule silence.together, field share: expected more than 0 and at most 1"),
        ("{ devices = 20,", "{ devices = 2,", "rule silence.together, field bands[1].devices: expected 2 or more"),
    ],
)
def test_a_wrong_number_names_the_rule_the_field_and_what_was_expected(was: str, wrong: str, says: str) -> None:
    text = DEFAULT.read_text("utf-8")
    assert was in text
    with pytest.raises(InputError) as raised:
        parse_pack(text.replace(was, wrong))
    assert says in str(raised.value)

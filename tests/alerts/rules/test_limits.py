"""What the limit rules say, reading by reading."""

from dataclasses import replace

import pytest

from alerts.rules.engine import Engine
from alerts.rules.pack import DEFAULT, load_pack, parse_pack
from homecare.triggers import Trigger
from tests.alerts.rules.scalar import Sample, to_samples

T = 1_800_000_000_000
MINUTE = 60_000


def apply(engine: Engine, *samples: Sample) -> list[Trigger]:
    return engine.apply(to_samples(samples))


def readings(metric: str, *values: float) -> list[Sample]:
    """One reading a minute of one person by one device, received at once."""
    return [Sample(T + n * MINUTE, {metric: value}, T + n * MINUTE, seq=n) for n, value in enumerate(values)]


def brief(triggers: list[Trigger]) -> list[str]:
    return [f"{t.state} {t.severity} {t.evidence['readings'][0]['value']}" for t in triggers]


@pytest.mark.parametrize(
    ("metric", "values", "expected"),
    [
        ("heart_rate", [99, 100, 111, 131], ["raised warning 100", "raised urgent 111", "raised critical 131"]),
        ("heart_rate", [51, 50, 41, 40], ["raised warning 50", "raised critical 40"]),
        ("heart_rate", [131, 112, 96, 95], ["raised critical 131", "cleared critical 95"]),
        ("heart_rate", [131, 40], ["raised critical 131", "cleared critical 40", "raised critical 40"]),
        ("heart_rate", [40, 131], ["raised critical 40", "cleared critical 131", "raised critical 131"]),
        ("spo2", [94, 93, 92, 91], ["raised urgent 93", "raised critical 91"]),
        ("spo2", [91, 94, 95], ["raised critical 91", "cleared critical 95"]),
        ("systolic", [159, 160, 179, 180], ["raised urgent 160", "raised critical 180"]),
        ("systolic", [91, 90, 95], ["raised critical 90", "cleared critical 95"]),
        ("diastolic", [99, 100, 120, 95], ["raised urgent 100", "raised critical 120", "cleared critical 95"]),
        (
            "temperature",
            [38.0, 38.1, 39.1, 37.9, 37.8],
            ["raised warning 38.1", "raised urgent 39.1", "cleared urgent 37.8"],
        ),
        ("temperature", [35.1, 35.0, 35.2, 35.3], ["raised critical 35", "cleared critical 35.3"]),
        ("glucose", [13.8, 13.9, 16.7, 33.3], ["raised warning 13.9", "raised urgent 16.7", "raised critical 33.3"]),
        ("glucose", [3.9, 3.8, 2.9, 4.3], ["raised urgent 3.8", "raised critical 2.9", "cleared critical 4.3"]),
        ("battery", [21, 20, 5, 29, 30], ["raised warning 20", "raised urgent 5", "cleared urgent 30"]),
    ],
)
def test_raises_at_the_limit_again_when_it_gets_worse_and_clears_well_inside(
    metric: str, values: list[float], expected: list[str]
) -> None:
    assert brief(apply(Engine(load_pack()), *readings(metric, *values))) == expected


def test_blood_pressure_is_one_rule_over_two_readings() -> None:
    (high, low) = apply(Engine(load_pack()), Sample(T, {"systolic": 185, "diastolic": 110, "heart_rate": 80}, T))
    assert {(t.rule, t.metric, t.severity) for t in (high, low)} == {
        ("blood_pressure", "systolic", "critical"),
        ("blood_pressure", "diastolic", "urgent"),
    }


def test_the_trigger_says_what_made_it() -> None:
    engine = Engine(load_pack())
    (trigger,) = apply(engine, Sample(T + 900, {"temperature": 39.3}, T, device=4, resident=12, boot=3, seq=1042))
    assert trigger == Trigger(
        key="temperature:4:12:temperature:high:3.1042.0:raised",
        at=T,
        rule="temperature",
        version=1,
        kind="vital",
        metric="temperature",
        severity="urgent",
        state="raised",
        device=4,
        resident=12,
        evidence={
            "side": "high",
            "readings": [{"metric": "temperature", "value": 39.3, "at": T, "received": T + 900}],
            "limits": [{"severity": "warning", "limit": 38.1}, {"severity": "urgent", "limit": 39.1}],
            "limit": 39.1,
            "clear": 37.8,
            "unit": "Cel",
        },
        zh="体温 39.3 °C，达到或高于上限 39.1 °C",
        en="Body temperature 39.3 °C, at or above the limit of 39.1 °C",
    )


def test_a_clearing_says_when_it_was_raised() -> None:
    triggers = apply(Engine(load_pack()), *readings("heart_rate", 131, 88))
    assert triggers[1].evidence["raised_at"] == T
    assert triggers[1].zh == "心率 88 次/分，已恢复到限值以内"
    assert triggers[1].en == "Heart rate 88 bpm, back within its limits"


def test_a_lasting_state_is_said_again_after_a_while_as_it_then_is() -> None:
    pack = load_pack()
    engine, again = Engine(pack), round(1000 * pack.limit["blood_pressure"].again_s)
    assert brief(apply(engine, Sample(T, {"systolic": 190}, T))) == ["raised critical 190"]
    assert apply(engine, Sample(T + again - 1, {"systolic": 165}, T + again - 1, seq=1)) == []
    assert brief(apply(engine, Sample(T + again, {"systolic": 165}, T + again, seq=2))) == ["raised urgent 165"]


def test_people_at_a_kiosk_have_each_their_own_state_and_the_kiosk_its_battery() -> None:
    engine = Engine(load_pack())
    first = Sample(T, {"systolic": 170, "battery": 9}, T, device=3, resident=8, subject=True)
    second = Sample(T + MINUTE, {"systolic": 120, "battery": 9}, T + MINUTE, device=3, resident=9, seq=1, subject=True)
    third = Sample(T + 2 * MINUTE, {"systolic": 130}, T + 2 * MINUTE, device=3, resident=8, seq=2, subject=True)
    assert [(t.rule, t.resident) for t in apply(engine, first)] == [("battery", 0), ("blood_pressure", 8)]
    assert apply(engine, second) == []
    assert [(t.state, t.resident) for t in apply(engine, third)] == [("cleared", 8)]


def test_a_late_reading_neither_raises_nor_clears() -> None:
    engine = Engine(load_pack())
    assert apply(engine, Sample(T, {"heart_rate": 140}, T - 5 * MINUTE - 1)) == []
    assert len(apply(engine, Sample(T, {"heart_rate": 140}, T - 5 * MINUTE, seq=1))) == 1
    assert apply(engine, Sample(T + 10 * MINUTE, {"heart_rate": 70}, T - MINUTE, seq=2)) == []


def test_an_alarm_does_not_wait_and_an_earlier_reading_completes_the_story() -> None:
    engine = Engine(load_pack())
    normal = Sample(T + 2000, {"heart_rate": 80}, T + 2000, seq=2)
    high = Sample(T + 2500, {"heart_rate": 140}, T + 1000, seq=1)
    assert apply(engine, normal) == []
    assert brief(apply(engine, high)) == ["raised critical 140", "cleared critical 80"]


def test_an_earlier_normal_reading_does_not_end_what_is_newer() -> None:
    engine = Engine(load_pack())
    high, still = Sample(T, {"heart_rate": 140}, T), Sample(T + 3000, {"heart_rate": 140}, T + 3000, seq=2)
    assert brief(apply(engine, high, still)) == ["raised critical 140"]
    between = Sample(T + 4000, {"heart_rate": 80}, T + 1000, seq=1)
    assert brief(apply(engine, between)) == ["cleared critical 80", "raised critical 140"]


def test_what_stands_is_said_again_if_older_news_would_be_the_last_word() -> None:
    engine = Engine(load_pack())
    first, end, again = readings("heart_rate", 140, 80, 140)
    assert brief(apply(engine, first, end, again)) == [
        "raised critical 140",
        "cleared critical 80",
        "raised critical 140",
    ]
    earlier_end = Sample(T + 3 * MINUTE, {"heart_rate": 85}, T + 1000, seq=9)
    cleared, raised = apply(engine, earlier_end)
    assert (cleared.state, cleared.at) == ("cleared", T + 1000)
    assert (raised.state, raised.at, raised.key.split(":after:")[0]) == ("raised", again.ts, _key(again))


def test_a_clearing_is_about_whom_it_was_raised() -> None:
    engine = Engine(load_pack())
    flat = Sample(T + 2000, {"battery": 5}, T + 2000, resident=8, seq=2)
    charged = Sample(T + 3000, {"battery": 90}, T + 3000, resident=8, seq=3)
    assert [(t.state, t.resident) for t in apply(engine, flat, charged)] == [("raised", 8), ("cleared", 8)]
    earlier = Sample(T + 4000, {"battery": 5}, T, resident=7, seq=1)
    assert [(t.state, t.resident) for t in apply(engine, earlier)] == [("raised", 7), ("cleared", 7)]


def _key(sample: Sample) -> str:
    return f"heart_rate:1:7:heart_rate:high:1.{sample.seq}.0:raised"


def test_a_message_that_comes_again_changes_nothing() -> None:
    engine = Engine(load_pack())
    high, low = readings("heart_rate", 140, 80)
    apply(engine, high, low)
    assert apply(engine, replace(high, received=high.received + 2 * MINUTE)) == []


def test_a_device_without_a_clock_repeats_itself_in_vain() -> None:
    engine = Engine(load_pack())
    high, low = Sample(T, {"heart_rate": 140}, seq=1), Sample(T + 1000, {"heart_rate": 80}, seq=2)
    assert len(apply(engine, high, low)) == 2
    assert apply(engine, replace(high, received=T + 2000), replace(low, received=T + 2500)) == []
    assert len(apply(engine, replace(high, received=T + 3000, seq=3))) == 1


def test_readings_of_one_moment_are_ordered_by_the_devices_count() -> None:
    engine = Engine(load_pack())
    samples = [Sample(T, {"heart_rate": value}, T, seq=8 + n) for n, value in enumerate([140, 80, 140, 80])]
    assert [t.state for t in apply(engine, *samples)] == ["raised", "cleared", "raised", "cleared"]
    assert apply(engine, *samples) == []


def test_without_hysteresis_a_reading_at_the_limit_is_beyond_it() -> None:
    pack = parse_pack(DEFAULT.read_text("utf-8").replace("hysteresis = 5 ", "hysteresis = 0 "))
    triggers = apply(Engine(pack), *readings("heart_rate", 100, 100, 99.9))
    assert brief(triggers) == ["raised warning 100", "cleared warning 99.9"]


def test_triggers_of_a_batch_come_by_time_device_and_rule() -> None:
    samples = [
        Sample(T + 5, {"spo2": 90, "heart_rate": 140, "battery": 3}, T + 5, device=2),
        Sample(T + 6, {"spo2": 90}, T + 4, device=9),
        Sample(T + 7, {"glucose": 2.0}, T + 5, device=1),
    ]
    order = [(t.at - T, t.device, t.rule) for t in apply(Engine(load_pack()), *samples)]
    assert order == [(4, 9, "spo2"), (5, 1, "glucose"), (5, 2, "battery"), (5, 2, "heart_rate"), (5, 2, "spo2")]


def test_thousands_of_streams_find_their_slots() -> None:
    engine = Engine(load_pack())
    samples = [Sample(T, {"heart_rate": 140}, T, device=n, resident=n + 1) for n in range(1, 5001)]
    assert len(apply(engine, *samples)) == 5000
    samples = [Sample(T + n, {"heart_rate": 80}, T + n, device=n, resident=n + 1, seq=1) for n in range(1, 5001)]
    assert [t.device for t in apply(engine, *samples)] == list(range(1, 5001))

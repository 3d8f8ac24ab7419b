"""Readings as lines: silence is a gap, rare readings are points, what was not measured is not drawn."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dashboards.charts import GROUPS, draw, track
from dashboards.fleet import preview

START = datetime(2026, 11, 21, 0, 0, tzinfo=UTC)
EMPTY = {metric: None for metrics in GROUPS.values() for metric in metrics}


def sample(minute: float, interval_s: float = 60, **values: Any) -> dict[str, Any]:
    place = {"lat": None, "lon": None, "accuracy": None, "fix": None, "device": "H-1"}
    return EMPTY | place | {"ts": START + timedelta(minutes=minute), "interval_s": interval_s} | values


def test_nothing_measured_is_nothing_drawn() -> None:
    assert draw([]) == {}
    assert draw([sample(0), sample(1)]) == {}


def test_readings_in_step_are_one_line() -> None:
    drawn = draw([sample(minute, heart_rate=70 + minute) for minute in range(3)])
    assert drawn == {
        "heart_rate": {"ts": [START.timestamp() + 60 * n for n in range(3)], "series": {"heart_rate": [70, 71, 72]}}
    }


def test_a_silence_is_a_gap_measured_by_the_devices_own_interval() -> None:
    minutes = (0, 14, 31)
    assert draw([sample(m, spo2=97.0) for m in minutes])["spo2"]["series"]["spo2"] == [97, 97, None, 97]
    assert draw([sample(m, 600, spo2=97.0) for m in minutes])["spo2"]["series"]["spo2"] == [97, 97, 97]


def test_another_devices_sample_without_the_reading_does_not_break_the_line() -> None:
    drawn = draw([sample(0, heart_rate=70), sample(0.5, battery=80), sample(1, heart_rate=71)])
    assert drawn["heart_rate"]["series"]["heart_rate"] == [70, 71]


def test_zero_is_a_reading_and_half_a_blood_pressure_is_kept() -> None:
    drawn = draw([sample(0, temperature=0.0, systolic=150.0)])
    assert drawn["temperature"]["series"]["temperature"] == [0]
    assert drawn["blood_pressure"]["series"] == {"systolic": [150], "diastolic": [None]}


def test_the_track_has_the_positions_alone() -> None:
    points = track([sample(0), sample(1, lat=26.5, lon=104.8, accuracy=9.0, fix=3), sample(2, lat=0.0, lon=0.0)])
    assert [(point["lat"], point["accuracy"]) for point in points] == [(26.5, 9.0), (0.0, None)]


def test_raw_bytes_are_shown_without_harm() -> None:
    assert preview(b"\xff\x00<b>\n") == "\\xff\\x00<b>\\n"
    assert preview("\u202eabc".encode()) == "\\u202eabc"
    assert preview("好".encode() * 300).endswith("…")

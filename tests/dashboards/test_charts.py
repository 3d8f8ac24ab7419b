"""Readings as lines: silence is a gap, rare readings are points, what was not measured is not drawn."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dashboards.charts import GROUPS, draw, draw_rolled_up, track
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


def test_hours_have_a_mean_between_a_lowest_and_a_highest_and_a_missing_hour_is_a_gap() -> None:
    nothing = {
        f"{metric}_{what}": None for metrics in GROUPS.values() for metric in metrics for what in ("min", "max", "mean")
    }
    hours = [
        nothing | {"bucket": START + timedelta(hours=hour), "spo2_min": 93.0, "spo2_max": 98.0, "spo2_mean": 96.333}
        for hour in (0, 1, 5)
    ]
    drawn = draw_rolled_up(hours, timedelta(hours=1))
    middle = [START.timestamp() + 3600 * hour for hour in (0.5, 1.5, 3.5, 5.5)]
    assert drawn == {
        "spo2": {
            "ts": middle,
            "series": {"spo2": [96.33, 96.33, None, 96.33]},
            "low": {"spo2": [93, 93, None, 93]},
            "high": {"spo2": [98, 98, None, 98]},
        }
    }


def test_the_track_has_the_positions_alone() -> None:
    points = track([sample(0), sample(1, lat=26.5, lon=104.8, accuracy=9.0, fix=3), sample(2, lat=0.0, lon=0.0)])
    assert [(point["lat"], point["accuracy"]) for point in points] == [(26.5, 9.0), (0.0, None)]


def test_raw_bytes_are_shown_without_harm() -> None:
    assert preview(b"\xff\x00<b>\n") == "\\xff\\x00<b>\\n"
    assert preview("\u202eabc".encode()) == "\\u202eabc"
    assert preview("好".encode() * 300).endswith("…")

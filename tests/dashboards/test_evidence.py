"""Evidence reads like a sentence, in both languages; what nobody foresaw is still shown."""

from zoneinfo import ZoneInfo

from dashboards.evidence import Evidence

SHANGHAI = ZoneInfo("Asia/Shanghai")
AT = 1_795_289_357_123  # 2026-11-21 19:29:17 UTC
PRESSURE = {
    "side": "high",
    "readings": [{"metric": "systolic", "value": 188, "at": AT, "received": AT + 50}],
    "limits": [{"severity": "urgent", "limit": 160.0}, {"severity": "critical", "limit": 180.0}],
    "limit": 180.0,
    "clear": 150.0,
    "unit": "mm[Hg]",
}


def test_a_reading_beyond_its_limits() -> None:
    assert list(Evidence("en", SHANGHAI).facts(PRESSURE)) == [
        ("Systolic pressure", "188 mmHg · 22 Nov 03:29:17"),
        ("Limits", "Urgent ≥ 160, Critical ≥ 180"),
        ("Normal again at", "150 mmHg"),
    ]
    assert next(Evidence("zh", SHANGHAI).facts(PRESSURE)) == ("收缩压", "188 mmHg · 11月22日 03:29:17")


def test_an_event_with_what_came_with_it() -> None:
    facts = dict(
        Evidence("en", SHANGHAI).facts(
            {
                "event": "fall",
                "at": AT,
                "received": AT + 600_000,
                "late": True,
                "wrong_clock": False,
                "position": {"lat": 26.5921, "lon": 104.8302, "accuracy": 8},
                "values": {"confidence": 0.93, "battery": 41.5},
            }
        )
    )
    assert facts["The device is sure to"] == "93%"
    assert facts["Battery"] == "41.5 %"
    assert facts["Position"] == "26.59210, 104.83020 · ± 8 m"
    assert facts["Note"] == "arrived late"
    assert "event" not in facts


def test_a_silence() -> None:
    evidence = {"counted_from": AT, "interval_ms": 60_000, "allowed_ms": 190_000, "silent_at": AT + 190_000}
    assert dict(Evidence("zh", SHANGHAI).facts(evidence)) == {
        "最后收到": "11月22日 03:29:17",
        "视为失联自": "11月22日 03:32:27",
        "通常上报间隔": "1 分",
        "允许静默": "3 分 10 秒",
    }


def test_what_nobody_foresaw_is_shown_as_it_is() -> None:
    assert list(Evidence("en", SHANGHAI).facts({"pace": [1, 2]})) == [("pace", "[1, 2]")]


def test_limits_and_values_of_another_shape_are_shown_as_they_are() -> None:
    evidence = {"readings": [{"metric": "pace", "value": [1, 2], "at": AT}], "limits": {"least": 3}}
    assert list(Evidence("en", SHANGHAI).facts(evidence)) == [
        ("pace", "[1, 2] · 22 Nov 03:29:17"),
        ("limits", '{"least": 3}'),
    ]

"""Numbers, units and lengths of time as people say them."""

import numpy as np
import pytest

from alerts.rules import texts
from homecare.metrics import METRICS


@pytest.mark.parametrize(("value", "expected"), [(36.6, "36.6"), (72.0, "72"), (0.1, "0.1"), (97.25, "97.25")])
def test_a_reading_has_the_digits_it_was_sent_with(value: float, expected: str) -> None:
    assert str(texts.plain(np.float32(value))) == expected


@pytest.mark.parametrize(
    ("metric", "zh", "en"),
    [
        ("heart_rate", "次/分", "bpm"),
        ("respiratory_rate", "次/分", "breaths/min"),
        ("systolic", "mmHg", "mmHg"),
        ("temperature", "°C", "°C"),
        ("glucose", "mmol/L", "mmol/L"),
        ("spo2", "%", "%"),
    ],
)
def test_units(metric: str, zh: str, en: str) -> None:
    assert (texts.unit(metric, "zh"), texts.unit(metric, "en")) == (zh, en)


def test_every_metric_can_be_spoken_of_in_both_languages() -> None:
    for metric in METRICS:
        for language in ("zh", "en"):
            assert texts.metric_name(metric.name, language)
            assert texts.unit(metric.name, language) is not None


@pytest.mark.parametrize(
    ("ms", "zh", "en"),
    [
        (0, "0 秒", "0 s"),
        (59_600, "1 分钟", "1 min"),
        (185_000, "3 分钟 5 秒", "3 min 5 s"),
        (3_600_000, "1 小时", "1 h"),
        (90_061_000, "1 天 1 小时", "1 d 1 h"),
        (86_400_000 + 5_000, "1 天", "1 d"),
    ],
)
def test_lengths_of_time(ms: int, zh: str, en: str) -> None:
    assert (texts.duration(ms, "zh"), texts.duration(ms, "en")) == (zh, en)


def test_a_limit_in_a_sentence() -> None:
    text = texts.reading("{metric} {value} {unit} / {limit}", "zh", "glucose", texts.plain(np.float32(16.7)), 16.7)
    assert text == "血糖 16.7 mmol/L / 16.7"

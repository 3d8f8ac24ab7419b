"""Sentences about triggers in Chinese and English, with numbers and units as people say them."""

from typing import Literal

import numpy as np

from homecare.metrics import BY_NAME

Language = Literal["zh", "en"]

_UNITS: dict[str, tuple[str, str]] = {
    "/min": ("次/分", "bpm"),
    "%": ("%", "%"),
    "mm[Hg]": ("mmHg", "mmHg"),
    "Cel": ("°C", "°C"),
    "mmol/L": ("mmol/L", "mmol/L"),
    "kg": ("公斤", "kg"),
    "cm": ("厘米", "cm"),
    "dBm": ("dBm", "dBm"),
    "1": ("", ""),
}
"""UCUM -> what a person reads, in Chinese and English."""
_SERVICES: dict[str, tuple[str, str]] = {
    "health": ("就医、健康服务", "health care"),
    "housekeeping": ("家政服务", "housekeeping"),
    "shopping": ("代购", "shopping"),
    "other": ("其他服务", "another service"),
}
_DURATIONS = ((86_400, "天", "d"), (3_600, "小时", "h"), (60, "分钟", "min"), (1, "秒", "s"))


def plain(value: float | np.floating) -> float | int:
    """A reading as a plain number with the digits it was sent with: float32 36.6 is 36.6, 72.0 is 72."""
    number = float(str(np.float32(value)))
    return int(number) if number.is_integer() else round(number, 3)


def unit(metric: str, language: Language) -> str:
    """The unit of `metric` as people say it."""
    if metric == "respiratory_rate":
        return "次/分" if language == "zh" else "breaths/min"
    return _UNITS[BY_NAME[metric].unit][0 if language == "zh" else 1]


def metric_name(metric: str, language: Language) -> str:
    """The metric's name."""
    return BY_NAME[metric].zh if language == "zh" else BY_NAME[metric].en


def reading(template: str, language: Language, metric: str, value: float, limit: float | None = None) -> str:
    """`template` filled in with a reading (`plain`) and the limit it crossed (None: the template has no {limit})."""
    return template.format(
        metric=metric_name(metric, language),
        value=value,
        limit="" if limit is None else f"{limit:g}",
        unit=unit(metric, language),
    )


def duration(ms: int, language: Language) -> str:
    """A length of time in its two largest units: `1 小时 5 分钟`, `1 h 5 min`."""
    rest = max(0, round(ms / 1000))
    parts = []
    for size, zh, en in _DURATIONS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {zh if language == 'zh' else en}")
        elif parts:
            break
    return " ".join(parts[:2]) or ("0 秒" if language == "zh" else "0 s")


def service(name: str | None, language: Language) -> str:
    """What a call for everyday help asks for."""
    zh, en = _SERVICES.get(name or "other", _SERVICES["other"])
    return zh if language == "zh" else en


def late(text: str, language: Language, delay_ms: int) -> str:
    """`text`, saying that it reached us `delay_ms` after it happened."""
    span = duration(delay_ms, language)
    return f"{text}（{span}前发生，延迟送达）" if language == "zh" else f"{text} ({span} ago, delivered late)"


def wrong_clock(text: str, language: Language) -> str:
    """`text`, saying that the device's clock is wrong, so that the time is that of receipt."""
    note = "（设备时钟不准，时间为收到时间）" if language == "zh" else " (the device's clock is wrong: time of receipt)"
    return text + note


def confidence(text: str, language: Language, fraction: float) -> str:
    """`text` with how sure (0..1) the device is."""
    percent = round(100 * fraction)
    return f"{text}（把握 {percent}%）" if language == "zh" else f"{text} ({percent}% sure)"

"""What is said about places and positions: triggers, with the fixes and borders that made them, enough to draw a map."""

from typing import Any, Literal, NamedTuple

from alerts.rules import texts
from alerts.rules.fences import HOME, Fence
from alerts.rules.place_rule import PlaceRule
from homecare.messages import FIXES
from homecare.samples import Samples
from homecare.triggers import Trigger

State = Literal["raised", "cleared"]


class Occasion(NamedTuple):
    """Of whom, when, by which device, by which rule."""

    rule: PlaceRule
    device: int
    resident: int
    at: int
    clock: str
    """The local time, `21:00`."""
    name: str
    """What names the reading (or the hour) for ever."""


def reading(samples: Samples, row: int) -> dict[str, Any]:
    """A fix as evidence."""
    accuracy = float(samples.accuracy[row])
    return {
        "lat": round(float(samples.lat[row]), 7),
        "lon": round(float(samples.lon[row]), 7),
        "accuracy": None if accuracy != accuracy else round(accuracy, 1),  # noqa: PLR0124 (NaN: not said)
        "fix": FIXES[samples.fix[row]] if samples.fix[row] >= 0 else None,
        "at": int(samples.ts[row]),
        "received": int(samples.received[row]),
    }


def crossed(
    occasion: Occasion,
    watch: str,
    fence: Fence,
    *,
    state: State,
    away: float,
    since: int,
    raised_at: int,
    reading: dict[str, Any],
) -> Trigger:
    """Somebody left or entered a place, or what was raised about it is over."""
    evidence = {
        "watch": watch,
        "place": _drawn(fence),
        "position": reading,
        "distance_m": round(away),
        "since": since,
        "rule": _limits(occasion.rule),
    }
    if state == "cleared":
        evidence["raised_at"] = raised_at
    return _trigger(occasion, watch, fence, state, evidence, away)


def absent(occasion: Occasion, fence: Fence, seen: dict[str, Any], away: float) -> Trigger:
    """Somebody is not there at the hour; `seen`: where they were last (lat, lon, accuracy, at)."""
    last = {
        "lat": round(seen["lat"], 7),
        "lon": round(seen["lon"], 7),
        "accuracy": round(seen["accuracy"], 1),
        "at": seen["at"],
    }
    evidence = {
        "watch": "home_by",
        "place": _drawn(fence),
        "minute": fence.place.minute,
        "position": last,
        "distance_m": round(away),
        "rule": _limits(occasion.rule),
    }
    return _trigger(occasion, "home_by", fence, "raised", evidence, away)


def jumped(occasion: Occasion, distance: float, span: int, reading: dict[str, Any]) -> Trigger:
    """A fix too far from the last one to be believed."""
    evidence = {
        "position": reading,
        "distance_m": round(distance),
        "span_ms": span,
        "top_speed": occasion.rule.top_speed,
    }
    values = {"distance": distance, "duration": span}
    return _said(occasion, "jump", "place.jump", "raised", evidence, values)


def stuck(occasion: Occasion, span: int, reading: dict[str, Any], *, over: bool) -> Trigger:
    """The receiver repeats one fix, for `span` ms so far; `over`: no longer."""
    evidence = {
        "position": reading,
        "span_ms": span,
        "rule": {"stuck_s": occasion.rule.stuck_s, "stuck_fixes": occasion.rule.stuck_fixes},
    }
    return _said(occasion, "stuck", "place.stuck", "cleared" if over else "raised", evidence, {"duration": span})


def length(metres: float, language: texts.Language) -> str:
    """`350 m`, `1.2 km`; `350 米`, `1.2 公里`."""
    if metres < 1000:
        return f"{round(metres)} {'米' if language == 'zh' else 'm'}"
    return f"{metres / 1000:.1f} {'公里' if language == 'zh' else 'km'}"


def _trigger(
    occasion: Occasion, watch: str, fence: Fence, state: State, evidence: dict[str, Any], away: float
) -> Trigger:
    values = {"place": fence.place.name if fence.always else HOME, "distance": max(away, 0.0)}
    return _said(occasion, watch, f"place.{watch}.{fence.place.name}", state, evidence, values)


def _said(
    occasion: Occasion, what: str, rule: str, state: State, evidence: dict[str, Any], values: dict[str, Any]
) -> Trigger:
    call = occasion.rule.call(what)
    zh, en = (call.zh, call.en) if state == "raised" else (call.cleared_zh, call.cleared_en)
    return Trigger(
        key=f"{rule}:{occasion.device}:{occasion.resident}:{occasion.name}:{state}",
        at=occasion.at,
        rule=rule,
        version=occasion.rule.version,
        kind="device" if what in {"jump", "stuck"} else "place",
        metric=None,
        severity=call.severity,
        state=state,
        device=occasion.device,
        resident=occasion.resident,
        evidence=evidence,
        zh=zh.format_map(_in(values, occasion, "zh")),
        en=en.format_map(_in(values, occasion, "en")),
    )


def _in(values: dict[str, Any], occasion: Occasion, language: texts.Language) -> dict[str, str]:
    said = {"time": occasion.clock}
    if "place" in values:
        home = {"zh": "家", "en": "home"}[language]
        said["place"] = home if values["place"] == HOME else values["place"]
    if "distance" in values:
        said["distance"] = length(values["distance"], language)
    if "duration" in values:
        said["duration"] = texts.duration(values["duration"], language)
    return said


def _drawn(fence: Fence) -> dict[str, Any]:
    points = [[round(lat, 7), round(lon, 7)] for lat, lon in fence.place.points]
    return {"name": fence.place.name, "points": points, "radius_m": fence.place.radius_m}


def _limits(rule: PlaceRule) -> dict[str, float]:
    return {"dwell_s": rule.dwell_s, "fixes": rule.fixes, "sure": rule.sure, "margin_m": rule.margin_m}

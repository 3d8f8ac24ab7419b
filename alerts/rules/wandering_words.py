"""What is said about wandering: triggers, with the walk that made them, enough to draw it."""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerts.rules import texts
from alerts.rules.geometry import EARTH_M
from alerts.rules.place_words import length
from alerts.rules.tracks import Pattern, pattern
from alerts.rules.wandering_rule import WanderingRule
from homecare.triggers import Severity, Trigger

RULE = "wandering"
PATTERNS: dict[Pattern, dict[texts.Language, str]] = {
    "pacing": {"zh": "来回踱步", "en": "to and fro"},
    "lapping": {"zh": "绕圈", "en": "round and round"},
    "random": {"zh": "漫无目的地走动", "en": "this way and that"},
}


class Walk(NamedTuple):
    """The part of a walk that was wandering, oldest corner first: dm and ms from where and when the walk began."""

    lat: float
    lon: float
    began: int
    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    t: npt.NDArray[np.int64]
    path_dm: int
    extent_dm: int

    def corners(self) -> list[list[float | int]]:
        """[lat, lon, Unix ms] of each."""
        lat = self.lat + np.degrees(self.y / 10 / EARTH_M)
        lon = self.lon + np.degrees(self.x / 10 / EARTH_M / math.cos(math.radians(self.lat)))
        columns = (lat.round(6).tolist(), lon.round(6).tolist(), (self.began + self.t).tolist())
        return [list(corner) for corner in zip(*columns, strict=True)]


def raised(
    rule: WanderingRule, who: tuple[int, int], at: int, received: int, name: str, walk: Walk, *, night: bool
) -> Trigger:
    """`who`: device and resident; `name`: what names the last reading for ever."""
    shape = pattern(walk.x, walk.y)
    corners, since = walk.corners(), int(walk.began + walk.t[0])
    evidence = {
        "pattern": shape,
        "night": night,
        "since": since,
        "path_m": walk.path_dm / 10,
        "extent_m": walk.extent_dm / 10,
        "position": {"lat": corners[-1][0], "lon": corners[-1][1], "accuracy": None, "at": at, "received": received},
        "track": corners,
        "rule": {
            "ratio": rule.ratio,
            "near_m": rule.near_m,
            "far_ratio": rule.far_ratio,
            "path_m": rule.path_m,
            "window_s": rule.window_s,
        },
    }

    def say(template: str, language: texts.Language) -> str:
        return template.format(
            pattern=PATTERNS[shape][language],
            path=length(walk.path_dm / 10, language),
            extent=length(walk.extent_dm / 10, language),
            duration=texts.duration(at - since, language),
        )

    severity = rule.night_severity if night else rule.severity
    return _trigger(rule, who, at, name, severity, "raised", evidence, say(rule.zh, "zh"), say(rule.en, "en"))


def cleared(rule: WanderingRule, who: tuple[int, int], at: int, raised_at: int) -> Trigger:
    """No wandering for `calm_s`."""
    calm = round(rule.calm_s * 1000)
    zh = rule.cleared_zh.format(duration=texts.duration(calm, "zh"))
    en = rule.cleared_en.format(duration=texts.duration(calm, "en"))
    evidence = {"raised_at": raised_at, "calm_ms": calm}
    return _trigger(rule, who, at, str(raised_at), rule.severity, "cleared", evidence, zh, en)


def _trigger(
    rule: WanderingRule,
    who: tuple[int, int],
    at: int,
    name: str,
    severity: Severity,
    state: Any,
    evidence: dict[str, Any],
    zh: str,
    en: str,
) -> Trigger:
    device, resident = who
    return Trigger(
        key=f"{RULE}:{device}:{resident}:{name}:{state}",
        at=at,
        rule=RULE,
        version=rule.version,
        kind="wander",
        metric=None,
        severity=severity,
        state=state,
        device=device,
        resident=resident,
        evidence=evidence,
        zh=zh,
        en=en,
    )

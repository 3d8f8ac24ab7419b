"""The evidence of a trigger as labelled facts a tired person can read: what was measured, when, against which limits.

What a rule stores that is not known here is still shown, under its own name: evidence is never hidden.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from dashboards import times
from dashboards.language import Language, catalog
from dashboards.language import mark as _
from dashboards.words import VOCABULARY
from homecare.clock import to_datetime
from homecare.metrics import BY_NAME

Facts = Iterator[tuple[str, str]]
UNITS: dict[str, tuple[str, str]] = {
    "/min": ("次/分", "/min"),
    "mm[Hg]": ("mmHg", "mmHg"),
    "Cel": ("°C", "°C"),
    "1": ("", ""),
}
"""(zh, en) of the UCUM units that people write differently."""
MOMENTS = {
    "counted_from": _("Last heard"),
    "silent_at": _("Counts as silent since"),
    "raised_at": _("Was raised"),
    "at": _("Happened"),
    "received": _("Received"),
}
SPANS = {"interval_ms": _("Usually speaks every"), "allowed_ms": _("May be silent for")}
REMARKS = {
    "late": _("arrived late"),
    "wrong_clock": _("the device's clock is wrong: the time of receipt is shown"),
    "salvaged": _("taken from a damaged message"),
}
SHOWN_ELSEWHERE = frozenset({"side", "limit", "unit", "delayed_s", "device", "event", "boot", "seq", "claimed"})


class Evidence:
    """Shows evidence in one language and one zone."""

    def __init__(self, language: Language, zone: ZoneInfo) -> None:
        self._language, self._zone = language, zone
        self._translate: Callable[[str], str] = catalog(language).gettext

    def facts(self, evidence: Mapping[str, Any]) -> Facts:
        """(label, what), in the order people ask for them."""
        yield from self._readings(evidence)
        yield from self._limits(evidence)
        for name, label in MOMENTS.items():
            if isinstance(evidence.get(name), int):
                yield self._translate(label), self._moment(evidence[name])
        for name, label in SPANS.items():
            if isinstance(evidence.get(name), int | float):
                yield self._translate(label), self._span(evidence[name] / 1000)
        yield from self._said(evidence)
        remarks = [self._translate(text) for name, text in REMARKS.items() if evidence.get(name)]
        if remarks:
            yield self._translate(_("Note")), "; ".join(remarks)
        known = {"readings", "limits", "clear", "values", "position", "service", *MOMENTS, *SPANS, *REMARKS}
        for name in sorted(evidence.keys() - known - SHOWN_ELSEWHERE):
            yield name, json.dumps(evidence[name], ensure_ascii=False, sort_keys=True)

    def _readings(self, evidence: Mapping[str, Any]) -> Facts:
        for reading in evidence.get("readings", ()):
            when = self._moment(reading["at"])
            yield self._metric(reading["metric"]), f"{self._amount(reading['metric'], reading['value'])} · {when}"

    def _limits(self, evidence: Mapping[str, Any]) -> Facts:
        readings = evidence.get("readings") or [{}]
        metric = readings[0].get("metric", "")
        limits = evidence.get("limits", ())
        if isinstance(limits, Mapping):
            yield "limits", json.dumps(limits, ensure_ascii=False, sort_keys=True)
        elif limits:
            sign = "≥" if evidence.get("side") == "high" else "≤"
            severities = VOCABULARY["severity"]
            texts = [
                f"{self._translate(severities[limit['severity']])} {sign} {self._number(limit['limit'])}"
                for limit in limits
            ]
            yield self._translate(_("Limits")), ", ".join(texts)
        if "clear" in evidence:
            yield self._translate(_("Normal again at")), self._amount(metric, evidence["clear"])

    def _said(self, evidence: Mapping[str, Any]) -> Facts:
        """What came with an event."""
        for name, value in (evidence.get("values") or {}).items():
            if name == "confidence":
                yield self._translate(_("The device is sure to")), f"{value:.0%}"
            else:
                yield self._metric(name), self._amount(name, value)
        if position := evidence.get("position"):
            accuracy = f" · ± {position['accuracy']:.0f} m" if position.get("accuracy") is not None else ""
            yield self._translate(_("Position")), f"{position['lat']:.5f}, {position['lon']:.5f}{accuracy}"
        if service := evidence.get("service"):
            yield self._translate(_("Asked for")), str(service)

    def _metric(self, name: str) -> str:
        metric = BY_NAME.get(name)
        return name if metric is None else metric.zh if self._language == "zh" else metric.en

    def _amount(self, metric: str, value: Any) -> str:
        if not isinstance(value, int | float):
            return json.dumps(value, ensure_ascii=False, sort_keys=True)
        unit = BY_NAME[metric].unit if metric in BY_NAME else ""
        spoken = UNITS.get(unit, (unit, unit))[0 if self._language == "zh" else 1]
        return f"{self._number(value)} {spoken}".strip()

    def _number(self, value: float) -> str:
        return f"{value:.6g}"

    def _moment(self, ms: int) -> str:
        moment = to_datetime(ms)
        day = times.day_only(moment, self._zone, self._language)
        return f"{day} {times.clock_time(moment, self._zone, self._language)}"

    def _span(self, seconds: float) -> str:
        minutes, rest = divmod(round(seconds), 60)
        zh = self._language == "zh"
        words = [(minutes, " 分" if zh else " min"), (rest, " 秒" if zh else " s")]
        return " ".join(f"{amount}{word}" for amount, word in words if amount) or ("0 秒" if zh else "0 s")

"""A person's samples as lines to draw: pure, one chart per group of metrics, silence shown as a gap."""

from collections.abc import Iterable, Mapping
from typing import Any

GROUPS: dict[str, tuple[str, ...]] = {
    "heart_rate": ("heart_rate",),
    "spo2": ("spo2",),
    "blood_pressure": ("systolic", "diastolic"),
    "temperature": ("temperature",),
    "glucose": ("glucose",),
}
SHORTEST_GAP_S = 15 * 60
INTERVALS_IN_GAP = 3
"""As for the rule that calls a device silent."""


def draw(samples: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rows of `resident_samples`, oldest first -> {group: {"ts": [Unix s], "series": {metric: [value | None]}}}.

    A row of Nones stands in the middle of every silence longer than three intervals of the device before it
    (15 minutes at least), so that no line is drawn across. Groups without a value are left out.
    """
    charts: dict[str, dict[str, Any]] = {}
    ends: dict[str, float] = {}
    for sample in samples:
        at = sample["ts"].timestamp()
        for group, metrics in GROUPS.items():
            if all(sample[metric] is None for metric in metrics):
                continue
            chart = charts.setdefault(group, {"ts": [], "series": {metric: [] for metric in metrics}})
            if group in ends and at > ends[group]:
                _add(chart, (chart["ts"][-1] + at) / 2, {})
            _add(chart, at, sample)
            ends[group] = at + max(SHORTEST_GAP_S, INTERVALS_IN_GAP * sample["interval_s"])
    return charts


def _add(chart: dict[str, Any], at: float, values: Mapping[str, Any]) -> None:
    chart["ts"].append(round(at, 3))
    for metric, line in chart["series"].items():
        value = values.get(metric)
        line.append(None if value is None else round(value, 2))


def track(samples: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The positions among the rows, oldest first: {at: ISO, lat, lon, accuracy m | None, fix 0..3 | None, device}."""
    return [
        {
            "at": sample["ts"].isoformat(),
            "lat": sample["lat"],
            "lon": sample["lon"],
            "accuracy": sample["accuracy"],
            "fix": sample["fix"],
            "device": sample["device"],
        }
        for sample in samples
        if sample["lat"] is not None and sample["lon"] is not None
    ]

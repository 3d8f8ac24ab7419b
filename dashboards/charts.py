"""A person's samples, or their hours and days, as lines to draw: one chart per group of metrics, silence shown as a gap."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

GROUPS: dict[str, tuple[str, ...]] = {
    "heart_rate": ("heart_rate",),
    "spo2": ("spo2",),
    "blood_pressure": ("systolic", "diastolic"),
    "temperature": ("temperature",),
    "glucose": ("glucose",),
    "respiratory_rate": ("respiratory_rate",),
    "weight": ("weight",),
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


def draw_rolled_up(buckets: Iterable[Mapping[str, Any]], width: timedelta) -> dict[str, dict[str, Any]]:
    """Rows of `resident_rolled_up`, oldest first, each `width` long.

    {group: {"ts": [Unix s, middle of the bucket], "series": {metric: [mean | None]}, "low": …, "high": … likewise}}.
    A row of Nones stands wherever the next bucket is missing. Groups without a value are left out.
    """
    charts: dict[str, dict[str, Any]] = {}
    last: dict[str, float] = {}
    step = width.total_seconds()
    for bucket in buckets:
        at = bucket["bucket"].timestamp() + step / 2
        for group, metrics in GROUPS.items():
            if all(bucket[f"{metric}_mean"] is None for metric in metrics):
                continue
            empty: dict[str, Any] = {"ts": []} | {key: {m: [] for m in metrics} for key in ("series", "low", "high")}
            chart = charts.setdefault(group, empty)
            if group in last and at - last[group] > 1.5 * step:
                _add_bucket(chart, (last[group] + at) / 2, {})
            _add_bucket(chart, at, bucket)
            last[group] = at
    return charts


def _add_bucket(chart: dict[str, Any], at: float, bucket: Mapping[str, Any]) -> None:
    chart["ts"].append(round(at, 3))
    for key, column in (("series", "mean"), ("low", "min"), ("high", "max")):
        for metric, line in chart[key].items():
            value = bucket.get(f"{metric}_{column}")
            line.append(None if value is None else round(value, 2))


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

"""Counted limits once more, one reading at a time: written to be read, and what `lasting.Lasting` must equal."""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from alerts.rules.lasting import Lasting
from alerts.rules.limit import RANK
from alerts.rules.limit_rules import LimitRule, Reading
from alerts.rules.operator import Scope
from alerts.rules.pack import build_pack
from alerts.rules.running import Named
from homecare.triggers import Severity
from tests.alerts.rules.battery import START, Case, Row, Told


@dataclass
class Story:
    """Of one person or device, one side of one metric: the readings so far and the episode."""

    readings: list[tuple[int, int]] = field(default_factory=list)
    """(when, rank reached), oldest first."""
    band: int = 0
    raised_at: int = 0
    about: int = 0


def lasting_triggers(rules: Mapping[str, LimitRule], scope: Scope, rows: Sequence[Row]) -> list[Told]:
    """What the counted readings of `rules` say of `rows`, which are in order."""
    said: list[Told] = []
    for name, rule in rules.items():
        if (rule.scope == "device") != (scope == "device"):
            continue
        for reading in rule.reading:
            if reading.counted:
                said += _side(name, rule, reading, scope, rows)
    return said


def _side(name: str, rule: LimitRule, reading: Reading, scope: Scope, rows: Sequence[Row]) -> list[Told]:
    said = []
    stories: dict[int, Story] = {}
    for row in rows:
        whose = row.device if scope == "device" else row.resident
        value = float(np.float32(row.values.get(reading.metric, math.nan)))
        if math.isnan(value) or not whose or row.event is not None:
            continue
        story = stories.setdefault(whose, Story())
        rank = max((RANK[band.severity] for band in reading.bands if _reaches(reading, value, band.limit)), default=0)
        story.readings.append((row.ts, rank))
        standing = max((r for r in range(1, 5) if _stands(reading, story.readings, r)), default=0)
        own = min(standing, rank)
        if own > story.band or (own > 0 and row.ts - story.raised_at >= rule.again_s * 1000):
            story.band, story.raised_at, story.about = own, row.ts, row.resident
            said.append(Told(row.ts, name, "raised", _severity(own), row.device, row.resident, reading.metric))
        elif story.band > 0 and standing == 0 and _inside(reading, value):
            severity = _severity(story.band)
            said.append(Told(row.ts, name, "cleared", severity, row.device, story.about, reading.metric))
            story.band = 0
    return said


def _stands(reading: Reading, readings: list[tuple[int, int]], rank: int) -> bool:
    """Whether what is asked for is reached at `rank` by the readings so far."""
    if reading.of is not None:
        n, m = reading.of
        return sum(reached >= rank for _, reached in readings[-m:]) >= n
    since = None
    for at, reached in reversed(readings):
        if reached < rank:
            break
        since = at
    return since is not None and readings[-1][0] - since >= reading.for_s * 1000


def _severity(rank: int) -> Severity:
    return next(severity for severity, known in RANK.items() if known == rank)


def _reaches(reading: Reading, value: float, limit: float) -> bool:
    limit = float(np.float32(limit))
    return value >= limit if reading.side == "high" else value <= limit


def _inside(reading: Reading, value: float) -> bool:
    clear = float(np.float32(reading.clear))
    return value <= clear if reading.side == "high" else value >= clear


_TEXTS = 'cleared_zh = "已恢复"\ncleared_en = "over"\n'
_PACK = build_pack(
    tomllib.loads(
        f"""
[pack]
lateness_s = 300

[limit.often]
version = 1
kind = "vital"
scope = "person"
again_s = 3600
{_TEXTS}
[[limit.often.reading]]
metric = "heart_rate"
side = "high"
hysteresis = 5
of = [2, 3]
bands = [{{ severity = "warning", limit = 100 }}, {{ severity = "critical", limit = 131 }}]
zh = "{{value}}"
en = "{{value}}"

[[limit.often.reading]]
metric = "heart_rate"
side = "low"
hysteresis = 3
of = [3, 16]
bands = [{{ severity = "urgent", limit = 50 }}]
zh = "{{value}}"
en = "{{value}}"

[limit.long]
version = 1
kind = "vital"
scope = "person"
again_s = 3600
{_TEXTS}
[[limit.long.reading]]
metric = "spo2"
side = "low"
hysteresis = 2
for_s = 600
bands = [{{ severity = "info", limit = 93 }}, {{ severity = "urgent", limit = 91 }}]
zh = "{{value}}"
en = "{{value}}"

[limit.flat]
version = 1
kind = "battery"
scope = "device"
again_s = 3600
{_TEXTS}
[[limit.flat.reading]]
metric = "battery"
side = "low"
hysteresis = 10
for_s = 60
bands = [{{ severity = "warning", limit = 20 }}]
zh = "{{value}}"
en = "{{value}}"
"""
    ),
    partial=True,
)
_VALUES = {
    "heart_rate": [
        20.0,
        50.0,
        51.0,
        53.0,
        54.0,
        80.0,
        95.0,
        95.1,
        99.9,
        100.0,
        100.0,
        130.0,
        131.0,
        131.0,
        250.0,
        math.nan,
    ],
    "spo2": [40.0, 91.0, 91.0, 92.0, 93.0, 93.0, 94.9, 95.0, 100.0, math.nan],
    "battery": [0.0, 20.0, 20.1, 29.9, 30.0, 100.0],
}


@st.composite
def _rows(draw: st.DrawFn, metrics: tuple[str, ...]) -> list[Row]:
    """One metric after the other would tell nothing new: whatever is measured, of two people by two devices."""
    gaps = st.sampled_from([0, 1, 1_000, 59_999, 60_000, 299_999, 300_000, 600_000, 3_599_999, 3_600_000])
    values = st.fixed_dictionaries({}, optional={metric: st.sampled_from(_VALUES[metric]) for metric in metrics})
    people = st.sampled_from([(1, 7), (1, 7), (1, 7), (2, 7), (2, 8), (1, 0)])
    rows, at = [], START
    for _ in range(draw(st.integers(1, 20))):
        at += draw(gaps)
        device, resident = draw(people)
        rows.append(Row(at, draw(values), device, resident))
    return rows


def _case(name: str, scope: Scope, *metrics: str) -> Case:
    return Case(
        name,
        lambda: [Named("limit", Lasting(_PACK.limit, scope, _PACK.lateness_ms))],
        _rows(metrics),
        lambda rows, until: lasting_triggers(_PACK.limit, scope, rows),  # noqa: ARG005  # nothing comes due by itself
    )


OF_PEOPLE = _case("lasting", "resident", "heart_rate", "spo2")
OF_DEVICES = _case("lasting of devices", "device", "battery", "spo2")

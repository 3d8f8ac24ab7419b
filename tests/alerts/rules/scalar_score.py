"""NEWS2 once more, one person and one sample at a time in plain Python: what `score.WarningScore` must equal."""

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import product

import numpy as np
from hypothesis import strategies as st

from alerts.rules.pack import load_pack
from alerts.rules.running import Named
from alerts.rules.score import WarningScore
from alerts.rules.score_rule import ScoreRule
from homecare.residents import Profile
from tests.alerts.rules.battery import START, Case, Row, Told

METRICS = ("heart_rate", "respiratory_rate", "spo2", "systolic", "temperature")
PROFILES = (Profile(7, "R-7", "520201"), Profile(8, "R-8", "520201", spo2_scale=2))
RULE = load_pack().rules["score"]["news2"]
assert isinstance(RULE, ScoreRule)


def points(metric: str, value: float, scale: int, *, oxygen: bool) -> int:
    """What one value scores; the value as a display with the chart's digits would show it."""
    digit = "0.1" if metric == "temperature" else "1"
    shown = Decimal(str(np.float32(value))).quantize(Decimal(digit), ROUND_HALF_UP)
    match metric:
        case "respiratory_rate":
            return 3 if shown <= 8 else 1 if shown <= 11 else 0 if shown <= 20 else 2 if shown <= 24 else 3
        case "systolic":
            return 3 if shown <= 90 else 2 if shown <= 100 else 1 if shown <= 110 else 0 if shown <= 219 else 3
        case "heart_rate":
            high = 0 if shown <= 90 else 1 if shown <= 110 else 2 if shown <= 130 else 3
            return 3 if shown <= 40 else 1 if shown <= 50 else high
        case "temperature":
            high = 0 if shown <= Decimal("38.0") else 1 if shown <= Decimal("39.0") else 2
            return 3 if shown <= Decimal("35.0") else 1 if shown <= Decimal("36.0") else high
    if scale == 1:
        return 3 if shown <= 91 else 2 if shown <= 93 else 1 if shown <= 95 else 0
    if shown <= 92:
        return 3 if shown <= 83 else 2 if shown <= 85 else 1 if shown <= 87 else 0
    return 0 if not oxygen else 1 if shown <= 94 else 2 if shown <= 96 else 3


def possible(values: Mapping[str, float], scale: int, oxygen: bool | None, alert: bool | None) -> tuple[int, int]:
    """The least and the most the aggregate may be: of every way in which what is missing may be."""
    totals = []
    for on_oxygen, awake in product(
        [oxygen] if oxygen is not None else [False, True], [alert] if alert is not None else [False, True]
    ):
        base = 2 * on_oxygen + 3 * (not awake)
        known = sum(points(metric, value, scale, oxygen=on_oxygen) for metric, value in values.items())
        totals += [base + known, base + known + 3 * (len(METRICS) - len(values))]
    return min(totals), max(totals)


def score_triggers(rule: ScoreRule, profile: Profile, rows: Sequence[Row]) -> list[Told]:
    """What is said of one person whose samples, in order, are these."""
    newest: dict[str, tuple[int, float]] = {}
    level, raised_at, cause = 0, 0, set[str]()
    said = []
    severities = [rule.single, *(band.severity for band in rule.bands)]
    for row in rows:
        measured = {
            metric: value for metric, value in row.values.items() if metric in METRICS and not math.isnan(value)
        }
        if not measured:
            continue
        newest |= {metric: (row.ts, value) for metric, value in measured.items()}
        fresh = {metric: value for metric, (at, value) in newest.items() if row.ts - at <= rule.window_s * 1000}
        least, _ = possible(fresh, profile.spo2_scale, None, None)
        each = {
            metric: min(points(metric, value, profile.spo2_scale, oxygen=oxygen) for oxygen in (False, True))
            for metric, value in fresh.items()
        }
        now = sum(least >= band.score for band in rule.bands)
        single = 3 in each.values() and len(fresh) >= rule.single_measured
        now = now + 1 if now else int(single)
        if now > level or (now and row.ts - raised_at >= rule.again_s * 1000):
            level, raised_at, cause = now, row.ts, {metric for metric in each if each[metric]}
            said.append(Told(row.ts, "news2", "raised", severities[now - 1], row.device, row.resident, None))
        elif level and not now and row.ts - raised_at >= rule.hold_s * 1000 and cause <= fresh.keys():
            said.append(Told(row.ts, "news2", "cleared", severities[level - 1], row.device, row.resident, None))
            level, raised_at, cause = 0, 0, set()
    return said


def _scalar(rows: Sequence[Row], until: int) -> list[Told]:
    assert isinstance(RULE, ScoreRule)
    said = []
    for profile in PROFILES:
        mine = [row for row in rows if row.resident == profile.key and row.ts < until]
        said += score_triggers(RULE, profile, mine)
    return said


def values() -> st.SearchStrategy[dict[str, float]]:
    """A visit or a single reading, at the edges of the chart, some of it missing or not a number."""
    nan = float("nan")
    return st.fixed_dictionaries(
        {},
        optional={
            "heart_rate": st.sampled_from([40.0, 41, 75, 90, 90.5, 91, 110, 111, 130, 131, nan]),
            "respiratory_rate": st.sampled_from([8.0, 9, 16, 24, 25, nan]),
            "spo2": st.sampled_from([83.0, 87, 91, 92, 93, 95, 96, 97, 100, nan]),
            "systolic": st.sampled_from([90.0, 91, 100, 120, 219, 220, nan]),
            "temperature": st.sampled_from([35.0, 35.05, 35.1, 36.0, 37.0, 38.05, 39.1, nan]),
            "steps": st.just(5.0),
        },
    )


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Two people, one of them with scale 2, each with a wearable, and visits to the kiosk they share."""
    gaps = st.sampled_from([0, 1, 60_000, 600_000, 1_799_999, 1_800_000, 1_800_001, 43_200_000])
    at, result = START, []
    for _ in range(draw(st.integers(1, 12))):
        at += draw(gaps)
        device, resident = draw(st.sampled_from([(1, 7), (1, 7), (2, 8), (3, 7), (3, 8), (3, 0)]))
        event = draw(st.sampled_from([None, None, None, "fall"]))
        result.append(Row(at, draw(values()), device, resident, event=event))
    return result


NEWS2_CASE = Case("news2", lambda: [Named("score.news2", WarningScore("news2", RULE))], rows(), _scalar, PROFILES)  # type: ignore[arg-type]

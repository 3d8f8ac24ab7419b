"""The fall rule in plain Python, for reading: one wrist, all of its windows there, one thing at a time.

The features and the model are the rule's own: they are numbers, not a matter of streams.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from alerts.rules.fall_features import features
from alerts.rules.fall_model import model
from alerts.rules.fall_rule import FallRule
from homecare.messages import AccelerationWindow

BIN_MS = 20
Sample = tuple[float, float, float]


class Told(NamedTuple):
    """What must be told: "impact", "still" or "up", and since when it is known, Unix ms."""

    at: int
    what: str


def falls(windows: Sequence[AccelerationWindow], rule: FallRule) -> list[Told]:
    """All that is told of these windows of one device, when no more will come."""
    trace = strongest(windows)
    if not trace:
        return []
    told: list[Told] = []
    last = max(trace)
    before = None
    for impact in impacts(trace):
        if confidence(trace, impact) < rule.confidence:
            continue
        if before is not None and impact - before < rule.quiet_s * 1000 / BIN_MS:
            continue
        before = impact
        told.append(Told(impact * BIN_MS, "impact"))
        if (after := followed(trace, impact, last, rule)) is not None:
            seconds, what = after
            told.append(Told(impact * BIN_MS + seconds * 1000, what))
    return told


def strongest(windows: Sequence[AccelerationWindow]) -> dict[int, Sample]:
    """Bin -> the strongest sample in it, in steps of 2 mg, cut off at 4 g; without glitches."""
    trace: dict[int, tuple[tuple[int, ...], Sample]] = {}
    for window in windows:
        scale = window.scale / (1 if window.unit == "g" else 9.80665)
        counts = np.frombuffer(window.xyz, "<i2").reshape(-1, 3).tolist()
        for place, count in enumerate(counts):
            value = [axis * scale for axis in count]
            if max(abs(axis) for axis in value) > 16:
                continue
            steps = [round(min(max(axis, -4.0), 4.0) * 500) for axis in value]
            when = math.floor((window.ts + place * (1000 / window.hz)) / BIN_MS + 0.5)
            rank = (sum(step * step for step in steps), *steps)
            if when not in trace or rank > trace[when][0]:
                trace[when] = rank, (steps[0] / 500, steps[1] / 500, steps[2] / 500)
    return {when: sample for when, (_, sample) in trace.items()}


def strength(trace: dict[int, Sample], when: int) -> float:
    """|a|² in steps; 0 where nothing was measured."""
    return sum(round(axis * 500) ** 2 for axis in trace.get(when, (0.0, 0.0, 0.0)))


def impacts(trace: dict[int, Sample]) -> list[int]:
    """Above 1.9 g, and nothing stronger within 1 s (of equal ones the first)."""
    found = []
    for when in sorted(trace):
        here = strength(trace, when)
        if (
            here >= round((1.9 * 500) ** 2)
            and all(strength(trace, when - n) < here for n in range(1, 51))
            and all(strength(trace, when + n) <= here for n in range(1, 51))
        ):
            found.append(when)
    return found


def confidence(trace: dict[int, Sample], impact: int) -> float:
    """The model's word on the 3 s before and 2 s after, what is missing drawn as a line."""
    span = range(impact - 150, impact + 101)
    have = [when for when in span if when in trace]
    value = []
    for when in span:
        left = max((other for other in have if other <= when), default=have[0])
        right = min((other for other in have if other >= when), default=have[-1])
        share = (when - left) / max(right - left, 1)
        value.append([a * (1 - share) + b * share for a, b in zip(trace[left], trace[right], strict=True)])
    return float(model().confidence(features(np.array([value], np.float32))[1])[0])


def followed(trace: dict[int, Sample], impact: int, last: int, rule: FallRule) -> tuple[int, str] | None:
    """Seconds after the impact, and what: walking as soon as enough of them in a row moved; still when the time is over and nearly all were."""
    spreads: list[float | None] = []
    for second in range(5, round(rule.still_s)):
        whens = range(impact + 1 + second * 50, impact + 1 + second * 50 + 50)
        sizes = [math.hypot(*trace[when]) for when in whens if when in trace]
        if len(sizes) < 6 or whens[-1] > last:
            spreads.append(None)
            continue
        mean = sum(sizes) / len(sizes)
        spreads.append(math.sqrt(sum((size - mean) ** 2 for size in sizes) / len(sizes)))
    run = longest = 0
    for second, spread in enumerate(spreads, 5):
        run = run + 1 if spread is not None and spread >= rule.up_g else 0
        longest = max(longest, run)
        if run == rule.up_seconds:
            return second + 1, "up"
    seen = [spread for spread in spreads if spread is not None]
    still = [spread for spread in seen if spread < rule.still_g]
    over = last >= impact + round(rule.still_s) * 50
    enough = len(seen) >= 0.6 * len(spreads) and len(still) >= rule.still_share * len(seen)
    return (round(rule.still_s), "still") if over and enough and not longest else None

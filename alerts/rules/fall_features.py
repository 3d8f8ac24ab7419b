"""What the seconds round an impact look like, in numbers that depend neither on how the sensor is worn nor on its rate.

All are made of the strength |a| and of angles between directions, after a mean over 60 ms; `NAMES` says which is which.
Times below are seconds from the impact.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from alerts.rules.fall_trace import AFTER, BEFORE, BIN_MS, Ints, unpack

Floats = npt.NDArray[np.float32]
_SECOND = 1000 // BIN_MS
_END = AFTER / _SECOND
_START = -BEFORE / _SECOND
_DRAWN = 4
"""Every so many bins are in the evidence's picture: 80 ms."""


def features(seconds: Floats) -> tuple[tuple[str, ...], Floats]:
    """`seconds` (n, BEFORE + 1 + AFTER, 3) in g, the impact in the column BEFORE, nothing missing: names, (n, features)."""
    value = _mean(seconds, 3)
    strength = np.sqrt((value * value).sum(axis=2))
    found: dict[str, Floats] = {"peak": np.sqrt((seconds[:, BEFORE] ** 2).sum(axis=1))}
    found |= _impact(strength)
    found |= _rhythm(strength, found["blow"])
    found |= _motion(value)
    found |= _directions(value)
    return tuple(found), np.stack(list(found.values()), axis=1).astype(np.float32)


def _impact(strength: Floats) -> dict[str, Floats]:
    """How strong it was before, in and after the impact."""
    before, after = strength[:, _from(_START, -0.8)], strength[:, _from(1, _END)]
    about = strength[:, _from(-0.5, 0.5)]
    blow = strength[:, _from(-0.1, 0.1)].max(axis=1)
    soon = strength[:, _from(0.3, 1)]
    return {
        "blow": blow,
        "dip": strength[:, _from(-0.8, -0.04)].min(axis=1),
        "dip_mean": strength[:, _from(-0.6, -0.1)].mean(axis=1),
        "dip_share": (strength[:, _from(-1, 0)] < 0.75).mean(axis=1),
        "fall_speed": np.minimum(strength[:, _from(-1, -0.04)] - 1, 0).sum(axis=1) / _SECOND,
        "blow_speed": np.maximum(strength[:, _from(-0.3, 0.4)] - 1, 0).sum(axis=1) / _SECOND,
        "energy": np.abs(about - 1).mean(axis=1),
        "above_2g": (strength[:, _from(-0.4, 0.4)] > 2).mean(axis=1),
        "above_1_5g": (strength[:, _from(-0.5, 0.7)] > 1.5).mean(axis=1),
        "width": (strength[:, _from(-0.3, 0.3)] > 0.5 * blow[:, None]).mean(axis=1),
        "before_spread": before.std(axis=1),
        "before_most": strength[:, _from(_START, -0.5)].max(axis=1),
        "just_before_spread": strength[:, _from(-0.8, -0.1)].std(axis=1),
        "soon_spread": soon.std(axis=1),
        "soon_most": soon.max(axis=1),
        "soon_least": strength[:, _from(0.1, 1)].min(axis=1),
        "after_spread": after.std(axis=1),
        "after_most": after.max(axis=1),
        "after_least": after.min(axis=1),
        "after_mean": after.mean(axis=1),
    }


def _rhythm(strength: Floats, blow: Floats) -> dict[str, Floats]:
    """Other blows nearby: steps, jumps, clapping."""
    inner = strength[:, 1:-1]
    top = (inner > strength[:, :-2]) & (inner >= strength[:, 2:]) & (inner > 1.5)
    before = strength[:, _from(_START, -0.35)].max(axis=1)
    after = strength[:, _from(0.5, _END)].max(axis=1)
    return {
        "blows_before": top[:, : BEFORE - _SECOND // 2 - 1].sum(axis=1, dtype=np.float32),
        "blows_after": top[:, BEFORE + _SECOND // 2 - 1 :].sum(axis=1, dtype=np.float32),
        "second": np.maximum(before, after) / blow,
        "second_before": before / blow,
        "second_after": after / blow,
    }


def _motion(value: Floats) -> dict[str, Floats]:
    """How fast the acceleration changes (g/s), and what is left of it in the mean."""
    jerk = np.sqrt(((value[:, 2:] - value[:, :-2]) ** 2).sum(axis=2)) * (_SECOND / 2)
    jerk = np.concatenate([jerk[:, :1], jerk, jerk[:, -1:]], axis=1)
    after = jerk[:, _from(1, _END)]
    return {
        "jerk": jerk[:, _from(-0.2, 0.2)].max(axis=1),
        "jerk_before": jerk[:, _from(_START, -0.8)].mean(axis=1),
        "jerk_just_before": jerk[:, _from(-0.8, -0.1)].mean(axis=1),
        "jerk_soon": jerk[:, _from(0.3, 1)].mean(axis=1),
        "jerk_after": after.mean(axis=1),
        "jerk_after_most": after.max(axis=1),
        "calm_after": np.quantile(jerk[:, _from(0.8, _END)], 0.2, axis=1),
        "calm_before": np.quantile(jerk[:, _from(_START, -0.5)], 0.2, axis=1),
        "gravity_before": _length(value[:, _from(_START, -0.8)].mean(axis=1)),
        "gravity_after": _length(value[:, _from(1, _END)].mean(axis=1)),
    }


def _directions(value: Floats) -> dict[str, Floats]:
    """By how much the arm turned (radians), and how much it swung (over 0.1 s, after a mean over 0.3 s)."""

    def towards(start: float, end: float) -> Floats:
        return _unit(value[:, _from(start, end)].mean(axis=1))

    long_before, before, hit = towards(_START, -1.2), towards(-1.2, -0.5), towards(-0.06, 0.06)
    soon, after = towards(0.4, 1), towards(1.2, _END)
    slow = _unit(_mean(value, 15))
    swing = _angle(slow[:, 5:], slow[:, :-5])
    return {
        "turn_long": _angle(long_before, after),
        "turn": _angle(before, after),
        "turn_soon": _angle(before, soon),
        "turn_after": _angle(soon, after),
        "turn_before": _angle(long_before, before),
        "turn_from_blow": _angle(hit, after),
        "turn_to_blow": _angle(before, hit),
        "swing": swing[:, _from(-1, 0.5)].max(axis=1),
        "swing_before": swing[:, _from(_START, -1)].mean(axis=1),
        "swing_just_before": swing[:, _from(-0.8, 0.4)].mean(axis=1),
        "swing_after": swing[:, BEFORE + 2 * _SECOND * 2 // 5 :].mean(axis=1),
    }


def _from(start: float, end: float) -> slice:
    """Columns from `start` to `end` s, inclusive."""
    return slice(max(0, BEFORE + round(start * _SECOND)), BEFORE + round(end * _SECOND) + 1)


def _mean(value: Floats, width: int) -> Floats:
    """The mean over `width` (odd) bins round each, the ends repeated."""
    padded = np.pad(value, ((0, 0), (width // 2, width // 2), (0, 0)), mode="edge")
    sums = np.cumsum(padded, axis=1, dtype=np.float64)
    sums = np.concatenate([np.zeros_like(sums[:, :1]), sums], axis=1)
    mean: Floats = ((sums[:, width:] - sums[:, :-width]) / width).astype(np.float32)
    return mean


def _length(vector: Floats) -> Floats:
    length: Floats = np.sqrt((vector * vector).sum(axis=-1))
    return length


def _unit(vector: Floats) -> Floats:
    return (vector / np.maximum(1e-6, _length(vector))[..., None]).astype(np.float32)


def _angle(one: Floats, other: Floats) -> Floats:
    angle: Floats = np.arccos(np.clip((one * other).sum(axis=-1), -1, 1))
    return angle


def picture(around: Ints, at: int) -> dict[str, Any]:
    """|a| round the impact, the most of every `_DRAWN` bins: Unix ms of the first, their distance, g."""
    strength = np.sqrt((unpack(around).astype(np.float64) ** 2).sum(axis=1))
    strength = strength[: len(strength) // _DRAWN * _DRAWN].reshape(-1, _DRAWN).max(axis=1)
    return {
        "from": (at - BEFORE) * BIN_MS,
        "step_ms": _DRAWN * BIN_MS,
        "g": [None if value == 0 else round(float(value), 2) for value in strength],
    }


NAMES: tuple[str, ...] = features(np.zeros((0, BEFORE + 1 + AFTER, 3), np.float32))[0]

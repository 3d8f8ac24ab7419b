"""What is said of a fall, and of what followed it: the trigger with its evidence and its sentences."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerts.rules.fall_after import SECOND, After, Followed
from alerts.rules.fall_features import NAMES
from alerts.rules.fall_rule import FallRule
from alerts.rules.fall_trace import BIN_MS
from homecare.triggers import Severity, Trigger


class Impact(NamedTuple):
    """An impact that is called a fall."""

    device: int
    resident: int
    bin: int
    sure: float
    features: npt.NDArray[np.float32]
    trace: dict[str, Any]
    model: str
    received: int
    """Unix ms, of the window that completed it."""
    late: bool


def of_impact(name: str, rule: FallRule, impact: Impact) -> Trigger:
    """The fall itself; `name`: the rule's."""
    peak = float(impact.features[NAMES.index("peak")])
    said = {"peak": f"{peak:.1f}", "percent": f"{min(99, round(100 * impact.sure))}"}
    evidence = {
        "impact_at": impact.bin * BIN_MS,
        "confidence": round(impact.sure, 3),
        "threshold": rule.confidence,
        "peak_g": round(peak, 2),
        "features": {one: round(float(value), 3) for one, value in zip(NAMES, impact.features, strict=True)},
        "trace": impact.trace,
        "model": impact.model,
        "received": impact.received,
        "late": impact.late,
    }
    whom = impact.device, impact.resident
    sentences = rule.zh.format_map(said), rule.en.format_map(said)
    return _trigger(name, rule, whom, (impact.bin, "impact", 0), rule.severity, evidence, sentences)


def of_sequel(name: str, rule: FallRule, after: After, place: int, followed: Followed) -> Trigger:
    """What followed the last fall of `place`, a row of `after.state`."""
    state, still = after.state, followed.what == "still"
    at = int(state["bin"][place])
    evidence = {
        "impact_at": at * BIN_MS,
        "after": followed.what,
        "seconds": followed.seconds,
        "spread_g": [None if value < 0 else round(float(value), 3) for value in state["spread"][place]],
        "still_g": rule.still_g,
        "up_g": rule.up_g,
        "confidence": round(float(state["confidence"][place]), 3),
        "peak_g": round(float(state["peak"][place]), 2),
    }
    zh, en = (rule.still_zh, rule.still_en) if still else (rule.up_zh, rule.up_en)
    return _trigger(
        name,
        rule,
        (int(state["device"][place]), int(state["resident"][place])),
        (at, followed.what, followed.after * SECOND),
        rule.still_severity if still else rule.up_severity,
        evidence,
        (zh.format(duration=followed.seconds), en.format(duration=followed.seconds)),
    )


def _trigger(
    name: str,
    rule: FallRule,
    whom: tuple[int, int],
    when: tuple[int, str, int],
    severity: Severity,
    evidence: dict[str, Any],
    sentences: tuple[str, str],
) -> Trigger:
    """`whom`: device, resident; `when`: bin of the impact, what it is about, bins after the impact when it was known."""
    (device, resident), (at, what, later) = whom, when
    return Trigger(
        key=f"{name}:{device}:{at}:{what}",
        at=(at + later) * BIN_MS,
        rule=name,
        version=rule.version,
        kind="fall",
        metric=None,
        severity=severity,
        state="raised",
        device=device,
        resident=resident,
        evidence=evidence,
        zh=sentences[0],
        en=sentences[1],
    )

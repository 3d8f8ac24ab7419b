"""Falls: every trial streamed as a device's own messages through decode, checks and rules, with a model that never saw its person.

WEDA-FALL (9 people at 50 Hz) by leaving each person out; UMAFall (other people, another sensor, 20 Hz) with the model made
of WEDA alone. A trial counts as one where a fall is raised in it or just after. AUC: the same stream, told at any
confidence; a trial's score is the most that is told of it.
"""

import base64
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from alerts.rules.engine import Engine
from alerts.rules.fall import Fall
from alerts.rules.fall_model import Model
from alerts.rules.fall_rule import FallRule
from alerts.rules.pack import build_pack, load_pack
from alerts.rules.running import Named
from gateway.edge import Edge
from gateway.open_registry import OpenRegistry
from homecare.messages import Inbound
from tests.bench.goals import Goal
from tests.bench.say import say
from tests.quality.fall_data import Trial, umafall, weda
from tests.quality.fall_folds import lessons

GOALS = {
    "fall_recall": Goal("", 0.96),
    "fall_specificity": Goal("", 0.97),
    "fall_auc": Goal("", 0.99),
    "fall_umafall_recall": Goal("", 0.90),
    "fall_umafall_specificity": Goal("", 0.90),
    "fall_umafall_auc": Goal(""),
    "fall_delay_p99_s": Goal("s", 4, "less"),
    "fall_delay_from_impact_p99_s": Goal("s", None, "less"),
}
START = 1_790_000_000_000
WINDOW_S = 2.0
ON_THE_WAY_MS = 50
SWEEP_MS = 1_000
AFTER_MS = 10_000
"""So long after the end of a trial something may still be told of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was told of one trial: the most confidence, when it was told first and of when (s from its start); NaN: nothing."""

    score: float
    told_s: float
    impact_s: float


def measure() -> dict[str, float]:
    """Raises DataMissing."""
    trials, others = weda(), umafall()
    rule = load_pack().rules["fall"]["fall"]
    assert isinstance(rule, FallRule)
    any_ = msgspec.structs.replace(rule, confidence=0.0, quiet_s=0.0)
    say("peaks to learn from")
    learnt = lessons(trials)
    outcomes: dict[str, Outcome] = {}
    scores: dict[str, float] = {}
    for subject in sorted({trial.subject for trial in trials}):
        say(f"without person {subject}")
        judge = Model(learnt.model("", without=subject))
        theirs = [trial for trial in trials if trial.subject == subject]
        outcomes |= stream(theirs, rule, judge)
        scores |= {name: outcome.score for name, outcome in stream(theirs, any_, judge).items()}
    say("UMAFall")
    judge = Model(learnt.model(""))
    elsewhere = stream(others, rule, judge)
    elsewhere_scores = {name: outcome.score for name, outcome in stream(others, any_, judge).items()}
    recall, specificity = _rates(trials, outcomes)
    uma_recall, uma_specificity = _rates(others, elsewhere)
    told = [(trial, outcomes[trial.name]) for trial in trials if trial.fall_s and outcomes[trial.name].score > 0]
    return {
        "fall_recall": recall,
        "fall_specificity": specificity,
        "fall_auc": _auc(trials, scores),
        "fall_umafall_recall": uma_recall,
        "fall_umafall_specificity": uma_specificity,
        "fall_umafall_auc": _auc(others, elsewhere_scores),
        "fall_delay_p99_s": _p99([o.told_s - trial.fall_s[1] for trial, o in told if trial.fall_s]),
        "fall_delay_from_impact_p99_s": _p99([o.told_s - o.impact_s for _, o in told]),
    }


def stream(trials: Sequence[Trial], rule: FallRule, judge: Model) -> dict[str, Outcome]:
    """All trials at once, each from a device of its own; windows arrive as they end, and the rules sweep every second."""
    registry = OpenRegistry(0)
    edge = Edge(registry)
    engine = Engine(build_pack({"pack": {"lateness_s": 300}}, partial=True), [Named("fall", Fall("fall", rule, judge))])
    due: dict[int, list[Inbound]] = defaultdict(list)
    for number, trial in enumerate(trials):
        for message in messages(trial, f"wrist-{number}"):
            due[message.received].append(message)
    end = max(due) + AFTER_MS
    scores, firsts, impacts = [0.0] * len(trials), [np.nan] * len(trials), [np.nan] * len(trials)
    for now in sorted({*due, *range(START, end, SWEEP_MS)}):
        checked = edge.check(due.get(now, ()))
        assert not checked.rejections
        engine.register(registry.changes())
        triggers = engine.windows(checked.windows)
        if not (now - START) % SWEEP_MS:
            triggers += engine.sweep(now)
        for trigger in triggers:
            if "trace" not in trigger.evidence:  # what followed a fall is none of its own
                continue
            number = trigger.device - 1
            if not scores[number]:
                firsts[number], impacts[number] = (now - START) / 1000, (trigger.at - START) / 1000
            scores[number] = max(scores[number], trigger.evidence["confidence"], 1e-9)
    names = [int(device.removeprefix("wrist-")) for device in registry.devices]
    return {
        trials[number].name: Outcome(scores[place], firsts[place], impacts[place]) for place, number in enumerate(names)
    }


def messages(trial: Trial, device: str) -> list[Inbound]:
    """A trial as telemetry, in windows of `WINDOW_S`."""
    size = max(1, round(WINDOW_S * trial.hz))
    # Half a thousandth of 1 g holds ±16 g; beyond it (a glitch) the sensor's end.
    counts = np.clip(np.rint(trial.value * 2000), -32768, 32767).astype("<i2")
    result = []
    for seq, first in enumerate(range(0, len(counts), size)):
        part = counts[first : first + size]
        acceleration = {"hz": trial.hz, "unit": "g", "scale": 0.0005, "xyz": base64.b64encode(part.tobytes()).decode()}
        ts = START + round(first / trial.hz * 1000)
        body = {"boot": 1, "seq": seq, "ts": ts, "acceleration": acceleration}
        received = START + round((first + len(part)) / trial.hz * 1000) + ON_THE_WAY_MS
        result.append(Inbound(f"care/v1/520201/{device}/telemetry", msgspec.json.encode(body), received))
    return result


def _rates(trials: Sequence[Trial], outcomes: Mapping[str, Outcome]) -> tuple[float, float]:
    """Recall, specificity."""
    told = [outcomes[trial.name].score > 0 for trial in trials if trial.fall]
    quiet = [outcomes[trial.name].score == 0 for trial in trials if not trial.fall]
    return sum(told) / len(told), sum(quiet) / len(quiet)


def _auc(trials: Sequence[Trial], scores: Mapping[str, float]) -> float:
    """How often a fall scores more than a trial of daily life; the same score is half a time (Mann and Whitney 1947)."""
    falls = np.array([scores[trial.name] for trial in trials if trial.fall])
    others = np.array([scores[trial.name] for trial in trials if not trial.fall])
    more: npt.NDArray[np.float64] = (falls[:, None] > others) + (falls[:, None] == others) / 2
    return float(more.mean())


def _p99(values: Sequence[float]) -> float:
    return float(np.quantile(values, 0.99))

"""One battery over every rule: cuts, duplicates, disorder, restarts, gaps, extremes, clock steps, against plain Python.

A new limit rule of the pack gets it for free.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.rules.engine import Engine
from alerts.rules.inorder import InOrder
from alerts.rules.limit_rules import Reading
from alerts.rules.pack import load_pack
from homecare.devices import RegisteredDevice, Wearing
from homecare.metrics import BY_NAME
from homecare.triggers import Trigger
from tests.alerts.rules.scalar import Said, Sample, Sweep, limit_triggers, silence_triggers, to_samples

PACK = load_pack()
LATE = PACK.lateness_ms
START = 1_800_000_000_000
SETTINGS = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Draw = Callable[..., Any]
EVERY_RULE = pytest.mark.parametrize("rule", sorted(PACK.limit))


def said(triggers: Sequence[Trigger]) -> list[Said]:
    """What the scalar version says of a trigger."""
    return sorted(Said(t.at, t.rule, t.metric, t.severity, t.state, t.device, t.resident, _value(t)) for t in triggers)


def _value(trigger: Trigger) -> float | None:
    if trigger.metric is None:
        return None
    return float(np.float32(trigger.evidence["readings"][0]["value"]))


def telling_values(reading: Reading) -> list[float]:
    """The values at which something could go wrong: limits, clearing, just beside them, extremes."""
    metric = BY_NAME[reading.metric]
    edges = [band.limit for band in reading.bands] + [reading.clear]
    beside = [edge + step for edge in edges for step in (-0.1, 0.1)]
    return [metric.low, metric.high, *beside, *(3 * edges)]


def values_of(rule: str) -> st.SearchStrategy[dict[str, float]]:
    """Readings of a rule's metrics, some of them missing."""
    choices: dict[str, list[float]] = {}
    for reading in PACK.limit[rule].reading:
        choices.setdefault(reading.metric, [float("nan")]).extend(telling_values(reading))
    return st.fixed_dictionaries({}, optional={metric: st.sampled_from(values) for metric, values in choices.items()})


@st.composite
def streams(draw: st.DrawFn, rule: str) -> list[Sample]:
    """Samples in order of arrival, of two wearables and two people at a kiosk (device 3), any clock."""
    again = round(PACK.limit[rule].again_s * 1000)
    gaps = st.sampled_from([0, 1, 1_000, 60_000, LATE - 1, LATE, LATE + 1, again - 60_000, again, again + 1])
    behind = st.sampled_from([0, 0, 0, 1, 30_000, 60_000, LATE, LATE + 1, 10 * LATE, -60_000, -LATE])
    received, result = START, []
    for seq in range(draw(st.integers(1, 12))):
        received += draw(gaps)
        device, resident = draw(st.sampled_from([(1, 7), (1, 7), (2, 0), (3, 8), (3, 9)]))
        ts = None if draw(st.integers(0, 7)) == 0 else received - draw(behind)
        result.append(Sample(received, draw(values_of(rule)), ts, device, resident, seq=seq, subject=device == 3))
    return result


def fresh(sample: Sample) -> bool:
    return sample.measured >= sample.received - LATE


def ordered(samples: list[Sample]) -> list[Sample]:
    """Only those that come in the order they were measured in (those too late are no part of that order)."""
    newest: dict[int, int] = {}
    result = []
    for sample in samples:
        if not fresh(sample):
            result.append(sample)
        elif sample.measured >= newest.get(sample.device, 0):
            newest[sample.device] = sample.measured
            result.append(sample)
    return result


def with_duplicates(draw: Draw, samples: list[Sample]) -> list[Sample]:
    """Some samples come again, at once or later, while the lateness lasts."""
    result = list(samples)
    for sample in draw(st.lists(st.sampled_from(samples), max_size=4)):
        places = [
            place
            for place in range(result.index(sample) + 1, len(result) + 1)
            if result[place - 1].received <= sample.received + LATE
        ]
        place = draw(st.sampled_from(places))
        result.insert(place, replace(sample, received=result[place - 1].received, again=1))
    return result


def cut(draw: Draw, samples: list[Sample]) -> list[list[Sample]]:
    """The stream as batches."""
    cuts = sorted(draw(st.sets(st.integers(0, len(samples)))) | {0, len(samples)})
    return [samples[start:end] for start, end in pairwise(cuts)]


def rebuilt(samples: list[Sample], triggers: list[Trigger]) -> Engine:
    """An engine that starts from what a database would hold of `samples` and `triggers`."""
    engine = Engine(PACK)
    since = max((sample.received for sample in samples), default=0) - engine.memory_ms
    last = {(t.device, t.resident, t.rule, t.metric, t.evidence["side"]): t for t in triggers if t.at < since}
    engine.recall(last.values())
    kept = {sample.name: sample for sample in reversed(samples)}
    engine.restore(to_samples([sample for sample in kept.values() if sample.measured >= since]))
    return engine


@EVERY_RULE
@SETTINGS
@given(data=st.data())
def test_however_cut_repeated_or_restarted_it_says_what_the_scalar_version_says(rule: str, data: st.DataObject) -> None:
    samples = ordered(data.draw(streams(rule)))
    stream = with_duplicates(data.draw, samples) if samples else []
    batches = cut(data.draw, stream)
    engine, seen, triggers = Engine(PACK), list[Sample](), list[Trigger]()
    for batch in batches:
        if data.draw(st.booleans()):
            engine = rebuilt(seen, triggers)
        triggers += engine.apply(to_samples(batch))
        seen += batch
    assert said(triggers) == limit_triggers(PACK, stream)
    assert len({trigger.key for trigger in triggers}) == len(triggers)


@EVERY_RULE
@SETTINGS
@given(data=st.data())
def test_out_of_order_it_says_all_that_is_true_and_ends_where_the_ordered_stream_ends(
    rule: str, data: st.DataObject
) -> None:
    stream = with_duplicates(data.draw, data.draw(streams(rule)))
    engine, triggers = Engine(PACK), list[Trigger]()
    for batch in cut(data.draw, stream):
        triggers += engine.apply(to_samples(batch))
    true = limit_triggers(PACK, stream)
    given_out = said(triggers)
    assert {known(one) for one in true} <= {known(one) for one in given_out}
    assert len({trigger.key for trigger in triggers}) == len(triggers)
    assert standing(triggers) == standing(in_true_order(triggers, true))
    assert all(trigger.state == "cleared" or _is_beyond(trigger) for trigger in triggers)


def standing(triggers: Sequence[Trigger]) -> dict[tuple[object, ...], str]:
    """The last word on each series."""
    return {(t.device, t.resident, t.rule, t.metric, t.evidence["side"]): t.state for t in triggers}


def in_true_order(triggers: Sequence[Trigger], true: Sequence[Said]) -> list[Trigger]:
    """The triggers of the ordered stream, in its order (a device's samples of one moment: by their count)."""
    of = {known(one): t for t in triggers for one in said([t])}
    return sorted((of[known(one)] for one in true), key=lambda trigger: (trigger.at, _seq(trigger)))


def known(one: Said) -> Said:
    """A cleared trigger names the severity that was known when it was given."""
    return one._replace(severity="") if one.state == "cleared" else one


def _seq(trigger: Trigger) -> int:
    return int(trigger.key.split(":")[5].split(".")[1])


def _is_beyond(trigger: Trigger) -> bool:
    value, limit = trigger.evidence["readings"][0]["value"], trigger.evidence["limit"]
    return bool(value >= limit if trigger.evidence["side"] == "high" else value <= limit)


@EVERY_RULE
@SETTINGS
@given(data=st.data())
def test_put_in_order_first_it_says_the_same_whatever_the_order_within_the_lateness(
    rule: str, data: st.DataObject
) -> None:
    stream = data.draw(streams(rule))
    engine, in_order, triggers = Engine(PACK), InOrder(LATE), list[Trigger]()
    for batch in cut(data.draw, stream):
        triggers += engine.apply(in_order.put(to_samples(batch)))
    triggers += engine.apply(in_order.rest())
    assert said(triggers) == limit_triggers(PACK, stream)


@SETTINGS
@given(data=st.data())
def test_silence_is_found_as_the_scalar_version_finds_it(data: st.DataObject) -> None:
    interval_s = data.draw(st.sampled_from([1, 19.5, 60, 3600]))
    device = RegisteredDevice(1, "d-1", "520201", "handset", interval_s, (Wearing(7, START),))
    gaps = st.sampled_from([0, 1, 1000, 60_000, 60_001, 180_000, 180_001, 10_800_001])
    steps: list[Sample | Sweep] = []
    now = START
    for seq in range(data.draw(st.integers(1, 15))):
        now += data.draw(gaps)
        steps.append(Sweep(now) if data.draw(st.booleans()) else Sample(now, {"steps": 1}, now, seq=seq))
    triggers = _with_sweeps(device, steps, data.draw)
    assert [(t.state, t.at) for t in triggers] == [
        (one.state, one.at) for one in silence_triggers(PACK, interval_s, START, steps)
    ]
    assert len({trigger.key for trigger in triggers}) == len(triggers)


def _with_sweeps(device: RegisteredDevice, steps: list[Sample | Sweep], draw: Draw) -> list[Trigger]:
    engine, triggers, batch, seen = Engine(PACK), list[Trigger](), list[Sample](), list[Sample]()
    engine.register([device])
    for step in [*steps, None]:
        if isinstance(step, Sample):
            batch.append(step)
        if not isinstance(step, Sample) or draw(st.booleans()):
            triggers += engine.apply(to_samples(batch))
            seen += batch
            batch = []
            if draw(st.booleans()):
                engine = Engine(PACK)
                engine.register([device])
                engine.recall(triggers[-1:])
                engine.restore(to_samples(seen))
        if isinstance(step, Sweep):
            triggers += engine.sweep(step.now)
    return triggers

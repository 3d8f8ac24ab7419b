"""The rules once more, one sample at a time in plain Python: written to be read, and what the columns must equal.

It is given everything at once and puts it in order first, so it says what is true, not when it can be known.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from alerts.rules.limit_rules import LimitRule, Reading
from alerts.rules.pack import Pack
from homecare.metrics import INDEX
from homecare.samples import Flag, Samples


@dataclass(frozen=True)
class Sample:
    """One sample as a test writes it."""

    received: int
    values: dict[str, float]
    ts: int | None = None
    """None: the device has no clock."""
    device: int = 1
    resident: int = 7
    boot: int = 1
    seq: int = 0
    part: int = 0
    subject: bool = False
    again: int = field(default=0, compare=False)
    """How often it had come before: 1 for a duplicate."""

    @property
    def measured(self) -> int:
        """The time that counts: the time of receipt stands in for a missing one."""
        return self.received if self.ts is None else self.ts

    @property
    def name(self) -> tuple[int, int, int, int]:
        """What the sample is called for ever."""
        return self.device, self.boot, self.seq, self.part


class Said(NamedTuple):
    """What of a trigger is compared."""

    at: int
    rule: str
    metric: str | None
    severity: str
    state: str
    device: int
    resident: int
    value: float | None


def to_samples(samples: Sequence[Sample]) -> Samples:
    """The samples as columns."""
    columns = Samples.empty(len(samples))
    for row, sample in enumerate(samples):
        columns.device[row], columns.resident[row] = sample.device, sample.resident
        columns.ts[row], columns.received[row] = sample.measured, sample.received
        columns.boot[row], columns.seq[row], columns.part[row] = sample.boot, sample.seq, sample.part
        wrong = Flag.WRONG_CLOCK if sample.ts is None else 0
        columns.flags[row] = wrong | (Flag.SUBJECT if sample.subject else 0)
        for metric, value in sample.values.items():
            columns.values[row, INDEX[metric]] = value
    return columns


def limit_triggers(pack: Pack, samples: Iterable[Sample]) -> list[Said]:
    """What the limit rules say of `samples` (in order of arrival), were all of them known from the start."""
    said: list[Said] = []
    names = set()
    fresh = []
    for sample in samples:
        if sample.name not in names and sample.measured >= sample.received - pack.lateness_ms:
            fresh.append(sample)
        names.add(sample.name)
    for name, rule in pack.limit.items():
        streams = defaultdict(list)
        for sample in fresh:
            stream = sample.device if rule.scope == "device" else (sample.device, sample.resident)
            streams[stream].append(sample)
        for stream_samples in streams.values():
            stream_samples.sort(key=lambda sample: (sample.measured, sample.boot, sample.seq, sample.part))
            for reading in rule.reading:
                if reading.counted:  # those are `scalar_lasting`'s
                    continue
                said += _series(name, rule, reading, stream_samples)
    return sorted(said)


def _series(name: str, rule: LimitRule, reading: Reading, samples: list[Sample]) -> list[Said]:
    said = []
    band, raised_at, about = 0, 0, 0  # of the episode; band 0: there is none
    for sample in samples:
        value = float(np.float32(sample.values.get(reading.metric, math.nan)))
        if math.isnan(value):
            continue
        at = sample.measured
        whose = 0 if rule.scope == "device" and sample.subject else sample.resident
        reached = sum(_beyond(reading, value, step.limit) for step in reading.bands)
        if reached > band or (reached > 0 and at - raised_at >= rule.again_s * 1000):
            band, raised_at, about = reached, at, whose
            severity, state = reading.bands[band - 1].severity, "raised"
        elif band > 0 and reached == 0 and _inside(reading, value):
            severity, state = reading.bands[band - 1].severity, "cleared"
            band = 0
        else:
            continue
        said.append(Said(at, name, reading.metric, severity, state, sample.device, about, value))
    return said


def _beyond(reading: Reading, value: float, limit: float) -> bool:
    limit = float(np.float32(limit))
    return value >= limit if reading.side == "high" else value <= limit


def _inside(reading: Reading, value: float) -> bool:
    clear = float(np.float32(reading.clear))
    return value <= clear if reading.side == "high" else value >= clear


@dataclass(frozen=True)
class Sweep:
    """A look at the clock between samples."""

    now: int


def silence_triggers(pack: Pack, interval_s: float, worn_since: int, steps: Iterable[Sample | Sweep]) -> list[Said]:
    """What is said of device 1, worn by resident 7 since `worn_since`."""
    assert pack.silence is not None
    allowed = round(1000 * max(pack.silence.floor_s, pack.silence.intervals * interval_s))
    said = []
    counted_from, silent = worn_since, False
    for step in steps:
        if isinstance(step, Sweep):
            if not silent and step.now > counted_from + allowed:
                silent = True
                said.append(("raised", counted_from + allowed))
        elif step.received > counted_from:
            if silent:
                said.append(("cleared", step.received))
            counted_from, silent = step.received, False
    return [Said(at, "silence", None, pack.silence.severity, state, 1, 7, None) for state, at in said]

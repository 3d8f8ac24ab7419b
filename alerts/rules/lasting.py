"""Limits where one reading alone says nothing: n of the last m readings beyond (`of`), or all of them for so long (`for_s`).

`limit.Limits` leaves such readings to this operator, which sees them in their order. Per side of a metric it keeps the
episode and the last readings since one was beyond. The *standing* severity is the worst that n of the last m readings
reach, or that every reading since `for_s` or longer reaches. For a reading x at t:

- what stands, x itself reaching it, is worse than the episode (or there is none), or stands `again_s` or more after the
  last raise: raised;
- nothing stands any more, and x at the mildest limit -/+ hysteresis or further inside: cleared.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from alerts.rules.counted import Side
from alerts.rules.limit_rules import LimitRule
from alerts.rules.operator import Given, Scope, Subject
from alerts.rules.room import with_room
from homecare.samples import Samples
from homecare.triggers import Trigger

_SCOPE: dict[str, Scope] = {"person": "resident", "device": "device"}


class Lasting:
    """All counted readings of the limit rules of one scope."""

    section = "limit"
    ordered = True

    def __init__(self, rules: Mapping[str, LimitRule], scope: Scope, lateness_ms: int) -> None:
        self.scope: Scope = scope
        self._lateness = lateness_ms
        self._slots = 0
        self._variant = np.zeros(0, np.int16)
        self._key = np.zeros(0, np.int32)
        """By slot: of the resident or device, once somebody has spoken of them."""
        self._ever = np.zeros(0, np.bool_)
        """By slot: something is counted, or was and its episodes may have to end."""
        self._sides: dict[str, Side] = {}
        self._counting = np.zeros(1, np.bool_)
        """By variant: whether it counts anything."""
        self._concerned: npt.NDArray[np.int32] | None = None
        """Keys of those for whom something is counted, where that is not everybody; None: to be found out."""
        self.tune([rules])

    @property
    def wait_ms(self) -> int:
        """The pack's lateness."""
        return self._lateness

    @property
    def memory_ms(self) -> int:
        """How far back readings say something of now, where there is no snapshot."""
        return max((side.memory_ms for side in self._sides.values()), default=0)

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
        """Readings of a metric that is counted for somebody."""
        if not self._counting.any():
            return np.zeros(len(samples), np.bool_)
        columns = sorted({side.column for side in self._sides.values()})
        measured: npt.NDArray[np.bool_] = (event == 0) & ~np.isnan(samples.values[:, columns]).all(axis=1)
        if not self._counting[0]:
            # One person's order must not make a county's readings wait.
            keys = samples.resident if self.scope == "resident" else samples.device
            measured &= np.isin(keys, self._those_concerned())
        return measured

    def _those_concerned(self) -> npt.NDArray[np.int32]:
        if self._concerned is None:
            self._concerned = np.unique(self._key[self._ever])
        return self._concerned

    def make_room(self, slots: int) -> None:
        """Room for `slots` slots."""
        if slots > self._slots:
            self._variant = with_room(self._variant, slots)
            self._key = with_room(self._key, slots)
            self._ever = with_room(self._ever, slots)
            self._slots = slots
            for side in self._sides.values():
                side.state.make_room(slots)

    def tune(self, rules: Sequence[Mapping[str, LimitRule]]) -> None:
        """The pack's limit rules, of any scope, and their variants; a side that is counted no more lets its episodes end."""
        rules = [{name: rule for name, rule in each.items() if _SCOPE[rule.scope] == self.scope} for each in rules]
        counted = {
            f"{name}.{reading.metric}:{reading.side}": (name, reading)
            for variant in rules
            for name, rule in variant.items()
            for reading in rule.reading
            if reading.counted
        }
        for label, (name, reading) in counted.items():
            if label not in self._sides:
                self._sides[label] = Side(name, reading)
                self._sides[label].state.make_room(self._slots)
        for side in self._sides.values():
            side.tune(rules)
        self._counting = np.array(
            [any(reading.counted for rule in each.values() for reading in rule.reading) for each in rules], np.bool_
        )

    def know(self, slots: npt.NDArray[np.int64], subjects: Sequence[Subject], variant: npt.NDArray[np.int16]) -> None:
        """Which variant holds for these slots."""
        self._variant[slots] = variant
        counting = np.flatnonzero(self._counting[variant])
        if len(counting):
            subject = (subjects[index] for index in counting.tolist())
            self._key[slots[counting]] = [_key(one) for one in subject]
            self._ever[slots[counting]] = True
            self._concerned = None

    def step(self, given: Given) -> list[Trigger]:
        """Take in readings in their order."""
        return [trigger for side in self._sides.values() for trigger in side.step(given, self._variant, self.scope)]

    def sweep(self, until: int) -> list[Trigger]:  # noqa: ARG002  # only readings say something
        """Nothing comes due by itself."""
        return []

    def dump(self) -> dict[str, npt.NDArray[Any]]:
        """The state of every side, by its name."""
        return {f"{label}/{name}": a for label, side in self._sides.items() for name, a in side.state.dump().items()}

    def load(self, state: dict[str, npt.NDArray[Any]], slots: npt.NDArray[np.int64]) -> None:
        """What `dump` gave; of a side that is counted no more, nothing."""
        for label, side in self._sides.items():
            side.state.load(
                {n.removeprefix(f"{label}/"): a for n, a in state.items() if n.startswith(f"{label}/")}, slots
            )


def _key(subject: Subject) -> int:
    whoever = subject.resident or subject.device
    return 0 if whoever is None else whoever.key

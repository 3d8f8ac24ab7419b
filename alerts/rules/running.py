"""The operators of a pack at work: who is given which rows, and when.

Rows that an ordered operator has a use for wait in `settled.Settled`; the others are handed on at once, each once.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerts.rules.operator import Given, Operator, ReadsWindows, Remembers, Scope, Subject
from alerts.rules.pack import Pack
from alerts.rules.seen import Seen
from alerts.rules.settled import EARLIEST, SLACK_MS, Settled
from alerts.rules.slots import Slots
from homecare.messages import AccelerationWindow
from homecare.samples import Flag, Samples
from homecare.triggers import Trigger

AHEAD_MS = 5 * 60_000
"""How far ahead of its time of receipt a device's `ts` may be (contract section 2)."""


@dataclass(frozen=True, slots=True)
class Named:
    """An operator and the full name of its rule in the pack, `section.rule` or `section`."""

    name: str
    operator: Operator


class Running:
    """Operators over the slots of devices and of residents. Not thread-safe."""

    def __init__(self, operators: Sequence[Named], devices: Slots, residents: Slots) -> None:
        self.operators = tuple(operators)
        self._slots: dict[Scope, Slots] = {"device": devices, "resident": residents}
        self._lanes = _lanes([named.operator for named in operators if named.operator.ordered])
        self._at_once = [named.operator for named in operators if not named.operator.ordered]
        self._wait_ms = max((named.operator.wait_ms for named in operators), default=0)
        self._seen = Seen(self._wait_ms + AHEAD_MS)
        self._latest = EARLIEST
        self.make_room()

    @property
    def memory_ms(self) -> int:
        """How far back, by `ts`, readings are needed where there is no snapshot."""
        own = [named.operator.memory_ms for named in self.operators if isinstance(named.operator, Remembers)]
        return max([self._wait_ms + SLACK_MS + AHEAD_MS, *own]) if self.operators else 0

    def make_room(self) -> None:
        """After slots were added."""
        for named in self.operators:
            named.operator.make_room(self._slots[named.operator.scope].capacity)

    def tune(self, packs: Sequence[Pack]) -> None:
        """The pack, then its variants."""
        for named in self.operators:
            section, _, name = named.name.partition(".")
            named.operator.tune([pack.rules[section][name or section] for pack in packs])

    def know(
        self,
        scope: Scope,
        slots: npt.NDArray[np.int64],
        subjects: Sequence[Subject],
        variant: npt.NDArray[np.int16],
    ) -> None:
        """Who is in these slots, and which variant of the rules holds for them."""
        for named in self.operators:
            if named.operator.scope == scope:
                named.operator.know(slots, subjects, variant)

    def apply(
        self,
        samples: Samples,
        devices: npt.NDArray[np.int64],
        event: npt.NDArray[np.int8] | None = None,
        of: npt.NDArray[np.int32] | None = None,
    ) -> list[Trigger]:
        """Take in rows in order of arrival; `devices` are the slots of theirs, `event` and `of` as in `Given`."""
        if not self.operators:
            return []
        event = np.zeros(len(samples), np.int8) if event is None else event
        of = np.full(len(samples), -1, np.int32) if of is None else of
        wanted = [operator.concerns(samples, event) for operator in self._at_once]
        for lane in self._lanes:
            wanted += lane.concerns(samples, event)
        rows = self._first(samples, event, wanted)
        triggers: list[Trigger] = []
        for operator in self._at_once:
            triggers += self._at_once_to(operator, Given(samples, event, devices, of), rows & wanted.pop(0))
        for lane in self._lanes:
            bits = np.zeros(len(samples), np.uint64)
            for bit in range(len(lane.operators)):
                bits |= wanted.pop(0).astype(np.uint64) << np.uint64(bit)
            here = np.flatnonzero((bits != 0) & rows)
            here, slots = self._slots_of(lane.scope, samples, devices, here)
            if len(here):
                at = np.zeros(len(samples), np.int64)
                at[here] = slots
                lane.held.put(samples, event, of, at, bits, here)
        if len(samples):
            self._latest = max(self._latest, int(samples.received.max()))
            triggers += self._settle(int(samples.received.max()))
        return triggers

    def windows(self, windows: Sequence[AccelerationWindow], devices: npt.NDArray[np.int64]) -> list[Trigger]:
        """Raw acceleration in order of arrival; `devices` are the slots of theirs."""
        triggers: list[Trigger] = []
        for named in self.operators:
            if isinstance(named.operator, ReadsWindows):
                read, slots = list(windows), devices
                if named.operator.scope == "resident":
                    read = [window for window in windows if window.resident_key]
                    slots = self._add(np.array([window.resident_key for window in read], np.int64))
                triggers += named.operator.windows(read, slots)
        return triggers

    def sweep(self, now: int) -> list[Trigger]:
        """All that was received before `now` is known: what has come due."""
        triggers = self._settle(now)
        for operator in self._at_once:
            triggers += operator.sweep(now - operator.wait_ms - SLACK_MS)
        for lane in self._lanes:
            for operator in lane.operators:
                triggers += operator.sweep(lane.held.until)
        return triggers

    def _settle(self, received: int) -> list[Trigger]:
        triggers: list[Trigger] = []
        for lane in self._lanes:
            lane.held.heard_until(received)
            settled = lane.held.take()
            if settled is None:
                continue
            given, wanted = settled
            for bit, operator in enumerate(lane.operators):
                concerned = (wanted & np.uint64(1 << bit)) != 0
                if concerned.any():
                    triggers += operator.step(given if concerned.all() else given.take(np.flatnonzero(concerned)))
        return triggers

    def _first(
        self, samples: Samples, event: npt.NDArray[np.int8], wanted: Sequence[npt.NDArray[np.bool_]]
    ) -> npt.NDArray[np.bool_]:
        """Without those that came before and that nothing later would tell: of a wrong clock, or handed on at once."""
        first = np.ones(len(samples), np.bool_)
        doubtful = np.zeros(len(samples), np.bool_)
        for mask in wanted[: len(self._at_once)]:
            doubtful |= mask
        wrong_clock = (samples.flags & Flag.WRONG_CLOCK) != 0
        if wrong_clock.any():
            for mask in wanted[len(self._at_once) :]:
                doubtful |= mask & wrong_clock
        rows = np.flatnonzero(doubtful)
        if len(rows):
            first[rows] = self._seen.first(samples, event, rows)
        return first

    def _at_once_to(self, operator: Operator, all_: Given, concerned: npt.NDArray[np.bool_]) -> list[Trigger]:
        samples = all_.samples
        rows = np.flatnonzero(concerned & (samples.ts >= samples.received - operator.wait_ms))
        rows, slots = self._slots_of(operator.scope, samples, all_.slot, rows)
        if not len(rows):
            return []
        order = np.lexsort((samples.ts[rows], slots))
        given = all_.take(rows[order])
        given.slot = slots[order]
        return operator.step(given)

    def _slots_of(
        self, scope: Scope, samples: Samples, devices: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The rows of `rows` that have a slot, and those slots: what nobody is concerned by concerns no resident."""
        if scope == "device":
            return rows, devices[rows]
        rows = rows[samples.resident[rows] != 0]
        return rows, self._add(samples.resident[rows].astype(np.int64))

    def _add(self, residents: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        capacity = self._slots["resident"].capacity
        slots = self._slots["resident"].add(residents)
        if self._slots["resident"].capacity != capacity:
            self.make_room()
        return slots


class _Lane:
    """Ordered operators of one scope that wait equally long: bit i of what is wanted stands for `operators[i]`."""

    def __init__(self, scope: Scope, wait_ms: int, operators: Sequence[Operator]) -> None:
        self.scope, self.operators = scope, tuple(operators)
        self.held = Settled(wait_ms)

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> list[npt.NDArray[np.bool_]]:
        return [operator.concerns(samples, event) for operator in self.operators]


def _lanes(operators: Sequence[Operator]) -> list[_Lane]:
    alike: dict[tuple[Scope, int], list[Operator]] = defaultdict(list)
    for operator in operators:
        alike[operator.scope, operator.wait_ms].append(operator)
    return [_Lane(scope, wait_ms, alike[scope, wait_ms]) for scope, wait_ms in alike]

"""The operators of a pack at work: who is given which rows, and when.

Rows that an ordered operator has a use for wait in `settled.Settled`; the others are handed on at once, each once.

Each operator's state is kept (`dump`) with the time since when, by `ts`, the rows must be shown again after a restart:
what was held back then is among them, and what an operator already knew is not given to it twice.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from alerts.rules.known import Known, KnowsPeople
from alerts.rules.lanes import Lane, Named, lanes_of
from alerts.rules.operator import Given, KeepsFew, ReadsWindows, Remembers, Scope, Subject
from alerts.rules.pack import Pack
from alerts.rules.seen import Seen
from alerts.rules.settled import EARLIEST, SLACK_MS
from alerts.rules.slots import Slots
from homecare.kept import Kept
from homecare.messages import AccelerationWindow
from homecare.samples import Flag, Samples
from homecare.triggers import Trigger

__all__ = ["AHEAD_MS", "Named", "Running"]
Ints = npt.NDArray[np.int64]
AHEAD_MS = 5 * 60_000
"""How far ahead of its time of receipt a device's `ts` may be (contract section 2)."""


SEEN = "seen"
"""What the operators that are not ordered have been given: `keys` are names (`seen.Seen`)."""


class Running:
    """Operators over the slots of devices and of residents. Not thread-safe."""

    def __init__(self, operators: Sequence[Named], devices: Slots, residents: Slots) -> None:
        self.operators = tuple(operators)
        self._slots: dict[Scope, Slots] = {"device": devices, "resident": residents}
        self._known = {scope: Known() for scope in self._slots}
        for named in operators:
            if isinstance(named.operator, KnowsPeople):
                named.operator.known = self._known[named.operator.scope]
        self._lanes = lanes_of([named for named in operators if named.operator.ordered], self._slots)
        self._at_once = [named for named in operators if not named.operator.ordered]
        self._wait_ms = max((named.operator.wait_ms for named in operators), default=0)
        self._seen = Seen(self._wait_ms + SLACK_MS + AHEAD_MS)
        self._since: dict[str, int] = {}
        """By label: an operator that was loaded knows what was measured before that."""
        self._latest = EARLIEST
        self.make_room()

    @property
    def memory_ms(self) -> int:
        """How far back, by `ts`, readings are needed where there is no snapshot."""
        own = [named.operator.memory_ms for named in self.operators if isinstance(named.operator, Remembers)]
        return max([self._wait_ms + SLACK_MS + AHEAD_MS, *own]) if self.operators else 0

    def make_room(self) -> None:
        """After slots were added."""
        for scope, known in self._known.items():
            known.make_room(self._slots[scope].capacity + 1)
        for named in self.operators:
            # One more than there can be: the last row of what it dumps shows what a blank one looks like.
            named.operator.make_room(self._slots[named.operator.scope].capacity + 1)

    def tune(self, packs: Sequence[Pack]) -> None:
        """The pack, then its variants."""
        for named in self.operators:
            section, _, name = named.name.partition(".")
            rules = [pack.limit if section == "limit" else pack.rules[section][name or section] for pack in packs]
            named.operator.tune(rules)
        for lane in self._lanes:
            lane.held.read(lane.columns)

    def know(
        self,
        scope: Scope,
        slots: npt.NDArray[np.int64],
        subjects: Sequence[Subject],
        variant: npt.NDArray[np.int16],
    ) -> None:
        """Who is in these slots, and which variant of the rules holds for them."""
        operators = (named.operator for named in self.operators if named.operator.scope == scope)
        self._known[scope].tell(operators, slots, subjects, variant)

    def apply(
        self,
        samples: Samples,
        devices: Ints,
        residents: Ints,
        event: npt.NDArray[np.int8] | None = None,
        of: npt.NDArray[np.int32] | None = None,
        *,
        settle: bool = True,
    ) -> list[Trigger]:
        """Take in rows in order of arrival; `devices` and `residents` are the slots of theirs (-1: nobody is concerned),
        `event` and `of` as in `Given`.

        `settle`: no row that was received before the latest of these will come any more.
        """
        if not self.operators:
            return []
        event = np.zeros(len(samples), np.int8) if event is None else event
        slots: dict[Scope, Ints] = {"device": devices, "resident": residents}
        triggers = self._hand_on(Given(samples, event, devices, of), slots)
        for lane in self._lanes:
            self._hold(lane, Given(samples, event, slots[lane.scope], of))
        if len(samples):
            latest = int(samples.received.max())
            self._latest = max(self._latest, latest)
            if settle:
                triggers += self._settle(latest)
        return triggers

    def _hand_on(self, rows: Given, slots: Mapping[Scope, Ints]) -> list[Trigger]:
        """To those who want no order."""
        samples, triggers = rows.samples, list[Trigger]()
        wanted = [named.operator.concerns(samples, rows.event) for named in self._at_once]
        concerned = np.flatnonzero(np.any(wanted, axis=0)) if wanted else np.zeros(0, np.int64)
        if not len(concerned):
            return triggers
        first = np.zeros(len(samples), np.bool_)
        first[concerned] = self._seen.first(samples, rows.event, concerned)
        for named, mask in zip(self._at_once, wanted, strict=True):
            operator, since = named.operator, self._since.get(named.label, EARLIEST)
            fresh = (samples.ts >= samples.received - operator.wait_ms) & (samples.ts >= since)
            slot = slots[operator.scope]
            here = np.flatnonzero(mask & first & fresh & (slot >= 0))
            if len(here):
                here = here[np.lexsort((samples.ts[here], slot[here]))]
                given = rows.take(here)
                given.slot = slot[here]
                triggers += operator.step(given)
        return triggers

    def _hold(self, lane: Lane, rows: Given) -> None:
        """For those who want them in order."""
        samples = rows.samples
        concerned = [named.operator.concerns(samples, rows.event) for named in lane.operators]
        bits = concerned[0].astype(lane.bits)
        for bit, mask in enumerate(concerned[1:], 1):
            bits |= mask.astype(lane.bits) << lane.bits(bit)
        here = np.flatnonzero(bits)
        if not len(here):
            return
        here = here[rows.slot[here] >= 0]
        wrong_clock = (samples.flags[here] & Flag.WRONG_CLOCK) != 0
        if wrong_clock.any():  # its time does not tell that it came before
            first = np.ones(len(here), np.bool_)
            first[wrong_clock] = lane.seen.first(samples, rows.event, here[wrong_clock])
            here = here[first]
        here = lane.held.put(samples, rows.event, rows.of, rows.slot, bits, here)
        for bit, operator in lane.expecting:
            if len(given := here[concerned[bit][here]]):
                operator.expect(samples, rows.event, rows.slot, given)

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
        for named in self._at_once:
            triggers += named.operator.sweep(now - named.operator.wait_ms - SLACK_MS)
        for lane in self._lanes:
            if lane.held.until == lane.swept:
                continue
            lane.swept = lane.held.until
            for named in lane.operators:
                if lane.held.until >= self._since.get(named.label, EARLIEST):
                    triggers += named.operator.sweep(lane.held.until)
        return triggers

    def dump(self) -> Iterator[Kept]:
        """All that must outlive a restart. Rows may come between one and the next that this yields."""
        at_once = []
        if self._latest != EARLIEST:
            for named in self._at_once:
                at_once.append(self._kept(named, self._latest - named.operator.wait_ms - SLACK_MS))
        if at_once:
            names, received = self._seen.dump()
            at_once.append(Kept(SEEN, "", min(kept.since for kept in at_once), names, {"received": received}))
        yield from at_once
        for lane in self._lanes:
            for named in lane.operators:
                since = max(lane.held.until, self._since.get(named.label, EARLIEST))
                if since != EARLIEST:
                    yield self._kept(named, since)

    def load(self, kept: Kept) -> None:
        """What `dump` gave, before any row is taken in. Of operators that are no more: nothing."""
        if kept.name == SEEN:
            self._seen.load(kept.keys, kept.state["received"])
            return
        for named in self.operators:
            if (named.label, named.made_of) == (kept.name, kept.made_of):
                scope = named.operator.scope
                slots = self._slots[scope].add(kept.keys << 32 if scope == "device" else kept.keys)
                self.make_room()
                named.operator.load(kept.state, slots)
                self._since[named.label] = kept.since

    @property
    def since(self) -> int | None:
        """Since when, by `ts`, rows must be shown again; None: an operator has no state yet, it is `memory_ms`."""
        since = [self._since.get(named.label) for named in self.operators]
        return None if None in since else min((one for one in since if one is not None), default=None)

    def _kept(self, named: Named, since: int) -> Kept:
        slots = self._slots[named.operator.scope]
        if isinstance(named.operator, KeepsFew):
            few, state = named.operator.dump_few()
            keys = slots.keys[few] >> 32 if named.operator.scope == "device" else slots.keys[few]
            return Kept(named.label, named.made_of, since, keys, state)
        state = named.operator.dump()
        differs = np.zeros(slots.count, np.bool_)
        for array in state.values():
            other = array[: slots.count] != array[-1]
            if array.dtype.kind == "f":
                other &= ~(np.isnan(array[: slots.count]) & np.isnan(array[-1]))
            differs |= other.any(axis=tuple(range(1, other.ndim))) if other.ndim > 1 else other
        rows = np.flatnonzero(differs)
        keys = slots.keys[rows] >> 32 if named.operator.scope == "device" else slots.keys[rows]
        return Kept(named.label, named.made_of, since, keys, {name: array[rows] for name, array in state.items()})

    def _settle(self, received: int) -> list[Trigger]:
        triggers: list[Trigger] = []
        for lane in self._lanes:
            lane.held.heard_until(received)
            before = lane.held.until
            settled = lane.held.take()
            if settled is None:
                continue
            given, wanted = settled
            for bit, named in enumerate(lane.operators):
                concerned = (wanted & lane.bits(1 << bit)) != 0
                if (since := self._since.get(named.label, EARLIEST)) > before:
                    concerned &= given.samples.ts >= since
                if concerned.all():
                    triggers += named.operator.step(given)
                elif concerned.any():
                    triggers += named.operator.step(given.take(np.flatnonzero(concerned)))
        return triggers

    def _add(self, residents: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        capacity = self._slots["resident"].capacity
        slots = self._slots["resident"].add(residents)
        if self._slots["resident"].capacity != capacity:
            self.make_room()
        return slots

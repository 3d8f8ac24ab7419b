"""A fall in the raw acceleration of a wrist, and whether the person lay still or walked after it.

Every impact (`fall_trace.Traces`) is judged by a small model once 2 s after it are there: at `confidence` or more it is
raised at once. Then the wrist is watched for `still_s`: did it lie still, the fall is raised again, more severe; did the
person walk, that is told too, milder. Nothing is taken back: whether somebody is well, people say.

A window that comes too late for the ring of its device (older than about 7 s before its newest) goes to a second ring:
what a device sends again after an outage is judged like what it sends now.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from alerts.rules.fall_after import SECOND, After
from alerts.rules.fall_features import features, picture
from alerts.rules.fall_heard import Heard
from alerts.rules.fall_model import Model, model
from alerts.rules.fall_rule import FallRule, check_fall
from alerts.rules.fall_trace import (
    AFTER,
    BEFORE,
    BIN_MS,
    RING,
    STANDARD_GRAVITY,
    Bools,
    Ints,
    Peaks,
    Strip,
    Traces,
    filled,
    pieces,
    strip,
)
from alerts.rules.fall_words import Impact, of_impact, of_sequel
from alerts.rules.known import Known
from alerts.rules.operator import Given, Scope, Subject
from alerts.rules.sections import Section
from alerts.rules.settled import SLACK_MS
from homecare.messages import AccelerationWindow
from homecare.samples import Flag, Samples
from homecare.triggers import Trigger

LOWEST_HZ, HIGHEST_HZ = 8.0, 1000.0
"""Windows of another rate say nothing of an impact."""
_NONE = np.iinfo(np.int64).max


class Fall:
    """The rule `[fall]` over all devices. What it says of the time is said by the times of the windows alone."""

    section = "fall"
    scope: Scope = "device"
    ordered = False

    def __init__(self, name: str, rule: FallRule, judge: Model | None = None) -> None:
        self.name = name
        self.known = Known()
        self._model = model() if judge is None else judge
        self._lanes = (Traces(), Traces())
        self._after = After()
        self._heard = Heard()
        live, again = self._lanes
        self._columns = {
            "live": live.state,
            "again": again.state,
            "fall": self._after.state,
            "heard": self._heard.state,
        }
        self.tune([rule])

    @property
    def wait_ms(self) -> int:
        """Late ones count however late they are; nothing waits."""
        return 0

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> Bools:  # noqa: ARG002
        return np.zeros(len(samples), np.bool_)

    def make_room(self, slots: int) -> None:
        for columns in self._columns.values():
            columns.make_room(slots)
        self.known.make_room(slots)

    def tune(self, rules: Sequence[FallRule]) -> None:
        self._rules = list(rules)
        self._confidence = np.array([rule.confidence for rule in rules])
        self._quiet = np.array([round(rule.quiet_s * SECOND) for rule in rules], np.int64)
        self._late = np.array([round(rule.late_s * SECOND) for rule in rules], np.int64)

    def know(self, slots: Ints, subjects: Sequence[Subject], variant: npt.NDArray[np.int16]) -> None:
        self.known.know(slots, subjects, variant)

    def step(self, given: Given) -> list[Trigger]:  # noqa: ARG002
        return []

    def windows(self, windows: Sequence[AccelerationWindow], slots: Ints) -> list[Trigger]:
        usable = self._heard.first(windows, slots)
        usable = [i for i in usable if LOWEST_HZ <= windows[i].hz <= HIGHEST_HZ]
        if not usable:
            return []
        windows, slots = [windows[i] for i in usable], slots[usable]
        samples = strip(
            [window.xyz for window in windows],
            np.array([window.ts for window in windows], np.float64),
            np.array([window.hz for window in windows]),
            np.array([window.scale / (1 if window.unit == "g" else STANDARD_GRAVITY) for window in windows]),
        )
        triggers: list[Trigger] = []
        for turn, starts, ends in pieces(samples, slots):
            self._take(windows, samples, turn, starts, ends, triggers)
        return triggers

    def _take(
        self,
        windows: Sequence[AccelerationWindow],
        samples: Strip,
        slots: Ints,
        starts: Ints,
        ends: Ints,
        triggers: list[Trigger],
    ) -> None:
        """One piece of each of these slots."""
        live, again = self._lanes
        first, last = samples.bin[starts], samples.bin[ends - 1]
        now = live.reaches(live.state.give(slots), first)
        for lane, here in ((live, np.flatnonzero(now)), (again, np.flatnonzero(~now))):
            if not len(here):
                continue
            rows = lane.state.give(slots[here])
            new = ~lane.reaches(rows, first[here])
            if new.any():
                self._judge(lane, rows[new], lane.state["newest"][rows[new]], None, triggers)
                lane.clear(rows[new])
            # What the ring is about to lose is judged with what is there.
            self._judge(lane, rows, np.minimum(lane.state["newest"][rows], last[here] - RING + BEFORE), None, triggers)
            lane.put(rows, starts[here], ends[here], samples)
            self._note(lane, rows, [windows[i] for i in samples.window[starts[here]].tolist()])
            newest = lane.state["newest"][rows]
            self._after.watch(lane, rows)
            self._judge(
                lane, rows, newest - AFTER, newest - lane.state["span"][rows] - self._lateness(lane, rows), triggers
            )
            self._tell(lane, rows, triggers)

    def _note(self, lane: Traces, rows: Ints, windows: Sequence[AccelerationWindow]) -> None:
        state = lane.state
        state["received"][rows] = [window.received for window in windows]
        state["span"][rows] = [round(len(window.xyz) / 6 / window.hz * SECOND) for window in windows]
        state["device"][rows] = [window.device_key for window in windows]
        state["resident"][rows] = [window.resident_key or 0 for window in windows]
        state["late"][rows] = [bool(window.flags & Flag.LATE) for window in windows]

    def sweep(self, until: int) -> list[Trigger]:
        now = until + SLACK_MS + self.wait_ms
        triggers: list[Trigger] = []
        for lane in self._lanes:
            state = lane.state
            rows = np.flatnonzero(state["loud"][: state.used] > state["decided"][: state.used])
            if len(rows):
                newest = state["newest"][rows]
                # Without the next window once it is overdue; a device that sends late is not judged early.
                passed = np.maximum(now - state["received"][rows], 0) // BIN_MS
                due = newest + passed - state["span"][rows] - self._lateness(lane, rows)
                self._judge(lane, rows, np.clip(due - AFTER, newest - AFTER, newest), due, triggers)
        return triggers

    def _lateness(self, lane: Traces, rows: Ints) -> Ints:
        """`late_s` in bins."""
        late: Ints = self._late[self.known.variant[lane.state.slot(rows)]]
        return late

    def _judge(self, lane: Traces, rows: Ints, until: Ints, due: Ints | None, triggers: list[Trigger]) -> None:
        """The peaks up to bin `until`; `due` None: all that will come is there."""
        if not len(rows):
            return
        peaks = lane.peaks(rows, until, np.full(len(rows), _NONE) if due is None else due)
        if not len(peaks.bin):
            return
        found = features(filled(peaks.around))[1]
        sure = self._model.confidence(found)
        slots = lane.state.slot(peaks.row)
        for i in np.flatnonzero(sure >= self._confidence[self.known.variant[slots]]).tolist():
            self._raise(lane, peaks, i, float(sure[i]), found[i], triggers)

    def _raise(
        self,
        lane: Traces,
        peaks: Peaks,
        i: int,
        sure: float,
        found: npt.NDArray[np.float32],
        triggers: list[Trigger],
    ) -> None:
        row, at = int(peaks.row[i]), int(peaks.bin[i])
        slot = lane.state.slot(np.array([row]))
        variant = self.known.variant[slot[0]]
        place = int(self._after.state.give(slot)[0])
        before = int(self._after.state["bin"][place])
        if abs(at - before) < self._quiet[variant]:
            return
        device, resident = int(lane.state["device"][row]), int(lane.state["resident"][row])
        if at > before:
            self._after.begin(place, at, resident, device, sure, float(found[0]))
        impact = Impact(
            device=device,
            resident=resident,
            bin=at,
            sure=sure,
            features=found,
            trace=picture(peaks.around[i], at),
            model=self._model.made,
            received=int(lane.state["received"][row]),
            late=bool(lane.state["late"][row]),
        )
        triggers.append(of_impact(self.name, self._rules[variant], impact))
        self._after.watch(lane, np.array([row]))

    def _tell(self, lane: Traces, rows: Ints, triggers: list[Trigger]) -> None:
        """What followed the last fall of these rows, as soon as it is known."""
        state = self._after.state
        slots = lane.state.slot(rows)
        for i in self._after.open(lane, rows).tolist():
            place = int(state.rows(slots[i : i + 1])[0])
            rule = self._rules[self.known.variant[slots[i]]]
            followed = self._after.followed(place, int(lane.state["newest"][rows[i]]), rule)
            if followed is None:
                continue
            state["told"][place] = True
            if followed.what != "unknown":
                triggers.append(of_sequel(self.name, rule, self._after, place, followed))

    def dump(self) -> dict[str, npt.NDArray[Any]]:
        """Room for all slots; pages that nobody writes cost nothing."""
        slots, few = self.dump_few()
        state: dict[str, npt.NDArray[Any]] = {}
        for name, rows in few.items():
            state[name] = np.zeros((self._heard.state.slots, *rows.shape[1:]), rows.dtype)
            if (blank := self._columns[name.partition("/")[0]].blank(name.partition("/")[2])) != 0:
                state[name][:] = blank
            state[name][slots] = rows
        return state

    def dump_few(self) -> tuple[Ints, dict[str, npt.NDArray[Any]]]:
        heard = self._heard.state
        slots = heard.slot(np.arange(1, heard.used))
        state: dict[str, npt.NDArray[Any]] = {}
        for part, columns in self._columns.items():
            rows = columns.rows(slots)
            state |= {f"{part}/{name}": columns[name][rows] for name in columns.names}
        return slots, state

    def load(self, state: dict[str, npt.NDArray[Any]], slots: Ints) -> None:
        for part, columns in self._columns.items():
            prefix = f"{part}/"
            columns.load({n.removeprefix(prefix): a for n, a in state.items() if n.startswith(prefix)}, slots)


SECTION = Section("fall", FallRule, check_fall, Fall, single=True)

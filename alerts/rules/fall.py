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

from alerts.rules.columns import Column, Columns
from alerts.rules.fall_features import NAMES, features
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
    unpack,
)
from alerts.rules.known import Known
from alerts.rules.operator import Given, Scope, Subject
from alerts.rules.sections import Section
from alerts.rules.settled import SLACK_MS
from homecare.messages import AccelerationWindow
from homecare.samples import Flag, Samples
from homecare.triggers import Severity, Trigger

SECOND = 1000 // BIN_MS
WATCHED = 60
"""Seconds after an impact of which the spread of |a| is kept."""
SETTLES = 5
"""Seconds after an impact in which nobody lies still yet, and moving is not walking."""
SEEN_SHARE = 0.6
"""Of the seconds watched so many must have been seen, or nobody knows whether the wrist lay still."""
LOWEST_HZ, HIGHEST_HZ = 8.0, 1000.0
"""Windows of another rate say nothing of an impact."""
DRAWN = 4
"""Every so many bins are in the evidence's picture: 80 ms."""
NEVER = -(2**62)
_NONE = np.iinfo(np.int64).max


class Fall:
    """The rule `[fall]` over all devices. What it says of the time is said by the times of the windows alone."""

    section = "fall"
    scope: Scope = "device"
    ordered = False

    def __init__(self, name: str, rule: FallRule, judge: Model | None = None) -> None:
        self.name = name
        self._known = Known()
        self._model = model() if judge is None else judge
        self._lanes = (Traces(), Traces())
        self._falls = Columns(
            {
                "bin": Column(np.int64, NEVER),
                "told": Column(np.int8, 0),  # 1: what followed
                "resident": Column(np.int32, 0),
                "device": Column(np.int32, 0),
                "spread": Column(np.float32, -1, (WATCHED,)),
                "confidence": Column(np.float32, 0),
                "peak": Column(np.float32, 0),
            }
        )
        self.tune([rule])

    @property
    def wait_ms(self) -> int:
        """Late ones count however late they are; nothing waits."""
        return 0

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> Bools:  # noqa: ARG002
        return np.zeros(len(samples), np.bool_)

    def make_room(self, slots: int) -> None:
        for lane in self._lanes:
            lane.state.make_room(slots)
        self._falls.make_room(slots)
        self._known.make_room(slots)

    def tune(self, rules: Sequence[FallRule]) -> None:
        self._rules = list(rules)
        self._confidence = np.array([rule.confidence for rule in rules])
        self._quiet = np.array([round(rule.quiet_s * SECOND) for rule in rules], np.int64)
        self._late = np.array([round(rule.late_s * SECOND) for rule in rules], np.int64)

    def know(self, slots: Ints, subjects: Sequence[Subject], variant: npt.NDArray[np.int16]) -> None:
        self._known.know(slots, subjects, variant)

    def step(self, given: Given) -> list[Trigger]:  # noqa: ARG002
        return []

    def windows(self, windows: Sequence[AccelerationWindow], slots: Ints) -> list[Trigger]:
        usable = [i for i, window in enumerate(windows) if LOWEST_HZ <= window.hz <= HIGHEST_HZ]
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
            self._watch(lane, rows)
            self._judge(
                lane, rows, newest - AFTER, newest - lane.state["span"][rows] - self._lateness(lane, rows), triggers
            )
            self._tell(lane, rows, newest, triggers)

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
        late: Ints = self._late[self._known.variant[lane.state.slot(rows)]]
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
        for i in np.flatnonzero(sure >= self._confidence[self._known.variant[slots]]).tolist():
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
        variant = self._known.variant[slot[0]]
        falls = self._falls
        place = falls.give(slot)[0]
        before = int(falls["bin"][place])
        if before != NEVER and abs(at - before) < self._quiet[variant]:
            return
        if at > before:
            falls["bin"][place], falls["told"][place], falls["spread"][place] = at, 0, -1
            falls["resident"][place] = lane.state["resident"][row]
            falls["device"][place] = lane.state["device"][row]
            falls["confidence"][place], falls["peak"][place] = sure, found[0]
        rule = self._rules[variant]
        said = {"peak": f"{float(found[0]):.1f}", "percent": f"{round(100 * sure)}"}
        evidence = {
            "confidence": round(sure, 3),
            "threshold": rule.confidence,
            "peak_g": round(float(found[0]), 2),
            "features": {name: round(float(value), 3) for name, value in zip(NAMES, found, strict=True)},
            "trace": _picture(peaks.around[i], at),
            "model": self._model.made,
            "received": int(lane.state["received"][row]),
            "late": bool(lane.state["late"][row]),
        }
        triggers.append(
            self._trigger(
                int(lane.state["device"][row]),
                int(lane.state["resident"][row]),
                at,
                "impact",
                rule.severity,
                evidence,
                rule.zh.format_map(said),
                rule.en.format_map(said),
                rule,
            )
        )
        self._watch(lane, np.array([row]))

    def _watch(self, lane: Traces, rows: Ints) -> None:
        """How much |a| spreads in each second after the last fall of these rows, as far as the ring tells."""
        falls = self._falls
        place = falls.rows(lane.state.slot(rows))
        newest = lane.state["newest"][rows]
        at = falls["bin"][place]
        mine = (place > 0) & (newest > at) & (newest - RING < at + WATCHED * SECOND)
        if not mine.any():
            return
        rows, place, at = rows[mine], place[mine], at[mine]
        bins = at[:, None] + 1 + np.arange(WATCHED * SECOND)
        newest = newest[mine][:, None]
        packed = lane.state["ring"][rows[:, None], bins % RING]
        packed[(bins > newest) | (bins <= newest - RING)] = 0
        have = (packed > 0).reshape(len(rows), WATCHED, SECOND)
        strength = np.sqrt((unpack(packed) ** 2).sum(axis=2, dtype=np.float64)).reshape(have.shape)
        count = have.sum(axis=2)
        sure = np.maximum(count, 1)
        mean = strength.sum(axis=2) / sure
        spread = np.sqrt(np.maximum((strength**2).sum(axis=2) / sure - mean**2, 0))
        # A second is known when it is over and seen at the rate of the slowest sensors.
        over = (np.arange(1, WATCHED + 1) * SECOND + at[:, None] <= newest) & (count >= LOWEST_HZ * 0.75)
        falls["spread"][place] = np.where(over, spread, falls["spread"][place])

    def _tell(self, lane: Traces, rows: Ints, newest: Ints, triggers: list[Trigger]) -> None:
        """What followed the last fall of these rows, as soon as it is known."""
        falls = self._falls
        place = falls.rows(lane.state.slot(rows))
        open_ = np.flatnonzero((place > 0) & (falls["told"][place] == 0) & (newest > falls["bin"][place]))
        for i in open_.tolist():
            row, at = int(place[i]), int(falls["bin"][place[i]])
            rule = self._rules[self._known.variant[int(lane.state.slot(rows[i : i + 1])[0])]]
            end = min(WATCHED, round(rule.still_s))
            spread = falls["spread"][row]
            walked = _runs(spread[SETTLES:end] >= rule.up_g)
            watched = spread[SETTLES:end]
            seen, still = watched >= 0, (watched >= 0) & (watched < rule.still_g)
            over = int(newest[i]) >= at + end * SECOND
            if walked.max(initial=0) >= rule.up_seconds:
                self._follow(row, at, "up", rule.up_severity, int(walked.max()), rule, triggers)
            elif (
                over and seen.mean() >= SEEN_SHARE and still.sum() >= rule.still_share * seen.sum() and not walked.any()
            ):
                self._follow(row, at, "still", rule.still_severity, int(still.sum()), rule, triggers)
            elif over:
                falls["told"][row] = 1

    def _follow(
        self, row: int, at: int, what: str, severity: Severity, seconds: int, rule: FallRule, triggers: list[Trigger]
    ) -> None:
        falls = self._falls
        falls["told"][row] = 1
        spread = [None if value < 0 else round(float(value), 3) for value in falls["spread"][row]]
        evidence = {
            "after": what,
            "seconds": seconds,
            "spread_g": spread,
            "still_g": rule.still_g,
            "up_g": rule.up_g,
            "confidence": round(float(falls["confidence"][row]), 3),
            "peak_g": round(float(falls["peak"][row]), 2),
        }
        zh, en = (rule.still_zh, rule.still_en) if what == "still" else (rule.up_zh, rule.up_en)
        triggers.append(
            self._trigger(
                int(falls["device"][row]),
                int(falls["resident"][row]),
                at,
                what,
                severity,
                evidence,
                zh.format(duration=seconds),
                en.format(duration=seconds),
                rule,
            )
        )

    def _trigger(
        self,
        device: int,
        resident: int,
        at: int,
        what: str,
        severity: Severity,
        evidence: dict[str, Any],
        zh: str,
        en: str,
        rule: FallRule,
    ) -> Trigger:
        """`at`: bin of the impact."""
        return Trigger(
            key=f"{self.name}:{device}:{at}:{what}",
            at=at * BIN_MS,
            rule=self.name,
            version=rule.version,
            kind="fall",
            metric=None,
            severity=severity,
            state="raised",
            device=device,
            resident=resident,
            evidence={"impact_at": at * BIN_MS, **evidence},
            zh=zh,
            en=en,
        )

    def dump(self) -> dict[str, npt.NDArray[Any]]:
        """Of the rings, pages that nobody wrote cost nothing (`Traces.dump`)."""
        live, again = self._lanes
        return {
            **{f"live/{name}": array for name, array in live.dump().items()},
            **{f"again/{name}": array for name, array in again.dump().items()},
            **{f"fall/{name}": array for name, array in self._falls.dump().items()},
        }

    def load(self, state: dict[str, npt.NDArray[Any]], slots: Ints) -> None:
        parts = (("live/", self._lanes[0].state), ("again/", self._lanes[1].state), ("fall/", self._falls))
        for prefix, columns in parts:
            own = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
            columns.load(own, slots)


def _runs(flags: Bools) -> Ints:
    """(n,) How many True in a row end at each."""
    ends = np.arange(1, len(flags) + 1)
    return np.where(flags, ends - np.maximum.accumulate(np.where(flags, 0, ends)), 0)


def _picture(around: Ints, at: int) -> dict[str, Any]:
    """|a| round the impact, the most of every `DRAWN` bins: Unix ms of the first, their distance, g."""
    strength = np.sqrt((unpack(around).astype(np.float64) ** 2).sum(axis=1))
    strength = strength[: len(strength) // DRAWN * DRAWN].reshape(-1, DRAWN).max(axis=1)
    return {
        "from": (at - BEFORE) * BIN_MS,
        "step_ms": DRAWN * BIN_MS,
        "g": [None if value == 0 else round(float(value), 2) for value in strength],
    }


SECTION = Section("fall", FallRule, check_fall, Fall, single=True)

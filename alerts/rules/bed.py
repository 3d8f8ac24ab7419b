"""A care bed left at night for longer than this person's habit.

What leaves the bed is a `bed_exit` event or the bed's presence going from 1 to 0; presence 1 that lasts `back_s` is the
return. A resident's bed is the device that last sent `bed_exit`, or the first that told presence (another one only
after a day of silence): a motion sensor in the kitchen says nothing about the bed.

Of a bed that tells exits only, a further exit says that they had been back. One that tells both may repeat itself.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from alerts.rules import texts
from alerts.rules.baseline import pushed, quantile
from alerts.rules.bed_rule import BedRule, check_bed
from alerts.rules.columns import Column, Columns, KeptInColumns
from alerts.rules.known import Known
from alerts.rules.limit import turns
from alerts.rules.localtime import DAY_MS
from alerts.rules.operator import EVENT_CODE, Given, Scope, Subject
from alerts.rules.sections import Section
from homecare.metrics import INDEX
from homecare.samples import Samples
from homecare.triggers import Trigger

EXIT = EVENT_CODE["bed_exit"]
PRESENCE = INDEX["presence"]
NEVER = np.iinfo(np.int64).max
UNKNOWN, OUT, IN = -1, 0, 1
Ints = npt.NDArray[np.int64]


class Bed(KeptInColumns):
    """The rule `[bed]` over all residents."""

    section = "bed"
    scope: Scope = "resident"
    ordered = True
    columns = (PRESENCE,)
    positions = False

    def __init__(self, name: str, rule: BedRule) -> None:
        self.name, self._own = name, rule
        self.known = Known()
        self._state = Columns(
            {
                "device": Column(np.int32, 0),
                "heard": Column(np.int64, 0),
                "inside": Column(np.int8, UNKNOWN),
                "returns": Column(np.bool_, 0),
                "left_at": Column(np.int64, 0),
                "left_received": Column(np.int64, 0),
                "left_event": Column(np.bool_, 0),
                "back_at": Column(np.int64, 0),
                "raised_at": Column(np.int64, 0),
                "due": Column(np.int64, NEVER),
                "allowed": Column(np.int64, 0),
                "usual": Column(np.int64, -1),
                "absence": Column(np.int32, 0, (rule.keep,)),
                "absences": Column(np.int16, 0),
            }
        )
        self.tune([rule])

    @property
    def wait_ms(self) -> int:
        return round(self._own.wait_s * 1000)

    @property
    def memory_ms(self) -> int:
        """A month: who leaves the bed seldom has few absences to learn from anyway."""
        return 30 * DAY_MS

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
        told: npt.NDArray[np.bool_] = (event == EXIT) | ~np.isnan(samples.values[:, PRESENCE])
        return told

    def make_room(self, slots: int) -> None:
        self._state.make_room(slots)
        self.known.make_room(slots)

    def tune(self, rules: Sequence[BedRule]) -> None:
        def column(values: Sequence[float]) -> Ints:
            return np.array([round(value) for value in values], np.int64)

        self._rules = list(rules)
        self._on = np.array([rule.on for rule in rules])
        self._from = column([rule.from_minute for rule in rules])
        self._to = column([rule.to_minute + 1440 * (rule.to_minute < rule.from_minute) for rule in rules])
        self._share = np.array([rule.share for rule in rules])
        self._margin = column([rule.margin_s * 1000 for rule in rules])
        self._floor = column([rule.floor_s * 1000 for rule in rules])
        self._most = column([rule.most_s * 1000 for rule in rules])
        self._least = column([rule.least for rule in rules])
        self._short = column([rule.short_s * 1000 for rule in rules])
        self._back = column([rule.back_s * 1000 for rule in rules])

    def know(self, slots: Ints, subjects: Sequence[Subject], variant: npt.NDArray[np.int16]) -> None:
        self.known.know(slots, subjects, variant)

    def sweep(self, until: int) -> list[Trigger]:
        triggers: list[Trigger] = []
        self._settle(np.arange(1, self._state.used), np.full(self._state.used - 1, until), triggers)
        return triggers

    def step(self, given: Given) -> list[Trigger]:
        self.known.meet(given)
        triggers: list[Trigger] = []
        for turn in turns(given.slot):
            self._settle(self._state.give(given.slot[turn]), given.samples.ts[turn], triggers)
            self._turn(given, turn, triggers)
        return triggers

    def _turn(self, given: Given, rows: Ints, triggers: list[Trigger]) -> None:
        """One word of each of these slots."""
        state, samples = self._state, given.samples
        place = state.rows(given.slot[rows])
        device, left = samples.device[rows], given.event[rows] == EXIT
        bed = state["device"][place]
        quiet = samples.ts[rows] - state["heard"][place] >= DAY_MS
        mine = (bed == 0) | (bed == device) | left | quiet
        rows, place, device, left, bed = rows[mine], place[mine], device[mine], left[mine], bed[mine]
        ts, slot = samples.ts[rows], given.slot[rows]
        state["device"][place], state["heard"][place] = device, ts
        inside = ~left & (samples.values[rows, PRESENCE] >= 0.5)
        returns = np.where(bed == device, state["returns"][place], False) | inside
        state["returns"][place] = returns

        was, away, back = state["inside"][place], state["left_at"][place] > 0, state["back_at"][place] > 0
        state["inside"][place] = np.where(inside, IN, np.where(left | (was != UNKNOWN), OUT, UNKNOWN))
        coming = inside & away & ~back
        state["back_at"][place[coming]] = ts[coming]
        state["due"][place[coming]] = ts[coming] + self._back[self.known.variant[slot[coming]]]
        # Up again before they were back: it goes on as if they had not lain down.
        again = ~inside & away & back
        state["back_at"][place[again]] = 0
        ends = np.where(state["raised_at"][place] > 0, NEVER, state["left_at"][place] + state["allowed"][place])
        ends = np.where(state["allowed"][place] > 0, ends, NEVER)
        state["due"][place[again]] = np.maximum(ends, ts)[again]

        unseen = left & (was != IN) & ~returns & ~again
        for index in np.flatnonzero(unseen & (state["raised_at"][place] > 0)).tolist():
            triggers.append(self._trigger("cleared", int(slot[index]), int(place[index]), int(ts[index])))
        leaving = ~inside & ((was == IN) & ~away | left & (was == UNKNOWN) & ~away | unseen)
        self._leave(place[leaving], slot[leaving], ts[leaving], samples.received[rows[leaving]], left[leaving])

    def _leave(self, place: Ints, slot: Ints, ts: Ints, received: Ints, event: npt.NDArray[np.bool_]) -> None:
        """An absence begins; by day, it is none of ours."""
        state, variant, morning = self._state, self.known.variant[slot], self._morning(slot, ts)
        usual = quantile(state["absence"][place], state["absences"][place].astype(np.int64), self._share[variant])
        learnt = state["absences"][place] >= self._least[variant]
        usual_ms = np.where(learnt, 1000 * np.nan_to_num(usual), -1).astype(np.int64)
        allowed = np.where(learnt, usual_ms + self._margin[variant], 0)
        allowed = np.clip(allowed, self._floor[variant], self._most[variant])
        at_night = ts < morning
        state["left_at"][place] = np.where(at_night, ts, 0)
        state["left_received"][place], state["left_event"][place] = received, event
        state["raised_at"][place] = state["back_at"][place] = 0
        state["usual"][place] = usual_ms
        # Who would be missed only after the night has ended is up for the day.
        state["allowed"][place] = np.where(ts + allowed < morning, allowed, 0)
        state["due"][place] = np.where(at_night & (ts + allowed < morning), ts + allowed, NEVER)

    def _morning(self, slot: Ints, at: Ints) -> Ints:
        """When the night ends that began last before `at`."""
        variant, zone = self.known.variant[slot], self.known.zone[slot]
        night = self.known.zones.day(zone, at, self._from[variant])
        return self.known.zones.moment(zone, night, self._to[variant])

    def _settle(self, place: Ints, until: Ints, triggers: list[Trigger]) -> None:
        """What has come due by `until`: somebody is missing, or is back for good."""
        state = self._state
        due = state["due"][place]
        place, at = place[due <= until], due[due <= until]
        slot = state.slot(place)
        variant = self.known.variant[slot]
        home = state["back_at"][place] > 0
        missing = ~home & self._on[variant]
        state["raised_at"][place[missing]] = at[missing]
        said = np.flatnonzero(missing | home & (state["raised_at"][place] > 0))
        for index in said.tolist():
            word: Literal["raised", "cleared"] = "cleared" if home[index] else "raised"
            triggers.append(self._trigger(word, int(slot[index]), int(place[index]), int(at[index])))
        state["due"][place] = NEVER
        place, variant = place[home], variant[home]
        left_at, back_at = state["left_at"][place], state["back_at"][place]
        # Who came back only after the night had got up for the day: nothing is learnt from that.
        habit = (back_at - left_at >= self._short[variant]) & (back_at < self._morning(slot[home], left_at))
        learnt = place[habit]
        seconds = ((back_at - left_at)[habit] // 1000).astype(np.int32)
        state["absence"][learnt] = pushed(state["absence"][learnt], seconds)
        state["absences"][learnt] = np.minimum(state["absences"][learnt] + 1, self._own.keep)
        state["left_at"][place] = state["back_at"][place] = state["raised_at"][place] = 0

    def _trigger(self, word: Literal["raised", "cleared"], slot: int, place: int, at: int) -> Trigger:
        state, rule = self._state, self._rules[self.known.variant[slot]]
        resident, zone = int(self.known.resident[slot]), int(self.known.zone[slot])
        left_at, back_at, usual = (int(state[name][place]) for name in ("left_at", "back_at", "usual"))
        told: dict[str, Any] = (
            {"event": "bed_exit"} if state["left_event"][place] else {"metric": "presence", "value": 0}
        )
        known = int(state["absences"][place])
        evidence: dict[str, Any] = {
            "readings": [told | {"at": left_at, "received": int(state["left_received"][place])}],
            "left_at": left_at,
            "usual_s": None if usual < 0 else usual // 1000,
            "absences_s": state["absence"][place][:known][::-1].tolist(),
            "allowed_s": int(state["allowed"][place]) / 1000,
        }
        if word == "cleared":
            evidence |= {"raised_at": int(state["raised_at"][place]), "back_at": back_at or None}
        away = (back_at or at) - left_at

        def words(template: str, language: texts.Language) -> str:
            habit = max(usual, 0) or int(self._floor[self.known.variant[slot]])
            return template.format(
                left=self.known.zones.clock(zone, left_at),
                duration=texts.duration(away, language),
                usual=texts.duration(habit, language),
            )

        return Trigger(
            key=f"bed:{resident}:{left_at}:{word}",
            at=at,
            rule=self.name,
            version=rule.version,
            kind="routine",
            metric="presence",
            severity=rule.severity,
            state=word,
            device=int(state["device"][place]),
            resident=resident,
            evidence=evidence,
            zh=words(rule.zh if word == "raised" else rule.cleared_zh, "zh"),
            en=words(rule.en if word == "raised" else rule.cleared_en, "en"),
        )


SECTION = Section("bed", BedRule, check_bed, Bed, single=True)

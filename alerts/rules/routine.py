"""A sign of life that is missing: not up by the hour this person usually is, no check-in by the minute agreed on.

Of each local day only the first sign tells anything; once it is known, `concerns` has no use for that day's others, so
that steps every minute cost next to nothing. What was raised is cleared by the next sign; where it lasts into the next day, that day's deadline raises it again.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from alerts.rules import texts
from alerts.rules.baseline import pushed, quantile
from alerts.rules.columns import Column, Columns, KeptInColumns
from alerts.rules.known import Known
from alerts.rules.limit import turns
from alerts.rules.localtime import DAY_MS, MINUTE_MS, date_of, minute_name
from alerts.rules.operator import Given, Scope, Subject
from alerts.rules.routine_rule import RoutineRule, check_routine
from alerts.rules.rows import run_starts
from alerts.rules.sections import Section
from alerts.rules.signs import CODES, Done, Marks, any_sign, code, marks_of, sign_name, signs_among
from homecare.metrics import INDEX
from homecare.samples import Flag, Samples
from homecare.triggers import Trigger

NEVER = np.iinfo(np.int64).max
NO_DAY = -1
Ints = npt.NDArray[np.int64]


class Routine(KeptInColumns):
    """One rule `[routine.NAME]` over all residents."""

    section = "routine"
    scope: Scope = "resident"
    ordered = True
    positions = False

    def __init__(self, name: str, rule: RoutineRule) -> None:
        self.name, self._own = name, rule
        self.known, self._done = Known(), Done()
        self._state = Columns(
            {
                "day": Column(np.int32, NO_DAY),
                "first": Column(np.int64, NEVER),
                "device": Column(np.int32, 0),
                "deadline": Column(np.int64, NEVER),
                "expected": Column(np.bool_, 0),
                "usual": Column(np.int16, -1),
                "ends": Column(np.int64, NEVER),
                "due": Column(np.int64, NEVER),
                "raised_at": Column(np.int64, 0),
                "smallest": Column(np.int32, 0),
                "habit_day": Column(np.int16, NO_DAY, (rule.keep,)),
                "habit": Column(np.int16, 0, (rule.keep,)),
            }
        )
        self.tune([rule])

    @property
    def columns(self) -> Sequence[int]:
        return [INDEX[sign] for sign in self._signs if sign in INDEX]

    @property
    def wait_ms(self) -> int:
        return round(self._own.wait_s * 1000)

    @property
    def memory_ms(self) -> int:
        return (self._own.days + 2) * DAY_MS

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
        signs = any_sign(samples, event, self._signs)
        rows = np.flatnonzero(signs)
        if not len(rows):
            return signs
        # Without a clock its time is that of receipt, which differs when it comes again: it is looked at each time.
        clock = (samples.flags[rows] & Flag.WRONG_CLOCK) == 0
        signs[rows] = ~(clock & self._done.told(samples.resident[rows], samples.ts[rows]))
        return signs

    def make_room(self, slots: int) -> None:
        self._state.make_room(slots)
        self.known.make_room(slots)

    def tune(self, rules: Sequence[RoutineRule]) -> None:
        self._rules = list(rules)
        self._signs = list(dict.fromkeys(sign for rule in rules for sign in rule.signs))
        self._counts = np.zeros((len(rules), CODES), np.bool_)
        for index, rule in enumerate(rules):
            self._counts[index, [code(sign) for sign in rule.signs]] = True
        self._on = np.array([rule.on for rule in rules])
        self._from = np.array([rule.from_minute for rule in rules], np.int64)
        self._by = np.array([-1 if rule.by_minute is None else rule.by_minute for rule in rules], np.int64)
        self._share = np.array([rule.share for rule in rules])
        self._margin = np.array([rule.margin_minutes for rule in rules], np.int64)
        self._days = np.array([rule.days for rule in rules], np.int64)
        self._least = np.array([rule.least for rule in rules], np.int64)
        self._done.forget()

    def know(self, slots: Ints, subjects: Sequence[Subject], variant: npt.NDArray[np.int16]) -> None:
        self.known.know(slots, subjects, variant)
        self._done.forget()

    def sweep(self, until: int) -> list[Trigger]:
        due = np.flatnonzero(self._state["due"][: self._state.used] <= until)
        triggers: list[Trigger] = []
        self._settle(due, np.full(len(due), until), triggers)
        return triggers

    def expect(self, samples: Samples, event: npt.NDArray[np.int8], slot: Ints, rows: Ints) -> None:
        """What comes after these on their day will not be needed: for the wait, one sign of each is held, not all."""
        # Whichever rule holds for them when the wait is over.
        sure = [sign for sign in self._signs if self._counts[:, code(sign)].all()]
        rows = rows[any_sign(samples.take(rows), event[rows], sure)]
        if not len(rows):
            return
        slot, at = slot[rows], samples.ts[rows]
        zone, minute = self.known.zone[slot], self._from[self.known.variant[slot]]
        zones = self.known.zones
        ends = zones.moment(zone, zones.day(zone, at, minute) + 1, minute)
        self._done.tell(samples.resident[rows], at, ends, self._state.slots)

    def step(self, given: Given) -> list[Trigger]:
        self.known.meet(given)
        counts = self._counts[self.known.variant[given.slot]] if len(self._rules) > 1 else None
        marks = marks_of(given, signs_among(given.samples, given.event, self._signs, counts))
        if not len(marks.slot):
            return []
        variant, zone = self.known.variant[marks.slot], self.known.zone[marks.slot]
        day = self.known.zones.day(zone, marks.at, self._from[variant])
        first = np.unique(np.concatenate([run_starts(marks.slot), run_starts(day)]))
        marks, day, variant, zone = marks.take(first), day[first], variant[first], zone[first]
        triggers: list[Trigger] = []
        for turn in turns(marks.slot):
            self._turn(marks.take(turn), day[turn], triggers)
        ends = self.known.zones.moment(zone, day + 1, self._from[variant])
        self._done.tell(self.known.resident[marks.slot], marks.at, ends, self._state.slots)
        return triggers

    def _turn(self, marks: Marks, day: Ints, triggers: list[Trigger]) -> None:
        """A sign of each of these slots; of their days, mostly the first."""
        state, place = self._state, self._state.give(marks.slot)
        self._settle(place, marks.at, triggers)
        asleep = state["day"][place] < day
        self._new_day(place[asleep], day[asleep])
        for index in np.flatnonzero(state["raised_at"][place] > 0).tolist():
            triggers.append(self._cleared(marks, index, int(place[index])))
        state["raised_at"][place] = 0
        new = (state["day"][place] == day) & (state["first"][place] == NEVER)
        state["first"][place[new]], state["device"][place[new]] = marks.at[new], marks.device[new]
        self._count(place)

    def _new_day(self, place: Ints, day: Ints) -> None:
        """A day begins: by when is its first sign due?"""
        state, slot = self._state, self._state.slot(place)
        variant, zone = self.known.variant[slot], self.known.zone[slot]
        state["day"][place], state["first"][place] = day, NEVER
        state["ends"][place] = self.known.zones.moment(zone, day + 1, self._from[variant])
        days = state["habit_day"][place].astype(np.int64)
        counted = (days != NO_DAY) & (days >= (day - self._days[variant])[:, None])
        number = counted.sum(axis=1)  # newest first, so they are the first ones
        usual = quantile(state["habit"][place], number, self._share[variant])
        agreed = self._by[variant] >= 0
        learnt = (number >= self._least[variant]) & ~agreed
        usual_minute = np.where(learnt, np.nan_to_num(usual), -1).astype(np.int64)
        minute = np.where(agreed, self._by[variant], usual_minute + self._margin[variant])
        deadline = self.known.zones.moment(zone, day, minute)
        # What was agreed on is owed from the day after the first time.
        expected = learnt | (agreed & (days[:, 0] != NO_DAY))
        state["expected"][place] = expected
        state["deadline"][place] = np.where(expected & (deadline < state["ends"][place]), deadline, NEVER)
        state["usual"][place] = usual_minute

    def _count(self, place: Ints) -> None:
        """What comes due next: the deadline, the end of the day; of whom nothing is expected or known, nothing."""
        state = self._state
        idle = ~state["expected"][place] & (state["first"][place] == NEVER)
        state["due"][place] = np.where(idle, NEVER, np.minimum(state["deadline"][place], state["ends"][place]))

    def _settle(self, place: Ints, until: Ints, triggers: list[Trigger]) -> None:
        """All that has come due by `until`, in its order."""
        state = self._state
        while True:
            open_ = state["due"][place] <= until
            if not open_.any():
                return
            place, until = place[open_], until[open_]
            self._settle_one(place, triggers)

    def _settle_one(self, place: Ints, triggers: list[Trigger]) -> None:
        state, slot = self._state, self._state.slot(place)
        due = state["due"][place]
        judged = state["deadline"][place] == due
        missing = judged & (state["first"][place] == NEVER) & self._on[self.known.variant[slot]]
        state["raised_at"][place[missing]] = due[missing]
        for index in np.flatnonzero(missing).tolist():
            triggers.append(self._raised(int(slot[index]), int(place[index])))
        state["deadline"][place[judged]] = NEVER
        self._end_day(place[~judged])
        self._count(place)

    def _end_day(self, place: Ints) -> None:
        state, day = self._state, self._state["day"][place].astype(np.int64)
        first = state["first"][place]
        seen = first != NEVER
        known, at = place[seen], first[seen]
        local = at + self.known.zones.offset(self.known.zone[state.slot(known)], at)
        state["habit"][known] = pushed(state["habit"][known], (local - day[seen] * DAY_MS) // MINUTE_MS)
        state["habit_day"][known] = pushed(state["habit_day"][known], day[seen])
        device, smallest = state["device"][known], state["smallest"][known]
        state["smallest"][known] = np.where(smallest == 0, device, np.minimum(smallest, device))
        self._new_day(place, day + 1)

    def _raised(self, slot: int, place: int) -> Trigger:
        state, zone = self._state, int(self.known.zone[slot])
        at, usual = int(state["raised_at"][place]), int(state["usual"][place])
        days = list(zip(state["habit_day"][place].tolist(), state["habit"][place].tolist(), strict=True))
        usually = None if usual < 0 else minute_name(usual)
        evidence = {
            "signs": list(self._rules[self.known.variant[slot]].signs),
            "days": [{"day": date_of(day), "first": minute_name(first)} for day, first in days[::-1] if day != NO_DAY],
            "usual": usually,
            "deadline": at,
        }
        clock = self.known.zones.clock(zone, at)
        words = {"by": clock, "usual": usually or clock}
        return self._trigger("raised", slot, at, at, int(state["smallest"][place]), None, evidence, words)

    def _cleared(self, marks: Marks, index: int, place: int) -> Trigger:
        slot, at, sign = int(marks.slot[index]), int(marks.at[index]), sign_name(int(marks.sign[index]))
        metric, deadline = (sign if sign in INDEX else None), int(self._state["raised_at"][place])
        told = {"metric": sign, "value": texts.plain(marks.value[index])} if metric else {"event": sign}
        evidence = {"readings": [told | {"at": at, "received": int(marks.received[index])}], "deadline": deadline}
        words = {"at": self.known.zones.clock(int(self.known.zone[slot]), at)}
        return self._trigger("cleared", slot, deadline, at, int(marks.device[index]), metric, evidence, words)

    def _trigger(
        self,
        word: Literal["raised", "cleared"],
        slot: int,
        deadline: int,
        at: int,
        device: int,
        metric: str | None,
        evidence: dict[str, Any],
        words: dict[str, str],
    ) -> Trigger:
        rule, resident = self._rules[self.known.variant[slot]], int(self.known.resident[slot])
        zh, en = (rule.zh, rule.en) if word == "raised" else (rule.cleared_zh, rule.cleared_en)
        return Trigger(
            key=f"routine.{self.name}:{resident}:{deadline}:{word}",
            at=at,
            rule=self.name,
            version=rule.version,
            kind="routine",
            metric=metric,
            severity=rule.severity,
            state=word,
            device=device,
            resident=resident,
            evidence=evidence,
            zh=zh.format(**words),
            en=en.format(**words),
        )


SECTION = Section("routine", RoutineRule, check_routine, Routine)

"""A sign of life that is missing: not up by the hour this person usually is, no check-in by the minute agreed on.

Of each local day only the first sign matters, and the first of several is the same in whatever order they come. So the
operator is given them at once, and judges a deadline when no earlier sign can come any more: `wait_ms` later.
What was raised is cleared by the next sign; where it lasts into the next day, that day's deadline raises it again.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from alerts.rules import texts
from alerts.rules.baseline import pushed, quantile
from alerts.rules.columns import Column, Columns
from alerts.rules.known import Known
from alerts.rules.limit import turns
from alerts.rules.localtime import DAY_MS, MINUTE_MS, date_of, minute_name
from alerts.rules.operator import Given, Scope, Subject
from alerts.rules.routine_rule import RoutineRule, check_routine
from alerts.rules.rows import run_starts
from alerts.rules.sections import Section
from alerts.rules.settled import SLACK_MS
from alerts.rules.signs import CODES, Done, Marks, code, marks_of, sign_name, signs_among
from homecare.metrics import INDEX
from homecare.samples import Samples
from homecare.triggers import Trigger

NEVER = np.iinfo(np.int64).max
NO_DAY = -1
TODAY, TOMORROW = 0, 1
Ints = npt.NDArray[np.int64]


class Routine:
    """One rule `[routine.NAME]` over all residents."""

    section = "routine"
    scope: Scope = "resident"
    ordered = False

    def __init__(self, name: str, rule: RoutineRule) -> None:
        self.name, self._own = name, rule
        self._known, self._done = Known(), Done()
        self._state = Columns(
            {
                "day": Column(np.int32, NO_DAY),
                # The first signs of that day and of the next one, which begins before that day is settled.
                "first": Column(np.int64, NEVER, (2,)),
                "device": Column(np.int32, 0, (2,)),
                "sign": Column(np.int8, 0, (2,)),
                "lag": Column(np.int32, 0, (2,)),
                "value": Column(np.float32, 0, (2,)),
                "deadline": Column(np.int64, NEVER),
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
    def wait_ms(self) -> int:
        return round(self._own.wait_s * 1000)

    @property
    def memory_ms(self) -> int:
        return (self._own.days + 2) * DAY_MS if self._own.by_minute is None else 2 * DAY_MS

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
        signs = signs_among(samples, event, self._signs) > 0
        rows = np.flatnonzero(signs)
        signs[rows] = ~self._done.told(samples.resident[rows], samples.ts[rows])
        return signs

    def make_room(self, slots: int) -> None:
        self._state.make_room(slots)
        self._known.make_room(slots)
        self._done.make_room(slots)

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
        self._known.know(slots, subjects, variant)
        self._done.forget()
        # Who has agreed to check in owes it from the start, whether or not they ever did.
        owing = slots[self._on[variant] & (self._by[variant] >= 0)]
        owing = owing[self._known.resident[owing] > 0]
        place = self._state.give(owing)
        new = place[self._state["day"][place] == NO_DAY]
        self._state["due"][new] = 0

    def dump(self) -> dict[str, npt.NDArray[Any]]:
        return self._state.dump()

    def load(self, state: dict[str, npt.NDArray[Any]], slots: Ints) -> None:
        self._state.load(state, slots)

    def sweep(self, until: int) -> list[Trigger]:
        due = np.flatnonzero(self._state["due"][: self._state.used] <= until)
        triggers: list[Trigger] = []
        self._settle(due, np.full(len(due), until), triggers)
        return triggers

    def step(self, given: Given) -> list[Trigger]:
        self._known.meet(given)
        counts = self._counts[self._known.variant[given.slot]] if len(self._rules) > 1 else None
        marks = marks_of(given, signs_among(given.samples, given.event, self._signs, counts))
        if not len(marks.slot):
            return []
        variant, zone = self._known.variant[marks.slot], self._known.zone[marks.slot]
        day = self._known.zones.day(zone, marks.at, self._from[variant])
        first = np.unique(np.concatenate([run_starts(marks.slot), run_starts(day)]))
        marks, day = marks.take(first), day[first]
        triggers: list[Trigger] = []
        for turn in turns(marks.slot):
            one = marks.take(turn)
            place = self._state.give(one.slot)
            settled = np.minimum(one.at, one.received - self.wait_ms - SLACK_MS)
            self._wake(place, settled, day[turn])
            self._settle(place, settled, triggers)
            self._merge(place, one, day[turn])
        variant, zone = self._known.variant[marks.slot], self._known.zone[marks.slot]
        ends = self._known.zones.moment(zone, day + 1, self._from[variant])
        self._done.tell(self._known.resident[marks.slot], marks.at, ends)
        return triggers

    def _wake(self, place: Ints, settled: Ints, day: Ints) -> None:
        """Who was never seen, or not for long, begins with the day that is not settled yet."""
        asleep = (self._state["due"][place] == NEVER) & (self._state["day"][place] < day - 1)
        self._begin(place[asleep], settled[asleep])

    def _begin(self, place: Ints, at: Ints) -> None:
        """The day under way at `at`, of which nothing is known before then."""
        slot = self._state.slot(place)
        day = self._known.zones.day(self._known.zone[slot], at, self._from[self._known.variant[slot]])
        self._new_day(place, day)
        state = self._state
        state["deadline"][place] = np.where(state["deadline"][place] <= at, NEVER, state["deadline"][place])
        self._count(place)

    def _new_day(self, place: Ints, day: Ints) -> None:
        """A day begins: by when is its first sign due?"""
        state, slot = self._state, self._state.slot(place)
        variant, zone = self._known.variant[slot], self._known.zone[slot]
        state["day"][place] = day
        state["ends"][place] = self._known.zones.moment(zone, day + 1, self._from[variant])
        days = state["habit_day"][place].astype(np.int64)
        counted = (days != NO_DAY) & (days >= (day - self._days[variant])[:, None])
        number = counted.sum(axis=1)  # newest first, so they are the first ones
        usual = quantile(state["habit"][place], number, self._share[variant])
        learnt = (number >= self._least[variant]) & (self._by[variant] < 0)
        usual_minute = np.where(learnt, np.nan_to_num(usual), -1).astype(np.int64)
        minute = np.where(self._by[variant] >= 0, self._by[variant], usual_minute + self._margin[variant])
        deadline = self._known.zones.moment(zone, day, minute)
        expected = (learnt | (self._by[variant] >= 0)) & (deadline < state["ends"][place])
        state["deadline"][place] = np.where(expected, deadline, NEVER)
        state["usual"][place] = usual_minute

    def _merge(self, place: Ints, marks: Marks, day: Ints) -> None:
        """A sign of today or tomorrow: is it the first?"""
        state = self._state
        ahead = day - state["day"][place]
        which = np.clip(ahead, TODAY, TOMORROW)
        old = [state[name][place, which] for name in ("first", "device", "sign", "lag", "value")]
        new: list[npt.NDArray[Any]] = [marks.at, marks.device, marks.sign, marks.received - marks.at, marks.value]
        earlier, same = np.zeros(len(place), np.bool_), np.ones(len(place), np.bool_)
        for before, now in zip(old, new, strict=True):
            earlier |= same & (now < before)
            same &= now == before
        earlier &= (ahead >= TODAY) & (ahead <= TOMORROW)
        for name, now in zip(("first", "device", "sign", "lag", "value"), new, strict=True):
            state[name][place[earlier], which[earlier]] = now[earlier]
        self._count(place)

    def _count(self, place: Ints) -> None:
        """What comes due next: the deadline, the sign that ends what was raised, the end of the day."""
        state = self._state
        first = state["first"][place]
        # One more ms: of two signs at that moment, the other one may still come.
        ended = (state["raised_at"][place] > 0) & (first[:, TODAY] != NEVER)
        sign = np.where(ended, first[:, TODAY], NEVER - 1) + 1
        due = np.minimum(np.minimum(state["deadline"][place], sign), state["ends"][place])
        # Of whom nothing is expected, no day needs to be turned over.
        expected = (state["usual"][place] >= 0) | (self._by[self._known.variant[state.slot(place)]] >= 0)
        idle = ~expected & (first == NEVER).all(axis=1)
        state["due"][place] = np.where(idle, NEVER, due)

    def _settle(self, place: Ints, until: Ints, triggers: list[Trigger]) -> None:
        """All that has come due by `until`, in its order."""
        state = self._state
        while True:
            open_ = state["due"][place] <= until
            if not open_.any():
                return
            place, until = place[open_], until[open_]
            new = state["day"][place] == NO_DAY
            self._begin(place[new], until[new])
            self._settle_one(place[~new], triggers)

    def _settle_one(self, place: Ints, triggers: list[Trigger]) -> None:
        state, slot = self._state, self._state.slot(place)
        due, first = state["due"][place], state["first"][place, TODAY]
        judged = state["deadline"][place] == due
        missing = judged & (first >= due) & self._on[self._known.variant[slot]]
        for index in np.flatnonzero(missing).tolist():
            triggers.append(self._trigger("raised", int(slot[index]), int(place[index]), int(due[index])))
        state["raised_at"][place[missing]] = due[missing]
        state["deadline"][place[judged]] = NEVER
        seen = ~judged & (state["raised_at"][place] > 0) & (first < due)
        for index in np.flatnonzero(seen).tolist():
            triggers.append(self._trigger("cleared", int(slot[index]), int(place[index]), int(first[index])))
        state["raised_at"][place[seen]] = 0
        over = ~judged & ~seen
        self._next_day(place[over])
        self._count(place)

    def _next_day(self, place: Ints) -> None:
        state, slot = self._state, self._state.slot(place)
        zone, first = self._known.zone[slot], state["first"][place, TODAY]
        seen = first != NEVER
        known, at, day = place[seen], first[seen], state["day"][place].astype(np.int64)
        local = at + self._known.zones.offset(zone[seen], at)
        minute = (local - day[seen] * DAY_MS) // MINUTE_MS
        state["habit"][known] = pushed(state["habit"][known], minute)
        state["habit_day"][known] = pushed(state["habit_day"][known], day[seen])
        device, smallest = state["device"][known, TODAY], state["smallest"][known]
        state["smallest"][known] = np.where(smallest == 0, device, np.minimum(smallest, device))
        for name in ("first", "device", "sign", "lag", "value"):
            state[name][place, TODAY] = state[name][place, TOMORROW]
            state[name][place, TOMORROW] = NEVER if name == "first" else 0
        self._new_day(place, day + 1)

    def _trigger(self, word: Literal["raised", "cleared"], slot: int, place: int, at: int) -> Trigger:
        state, rule = self._state, self._rules[self._known.variant[slot]]
        resident, zone = int(self._known.resident[slot]), int(self._known.zone[slot])
        device, usual = int(state["smallest"][place]), int(state["usual"][place])
        sign: str | None = None
        days = zip(state["habit_day"][place].tolist(), state["habit"][place].tolist(), strict=True)
        usually = None if usual < 0 else minute_name(usual)
        evidence: dict[str, Any] = {
            "signs": list(rule.signs),
            "days": [{"day": date_of(day), "first": minute_name(minute)} for day, minute in days if day != NO_DAY][
                ::-1
            ],
            "usual": usually,
            "deadline": at if word == "raised" else int(state["raised_at"][place]),
        }
        if word == "cleared":
            device, sign = int(state["device"][place, TODAY]), sign_name(int(state["sign"][place, TODAY]))
            told: dict[str, Any] = {"event": sign}
            if sign in INDEX:
                told = {"metric": sign, "value": texts.plain(state["value"][place, TODAY])}
            evidence["readings"] = [told | {"at": at, "received": at + int(state["lag"][place, TODAY])}]
        clock = self._known.zones.clock(zone, at)
        fields: dict[str, str] = {"by": clock, "usual": usually or clock} if word == "raised" else {"at": clock}
        return Trigger(
            key=f"routine.{self.name}:{resident}:{evidence['deadline']}:{word}",
            at=at,
            rule=self.name,
            version=rule.version,
            kind="routine",
            metric=sign if sign in INDEX else None,
            severity=rule.severity,
            state=word,
            device=device,
            resident=resident,
            evidence=evidence,
            zh=(rule.zh if word == "raised" else rule.cleared_zh).format(**fields),
            en=(rule.en if word == "raised" else rule.cleared_en).format(**fields),
        )


SECTION = Section("routine", RoutineRule, check_routine, Routine)

"""Places: who left one, entered one, is not home by the hour; and whose positions cannot be believed.

Per person and place: inside, outside or not known yet, decided by fixes that leave no doubt (`_side`), several of them
over at least the dwell, so that drift does not flap. A fix that fits neither side says nothing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerts.rules import fixes, place_words
from alerts.rules.columns import Column, Columns, KeptInColumns
from alerts.rules.fences import ENTER, HOME_BY, WATCHES, Fences
from alerts.rules.fixes import NEVER, Round, Verdict, judge
from alerts.rules.known import Known, sample_name
from alerts.rules.limit import turns
from alerts.rules.localtime import MINUTE_MS
from alerts.rules.operator import Given, Scope, Subject
from alerts.rules.place_rule import PlaceRule, check_place
from alerts.rules.place_words import Occasion, State
from alerts.rules.sections import Section
from homecare.samples import Samples
from homecare.triggers import Trigger

INSIDE, OUTSIDE, UNKNOWN = 1, 0, -1
_OF_PLACES = {
    "mark": Column(np.int64, 0, (1,)),
    "side": Column(np.int8, UNKNOWN, (1,)),
    "aim": Column(np.int8, UNKNOWN, (1,)),
    "aim_since": Column(np.int64, 0, (1,)),
    "aim_count": Column(np.int16, 0, (1,)),
    "raised_at": Column(np.int64, 0, (1,)),
    "due": Column(np.int64, NEVER, (1,)),
}
"""A value for each of a person's places: which it is, the side they are on, the one that fixes point to since when, and
the next hour at which they should be there."""
_OF_PERSON = {**fixes.COLUMNS, "device": Column(np.int32, 0), "stamp": Column(np.int64, 0)}
"""`stamp`: of the places that the columns below are of."""


class _Crossing(NamedTuple):
    """Somebody was found on another side of a place."""

    turn: int
    """Of the fix in its round."""
    which: int
    number: int
    side: int
    before: int
    since: int
    away: float


class Places(KeptInColumns):
    """The operator behind `[place]`."""

    section = "place"
    scope: Scope = "resident"
    ordered = True
    columns = ()
    positions = True

    def __init__(self, rule: PlaceRule) -> None:
        self.known = Known()
        self._fences = Fences()
        self._state = Columns({**_OF_PERSON, **_OF_PLACES})
        self.tune([rule])

    @property
    def wait_ms(self) -> int:
        """As `Operator.wait_ms`."""
        return round(self._rules[0].wait_s * 1000)

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        """Whatever comes with a position, an event or not; `"fix": "none"` is an old one."""
        return np.asarray(~np.isnan(samples.lat) & ~np.isnan(samples.lon) & (samples.fix != 0))

    def make_room(self, slots: int) -> None:
        """As `Operator.make_room`."""
        for part in (self.known, self._fences, self._state):
            part.make_room(slots)

    def tune(self, rules: Sequence[PlaceRule]) -> None:
        """As `Operator.tune`."""
        self._rules = list(rules)

        def column(field: str, scale: float = 1) -> npt.NDArray[np.float64]:
            return np.array([scale * getattr(rule, field) for rule in rules], np.float64)

        self._accuracy, self._sure, self._margin = column("accuracy_m"), column("sure"), column("margin_m")
        self._worst, self._dwell, self._fixes = column("worst_m"), column("dwell_s", 1000), column("fixes")
        self._from, self._until = column("home_from"), column("home_until")
        self._stale, self._speed, self._doubts = column("stale_s", 1000), column("top_speed"), column("doubts")
        self._again, self._stuck_ms = column("again_s", 1000), column("stuck_s", 1000)
        self._stuck_fixes = column("stuck_fixes")

    def know(self, slots: npt.NDArray[np.int64], subjects: Sequence[Subject], variant: npt.NDArray[np.int16]) -> None:
        """As `Operator.know`."""
        self.known.know(slots, subjects, variant)
        radius = [self._rules[number].home_radius_m for number in variant.tolist()]
        self._fences.know(slots, [(subject.resident, r) for subject, r in zip(subjects, radius, strict=True)])
        self._widen(self._fences.widest)

    def step(self, given: Given) -> list[Trigger]:
        """As `Operator.step`."""
        if not len(given):
            return []
        self.known.meet(given)
        row = self._state.give(given.slot)
        triggers: list[Trigger] = []
        for turn in turns(given.slot):
            self._turn(given, turn, row[turn], triggers)
        return triggers

    def sweep(self, until: int) -> list[Trigger]:
        """As `Operator.sweep`."""
        due = np.flatnonzero((self._state["due"][: self._state.used] < until).any(axis=1))
        triggers: list[Trigger] = []
        if len(due):
            self._find_absent(due, np.full(len(due), until), triggers)
        return triggers

    def load(self, state: dict[str, npt.NDArray[Any]], slots: npt.NDArray[np.int64]) -> None:
        """As `Operator.load`."""
        if state.keys() < _OF_PLACES.keys():
            return
        self._widen(state["mark"].shape[-1])
        width = self._state["mark"].shape[-1]
        for name, column in _OF_PLACES.items():
            missing = np.full((len(slots), width - state[name].shape[-1]), column.blank, column.dtype)
            state = {**state, name: np.concatenate([state[name], missing], axis=1)}
        super().load(state, slots)

    def _widen(self, width: int) -> None:
        for name in _OF_PLACES:
            self._state.widen(name, (max(width, 1),))

    def _turn(
        self, given: Given, turn: npt.NDArray[np.int64], row: npt.NDArray[np.int64], triggers: list[Trigger]
    ) -> None:
        """One fix of each of these people."""
        samples, slot = given.samples, given.slot[turn]
        at, variant = samples.ts[turn], self.known.variant[slot]
        self._arrange(slot, row, at)
        self._find_absent(row, at, triggers)
        accuracy = samples.accuracy[turn].astype(np.float64)
        accuracy = np.where(np.isnan(accuracy), self._accuracy[variant], accuracy)
        fix = Round(row, at, samples.lat[turn], samples.lon[turn], accuracy, samples.fix[turn])
        limits = fixes.Limits(
            self._speed[variant],
            self._doubts[variant].astype(np.int64),
            self._again[variant].astype(np.int64),
            self._stuck_ms[variant].astype(np.int64),
            self._stuck_fixes[variant].astype(np.int64),
        )
        self._state["device"][row] = samples.device[turn]
        verdict = judge(self._state, fix, limits)
        self._tell_doubts(given, turn, row, verdict, triggers)
        sure = np.flatnonzero(verdict.believed)
        for crossing in self._cross(slot, row, fix, variant, sure):
            self._tell_crossing(given, turn, row, crossing, triggers)

    def _arrange(self, slot: npt.NDArray[np.int64], row: npt.NDArray[np.int64], at: npt.NDArray[np.int64]) -> None:
        """Let the state's columns be those of the places as they are now, and set the hours still to come."""
        stamp = self._fences.stamp[slot]
        changed = np.flatnonzero(stamp != self._state["stamp"][row])
        if not len(changed):
            return
        rows, width = row[changed], self._state["mark"].shape[-1]
        self._state["stamp"][rows] = stamp[changed]
        want, have = self._fences.marks(slot[changed], width), self._state["mark"][rows]
        old = {name: self._state[name][rows] for name in _OF_PLACES}
        for name, column in _OF_PLACES.items():
            fresh = np.full(want.shape, column.blank, column.dtype)
            for new in range(width):
                for before in range(width):
                    same = (want[:, new] != 0) & (want[:, new] == have[:, before])
                    fresh[same, new] = old[name][same, before]
            self._state[name][rows] = want if name == "mark" else fresh
        index, which, number = self._fences.numbers(slot[changed])
        open_ = (self._fences.watch[number] == HOME_BY) & (self._state["due"][rows[index], which] == NEVER)
        index, which, number = index[open_], which[open_], number[open_]
        zone = self.known.zone[slot[changed][index]]
        self._state["due"][rows[index], which] = self._next(zone, at[changed][index], number)

    def _next(
        self, zone: npt.NDArray[np.int16], at: npt.NDArray[np.int64], number: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """The next time after `at` at which these places' hour strikes."""
        minute = self._fences.minute[number].astype(np.int64)
        return self.known.zones.moment(zone, self.known.zones.day(zone, at, minute) + 1, minute)

    def _find_absent(self, row: npt.NDArray[np.int64], before: npt.NDArray[np.int64], triggers: list[Trigger]) -> None:
        """Whose hour struck before that time, and who was not there."""
        state = self._state
        while len(hit := np.argwhere(state["due"][row] < before[:, None])):
            rows, which = row[hit[:, 0]], hit[:, 1]
            slot, due = state.slot(rows), state["due"][rows, which]
            has = which < self._fences.count[slot]
            number = np.zeros(len(rows), np.int64)
            number[has] = self._fences.first(slot[has]) + which[has]
            due_again = np.full(len(rows), NEVER)
            due_again[has] = self._next(self.known.zone[slot[has]], due[has], number[has])
            state["due"][rows, which] = due_again
            stale = due - state["last"][rows, fixes.AT].astype(np.int64) > self._stale[self.known.variant[slot]]
            for i in np.flatnonzero(has & (state["side"][rows, which] == OUTSIDE) & ~stale).tolist():
                state["raised_at"][rows[i], which[i]] = due[i]
                triggers.append(self._absent(int(rows[i]), int(number[i]), int(due[i])))

    def _cross(
        self,
        slot: npt.NDArray[np.int64],
        row: npt.NDArray[np.int64],
        fix: Round,
        variant: npt.NDArray[np.int16],
        sure: npt.NDArray[np.int64],
    ) -> list[_Crossing]:
        """What the believed fixes `sure` of a round say about where people are; who is on another side than before."""
        index, which, number = self._fences.numbers(slot[sure])
        if not len(index):
            return []
        index = sure[index]
        away = self._fences.beyond(number, fix.lat[index], fix.lon[index])
        side = self._side(away, fix.accuracy[index], variant[index])
        # Nearly all fixes are on the side where one knew them to be: they end here.
        cell, state = (row[index], which), self._state
        stirs = (side != state["side"][cell]) | (state["aim"][cell] != UNKNOWN)
        clear = np.flatnonzero((side != UNKNOWN) & stirs)
        if not len(clear):
            return []
        index, which, number, away, side = index[clear], which[clear], number[clear], away[clear], side[clear]
        at, cell = fix.at[index], (row[index], which)
        now, aim, since = state["side"][cell], state["aim"][cell], state["aim_since"][cell]
        stays, on = side == now, side == aim
        since = np.where(on, since, at)
        count = np.where(on, np.minimum(state["aim_count"][cell], 30_000) + 1, 1)
        v = variant[index]
        crossed = ~stays & (count >= self._fixes[v]) & (at - since >= self._dwell[v])
        over = stays | crossed
        state["side"][cell] = np.where(crossed, side, now)
        state["aim"][cell] = np.where(over, UNKNOWN, side)
        state["aim_since"][cell] = np.where(over, 0, since)
        state["aim_count"][cell] = np.where(over, 0, count)
        columns = (column[crossed].tolist() for column in (index, which, number, side, now, since, away))
        return [_Crossing(*one) for one in zip(*columns, strict=True)]

    def _side(
        self, away: npt.NDArray[np.float64], accuracy: npt.NDArray[np.float64], variant: npt.NDArray[np.int16]
    ) -> npt.NDArray[np.int8]:
        """Which side a fix that far beyond the border (m) is on without a doubt."""
        error = self._sure[variant] * accuracy
        outside = away > np.maximum(error, self._margin[variant])
        inside = ((away <= 0) & (accuracy <= self._worst[variant])) | (away <= -error)
        return np.where(outside, OUTSIDE, np.where(inside, INSIDE, UNKNOWN)).astype(np.int8)

    def _tell_crossing(
        self,
        given: Given,
        turn: npt.NDArray[np.int64],
        row: npt.NDArray[np.int64],
        crossing: _Crossing,
        triggers: list[Trigger],
    ) -> None:
        fence, cell = self._fences.fence(crossing.number), (int(row[crossing.turn]), crossing.which)
        watch, at = int(self._fences.watch[crossing.number]), int(given.samples.ts[turn[crossing.turn]])
        raised_at = int(self._state["raised_at"][cell])
        bad = INSIDE if watch == ENTER else OUTSIDE
        if crossing.side != bad:
            if not raised_at:
                return
            state: State = "cleared"
            self._state["raised_at"][cell] = 0
        else:
            # Where somebody is when one begins to look is no movement; and the hour of `home_by` comes by itself.
            if crossing.before == UNKNOWN or watch == HOME_BY or not (fence.always or self._at_hours(cell[0], at)):
                return
            state = "raised"
            self._state["raised_at"][cell] = at
        occasion = self._occasion(cell[0], at, sample_name(given, int(turn[crossing.turn])))
        triggers.append(
            place_words.crossed(
                occasion, WATCHES[watch], fence, state=state, away=crossing.away, since=crossing.since,
                raised_at=raised_at, reading=place_words.reading(given.samples, int(turn[crossing.turn])),
            )
        )  # fmt: skip

    def _tell_doubts(
        self,
        given: Given,
        turn: npt.NDArray[np.int64],
        row: npt.NDArray[np.int64],
        verdict: Verdict,
        triggers: list[Trigger],
    ) -> None:
        for index in np.flatnonzero(verdict.jumped | verdict.stuck | verdict.moved).tolist():
            sample, at = int(turn[index]), int(given.samples.ts[turn[index]])
            occasion = self._occasion(int(row[index]), at, sample_name(given, sample))
            reading = place_words.reading(given.samples, sample)
            span = int(verdict.span[index])
            if verdict.jumped[index]:
                triggers.append(place_words.jumped(occasion, float(verdict.distance[index]), span, reading))
            if verdict.stuck[index] or verdict.moved[index]:
                triggers.append(place_words.stuck(occasion, span, reading, over=bool(verdict.moved[index])))

    def _at_hours(self, row: int, at: int) -> bool:
        """Whether leaving home tells at this hour."""
        slot = self._state.slot(np.array([row]))
        variant = self.known.variant[slot]
        local = at + int(self.known.zones.offset(self.known.zone[slot], np.array([at]))[0])
        minute = local // MINUTE_MS % 1440
        first, last = float(self._from[variant][0]), float(self._until[variant][0])
        return first <= minute < last if first <= last else minute >= first or minute < last

    def _absent(self, row: int, number: int, due: int) -> Trigger:
        state = self._state
        lat, lon, at, accuracy = state["last"][row, :4].tolist()
        seen = {"lat": lat, "lon": lon, "accuracy": accuracy, "at": int(at)}
        away = self._fences.beyond(np.array([number]), np.array([lat]), np.array([lon]))
        return place_words.absent(self._occasion(row, due, str(due)), self._fences.fence(number), seen, float(away[0]))

    def _occasion(self, row: int, at: int, name: str) -> Occasion:
        slot = int(self._state.slot(np.array([row]))[0])
        rule = self._rules[int(self.known.variant[slot])]
        clock = self.known.zones.clock(int(self.known.zone[slot]), at)
        return Occasion(rule, int(self._state["device"][row]), int(self.known.resident[slot]), at, clock, name)


SECTION = Section("place", PlaceRule, check_place, lambda _name, rule: Places(rule), single=True)

"""Wandering: somebody walks and walks and gets nowhere (`tracks`).

Kept of each person is the walk they are on, as corners: a fix counts when it is a step away from the last corner, so
that a receiver's unrest is no walk. A ride, a long stop or a gap begins a new walk.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alerts.rules import wandering_words
from alerts.rules.columns import Column, Columns, KeptInColumns
from alerts.rules.fixes import GNSS, NEVER
from alerts.rules.geometry import offset
from alerts.rules.known import Known, sample_name
from alerts.rules.limit import turns
from alerts.rules.localtime import MINUTE_MS
from alerts.rules.operator import Given, Scope, Subject
from alerts.rules.room import with_room
from alerts.rules.sections import Section
from alerts.rules.tracks import CORNERS, Bounds, Walks, aimless
from alerts.rules.wandering_rule import WanderingRule, check_wandering
from alerts.rules.wandering_words import Walk
from homecare.samples import Samples
from homecare.triggers import Trigger

FARTHEST_DM = 32_000
"""From where a walk began; int16. Further on it begins anew."""
_LEAST = 6
"""Corners before a walk has a shape."""
_STATE = {
    "x": Column(np.int16, 0, (CORNERS,)),
    "y": Column(np.int16, 0, (CORNERS,)),
    "t": Column(np.int32, 0, (CORNERS,)),
    "corners": Column(np.int8, 0),
    "lat": Column(np.float64, 0),
    "lon": Column(np.float64, 0),
    "began": Column(np.int64, 0),
    "raised_at": Column(np.int64, 0),
    "over_at": Column(np.int64, NEVER),
    "device": Column(np.int32, 0),
}
"""Newest corner first, decimetres and ms from where and when the walk began."""


class Wandering(KeptInColumns):
    """The operator behind `[wandering]`."""

    section = "wandering"
    scope: Scope = "resident"
    ordered = True
    columns = ()
    positions = True

    def __init__(self, rule: WanderingRule) -> None:
        self.known = Known()
        self._state = Columns(_STATE)
        self._lat, self._lon = np.zeros(0), np.zeros(0)
        self.tune([rule])

    @property
    def wait_ms(self) -> int:
        """As `Operator.wait_ms`."""
        return round(self._rules[0].wait_s * 1000)

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        """Good satellite fixes. Those from cells and networks jump between places where nobody walked."""
        good = ~(samples.accuracy > self._worst.max()) & ((samples.fix == GNSS) | (samples.fix == -1))
        return np.asarray(good & ~np.isnan(samples.lat) & ~np.isnan(samples.lon))

    def make_room(self, slots: int) -> None:
        """As `Operator.make_room`."""
        self.known.make_room(slots)
        self._state.make_room(slots)
        self._lat = with_room(self._lat, slots, np.nan)
        self._lon = with_room(self._lon, slots, np.nan)

    def tune(self, rules: Sequence[WanderingRule]) -> None:
        """As `Operator.tune`."""
        self._rules = list(rules)

        def whole(field: str, scale: float) -> npt.NDArray[np.int64]:
            return np.array([round(scale * getattr(rule, field)) for rule in rules], np.int64)

        self._worst, self._home = whole("worst_m", 1), whole("home_m", 1)
        self._step_dm, self._fastest, self._slowest = whole("step_m", 10), whole("fastest", 10), whole("slowest", 1000)
        self._pause, self._calm, self._window = whole("pause_s", 1000), whole("calm_s", 1000), whole("window_s", 1000)
        self._path, self._near = whole("path_m", 10), whole("near_m", 10)
        self._ratio, self._far_ratio = whole("ratio", 100), whole("far_ratio", 100)

    def know(self, slots: npt.NDArray[np.int64], subjects: Sequence[Subject], variant: npt.NDArray[np.int16]) -> None:
        """As `Operator.know`."""
        self.known.know(slots, subjects, variant)
        for slot, subject in zip(slots.tolist(), subjects, strict=True):
            home = (None, None) if subject.resident is None else (subject.resident.lat, subject.resident.lon)
            self._lat[slot], self._lon[slot] = (np.nan if degrees is None else degrees for degrees in home)

    def step(self, given: Given) -> list[Trigger]:
        """As `Operator.step`."""
        if not len(given):
            return []
        self.known.meet(given)
        triggers: list[Trigger] = []
        for turn in turns(given.slot):
            self._turn(given, turn, triggers)
        return triggers

    def sweep(self, until: int) -> list[Trigger]:
        """As `Operator.sweep`."""
        triggers: list[Trigger] = []
        row = np.flatnonzero(self._state["over_at"][: self._state.used] < until)
        self._end(row, np.full(len(row), until), triggers)
        return triggers

    def _turn(self, given: Given, turn: npt.NDArray[np.int64], triggers: list[Trigger]) -> None:
        """One fix of each of these people. Whoever is at home and always was needs no row."""
        samples = given.samples
        self._end(self._state.rows(given.slot[turn]), samples.ts[turn], triggers)
        variant = self.known.variant[given.slot[turn]]
        accuracy = np.nan_to_num(samples.accuracy[turn].astype(np.float64), nan=0.0)
        looked = np.flatnonzero((accuracy <= self._worst[variant]) & ~self._at_home(given, turn, variant))
        turn, variant, accuracy = turn[looked], variant[looked], accuracy[looked]
        row, state = self._state.give(given.slot[turn]), self._state
        at, lat, lon = samples.ts[turn], samples.lat[turn], samples.lon[turn]
        east, north = offset(state["lat"][row], state["lon"][row], lat, lon)
        far = (np.abs(east) * 10 > FARTHEST_DM) | (np.abs(north) * 10 > FARTHEST_DM)
        x = np.rint(np.where(far, 0, east) * 10).astype(np.int64)
        y = np.rint(np.where(far, 0, north) * 10).astype(np.int64)
        dx, dy, since = x - state["x"][row, 0], y - state["y"][row, 0], at - state["began"][row]
        span = since - state["t"][row, 0]
        way2 = dx * dx + dy * dy
        step = np.maximum(self._step_dm[variant], np.rint(accuracy * 10).astype(np.int64))
        moved = far | (way2 >= step * step)
        ends = far | (span > self._pause[variant]) | (since > 2**31 - 1)
        short = np.minimum(span, self._pause[variant])
        # Two fixes may each be a step wrong by themselves: that is no ride.
        ends |= way2 * 1_000_000 > (self._fastest[variant] * short + 1000 * step) ** 2
        fresh = (state["corners"][row] == 0) | (moved & ends)
        self._begin(row[fresh], at[fresh], lat[fresh], lon[fresh])
        on = np.flatnonzero(moved & ~fresh)
        if len(on):
            self._add(row[on], x[on], y[on], since[on])
            state["device"][row[on]] = samples.device[turn[on]]
            self._look(given, turn[on], row[on], variant[on], triggers)

    def _at_home(
        self, given: Given, turn: npt.NDArray[np.int64], variant: npt.NDArray[np.int16]
    ) -> npt.NDArray[np.bool_]:
        slot = given.slot[turn]
        east, north = offset(self._lat[slot], self._lon[slot], given.samples.lat[turn], given.samples.lon[turn])
        # Where no home is known, that is NaN, and not near.
        return np.asarray(east * east + north * north <= (self._home[variant] ** 2).astype(np.float64))

    def _begin(
        self,
        row: npt.NDArray[np.int64],
        at: npt.NDArray[np.int64],
        lat: npt.NDArray[np.float64],
        lon: npt.NDArray[np.float64],
    ) -> None:
        state = self._state
        state["corners"][row], state["began"][row], state["lat"][row], state["lon"][row] = 1, at, lat, lon
        for name in ("x", "y", "t"):
            state[name][row, 0] = 0

    def _add(
        self, row: npt.NDArray[np.int64], x: npt.NDArray[np.int64], y: npt.NDArray[np.int64], t: npt.NDArray[np.int64]
    ) -> None:
        state = self._state
        for name, newest in (("x", x), ("y", y), ("t", t)):
            corners = state[name][row]
            corners[:, 1:] = corners[:, :-1]
            corners[:, 0] = newest
            state[name][row] = corners
        state["corners"][row] = np.minimum(state["corners"][row] + 1, CORNERS)

    def _look(
        self,
        given: Given,
        turn: npt.NDArray[np.int64],
        row: npt.NDArray[np.int64],
        variant: npt.NDArray[np.int16],
        triggers: list[Trigger],
    ) -> None:
        """Whether these walks, each with a new corner, are wandering."""
        state = self._state
        shaped = np.flatnonzero(state["corners"][row] >= _LEAST)
        turn, row, variant = turn[shaped], row[shaped], variant[shaped]
        x, y, t = (state[name][row].astype(np.int64) for name in ("x", "y", "t"))
        walks = Walks(x, y, t, np.arange(CORNERS) < state["corners"][row][:, None])
        bounds = Bounds(
            self._window[variant],
            self._path[variant],
            self._ratio[variant],
            self._near[variant],
            self._far_ratio[variant],
            self._slowest[variant],
        )
        since, path, reach = aimless(walks, bounds)
        at = given.samples.ts[turn]
        met = since > 0
        state["over_at"][row[met]] = at[met] + self._calm[variant[met]]
        new = np.flatnonzero(met & (state["raised_at"][row] == 0))
        state["raised_at"][row[new]] = at[new]
        for i in new.tolist():
            last = int(since[i]) + 1
            lat, lon = float(state["lat"][row[i]]), float(state["lon"][row[i]])
            east, north, ms = (column[i, :last][::-1] for column in (x, y, t))
            walk = Walk(lat, lon, int(state["began"][row[i]]), east, north, ms, int(path[i]), int(reach[i]))
            name = sample_name(given, int(turn[i]))
            triggers.append(self._raised(int(row[i]), int(at[i]), int(given.samples.received[turn[i]]), name, walk))

    def _raised(self, row: int, at: int, received: int, name: str, walk: Walk) -> Trigger:
        slot = self._state.slot(np.array([row]))
        rule = self._rules[int(self.known.variant[slot][0])]
        local = at + int(self.known.zones.offset(self.known.zone[slot], np.array([at]))[0])
        minute, first, last = local // MINUTE_MS % 1440, rule.night_from, rule.night_until
        night = first <= minute < last if first <= last else minute >= first or minute < last
        who = (int(self._state["device"][row]), int(self.known.resident[slot][0]))
        return wandering_words.raised(rule, who, at, received, name, walk, night=night)

    def _end(self, row: npt.NDArray[np.int64], before: npt.NDArray[np.int64], triggers: list[Trigger]) -> None:
        """Whose wandering was over before that time."""
        state = self._state
        for i in row[state["over_at"][row] < before].tolist():
            over_at, raised_at = int(state["over_at"][i]), int(state["raised_at"][i])
            state["over_at"][i], state["raised_at"][i] = NEVER, 0
            slot = int(state.slot(np.array([i]))[0])
            rule = self._rules[int(self.known.variant[slot])]
            who = (int(state["device"][i]), int(self.known.resident[slot]))
            triggers.append(wandering_words.cleared(rule, who, over_at, raised_at))


SECTION = Section("wandering", WanderingRule, check_wandering, lambda _name, rule: Wandering(rule), single=True)

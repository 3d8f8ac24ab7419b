"""A change against a personal baseline: weight up by two kilograms in three days, a blood pressure that drifts.

By slot: the values of the last days measured (in local days), for each part of the day that the rule tells apart. What
is said depends on the readings in their order, so this operator is ordered; it has no deadlines: only a reading speaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from alerts.rules import texts
from alerts.rules.baseline import median, pushed, spread
from alerts.rules.change_rule import ChangeRule, check_change
from alerts.rules.columns import Column, Columns, KeptInColumns
from alerts.rules.known import Known, sample_name
from alerts.rules.limit import turns
from alerts.rules.localtime import DAY_MS, MINUTE_MS, date_of
from alerts.rules.operator import Given, Scope, Subject
from alerts.rules.sections import Section
from homecare.metrics import INDEX
from homecare.samples import Samples
from homecare.triggers import Trigger

NO_DAY = -1
DIGITS = 3
"""Differences count to a thousandth of the unit: float32 72.1 - 70.1 is 2."""


State = Literal["raised", "cleared"]
Cell = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Rows of the state and parts of the day."""


class Said(NamedTuple):
    """A transition of one slot's episode."""

    one: int
    state: State
    raised_at: int
    """When the episode was last raised before; 0: there was none."""


@dataclass(slots=True)
class Compared:
    """Today's values of some slots against their references; every array has a row for each."""

    days: npt.NDArray[Any]
    values: npt.NDArray[Any]
    reference: npt.NDArray[np.bool_]
    """(n, k) Which of the days were compared with."""
    now: npt.NDArray[np.float64]
    usual: npt.NDArray[np.float64]
    difference: npt.NDArray[np.float64]
    """Now less usual."""
    needed: npt.NDArray[np.float64]
    """How far away is too far."""
    speaks: npt.NDArray[np.bool_]
    """Enough days are there to say anything."""

    def take(self, rows: npt.NDArray[np.int64]) -> "Compared":
        """Those at `rows`."""
        return Compared(*(getattr(self, field.name)[rows] for field in fields(self)))


class Change(KeptInColumns):
    """One rule `[change.NAME]` over all residents."""

    section = "change"
    scope: Scope = "resident"
    ordered = True
    positions = False

    def __init__(self, name: str, rule: ChangeRule) -> None:
        self.name, self._own = name, rule
        self.known = Known()
        bins, keep = rule.bins, rule.keep
        self._state = Columns(
            {
                "day": Column(np.int16, NO_DAY, (bins, keep)),
                "value": Column(np.float32, 0, (bins, keep)),
                "sum": Column(np.float64, 0, (bins,)),
                "count": Column(np.int32, 0, (bins,)),
                "beyond_since": Column(np.int64, 0, (bins,)),
                "active": Column(np.bool_, 0, (bins,)),
                "held": Column(np.float64, 0, (bins,)),
                "began": Column(np.int64, 0, (bins,)),
                "raised_at": Column(np.int64, 0),
            }
        )
        self.tune([rule])

    @property
    def columns(self) -> Sequence[int]:
        return (INDEX[self._own.metric],)

    @property
    def wait_ms(self) -> int:
        return round(self._own.wait_s * 1000)

    @property
    def memory_ms(self) -> int:
        return (max(self._own.days, self._own.hold_days) + 1) * DAY_MS

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:  # noqa: ARG002 - of the protocol
        return ~np.isnan(samples.values[:, INDEX[self._own.metric]])

    def make_room(self, slots: int) -> None:
        self._state.make_room(slots)
        self.known.make_room(slots)

    def tune(self, rules: Sequence[ChangeRule]) -> None:
        self._rules = list(rules)
        self._days = np.array([rule.days for rule in rules], np.int64)
        self._recent = np.array([rule.recent for rule in rules], np.int64)
        self._least = np.array([rule.least for rule in rules], np.int64)
        self._limit = np.array([rule.limit for rule in rules])
        self._spreads = np.array([rule.spreads for rule in rules])
        self._spread_days = np.array([rule.spread_days for rule in rules], np.int64)
        self._hysteresis = np.array([rule.hysteresis for rule in rules])
        self._most = np.array([np.inf if rule.most is None else rule.most for rule in rules])
        self._for = np.array([round(rule.for_s * 1000) for rule in rules], np.int64)
        self._hold = np.array([rule.hold_days * DAY_MS for rule in rules], np.int64)
        self._again = np.array([round(rule.again_s * 1000) for rule in rules], np.int64)
        self._on = np.array([rule.on for rule in rules])
        self._sign = np.array([{"up": 1, "down": -1, "both": 0}[rule.direction] for rule in rules], np.int64)
        self._usual = np.array([rule.against == "usual" for rule in rules])

    def know(self, slots: npt.NDArray[np.int64], subjects: Sequence[Subject], variant: npt.NDArray[np.int16]) -> None:
        self.known.know(slots, subjects, variant)

    def sweep(self, until: int) -> list[Trigger]:  # noqa: ARG002 - of the protocol
        """Nothing: only a reading tells that something has changed."""
        return []

    def step(self, given: Given) -> list[Trigger]:
        self.known.meet(given)
        triggers: list[Trigger] = []
        for turn in turns(given.slot):
            self._turn(given, turn, triggers)
        return triggers

    def _turn(self, given: Given, rows: npt.NDArray[np.int64], triggers: list[Trigger]) -> None:
        """One reading of each of these slots."""
        state, slot = self._state, given.slot[rows]
        place, variant = state.give(slot), self.known.variant[slot]
        x = given.samples.values[rows, INDEX[self._own.metric]]
        ts = given.samples.ts[rows]
        local = ts + self.known.zones.offset(self.known.zone[slot], ts)
        part = local % DAY_MS // MINUTE_MS * self._own.bins // 1440
        cell = place, part
        # Never back: people move to other zones.
        day = np.maximum(local // DAY_MS, state["day"][cell][:, 0])
        new = day != state["day"][cell][:, 0]
        total = np.where(new, 0.0, state["sum"][cell]) + x
        count = np.where(new, 0, state["count"][cell]) + 1
        held = state["active"][cell] & (ts - state["began"][cell] < self._hold[variant])
        compared = self._compare(cell, variant, day, new, x, total / count, held)
        with np.errstate(invalid="ignore"):
            doubted = compared.speaks & (np.abs(np.round(x - compared.usual, DIGITS)) > self._most[variant])
        keep = np.flatnonzero(~doubted)
        cell = place[keep], part[keep]
        state["day"][cell], state["value"][cell] = compared.days[keep], compared.values[keep]
        state["sum"][cell], state["count"][cell] = total[keep], count[keep]
        compared = compared.take(keep)
        triggers += [
            self._trigger(given, int(rows[keep[said.one]]), compared, said)
            for said in self._judge(cell, variant[keep], ts[keep], compared)
        ]

    def _compare(
        self,
        cell: Cell,
        variant: npt.NDArray[np.int16],
        day: npt.NDArray[np.int64],
        new: npt.NDArray[np.bool_],
        x: npt.NDArray[np.float32],
        mean: npt.NDArray[np.float64],
        held: npt.NDArray[np.bool_],
    ) -> Compared:
        """The days with today's reading `x` among them, and what they say."""
        state = self._state
        days, values = state["day"][cell], state["value"][cell]
        days = np.where(new[:, None], pushed(days, day), days)
        values = np.where(new[:, None], pushed(values, x), values)
        if self._own.day_value == "mean":
            values[:, 0] = mean
        else:
            values[:, 0] = (np.minimum if self._own.day_value == "lowest" else np.maximum)(values[:, 0], x)
        order = np.arange(days.shape[1])
        recent = order < self._recent[variant][:, None]
        known = (days != NO_DAY) & (days >= (day - self._days[variant])[:, None])
        reference = known & ~recent
        enough = (reference.sum(axis=1) >= self._least[variant]) & (known | ~recent).all(axis=1)
        sign, usual = self._sign[variant], self._usual[variant]
        now = median(values, known & recent)
        centre = median(values, reference)
        # How far days lie apart is a matter of all that are known, however few of them are compared with.
        whole = np.where(usual[:, None], reference, (days != NO_DAY) & ~recent)
        apart = spread(values, whole, median(values, whole))
        apart = np.where(whole.sum(axis=1) >= self._spread_days[variant], apart, np.nan)
        lowest = np.where(reference, values, np.inf).min(axis=1)
        highest = np.where(reference, values, -np.inf).max(axis=1)
        centre = np.where(usual, centre, np.where(sign >= 0, lowest, highest))
        centre = np.where(held, state["held"][cell], centre)
        with np.errstate(invalid="ignore"):
            difference = np.round(now - centre, DIGITS)
            needed = np.fmax(self._limit[variant], np.round(self._spreads[variant] * apart, DIGITS))
        return Compared(days, values, reference, now, centre, difference, needed, enough | held)

    def _judge(
        self, cell: Cell, variant: npt.NDArray[np.int16], ts: npt.NDArray[np.int64], compared: Compared
    ) -> list[Said]:
        """What begins and ends."""
        state, place = self._state, cell[0]
        sign = self._sign[variant]
        away = np.where(sign == 0, np.abs(compared.difference), sign * compared.difference)
        with np.errstate(invalid="ignore"):
            beyond = compared.speaks & (away >= compared.needed) & self._on[variant]
            near = compared.speaks & self._on[variant] & (away > compared.needed - self._hysteresis[variant])
        over = ~beyond & ~near
        since = np.where(beyond, np.where(state["beyond_since"][cell] > 0, state["beyond_since"][cell], ts), 0)
        sure = beyond & (ts - since >= self._for[variant])
        was_any, was = state["active"][place].any(axis=1), state["active"][cell]
        active = (was | sure) & ~over
        state["beyond_since"][cell], state["active"][cell] = since, active
        state["held"][cell] = np.where(active & ~was, compared.usual, state["held"][cell])
        state["began"][cell] = np.where(active & ~was, ts, state["began"][cell])
        raised_at = state["raised_at"][place]
        raised = sure & (~was_any | (ts - raised_at >= self._again[variant]))
        cleared = was_any & ~state["active"][place].any(axis=1)
        state["raised_at"][place] = np.where(raised, ts, np.where(cleared, 0, raised_at))
        return [
            Said(row, "raised" if raised[row] else "cleared", int(raised_at[row]))
            for row in np.flatnonzero(raised | cleared).tolist()
        ]

    def _trigger(self, given: Given, row: int, compared: Compared, said: Said) -> Trigger:
        samples, rule = given.samples, self._rules[self.known.variant[given.slot[row]]]
        value, at = texts.plain(samples.values[row, INDEX[rule.metric]]), int(samples.ts[row])
        one, raised = said.one, said.state == "raised"
        usual, difference = _finite(compared.usual[one]), _finite(compared.difference[one])
        days = list(zip(compared.days[one].tolist(), compared.values[one].tolist(), strict=True))
        evidence: dict[str, Any] = {
            "readings": [{"metric": rule.metric, "value": value, "at": at, "received": int(samples.received[row])}],
            "days": [
                {"day": date_of(day), "value": texts.plain(each)} for day, each in reversed(days) if day != NO_DAY
            ],
            "compared_with": [date_of(day) for day in reversed(compared.days[one][compared.reference[one]].tolist())],
            "now": texts.plain(compared.now[one]),
            "usual": usual,
            "difference": difference,
            "limit": _finite(compared.needed[one]),
            "against": rule.against,
            "direction": rule.direction,
        }
        if not raised:
            evidence["raised_at"] = said.raised_at

        def words(template: str, language: texts.Language) -> str:
            return template.format(
                metric=texts.metric_name(rule.metric, language),
                value=value,
                unit=texts.unit(rule.metric, language),
                usual=usual,
                difference="" if difference is None else f"{difference:+g}",
                days=rule.days,
            )

        return Trigger(
            key=f"change.{self.name}:{sample_name(given, row)}:{said.state}",
            at=at,
            rule=self.name,
            version=rule.version,
            kind="change",
            metric=rule.metric,
            severity=rule.severity,
            state=said.state,
            device=int(samples.device[row]),
            resident=int(samples.resident[row]),
            evidence=evidence,
            zh=words(rule.zh if raised else rule.cleared_zh, "zh"),
            en=words(rule.en if raised else rule.cleared_en, "en"),
        )


def _finite(value: np.float64) -> float | None:
    """None where there was nothing to compare with."""
    return texts.plain(value) if np.isfinite(value) else None


SECTION = Section("change", ChangeRule, check_change, Change)

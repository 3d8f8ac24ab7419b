"""Limits with hysteresis: an episode begins at a limit, may get worse, and ends well inside it.

One *series* per side of a metric: `high` as it is, `low` negated, so that "beyond" is always >=. Its state is that of
its last trigger: the band of the episode (0: none), when and about whom it was raised. For a reading x at t:

- x in a worse band than the episode's (or no episode): raised;
- x beyond a limit, the last raise `again_s` or more ago: raised again, in x's own band;
- x at the mildest limit -/+ hysteresis or further inside: cleared;
- else, and where x is NaN (not measured): nothing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from alerts.rules import texts
from alerts.rules.limit_rules import LimitRule, Reading
from alerts.rules.room import with_room
from alerts.rules.rows import Rows, run_starts
from homecare.metrics import BY_NAME, INDEX
from homecare.triggers import SEVERITIES, Trigger


class Series(NamedTuple):
    """One side of one metric in one rule."""

    name: str
    rule: LimitRule
    reading: Reading


class Change(NamedTuple):
    """One transition of one series, with what it was before, so that it can be taken back."""

    row: int
    """Index in the rows it came from."""
    cell: int
    """slot * number of series + series."""
    band: int
    """`RANK` of the severity it is raised with; 0: cleared."""
    before: tuple[int, int, int]
    """Band, raised at, resident."""

    @property
    def says(self) -> tuple[int, int]:
        """What people are told: the band, and of a clearing, about whom."""
        return self.band, 0 if self.band else self.before[2]


RANK = {severity: len(SEVERITIES) - index for index, severity in enumerate(SEVERITIES)}
"""Severity -> band of an episode, the same in every variant: 1 info … 4 critical; 0: no episode."""


class Limits:
    """All limit rules of one scope, over `columns` of the metrics; readings that have to be counted are `Lasting`'s."""

    def __init__(self, rules: Mapping[str, LimitRule]) -> None:
        self.series = [Series(name, rule, reading) for name, rule in rules.items() for reading in rule.reading]
        metrics = list(dict.fromkeys(series.reading.metric for series in self.series))
        self.columns = np.array([INDEX[metric] for metric in metrics], np.int64)
        """Columns of `Samples.values` that these rules read: the columns of `Rows.values`."""
        readings = [series.reading for series in self.series]
        self._column = np.array([metrics.index(reading.metric) for reading in readings], np.int64)
        self._sign = np.array([reading.sign for reading in readings], np.float32)
        self._place = np.zeros(0, np.int32)
        """By slot: its row in the state below. Most streams never come near a limit and share row 0, which stays blank."""
        self._places = 1
        self._band = np.zeros((0, len(readings)), np.int8)
        self._raised_at = np.zeros((0, len(readings)), np.int64)
        self._resident = np.zeros((0, len(readings)), np.int32)
        self._touched = np.zeros((0, len(readings)), np.bool_)
        self._variant: npt.NDArray[np.int16] | None = None
        """By slot, once somebody's rules differ from the pack's."""
        self._extend(1)
        self.tune([rules])

    def tune(self, variants: Sequence[Mapping[str, LimitRule]]) -> None:
        """The rules: the pack's own, then its variants, which have no other readings. The state stays."""
        self._rules = [
            [Series(series.name, *_as_in(rules, series)) for series in self.series] if index else self.series
            for index, rules in enumerate(variants)
        ]
        shape = (len(variants), len(self.series))
        most = max((len(each.reading.bands) for rules in self._rules for each in rules), default=1)
        # In float32, as the readings are: 39.1 must reach the limit 39.1.
        self._limits = np.full((*shape, most), np.inf, np.float32)
        self._ranks = np.zeros((*shape, most + 1), np.int8)
        self._clear = np.zeros(shape, np.float32)
        self._again = np.zeros(shape, np.int64)
        for variant, rules in enumerate(self._rules):
            for index, (_, rule, reading) in enumerate(rules):
                bands = [] if reading.counted else reading.bands
                self._limits[variant, index, : len(bands)] = [reading.sign * band.limit for band in bands]
                self._ranks[variant, index, 1 : len(bands) + 1] = [RANK[band.severity] for band in bands]
                self._clear[variant, index] = reading.sign * reading.clear
                self._again[variant, index] = round(rule.again_s * 1000)
        first = self._limits[:, :, 0].min(axis=0)
        self._high = np.full(len(self.columns), np.inf, np.float32)
        self._low = np.full(len(self.columns), -np.inf, np.float32)
        """By column, the most sensitive limits of all variants: what does not reach them is within everybody's."""
        high = self._sign > 0
        np.minimum.at(self._high, self._column[high], first[high])
        np.maximum.at(self._low, self._column[~high], -first[~high])

    def know(self, slots: npt.NDArray[np.int64], variant: npt.NDArray[np.int16]) -> None:
        """Which of the variants holds for these slots from now on."""
        if self._variant is None:
            if not variant.any():
                return
            self._variant = np.zeros(len(self._place), np.int16)
        self._variant[slots] = variant

    def make_room(self, slots: int) -> None:
        """Room for `slots` slots."""
        more = slots - len(self._place)
        if more > 0:
            self._place = with_room(self._place, slots)
            if self._variant is not None:
                self._variant = with_room(self._variant, slots)

    def _own_first(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """(n, series) The limit at which an episode begins."""
        variant = np.zeros(len(slots), np.int16) if self._variant is None else self._variant[slots]
        first: npt.NDArray[np.float32] = self._limits[variant, :, 0]
        return first

    def _give_places(self, slots: npt.NDArray[np.int64]) -> None:
        """State of their own for these slots."""
        new = np.unique(slots[self._place[slots] == 0])
        if len(new):
            self._extend(self._places + len(new))
            self._place[new] = np.arange(self._places, self._places + len(new))
            self._places += len(new)

    def _extend(self, places: int) -> None:
        if places > len(self._band):
            shape = (max(places, 2 * len(self._band)) - len(self._band), len(self.series))
            self._band = np.concatenate([self._band, np.zeros(shape, np.int8)])
            self._raised_at = np.concatenate([self._raised_at, np.zeros(shape, np.int64)])
            self._resident = np.concatenate([self._resident, np.zeros(shape, np.int32)])
            self._touched = np.concatenate([self._touched, np.zeros(shape, np.bool_)])

    def step(self, rows: Rows) -> list[Change]:
        """Take in `rows` (in order); the transitions, those of one series in order of time."""
        # Nearly all readings are within their limits in streams that never were beyond: they end here.
        near = np.flatnonzero(((rows.values >= self._high) | (rows.values <= self._low)).any(axis=1))
        beyond = rows.values[near[:, None], self._column] * self._sign >= self._own_first(rows.slot[near])
        hit, hit_series = np.nonzero(beyond)
        slot = rows.slot[near[hit]]
        self._give_places(slot)
        lively = np.flatnonzero(self._place[rows.slot])
        if not len(lively):
            return []
        place = self._place[rows.slot[lively]]
        alive = self._band[place] > 0
        if len(hit):
            cells = (self._place[slot], hit_series)
            self._touched[cells] = True
            alive |= self._touched[place]
            self._touched[cells] = False
        values = rows.values[lively[:, None], self._column] * self._sign
        row, series = np.nonzero(alive & ~np.isnan(values))
        if not len(row):
            return []
        x, row = values[row, series], lively[row]
        cell = rows.slot[row] * len(self.series) + series
        order = np.argsort(cell, kind="stable")
        x, row, series, cell = x[order], row[order], series[order], cell[order]
        changes: list[Change] = []
        for turn in turns(cell):
            self._turn(rows, x[turn], row[turn], series[turn], cell[turn], changes)
        changes.sort(key=lambda change: (change.cell, change.row))
        return changes

    def _turn(
        self,
        rows: Rows,
        x: npt.NDArray[np.float32],
        row: npt.NDArray[np.int64],
        series: npt.NDArray[np.int64],
        cell: npt.NDArray[np.int64],
        changes: list[Change],
    ) -> None:
        """One reading `x` of each of these series."""
        band, raised_at, resident = self._band.reshape(-1), self._raised_at.reshape(-1), self._resident.reshape(-1)
        t = rows.ts[row]
        at = self._place[rows.slot[row]] * len(self.series) + series
        old = band[at]
        rule = (0 if self._variant is None else self._variant[rows.slot[row]], series)
        count = (x[:, None] >= self._limits[rule]).sum(axis=1)
        reached = self._ranks[*rule, count]
        raised = (reached > old) | ((reached > 0) & (t - raised_at[at] >= self._again[rule]))
        cleared = (old > 0) & (reached == 0) & (x <= self._clear[rule])
        moved = np.flatnonzero(raised | cleared)
        if not len(moved):
            return
        row, cell, at, reached = row[moved], cell[moved], at[moved], reached[moved]
        before = zip(band[at].tolist(), raised_at[at].tolist(), resident[at].tolist(), strict=True)
        changes += map(Change, row.tolist(), cell.tolist(), reached.tolist(), before)
        on = reached > 0
        band[at] = reached
        raised_at[at] = np.where(on, rows.ts[row], 0)
        resident[at] = np.where(on, rows.resident[row], 0)

    def take_back(self, changes: Sequence[Change]) -> None:
        """Undo `changes`, given newest first within each series."""
        for change in changes:
            self._set(change.cell, *change.before)

    def recall(self, slot: int, trigger: Trigger) -> None:
        """The state that `trigger`, the last of its series, left behind; of a rule that is no more: nothing."""
        side = trigger.evidence.get("side")
        if "counted" in trigger.evidence:
            return
        for index, series in enumerate(self.series):
            if (series.name, series.reading.metric, series.reading.side) != (trigger.rule, trigger.metric, side):
                continue
            cell = slot * len(self.series) + index
            if trigger.state == "raised":
                self._set(cell, RANK[trigger.severity], trigger.at, trigger.resident)
            else:
                self._set(cell, 0, 0, 0)

    def _set(self, cell: int, band: int, raised_at: int, resident: int) -> None:
        slot, series = divmod(cell, len(self.series))
        self._give_places(np.array([slot]))
        state = int(self._place[slot]), series
        self._band[state], self._raised_at[state], self._resident[state] = band, raised_at, resident

    def trigger(self, rows: Rows, change: Change, device: int) -> Trigger:
        """What `change` says, with its evidence."""
        slot, series = divmod(change.cell, len(self.series))
        variant = 0 if self._variant is None else int(self._variant[slot])
        name, rule, reading = self._rules[variant][series]
        raised = change.band > 0
        was, raised_at, resident = change.before
        if raised:
            resident = int(rows.resident[change.row])
        column = self._column[series]
        value = texts.plain(rows.values[change.row, column])
        at, received = int(rows.ts[change.row]), int(rows.received[change.row])
        severity = SEVERITIES[len(SEVERITIES) - (change.band or was)]
        # The band of a clearing may be gone from the rule since it was raised.
        band = next((band for band in reading.bands if band.severity == severity), reading.bands[0])
        limit = band.limit if raised else None
        evidence = {
            "side": reading.side,
            "readings": [{"metric": reading.metric, "value": value, "at": at, "received": received}],
            "limits": [{"severity": step.severity, "limit": step.limit} for step in reading.bands],
            "limit": band.limit,
            "clear": round(reading.clear, 3),
            "unit": BY_NAME[reading.metric].unit,
        }
        if not raised:
            evidence["raised_at"] = raised_at
        message, part = int(rows.message[change.row]), int(rows.part[change.row])
        state = "raised" if raised else "cleared"
        sample = f"{message >> 31}.{message & 0x7FFFFFFF}.{part}"
        return Trigger(
            # By the sample's own name: where the clock is wrong, its time differs when it comes again.
            key=f"{name}:{device}:{resident}:{reading.metric}:{reading.side}:{sample}:{state}",
            at=at,
            rule=name,
            version=rule.version,
            kind=rule.kind,
            metric=reading.metric,
            severity=severity,
            state="raised" if raised else "cleared",
            device=device,
            resident=resident,
            evidence=evidence,
            zh=texts.reading(reading.zh if raised else rule.cleared_zh, "zh", reading.metric, value, limit),
            en=texts.reading(reading.en if raised else rule.cleared_en, "en", reading.metric, value, limit),
        )


def _as_in(rules: Mapping[str, LimitRule], series: Series) -> tuple[LimitRule, Reading]:
    """The rule and reading of `series` in a variant; where it is left out there, a reading that nothing is beyond."""
    rule = rules.get(series.name, series.rule)
    for reading in rule.reading:
        if (reading.metric, reading.side) == (series.reading.metric, series.reading.side):
            return rule, reading
    # Counted, it is not looked at here, and an episode from before ends by the limits it had.
    return rule, msgspec.structs.replace(series.reading, for_s=math.inf)


def turns(keys: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """The first of each run of equal `keys`, then the second of each, …: indices, each key at most once in a turn."""
    starts = run_starts(keys)
    if len(starts) == len(keys):
        yield np.arange(len(keys))
        return
    lengths = np.diff(np.append(starts, len(keys)))
    position = np.arange(len(keys)) - np.repeat(starts, lengths)
    order = np.argsort(position, kind="stable")
    ends = np.cumsum(np.bincount(position))
    yield from np.split(order, ends[:-1])

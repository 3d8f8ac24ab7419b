"""NEWS2 of what devices measure of a person within a visit to a kiosk, or at home within half an hour.

No device tells whether the person gets oxygen or is alert, and few measure respiration: the score stays incomplete, has
a range, and calls for people by its least. An episode ends when all that made it was measured again and no longer
calls for people: not because a reading is missing.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from alerts.rules import texts
from alerts.rules.columns import Column, Columns, KeptInColumns
from alerts.rules.known import Known, sample_name
from alerts.rules.limit import turns
from alerts.rules.news2 import MEASURED, PARAMETERS, UNKNOWN, Score, highest, news2
from alerts.rules.operator import Given, Scope, Subject
from alerts.rules.room import with_room
from alerts.rules.score_rule import ScoreRule, check_score
from alerts.rules.sections import Section
from homecare.metrics import BY_NAME, INDEX
from homecare.samples import Samples
from homecare.triggers import Trigger

COLUMNS = np.array([INDEX[metric] for metric in MEASURED])
PLACES = [PARAMETERS.index(metric) for metric in MEASURED]
"""Of each measured metric: its place among the chart's parameters."""
BITS = np.array([1 << index for index in range(len(MEASURED))], np.uint8)
NO_BAND = 127
FULL = 255
UNMEASURED = {"oxygen": ("是否吸氧", "supplemental oxygen"), "consciousness": ("意识", "consciousness")}
Ints = npt.NDArray[np.int64]


class WarningScore(KeptInColumns):
    """One rule `[score.NAME]` over all residents."""

    section = "score"
    scope: Scope = "resident"
    ordered = True
    columns = COLUMNS.tolist()
    positions = False

    def __init__(self, name: str, rule: ScoreRule) -> None:
        self.name, self._own = name, rule
        self.known = Known()
        self._scale = np.ones(0, np.int8)
        five = (len(MEASURED),)
        self._state = Columns(
            {
                "value": Column(np.float32, 0, five),
                "at": Column(np.int64, 0, five),  # 0: never measured
                "late": Column(np.int32, 0, five),  # ms from then to its receipt
                "level": Column(np.int8, 0),  # of the episode: 1 for a single 3, then the bands; 0: there is none
                "raised_at": Column(np.int64, 0),
                "cause": Column(np.uint8, 0),  # BITS of what scored when it was raised
                "bound": Column(np.uint8, 0),  # at least what the readings score that are kept; FULL: look closely
            }
        )
        self.tune([rule])

    @property
    def wait_ms(self) -> int:
        return round(self._own.wait_s * 1000)

    @property
    def memory_ms(self) -> int:
        """Who was told of half a day ago is told of again anyway."""
        return round(1000 * max(self._own.again_s, self._own.window_s))

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        measured = samples.resident > 0
        some = np.zeros(len(samples), np.bool_)
        for column in COLUMNS.tolist():
            values = samples.values[:, column]
            some |= values == values  # noqa: PLR0124  # NaN is not
        return measured & some

    def make_room(self, slots: int) -> None:
        self._state.make_room(slots)
        self.known.make_room(slots)
        self._scale = with_room(self._scale, slots, 1)

    def tune(self, rules: Sequence[ScoreRule]) -> None:
        self._rules = list(rules)
        self._window = np.array([round(1000 * rule.window_s) for rule in rules], np.int64)
        self._again = np.array([round(1000 * rule.again_s) for rule in rules], np.int64)
        self._hold = np.array([round(1000 * rule.hold_s) for rule in rules], np.int64)
        self._single = np.array([rule.single_measured for rule in rules], np.int64)
        self._bands = np.full((len(rules), max(len(rule.bands) for rule in rules)), NO_BAND, np.int8)
        for index, rule in enumerate(rules):
            self._bands[index, : len(rule.bands)] = [band.score for band in rule.bands]
        self._lowest = int(self._bands.min())

    def know(self, slots: Ints, subjects: Sequence[Subject], variant: npt.NDArray[np.int16]) -> None:
        self.known.know(slots, subjects, variant)
        self._scale[slots] = [1 if subject.resident is None else subject.resident.spo2_scale for subject in subjects]
        rows = self._state.rows(slots)
        self._state["bound"][rows[rows > 0]] = FULL

    def sweep(self, until: int) -> list[Trigger]:  # noqa: ARG002
        """Nothing comes due: what is no longer measured neither raises nor ends anything."""
        return []

    def step(self, given: Given) -> list[Trigger]:
        self.known.meet(given)
        triggers: list[Trigger] = []
        for turn in turns(given.slot):
            self._turn(given, turn, triggers)
        return triggers

    def _turn(self, given: Given, rows: Ints, triggers: list[Trigger]) -> None:
        """One sample of each of these residents: kept, and looked at closely where it could mean anything."""
        samples, state = given.samples, self._state
        place = state.give(given.slot[rows])
        # Cells of flat arrays: half the time of pairs of indices.
        values = (samples.values if len(rows) == len(samples) else samples.values[rows])[:, COLUMNS].reshape(-1)
        flat = np.flatnonzero(~np.isnan(values))
        row = flat // len(MEASURED)
        column, value, ts = flat - row * len(MEASURED), values[flat], samples.ts[rows]
        cell = place[row] * len(MEASURED) + column
        late = np.clip(samples.received[rows] - ts, -(2**31), 2**31 - 1).astype(np.int32)
        for name, kept in (("value", value), ("at", ts[row]), ("late", late[row])):
            state[name].reshape(-1)[cell] = kept
        # Nearly all readings score nothing, or too little to matter with what else is kept: they end here.
        points = highest(value, column)
        bound = state["bound"][place] + np.bincount(row, points, len(rows))
        bound[row[points == 3]] = FULL
        state["bound"][place] = np.minimum(bound, FULL)
        close = np.flatnonzero((bound >= self._lowest) | (state["level"][place] > 0))
        if len(close):
            self._look(given, rows[close], place[close], triggers)

    def _look(self, given: Given, rows: Ints, place: Ints, triggers: list[Trigger]) -> None:
        state, slot, ts = self._state, given.slot[rows], given.samples.ts[rows]
        variant = self.known.variant[slot]
        at = state["at"][place]
        fresh = (at > 0) & (ts[:, None] - at <= self._window[variant][:, None])
        unknown = np.full(len(rows), UNKNOWN, np.int8)
        score = news2(np.where(fresh, state["value"][place], np.nan), self._scale[slot], unknown, unknown)
        three = (score.part_least == 3).any(axis=1)
        level = (score.least[:, None] >= self._bands[variant]).sum(axis=1)
        level = np.where(level > 0, level + 1, three & (fresh.sum(axis=1) >= self._single[variant]))
        state["bound"][place] = np.where(three, FULL, score.part_least.sum(axis=1))
        was, since = state["level"][place], ts - state["raised_at"][place]
        raised = (level > was) | ((level > 0) & (since >= self._again[variant]))
        again = ((state["cause"][place][:, None] & BITS > 0) <= fresh).all(axis=1)
        cleared = (was > 0) & (level == 0) & (since >= self._hold[variant]) & again
        for index in np.flatnonzero(raised | cleared).tolist():
            one = place[index]
            triggers.append(self._trigger(given, int(rows[index]), int(level[index]), score, index, fresh[index]))
            scores = score.part_least[index, PLACES] > 0
            state["level"][one] = level[index]
            state["raised_at"][one] = ts[index] if level[index] else 0
            state["cause"][one] = (BITS * scores).sum() if level[index] else 0

    def _trigger(
        self, given: Given, row: int, level: int, score: Score, index: int, fresh: npt.NDArray[np.bool_]
    ) -> Trigger:
        """Of `row`, whose score is the `index`-th; call before the state is changed."""
        samples, slot = given.samples, given.slot[row : row + 1]
        place = int(self._state.rows(slot)[0])
        rule = self._rules[self.known.variant[slot[0]]]
        state: Literal["raised", "cleared"] = "raised" if level else "cleared"
        told = level or int(self._state["level"][place])
        severity = rule.single if told == 1 else rule.bands[min(told - 2, len(rule.bands) - 1)].severity
        readings = []
        for column in np.flatnonzero(fresh).tolist():
            at = int(self._state["at"][place, column])
            readings.append(
                {
                    "metric": MEASURED[column],
                    "value": texts.plain(self._state["value"][place, column]),
                    "at": at,
                    "received": at + int(self._state["late"][place, column]),
                    "score": [int(part[index, PLACES[column]]) for part in (score.part_least, score.part_most)],
                }
            )
        missing = [name for name in PARAMETERS if name not in {reading["metric"] for reading in readings}]
        least, most = int(score.least[index]), int(score.most[index])
        evidence: dict[str, Any] = {
            "readings": readings,
            "score": [least, most],
            "missing": missing,
            "scale": int(self._scale[slot[0]]),
            "window_ms": round(1000 * rule.window_s),
            "bands": [{"severity": band.severity, "score": band.score} for band in rule.bands],
        }
        if not level:
            evidence["raised_at"] = int(self._state["raised_at"][place])
        resident = int(samples.resident[row])
        zh, en = (rule.zh, rule.en) if level else (rule.cleared_zh, rule.cleared_en)
        return Trigger(
            key=f"{self.name}:{resident}:{sample_name(given, row)}:{state}",
            at=int(samples.ts[row]),
            rule=self.name,
            version=rule.version,
            kind="score",
            metric=None,
            severity=severity,
            state=state,
            device=int(samples.device[row]),
            resident=resident,
            evidence=evidence,
            zh=_words(zh, "zh", evidence),
            en=_words(en, "en", evidence),
        )


def _words(template: str, language: texts.Language, evidence: dict[str, Any]) -> str:
    """`template` with the range, what each reading scores and what is missing."""
    comma, second = ("、", 0) if language == "zh" else (", ", 1)
    readings, missing = [], []
    for reading in evidence["readings"]:
        metric, (least, most) = reading["metric"], reading["score"]
        points = str(least) if least == most else f"{least}–{most}"
        unit = texts.unit(metric, language)
        space = "" if unit == "%" else " "
        readings.append(f"{texts.metric_name(metric, language)} {reading['value']}{space}{unit} ({points})")
    for name in evidence["missing"]:
        missing.append(texts.metric_name(name, language) if name in BY_NAME else UNMEASURED[name][second])
    least, most = evidence["score"]
    return template.format(least=least, most=most, readings=comma.join(readings), missing=comma.join(missing))


SECTION = Section("score", ScoreRule, check_score, WarningScore)

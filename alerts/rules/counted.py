"""One side of one metric of which readings have to be counted: the state and the words of `lasting.Lasting`."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from alerts.rules import texts
from alerts.rules.columns import Column, Columns
from alerts.rules.limit import RANK, turns
from alerts.rules.limit_rules import MOST_OF, LimitRule, Reading
from alerts.rules.operator import Given, Scope
from homecare.metrics import BY_NAME, INDEX
from homecare.samples import Flag, Samples
from homecare.triggers import SEVERITIES, Trigger

NEVER = np.iinfo(np.int64).max
_STATE = {
    "band": Column(np.int8, 0),
    "raised_at": Column(np.int64, 0),
    "resident": Column(np.int32, 0),
    "since": Column(np.int64, NEVER, (len(RANK),)),  # by rank - 1: every reading since then reached it
    "rank": Column(np.int8, 0, (MOST_OF,)),  # of the last readings, the newest last
    "value": Column(np.float32, 0, (MOST_OF,)),
    "at": Column(np.int64, 0, (MOST_OF,)),
    "received": Column(np.int64, 0, (MOST_OF,)),
}
_OF_MEMORY_MS = 3_600_000
"""Where there is no snapshot, how far back the readings are looked at that n of m may need."""


class Side:
    """One side of one metric in one rule, for all slots."""

    def __init__(self, name: str, reading: Reading) -> None:
        self.name, self.metric, self.side, self.sign = name, reading.metric, reading.side, reading.sign
        self._reading = reading
        self.column = INDEX[reading.metric]
        self.state = Columns(_STATE)

    def tune(self, rules: Sequence[Mapping[str, LimitRule]]) -> None:
        self.rules = [_as_in(variant, self.name, self._reading) for variant in rules]
        readings = [reading for _, reading in self.rules]
        most = max(len(reading.bands) for reading in readings)
        self._limits = np.full((len(rules), most), np.inf, np.float32)
        self._ranks = np.zeros((len(rules), most + 1), np.int8)
        for variant, reading in enumerate(readings):
            bands = reading.bands if reading.counted else ()
            self._limits[variant, : len(bands)] = [self.sign * band.limit for band in bands]
            self._ranks[variant, 1 : len(bands) + 1] = [RANK[band.severity] for band in bands]
        self._clear = np.array([self.sign * reading.clear for reading in readings], np.float32)
        self._again = np.array([round(rule.again_s * 1000) for rule, _ in self.rules], np.int64)
        self._least, self._last = np.array([reading.of or (1, 1) for reading in readings], np.int64).T
        self._for = np.array([round(reading.for_s * 1000) for reading in readings], np.int64)
        self._first = self._limits[:, 0].min()

    @property
    def memory_ms(self) -> int:
        counted = [reading for _, reading in self.rules if reading.counted]
        return max((_OF_MEMORY_MS if reading.of else round(1000 * reading.for_s) for reading in counted), default=0)

    def step(self, given: Given, variants: npt.NDArray[np.int16], scope: Scope) -> list[Trigger]:
        values = given.samples.values[:, self.column] * np.float32(self.sign)
        beyond = values >= self._first
        self.state.give(np.unique(given.slot[beyond]))
        # Whoever was never beyond keeps nothing.
        rows = np.flatnonzero((self.state.rows(given.slot) > 0) & ~np.isnan(values))
        triggers: list[tuple[int, Trigger]] = []
        for turn in turns(given.slot[rows]):
            self._turn(given, rows[turn], values, variants, scope, triggers)
        return [trigger for _, trigger in sorted(triggers, key=lambda one: one[0])]

    def _turn(
        self,
        given: Given,
        row: npt.NDArray[np.int64],
        values: npt.NDArray[np.float32],
        variants: npt.NDArray[np.int16],
        scope: Scope,
        triggers: list[tuple[int, Trigger]],
    ) -> None:
        """One reading of each of these slots."""
        state, samples = self.state, given.samples
        place, variant = state.rows(given.slot[row]), variants[given.slot[row]]
        x, t = values[row], samples.ts[row]
        rank = self._ranks[variant, (x[:, None] >= self._limits[variant]).sum(axis=1)]
        for name, new in (("rank", rank), ("value", self.sign * x), ("at", t), ("received", samples.received[row])):
            kept = state[name][place]
            kept[:, :-1] = kept[:, 1:]
            kept[:, -1] = new
            state[name][place] = kept
        since = state["since"][place]
        reaches = rank[:, None] >= np.arange(1, len(RANK) + 1)
        since = np.where(reaches, np.minimum(since, t[:, None]), NEVER)
        state["since"][place] = since
        standing = np.where(self._for[variant] > 0, self._long(since, t, variant), self._often(place, variant))
        band = state["band"][place]
        stands = np.minimum(standing, rank)
        again = t - state["raised_at"][place] >= self._again[variant]
        raised = (stands > band) | ((stands > 0) & again)
        cleared = (band > 0) & (standing == 0) & (x <= self._clear[variant])
        for one in np.flatnonzero(raised | cleared).tolist():
            at, moved = int(place[one]), int(row[one])
            was = int(band[one]), int(state["raised_at"][at]), int(state["resident"][at])
            new = int(stands[one])
            triggers.append((moved, self._trigger(samples, moved, at, int(variant[one]), new, was, scope)))
            state["band"][at] = new
            state["resident"][at] = _concerned(samples, moved, scope) if new else 0
            state["raised_at"][at] = t[one] if new else 0

    def _often(self, place: npt.NDArray[np.int64], variant: npt.NDArray[np.int16]) -> npt.NDArray[np.int8]:
        """The worst rank that n of the last m readings reach."""
        ranks = self.state["rank"][place]
        ranks = np.where(np.arange(MOST_OF) >= MOST_OF - self._last[variant, None], ranks, 0)
        ranks.sort(axis=1)
        worst: npt.NDArray[np.int8] = ranks[np.arange(len(place)), MOST_OF - self._least[variant]]
        return worst

    def _long(
        self, since: npt.NDArray[np.int64], t: npt.NDArray[np.int64], variant: npt.NDArray[np.int16]
    ) -> npt.NDArray[np.int64]:
        """The worst rank that every reading of the last `for_s` or longer reaches."""
        worst: npt.NDArray[np.int64] = (since <= (t - self._for[variant])[:, None]).sum(axis=1)
        return worst

    def _trigger(
        self, samples: Samples, row: int, place: int, variant: int, stands: int, was: tuple[int, int, int], scope: Scope
    ) -> Trigger:
        rule, reading = self.rules[variant]
        band_before, raised_at, about = was
        raised = stands > 0
        resident = _concerned(samples, row, scope) if raised else about
        severity = SEVERITIES[len(SEVERITIES) - (stands or band_before)]
        band = next((band for band in reading.bands if band.severity == severity), reading.bands[0])
        counted = self._counted(place, reading, stands)
        value = counted[0]["value"]
        evidence: dict[str, Any] = {
            "side": self.side,
            "readings": counted,
            "limits": [{"severity": step.severity, "limit": step.limit} for step in reading.bands],
            "limit": band.limit,
            "clear": round(reading.clear, 3),
            "unit": BY_NAME[self.metric].unit,
            "counted": {"of": list(reading.of)} if reading.of else {"for_s": reading.for_s},
        }
        note = "", ""
        if not raised:
            evidence["raised_at"] = raised_at
        elif reading.of:
            note = _note_of(len(counted), reading.of[1])
        else:
            since = int(self.state["since"][place, stands - 1])
            evidence["counted"]["since"] = since
            note = _note_for(int(samples.ts[row]) - since)
        limit = band.limit if raised else None
        state = "raised" if raised else "cleared"
        device = int(samples.device[row])
        sample = f"{samples.boot[row]}.{samples.seq[row]}.{samples.part[row]}"
        return Trigger(
            key=f"{self.name}:{device}:{resident}:{self.metric}:{self.side}:{sample}:{state}",
            at=int(samples.ts[row]),
            rule=self.name,
            version=rule.version,
            kind=rule.kind,
            metric=self.metric,
            severity=severity,
            state="raised" if raised else "cleared",
            device=device,
            resident=resident,
            evidence=evidence,
            zh=texts.reading(reading.zh if raised else rule.cleared_zh, "zh", self.metric, value, limit) + note[0],
            en=texts.reading(reading.en if raised else rule.cleared_en, "en", self.metric, value, limit) + note[1],
        )

    def _counted(self, place: int, reading: Reading, stands: int) -> list[dict[str, Any]]:
        """The readings that counted, the newest first; of those beyond for long, the last `MOST_OF`."""
        state = self.state
        ranks = state["rank"][place][::-1].tolist()
        if not stands:
            which = [0]
        elif reading.of:
            which = [n for n in range(reading.of[1]) if ranks[n] >= stands]
        else:
            since = state["since"][place, stands - 1]
            which = [n for n in range(MOST_OF) if ranks[n] >= stands and state["at"][place, -1 - n] >= since]
        return [
            {
                "metric": self.metric,
                "value": texts.plain(state["value"][place, -1 - n]),
                "at": int(state["at"][place, -1 - n]),
                "received": int(state["received"][place, -1 - n]),
            }
            for n in which
        ]


def _as_in(rules: Mapping[str, LimitRule], name: str, before: Reading) -> tuple[LimitRule, Reading]:
    """The rule and reading in a variant; where it is left out there, it is as it was and not counted."""
    for reading in rules[name].reading:
        if (reading.metric, reading.side) == (before.metric, before.side):
            return rules[name], reading
    return rules[name], msgspec.structs.replace(before, of=None, for_s=0)


def _concerned(samples: Samples, row: int, scope: Scope) -> int:
    """Whom a reading is about; of a kiosk's own state (its battery), nobody."""
    nobody = scope == "device" and samples.flags[row] & Flag.SUBJECT
    return 0 if nobody else int(samples.resident[row])


def _note_of(count: int, last: int) -> tuple[str, str]:
    return f"（最近 {last} 次测量中有 {count} 次）", f" ({count} of the last {last} readings)"


def _note_for(ms: int) -> tuple[str, str]:
    return f"（已持续{texts.duration(ms, 'zh')}）", f" (for {texts.duration(ms, 'en')})"

"""Plausible signals of one person's day: pulse, steps, whereabouts, pressure. Deterministic for a seed and a time.

The shapes are made up for demonstration and tests (a resting pulse lowest before dawn, walks in the morning and the late
afternoon); nothing clinical follows from them.
"""

import datetime as dt
import math
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from homecare.messages import Position

HOME_ZONE = ZoneInfo("Asia/Shanghai")
METRES_PER_DEGREE = 111_320.0
STEPS_PER_MINUTE = 80.0
WALKS = ((7.0, 9.0), (16.0, 18.5))
"""Local hours between which people go for a walk, on and off."""


@dataclass(frozen=True, slots=True)
class Person:
    """A resident's body and habits; `lat`, `lon`: home, degrees."""

    seed: int
    lat: float
    lon: float

    def heart_rate(self, ts: int) -> float:
        """/min at `ts` (Unix ms): 52 to 79 at rest by the hour and the person, 14 more on a walk."""
        own = self._rng("heart").uniform(-5, 5)
        daily = -7 * math.cos((self._hour(ts) - 16) / 24 * 2 * math.pi + math.pi)
        return round(66 + own + daily + 14 * self._walking(ts) + self._noise("heart", ts, 1.5))

    def night_heart_rate(self, ts: int) -> float:
        """/min at three in the morning before `ts`: what a fall at night begins from, whenever it is played."""
        moment = self._local(ts)
        three = moment.replace(hour=3, minute=0, second=0, microsecond=0)
        if three > moment:
            three -= dt.timedelta(days=1)
        return self.heart_rate(int(three.timestamp() * 1000))

    def spo2(self, ts: int) -> float:
        """%: 95 to 99."""
        return float(np.clip(round(97 + self._noise("spo2", ts, 0.7)), 95, 99))

    def temperature(self, ts: int) -> float:
        """Cel: 36.1 to 36.9 by the hour."""
        daily = 0.25 * math.sin((self._hour(ts) - 10) / 24 * 2 * math.pi)
        return round(36.5 + daily + self._noise("temperature", ts, 0.05), 1)

    def steps(self, ts: int, seconds: float) -> float:
        """Steps in the `seconds` before `ts`."""
        if not self.awake(ts):
            return 0.0
        pace = STEPS_PER_MINUTE * self._walking(ts) + max(0.0, self._noise("steps", ts, 4))
        return float(round(pace * seconds / 60))

    def activity(self, ts: int, seconds: float) -> float:
        """Movement counts in the `seconds` before `ts`; some turning over at night."""
        rate = 25 if self.awake(ts) else 1.5
        return float(round(max(0.0, rate + self._noise("activity", ts, rate / 2)) * seconds / 60))

    def pressure(self, ts: int) -> tuple[float, float]:
        """(systolic, diastolic) mm[Hg] of a person whose pressure is well kept."""
        own = self._rng("pressure").uniform(-8, 6)
        return round(128 + own + self._noise("systolic", ts, 4)), round(78 + own / 2 + self._noise("diastolic", ts, 3))

    def battery(self, ts: int) -> float:
        """% of the handset: charged over night until six, 2.4 % an hour after that."""
        return round(max(20.0, 100 - 2.4 * ((self._hour(ts) - 6) % 24)))

    def position(self, ts: int) -> Position:
        """At home within the fix's accuracy, or on the way round a loop of 400 m to 700 m on a walk."""
        walking = self._walking(ts)
        rng = self._rng("place")
        reach, heading = rng.uniform(400, 700), rng.uniform(0, 2 * math.pi)
        away = reach * math.sin(math.pi * self._walk_done(ts)) if walking else 0.0
        east = away * math.cos(heading) + self._noise("east", ts, 4)
        north = away * math.sin(heading) + self._noise("north", ts, 4)
        return Position(
            lat=round(self.lat + north / METRES_PER_DEGREE, 6),
            lon=round(self.lon + east / (METRES_PER_DEGREE * math.cos(math.radians(self.lat))), 6),
            accuracy=float(round(8 + abs(self._noise("accuracy", ts, 4)))),
            fix="gnss" if walking else "wifi",
        )

    def awake(self, ts: int) -> bool:
        return 5.5 <= self._hour(ts) < 21.5

    def _walking(self, ts: int) -> float:
        """1 on a walk, else 0; on two days of three each walk takes place."""
        hour, moment = self._hour(ts), self._local(ts)
        for n, (begin, end) in enumerate(WALKS):
            if begin <= hour < end and self._rng("walk", moment.toordinal(), n).uniform() < 2 / 3:
                return 1.0
        return 0.0

    def _walk_done(self, ts: int) -> float:
        hour = self._hour(ts)
        return next(((hour - begin) / (end - begin) for begin, end in WALKS if begin <= hour < end), 0.0)

    def _noise(self, name: str, ts: int, spread: float) -> float:
        return float(self._rng(name, ts // 1000).normal(0, spread))

    def _rng(self, *words: str | int) -> np.random.Generator:
        return np.random.default_rng(
            [self.seed, *(w if isinstance(w, int) else int.from_bytes(w.encode()) for w in words)]
        )

    @staticmethod
    def _local(ts: int) -> dt.datetime:
        return dt.datetime.fromtimestamp(ts / 1000, HOME_ZONE)

    def _hour(self, ts: int) -> float:
        moment = self._local(ts)
        return moment.hour + moment.minute / 60 + moment.second / 3600

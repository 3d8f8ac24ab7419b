"""Which peaks of which trials the fall rule learns from, and the model of a fold: everybody but one person."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from alerts.rules.fall_model import Numbers
from tests.quality.fall_data import Impacts, Trial, at_rate, impacts
from tests.quality.fall_training import train

RATES = (25.0, 25.0, 25.0, 20.0, 20.0, 20.0, 20.0, 33.0, 16.0)
"""Every trial is learnt from at 50 Hz and as slower sensors would have seen it, from where in their period be chance,"""
PACES = (0.95, 1.06)
"""and a little slower and faster."""
EARLY_S, LATE_S = 1.3, 0.5
"""The blow of a fall may lie so long before and after the time that its label gives (the labels are no better)."""
FALL, DAILY, UNCLEAR = 1, 0, -1


@dataclass(frozen=True, slots=True)
class Lessons:
    """Peaks to learn from: features, what each is (`FALL`, `DAILY`, `UNCLEAR`), who made it."""

    features: npt.NDArray[np.float32]
    what: npt.NDArray[np.int64]
    subject: npt.NDArray[np.int64]

    def model(self, made: str, without: int | None = None) -> Numbers:
        """Learnt from everybody but the person `without`."""
        rows = (self.what != UNCLEAR) & (self.subject != (-1 if without is None else without))
        return train(self.features[rows], self.what[rows] == FALL, made)


def lessons(trials: Sequence[Trial]) -> Lessons:
    """Of every daily trial all peaks; of a fall its blow, the strongest peak. What else a fall's trial holds is unclear."""
    features, what, subject = [], [], []
    for variant in _variants(trials):
        found = impacts(variant)
        features.append(found.features)
        what.append(_what(found, variant))
        subject.append(np.array([trial.subject for trial in variant])[found.trial])
    return Lessons(np.concatenate(features), np.concatenate(what), np.concatenate(subject))


def _variants(trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
    random = np.random.default_rng(1)
    yield trials
    for hz in RATES:
        phase = random.random(len(trials)).tolist()
        yield [at_rate(trial, hz, part) for trial, part in zip(trials, phase, strict=True)]
    for pace in PACES:
        yield [_paced(trial, pace) for trial in trials]


def _paced(trial: Trial, pace: float) -> Trial:
    fall_s = None if trial.fall_s is None else (trial.fall_s[0] / pace, trial.fall_s[1] / pace)
    return replace(trial, hz=trial.hz * pace, fall_s=fall_s)


def _what(found: Impacts, trials: Sequence[Trial]) -> npt.NDArray[np.int64]:
    what = np.full(len(found.at), DAILY, np.int64)
    for number, trial in enumerate(trials):
        if trial.fall_s is None:
            continue
        rows = np.flatnonzero(found.trial == number)
        what[rows] = UNCLEAR
        if len(rows):
            blow = rows[np.argmax(found.features[rows, 0])]
            if trial.fall_s[0] - EARLY_S <= found.at[blow] <= trial.fall_s[1] + LATE_S:
                what[blow] = FALL
    return what

"""The National Early Warning Score (NEWS) 2 of the Royal College of Physicians (2017), chart 1, over many people at once.

What was not measured is not guessed: it leaves a range, from what it would score at best to what at worst. Values are
read at the chart's resolution (whole numbers, temperature in tenths), halves upwards, as a display would show them.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

PARAMETERS = ("respiratory_rate", "spo2", "oxygen", "systolic", "heart_rate", "consciousness", "temperature")
"""The chart's rows, in its order."""
MEASURED = ("respiratory_rate", "spo2", "systolic", "heart_rate", "temperature")
"""Those that devices measure: the columns of `values`."""
UNKNOWN = -1
AIR, OXYGEN = 0, 1
ALERT, CVPU = 0, 1
"""Alert; or new confusion, responds to voice, to pain, unresponsive."""

_TOP = 512
"""Above all values that can be plausible, in the chart's steps; the place of a missing one."""
_SLACK = 1e-4
"""In the chart's steps: more than float32 is away from a decimal half, less than a device's last digit."""
Table = npt.NDArray[np.int8]


def _row(edges: tuple[int, ...], scores: tuple[int, ...]) -> Table:
    """(2, _TOP + 1) A row of the chart by value: at best and at worst. From each of `edges` on, the next of `scores`."""
    table = np.array(scores, np.int8)[np.searchsorted(edges, np.arange(_TOP + 1), side="right")]
    table = np.stack([table, table])
    table[:, _TOP] = 0, max(scores)
    return table


_RESPIRATION = _row((9, 12, 21, 25), (3, 1, 0, 2, 3))
_SPO2_1 = _row((92, 94, 96), (3, 2, 1, 0))
_SPO2_2_AIR = _row((84, 86, 88), (3, 2, 1, 0))
_SPO2_2_OXYGEN = _row((84, 86, 88, 93, 95, 97), (3, 2, 1, 0, 1, 2, 3))
_SYSTOLIC = _row((91, 101, 111, 220), (3, 2, 1, 0, 3))
_PULSE = _row((41, 51, 91, 111, 131), (3, 1, 0, 1, 2, 3))
_TEMPERATURE = _row((351, 361, 381, 391), (3, 1, 0, 1, 2))  # tenths of a degree


class Score(NamedTuple):
    """n scores; where nothing is missing `least` and `most` are the same."""

    least: npt.NDArray[np.int8]
    """(n,) The aggregate, were all that is missing as good as it can be."""
    most: npt.NDArray[np.int8]
    """(n,) Were it all as bad."""
    part_least: npt.NDArray[np.int8]
    """(n, 7) By `PARAMETERS`."""
    part_most: npt.NDArray[np.int8]
    """(n, 7) Each at its own worst; with scale 2 that of SpO2 need not go with the oxygen that `most` counts."""

    @property
    def exact(self) -> npt.NDArray[np.bool_]:
        """(n,) Whether nothing is missing that could change it."""
        exact: npt.NDArray[np.bool_] = self.least == self.most
        return exact


def news2(
    values: npt.NDArray[np.float32],
    scale: npt.NDArray[np.int8],
    oxygen: npt.NDArray[np.int8],
    consciousness: npt.NDArray[np.int8],
) -> Score:
    """Scores of (n, 5) `values` by `MEASURED`, in the metrics' units, NaN where there is none.

    `scale` (n,): 1, or 2 by a clinician's order; `oxygen` (n,): AIR, OXYGEN or UNKNOWN; `consciousness` (n,): ALERT,
    CVPU or UNKNOWN.
    """
    steps = _steps(values)
    part_least = np.zeros((len(values), len(PARAMETERS)), np.int8)
    part_most = np.zeros((len(values), len(PARAMETERS)), np.int8)
    for parameter, column, table in ((0, 0, _RESPIRATION), (3, 2, _SYSTOLIC), (4, 3, _PULSE), (6, 4, _TEMPERATURE)):
        part_least[:, parameter] = table[0, steps[:, column]]
        part_most[:, parameter] = table[1, steps[:, column]]
    part_most[:, 2] = np.where(oxygen == AIR, 0, 2)
    part_least[:, 2] = np.where(oxygen == OXYGEN, 2, 0)
    part_most[:, 5] = np.where(consciousness == ALERT, 0, 3)
    part_least[:, 5] = np.where(consciousness == CVPU, 3, 0)
    # On scale 2 what SpO2 scores depends on the oxygen, so that the two are taken together.
    spo2, second = steps[:, 1], scale == 2
    best, worst = [], []
    for possible, table, extra in ((oxygen != OXYGEN, _SPO2_2_AIR, 0), (oxygen != AIR, _SPO2_2_OXYGEN, 2)):
        low = np.where(second, table[0, spo2], _SPO2_1[0, spo2])
        high = np.where(second, table[1, spo2], _SPO2_1[1, spo2])
        best.append((np.where(possible, low, 99), np.where(possible, low + extra, 99)))
        worst.append((np.where(possible, high, -1), np.where(possible, high + extra, -1)))
    part_least[:, 1] = np.minimum(best[0][0], best[1][0])
    part_most[:, 1] = np.maximum(worst[0][0], worst[1][0])
    others = [0, 3, 4, 5, 6]
    least = part_least[:, others].sum(axis=1) + np.minimum(best[0][1], best[1][1])
    most = part_most[:, others].sum(axis=1) + np.maximum(worst[0][1], worst[1][1])
    return Score(least.astype(np.int8), most.astype(np.int8), part_least, part_most)


_BY_COLUMN = np.stack([table[0] for table in (_RESPIRATION, _SPO2_1, _SYSTOLIC, _PULSE, _TEMPERATURE)])
_STEPS = np.array([1, 1, 1, 1, 10], np.float32)


def highest(values: npt.NDArray[np.float32], columns: npt.NDArray[np.intp]) -> npt.NDArray[np.int8]:
    """(n,) What single values of these columns of `MEASURED` score; of SpO2 the higher of both scales. None is NaN."""
    steps = np.clip(np.floor(values.astype(np.float64) * _STEPS[columns] + (0.5 + _SLACK)), 0, _TOP - 1)
    points: npt.NDArray[np.int8] = _BY_COLUMN[columns, steps.astype(np.int64)]
    return points


def _steps(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """(n, 5) In the chart's steps, halves upwards; `_TOP` where missing."""
    scaled = values.astype(np.float64) * _STEPS
    steps = np.floor(np.where(np.isnan(scaled), 0, scaled) + 0.5 + _SLACK)
    return np.where(np.isnan(scaled), _TOP, np.clip(steps, 0, _TOP - 1)).astype(np.int64)

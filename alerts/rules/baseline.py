"""A person's baseline: the values of the last days on which they were measured, newest first, and what is usual of them.

Medians and the median distance from them, so that one odd day (another person on the scales) moves neither.
"""

import numpy as np
import numpy.typing as npt

SPREAD = 1.4826
"""The median absolute deviation times this is the standard deviation where values are spread normally: 1 / Phi^-1(3/4)."""

Values = npt.NDArray[np.float64]


def median(values: npt.NDArray[np.floating], valid: npt.NDArray[np.bool_]) -> Values:
    """(n,) The median of each row's `valid` ones of (n, k) values; NaN where there are none."""
    ordered = np.sort(np.where(valid, values.astype(np.float64), np.inf), axis=1)
    count = valid.sum(axis=1)
    rows = np.arange(len(values))
    middle = (
        ordered[rows, np.maximum(count - 1, 0) // 2] + ordered[rows, np.minimum(count // 2, values.shape[1] - 1)]
    ) / 2
    return np.where(count > 0, middle, np.nan)


def spread(values: npt.NDArray[np.floating], valid: npt.NDArray[np.bool_], centre: Values) -> Values:
    """(n,) How far a day usually lies from `centre`: a standard deviation that odd days do not widen; NaN without any."""
    return SPREAD * median(np.abs(values.astype(np.float64) - centre[:, None]), valid)


def quantile(values: npt.NDArray[np.integer], count: npt.NDArray[np.int64], share: npt.NDArray[np.float64]) -> Values:
    """(n,) The smallest value that at least `share` of the first `count` of each row of (n, k) values do not exceed.

    Never the largest of two or more: one odd night must not become the habit. NaN where `count` is 0.
    """
    inside = np.arange(values.shape[1]) < count[:, None]
    ordered = np.sort(np.where(inside, values.astype(np.float64), np.inf), axis=1)
    # 0.9 * 10 is 9.000000000000002 for some shares: a hair's breadth must not decide.
    rank = np.ceil(np.round(share * count, 6)).astype(np.int64)
    picked = ordered[np.arange(len(values)), np.clip(rank, 1, np.maximum(count - 1, 1)) - 1]
    return np.where(count > 0, picked, np.nan)


def pushed(array: npt.NDArray[np.generic], head: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """(n, k) rows with `head` (n,) put before the first; the last of each drops out."""
    return np.concatenate([head[:, None].astype(array.dtype), array[:, :-1]], axis=1)

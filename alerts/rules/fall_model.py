"""The model behind the fall rule: boosted trees and small nets over `fall_features`, their numbers in a file.

`make train-fall` makes the file again; how it was made stands in it under `made`.
"""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from alerts.rules.fall_features import NAMES

FILE = Path(__file__).with_name("fall_model.json")
NETS_WEIGH = 0.7
"""Against 0.3 for the trees, which are more often sure of what is wrong on another sensor."""
Floats = npt.NDArray[np.float32]
Nested = list[Any]


class Numbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in the file. T trees of at most N nodes, K nets with H hidden units over F features."""

    made: str
    features: tuple[str, ...]
    low: Nested
    """(F,) Features are cut off here for the nets,"""
    high: Nested
    """(F,) and here;"""
    mean: Nested
    """(F,) then centred"""
    spread: Nested
    """(F,) and divided by this."""
    hidden: Nested
    """(K, F, H)"""
    hidden_bias: Nested
    """(K, H)"""
    out: Nested
    """(K, H)"""
    out_bias: Nested
    """(K,)"""
    feature: Nested
    """(T, N) Which feature a node looks at; -1: a leaf."""
    threshold: Nested
    """(T, N) At most so much goes to `child`, more to the node after it."""
    child: Nested
    """(T, N)"""
    value: Nested
    """(T, N) What a leaf adds to the log odds."""
    start: float
    """Log odds before the first tree."""


class Model:
    """Confidence that an impact is a fall, 0..1: a weighted mean of the trees' and the nets' log odds."""

    def __init__(self, numbers: Numbers) -> None:
        if numbers.features != NAMES:
            raise ValueError("the model was made for other features: make train-fall")
        self.made = numbers.made
        self._low, self._high, self._mean, self._spread = (
            np.array(part, np.float32) for part in (numbers.low, numbers.high, numbers.mean, numbers.spread)
        )
        self._hidden = np.array(numbers.hidden, np.float32)
        self._hidden_bias = np.array(numbers.hidden_bias, np.float32)[:, None]
        self._out = np.array(numbers.out, np.float32)[..., None]
        self._out_bias = np.array(numbers.out_bias, np.float32)[:, None]
        self._feature = np.array(numbers.feature, np.int64)
        self._threshold = np.array(numbers.threshold, np.float32)
        self._child = np.array(numbers.child, np.int64)
        self._value = np.array(numbers.value, np.float32)
        self._start = numbers.start

    def confidence(self, features: Floats) -> npt.NDArray[np.float64]:
        """(n, F) features -> (n,)."""
        odds = (1 - NETS_WEIGH) * self._by_trees(features) + NETS_WEIGH * self._by_nets(features)
        sure: npt.NDArray[np.float64] = 1 / (1 + np.exp(-odds))
        return sure

    def _by_nets(self, features: Floats) -> npt.NDArray[np.float64]:
        seen = (np.clip(features, self._low, self._high) - self._mean) / self._spread
        hidden = np.tanh(seen @ self._hidden + self._hidden_bias)
        odds: npt.NDArray[np.float64] = ((hidden @ self._out)[..., 0] + self._out_bias).mean(axis=0, dtype=np.float64)
        return np.clip(odds, -8, 8)

    def _by_trees(self, features: Floats) -> npt.NDArray[np.float64]:
        tree = np.arange(len(self._feature))
        node = np.zeros((len(features), len(tree)), np.int64)
        row = np.arange(len(features))[:, None]
        while True:
            feature = self._feature[tree, node]
            inner = feature >= 0
            if not inner.any():
                break
            right = features[row, feature] > self._threshold[tree, node]
            node = np.where(inner, self._child[tree, node] + right, node)
        odds: npt.NDArray[np.float64] = self._start + self._value[tree, node].sum(axis=1, dtype=np.float64)
        return np.clip(odds, -8, 8)


@cache
def model(path: Path = FILE) -> Model:
    """The model in `path`. Raises OSError, msgspec.ValidationError or ValueError where it is not one."""
    return Model(msgspec.json.decode(path.read_bytes(), type=Numbers))

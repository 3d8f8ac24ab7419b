"""How the model of the fall rule is made: boosted trees and small nets, by numpy alone, the same each time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerts.rules.fall_features import NAMES
from alerts.rules.fall_model import Numbers

Floats = npt.NDArray[np.float64]
ROUNDS, LEAVES, RATE, LEAST, SHRINK, SHARE = 300, 16, 0.05, 15.0, 2.0, 0.05
"""Trees; leaves of each; learning rate; smallest weight of a leaf; L2 on its value; share of features each split sees."""
NETS, HIDDEN, EPOCHS, STEP, DROPPED, DECAY, BATCH = 6, 48, 40, 0.004, 0.6, 0.02, 256
EDGES = 64


@dataclass
class _Tree:
    feature: list[int]
    threshold: list[float]
    child: list[int]
    value: list[float]


def train(features: npt.NDArray[np.float32], fall: npt.NDArray[np.bool_], made: str, seed: int = 0) -> Numbers:
    """(n, F) features of peaks and whether each was a fall. Falls weigh as much as all else together."""
    weight = np.where(fall, (~fall).sum() / max(1, int(fall.sum())), 1.0)
    weight /= weight.mean()
    random = np.random.default_rng(seed)
    trees = _boost(features.astype(np.float64), fall, weight, random)
    most = max(len(tree.feature) for tree in trees)

    def padded(name: str, filling: float, digits: int) -> list[list[float]]:
        rows = [[*getattr(tree, name), *[filling] * (most - len(tree.feature))] for tree in trees]
        return [[round(value, digits) if digits else value for value in row] for row in rows]

    low, high = np.quantile(features, [0.002, 0.998], axis=0)
    cut = np.clip(features, low, high)
    mean, spread = cut.mean(axis=0), cut.std(axis=0) + 1e-6
    nets = _nets(((cut - mean) / spread).astype(np.float32), fall, weight.astype(np.float32), random)

    def plain(array: npt.NDArray[np.floating], digits: int = 4) -> list[float]:
        rounded: list[float] = np.round(array.astype(np.float64), digits).tolist()
        return rounded

    return Numbers(
        made=made,
        features=NAMES,
        low=plain(low, 5),
        high=plain(high, 5),
        mean=plain(mean, 5),
        spread=plain(spread, 6),
        hidden=plain(nets[0]),
        hidden_bias=plain(nets[1][:, 0]),
        out=plain(nets[2][..., 0]),
        out_bias=plain(nets[3][:, 0, 0]),
        feature=padded("feature", -1, 0),
        threshold=padded("threshold", 0.0, 5),
        child=padded("child", 0, 0),
        value=padded("value", 0.0, 5),
        start=0.0,
    )


def _boost(features: Floats, fall: npt.NDArray[np.bool_], weight: Floats, random: np.random.Generator) -> list[_Tree]:
    """Newton boosting of the log loss (Friedman 2001); each tree sees half the rows, each split a few features."""
    edges = np.quantile(features, np.linspace(0, 1, EDGES + 1)[1:-1], axis=0)
    coded = np.stack([np.searchsorted(edges[:, j], features[:, j]) for j in range(features.shape[1])], axis=1)
    odds = np.zeros(len(features))
    trees = []
    for _ in range(ROUNDS):
        sure = 1 / (1 + np.exp(-odds))
        slope, bend = weight * (sure - fall), weight * np.maximum(sure * (1 - sure), 1e-6)
        seen = random.random(len(features)) < 0.5
        tree, leaf = _grow(coded, edges, slope * seen, bend * seen, random)
        trees.append(tree)
        odds += np.array(tree.value)[leaf]
    return trees


def _grow(
    coded: npt.NDArray[np.int64], edges: Floats, slope: Floats, bend: Floats, random: np.random.Generator
) -> tuple[_Tree, npt.NDArray[np.int64]]:
    """The best split first, up to LEAVES leaves; the tree and the leaf of every row."""
    tree = _Tree([-1], [0.0], [0], [0.0])
    leaf = np.zeros(len(coded), np.int64)
    candidates = {0: _best_split(coded, np.arange(len(coded)), slope, bend, random)}
    while len(candidates) < LEAVES:
        node = max(candidates, key=lambda key: candidates[key][0])
        gain, column, code = candidates.pop(node)
        if gain <= 0:
            candidates[node] = (0.0, 0, 0)
            break
        child = len(tree.feature)
        tree.feature[node], tree.threshold[node], tree.child[node] = column, float(edges[code, column]), child
        for values, blank in ((tree.feature, -1), (tree.threshold, 0.0), (tree.child, 0), (tree.value, 0.0)):
            values += [blank, blank]
        rows = np.flatnonzero(leaf == node)
        leaf[rows] = child + (coded[rows, column] > code)
        for new in (child, child + 1):
            candidates[new] = _best_split(coded, np.flatnonzero(leaf == new), slope, bend, random)
    for node in candidates:
        rows = leaf == node
        tree.value[node] = float(-RATE * slope[rows].sum() / (bend[rows].sum() + SHRINK))
    return tree, leaf


def _best_split(
    coded: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    slope: Floats,
    bend: Floats,
    random: np.random.Generator,
) -> tuple[float, int, int]:
    """(gain, column, code: at most this goes left); no gain: none is good enough."""
    columns = random.permutation(coded.shape[1])[: max(1, round(SHARE * coded.shape[1]))]
    at = (coded[rows][:, columns] + EDGES * np.arange(len(columns))).ravel()
    sums = [
        np.bincount(at, np.repeat(part[rows], len(columns)), EDGES * len(columns)).reshape(-1, EDGES).cumsum(axis=1)
        for part in (slope, bend)
    ]
    (slopes, bends), (all_slope, all_bend) = sums, (sums[0][:, -1:], sums[1][:, -1:])
    gain = (
        slopes**2 / (bends + SHRINK)
        + (all_slope - slopes) ** 2 / (all_bend - bends + SHRINK)
        - all_slope**2 / (all_bend + SHRINK)
    )
    gain[(bends < LEAST / 4) | (all_bend - bends < LEAST / 4)] = 0
    gain = gain[:, : EDGES - 1]
    column, code = np.unravel_index(np.argmax(gain), gain.shape)
    return float(gain[column, code]), int(columns[column]), int(code)


def _nets(
    seen: npt.NDArray[np.float32],
    fall: npt.NDArray[np.bool_],
    weight: npt.NDArray[np.float32],
    random: np.random.Generator,
) -> list[npt.NDArray[np.float32]]:
    """NETS nets of one hidden layer, side by side, by Adam (Kingma and Ba 2015) with inputs dropped at random."""
    width = seen.shape[1]
    goal = fall.astype(np.float32)
    parts = [
        random.normal(0, width**-0.5, (NETS, width, HIDDEN)).astype(np.float32),
        np.zeros((NETS, 1, HIDDEN), np.float32),
        random.normal(0, HIDDEN**-0.5, (NETS, HIDDEN, 1)).astype(np.float32),
        np.zeros((NETS, 1, 1), np.float32),
    ]
    first, second = [np.zeros_like(part) for part in parts], [np.zeros_like(part) for part in parts]
    batches = len(seen) // BATCH
    step = 0
    for _ in range(EPOCHS):
        order = np.stack([random.permutation(len(seen)) for _ in range(NETS)])
        for batch in range(batches):
            rows = order[:, batch * BATCH : (batch + 1) * BATCH]
            shown = seen[rows]
            shown = shown * (random.random(shown.shape, np.float32) > DROPPED) / np.float32(1 - DROPPED)
            hidden = np.tanh(shown @ parts[0] + parts[1])
            odds = (hidden @ parts[2] + parts[3])[..., 0]
            error = (((1 / (1 + np.exp(-np.clip(odds, -30, 30)))) - goal[rows]) * weight[rows] / BATCH)[..., None]
            back = (error @ parts[2].transpose(0, 2, 1)) * (1 - hidden * hidden)
            slopes = (
                shown.transpose(0, 2, 1) @ back,
                back.sum(axis=1, keepdims=True),
                hidden.transpose(0, 2, 1) @ error,
                error.sum(axis=1, keepdims=True),
            )
            step += 1
            rate = np.float32(STEP * 0.5 * (1 + np.cos(np.pi * step / (EPOCHS * batches))))
            for i, slope in enumerate(slopes):
                first[i] += np.float32(0.1) * (slope - first[i])
                second[i] += np.float32(0.001) * (slope * slope - second[i])
                size = np.sqrt(second[i] / np.float32(1 - 0.999**step)) + np.float32(1e-8)
                parts[i] -= rate * (first[i] / np.float32(1 - 0.9**step)) / size
                if i in (0, 2):
                    parts[i] *= np.float32(1 - rate * DECAY)
    return parts

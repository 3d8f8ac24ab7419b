"""Walks as corners: where somebody was each time they had moved on, and what tells wandering from going somewhere.

Wandering has three shapes (Martino-Saltzman and others, The Gerontologist 1991, 31:666; from memory): to and fro between
two points (pacing), round and round (lapping), and turning without a pattern (random). All three walk far and get
nowhere: the way walked is a multiple of the extent of where one was. Going somewhere, that is 1, there and back 2.
Lengths are whole decimetres, so that no rounding depends on how many walks are looked at together.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Pattern = Literal["pacing", "lapping", "random"]
CORNERS = 48
"""So many of the last corners are looked at."""
_DIAGONAL = 181  # of 256: 1 / sqrt(2)
Ints = npt.NDArray[np.int64]


class Walks(NamedTuple):
    """n walks, newest corner first; every array (n, k)."""

    x: Ints
    """dm east of where the walk began."""
    y: Ints
    """dm north of it."""
    at: Ints
    """ms since it began."""
    there: npt.NDArray[np.bool_]
    """Whether the walk has such a corner."""


class Bounds(NamedTuple):
    """What makes a walk wandering, for each of n walks."""

    window_ms: Ints
    path_dm: Ints
    hundredths: Ints
    """The way walked must be at least so many hundredths of the extent,"""
    near_dm: Ints
    """where that is no more than this;"""
    far_hundredths: Ints
    """else so many."""
    slowest: Ints
    """mm/s on average: standing about, seen by a receiver that is never quite still, is slower."""


def aimless(walks: Walks, bounds: Bounds) -> tuple[Ints, Ints, Ints]:
    """(n,) since which corner each walk is wandering (the earliest such; 0: it is not), the way since, the extent (dm)."""
    there = walks.there & (walks.at[:, :1] - walks.at <= bounds.window_ms[:, None])
    path = np.zeros(walks.x.shape, np.int64)
    np.cumsum(legs(walks), axis=1, out=path[:, 1:])
    reach = extent(walks)
    span = walks.at[:, :1] - walks.at
    near = reach <= bounds.near_dm[:, None]
    asked = np.where(near, bounds.hundredths[:, None], bounds.far_hundredths[:, None])
    met = there & (path >= bounds.path_dm[:, None]) & (path * 100 >= asked * reach)
    met &= path * 100_000 >= bounds.slowest[:, None] * span
    last = walks.x.shape[1] - 1
    since = np.where(met.any(axis=1), last - np.argmax(met[:, ::-1], axis=1), 0)
    rows = np.arange(len(since))
    return since, path[rows, since], reach[rows, since]


def legs(walks: Walks) -> Ints:
    """(n, k - 1) from each corner to the one before it, dm."""
    dx, dy = np.diff(walks.x, axis=1), np.diff(walks.y, axis=1)
    return np.asarray(np.rint(np.sqrt(dx * dx + dy * dy)).astype(np.int64))


def extent(walks: Walks) -> Ints:
    """(n, k) the greatest width, in eight directions, of the corners up to each one, dm."""

    def width(across: Ints) -> Ints:
        return np.asarray(np.maximum.accumulate(across, axis=1) - np.minimum.accumulate(across, axis=1), np.int64)

    straight = np.maximum(width(walks.x), width(walks.y))
    oblique = np.maximum(width(walks.x + walks.y), width(walks.x - walks.y))
    return np.asarray(np.maximum(straight, oblique * _DIAGONAL // 256))


def pattern(x: Ints, y: Ints) -> Pattern:
    """The shape of one walk, (k,) corners in dm."""
    heading = np.arctan2(np.diff(y), np.diff(x))
    length = np.hypot(np.diff(x), np.diff(y))
    turn = (np.diff(heading) + math.pi) % (2 * math.pi) - math.pi
    round_ = abs(float(turn.sum()))
    # Headings doubled: there and back count as one direction (Batschelet's mean of axes).
    axis = abs(complex((length * np.exp(2j * heading)).sum())) / float(length.sum())
    if axis >= 0.7:
        return "pacing"
    if round_ >= 2 * math.pi and round_ >= 0.6 * float(np.abs(turn).sum()):
        return "lapping"
    return "random"

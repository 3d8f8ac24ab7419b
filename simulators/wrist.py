"""A wrist's acceleration, made up from a few lines of mechanics: at rest, walking, a fall. No recording of anybody is in it."""

import base64
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from simulators.payloads import Acceleration, Sample

Floats = npt.NDArray[np.float64]
SCALE = 0.002
"""g a step of the int16."""


def lying(seconds: float, hz: float, seed: int = 0, noise: float = 0.005) -> Floats:
    """(n, 3) g: an arm at rest."""
    random = np.random.default_rng(seed)
    return np.array([0.1, 0.25, -0.96]) + random.normal(0, noise, (round(seconds * hz), 3))


def walking(seconds: float, hz: float, seed: int = 0, pace: float = 1.9, swing: float = 0.35) -> Floats:
    """(n, 3) g: an arm that hangs and swings, `pace` steps a second."""
    random = np.random.default_rng(seed)
    t = np.arange(round(seconds * hz)) / hz + random.random()
    turn = 2 * np.pi * pace * t
    down = 1 + swing * np.sin(turn) + 0.12 * np.sin(2 * turn + 0.7)
    along = swing * np.sin(turn / 2)
    return np.stack([-down, along, 0.1 * np.cos(turn)], axis=1) + random.normal(0, 0.02, (len(t), 3))


def falling(hz: float, seed: int = 0) -> Floats:
    """(n, 3) g over 2.4 s: 0.6 s of losing hold, half a second of falling, the blow, some bounces, lying otherwise."""
    random = np.random.default_rng(seed)
    t = np.arange(round(2.4 * hz)) / hz
    hanging, floor = np.array([-1.0, 0.1, 0.1]), np.array([0.1, 0.25, -0.96])
    share = np.clip((t - 0.6) / 0.55, 0, 1)[:, None]
    value = hanging * (1 - share) + floor * share
    value *= np.where((t > 0.65) & (t < 1.1), 0.45, 1.0)[:, None]
    flail = np.exp(-(((t - 0.85) / 0.2) ** 2))[:, None]
    value += flail * 0.7 * np.sin(2 * np.pi * np.outer(t, [3.1, 2.3, 2.7]) + random.random(3) * 6)
    for at, size in ((1.15, 5.5), (1.28, 1.8), (1.5, 0.7)):
        shape = np.exp(-(((t - at) / 0.035) ** 2))[:, None]
        way = np.array([-0.6, 0.5, -0.65]) + random.normal(0, 0.1, 3)
        value += size * shape * way
    return value + random.normal(0, 0.02, value.shape)


def fall_story(hz: float, seed: int = 0, before: float = 8.0, after: float = 8.0) -> Floats:
    """Walking, a fall, lying."""
    return np.concatenate([walking(before, hz, seed), falling(hz, seed), lying(after, hz, seed)])


def as_samples(value: Floats, hz: float, start: int, window_s: float = 2.0) -> Iterator[Sample]:
    """(n, 3) g from `start` (Unix ms) on, as the windows that a device sends one after the other."""
    size = round(window_s * hz)
    counts = np.clip(np.rint(value / SCALE), -32768, 32767).astype("<i2")
    for first in range(0, len(counts), size):
        xyz = base64.b64encode(counts[first : first + size].tobytes()).decode()
        yield Sample(start + round(first * 1000 / hz), acceleration=Acceleration(hz, "g", SCALE, xyz))

"""Wrists for the fall rule's tests: acceleration made up from a few lines of mechanics, and cut into windows."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from homecare.messages import AccelerationWindow

Floats = npt.NDArray[np.float64]
START = 1_800_000_000_000
SCALE = 0.002


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


def windows(
    value: Floats,
    hz: float,
    cuts: Sequence[int],
    *,
    start: int = START,
    device: int = 1,
    seq: int = 0,
    unit: str = "g",
) -> list[AccelerationWindow]:
    """`value` cut before the samples `cuts`, each window received as it ends."""
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(value)}), len(value)]
    factor = 1.0 if unit == "g" else 9.80665
    made = []
    for number, (first, last) in enumerate(pairwise(edges)):
        counts = np.clip(np.rint(value[first:last] * factor / SCALE), -32768, 32767).astype("<i2")
        made.append(
            AccelerationWindow(
                device_key=device,
                resident_key=7,
                ts=start + round(first * 1000 / hz),
                claimed=None,
                received=start + round(last * 1000 / hz),
                boot=1,
                seq=seq + number,
                part=0,
                flags=0,
                hz=hz,
                unit="g" if unit == "g" else "m/s2",
                scale=SCALE,
                xyz=counts.tobytes(),
            )
        )
    return made

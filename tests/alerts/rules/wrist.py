"""Wrists for the fall rule's tests: the simulated acceleration, cut into windows as the checks give them."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from homecare.messages import AccelerationWindow
from simulators.wrist import SCALE, Floats

START = 1_800_000_000_000


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

"""Real walks and rides of six minutes, a fix every five seconds (GOAL): read, and laid somewhere on the map."""

import csv
import gzip
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from alerts.rules.geometry import EARTH_M
from tests.quality import data

LAT, LON = 26.6, 104.83
"""Where the tracks are laid: they are given in metres from a point that is not told."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """n fixes of one trip."""

    trip: str
    t: Floats
    """s since its first one."""
    x: Floats
    """m east."""
    y: Floats
    """m north."""
    on_foot: npt.NDArray[np.bool_]

    @property
    def noise(self) -> tuple[Floats, Floats]:
        """(n,), (n,) what is left of the fixes on foot when the way (their running mean over 45 s) is taken away."""
        return tuple(_rest(along[self.on_foot]) for along in (self.x, self.y))  # type: ignore[return-value]


def tracks() -> list[Track]:
    """All trips. Raises DataMissing."""
    rows = defaultdict(list)
    with gzip.open(data("goal_gps/tracks.csv.gz"), "rt") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["timestamp"][:26]).replace(tzinfo=UTC).timestamp()
            rows[row["trip"]].append((at, float(row["x"]), float(row["y"]), row["groundtruth"] == "OnFoot"))
    result = []
    for trip, fixes in rows.items():
        t, x, y, on_foot = (np.array(column) for column in zip(*sorted(fixes), strict=True))
        result.append(Track(trip, t - t[0], x, y, on_foot.astype(np.bool_)))
    return result


def degrees(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """(lat, lon) of metres east and north."""
    return LAT + np.degrees(y / EARTH_M), LON + np.degrees(x / EARTH_M / np.cos(np.radians(LAT)))


def _rest(along: Floats) -> Floats:
    if len(along) < 9:
        return np.zeros(len(along))
    mean = np.convolve(np.pad(along, 4, mode="edge"), np.ones(9) / 9, "valid")
    # Corners are no noise: what is left of them is cut off.
    return np.asarray(np.clip(along - mean, -5, 5))

"""Where a position lies to a circle or a polygon, many at once, in metres.

Distances are taken on a plane that touches the earth at the place itself: within 100 km of it that is right to a
thousandth, and further away only "far" matters.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

EARTH_M = 6_371_008.8
"""Mean radius of the earth (IUGG)."""

Floats = npt.NDArray[np.float64]


class Edges(NamedTuple):
    """Sides of polygons, one after the other: from (ax, ay) to (bx, by), metres east and north of their place."""

    ax: Floats
    ay: Floats
    bx: Floats
    by: Floats


def offset(lat0: Floats, lon0: Floats, lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
    """(n,) metres east and north of (lat0, lon0), degrees."""
    turn = (lon - lon0 + 540.0) % 360.0 - 180.0  # the short way round the globe
    return np.radians(turn) * np.cos(np.radians(lat0)) * EARTH_M, np.radians(lat - lat0) * EARTH_M


def beyond_polygon(
    x: Floats, y: Floats, edges: Edges, first: npt.NDArray[np.int64], count: npt.NDArray[np.int64]
) -> Floats:
    """(n,) metres from (x, y) to the border of its polygon, negative inside (crossed an odd number of times).

    The sides of point i's polygon are `count[i]` >= 3 of `edges` from `first[i]` on.
    """
    if not len(x):
        return np.zeros(0)
    starts = np.cumsum(count) - count
    point = np.repeat(np.arange(len(x)), count)
    side = np.arange(int(count.sum())) - np.repeat(starts - first, count)
    px, py = x[point], y[point]
    ax, ay, bx, by = edges.ax[side], edges.ay[side], edges.bx[side], edges.by[side]
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    along = np.where(length > 0, ((px - ax) * dx + (py - ay) * dy) / np.where(length > 0, length, 1.0), 0.0)
    along = np.clip(along, 0.0, 1.0)
    away = np.sqrt((px - ax - along * dx) ** 2 + (py - ay - along * dy) ** 2)
    straddles = (ay > py) != (by > py)
    crossing = straddles & (px < ax + (py - ay) * dx / np.where(dy == 0, 1.0, dy))
    inside = np.add.reduceat(crossing.astype(np.int64), starts) % 2 == 1
    nearest = np.minimum.reduceat(away, starts)
    return np.where(inside, -nearest, nearest)

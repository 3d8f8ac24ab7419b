"""The last seconds of raw acceleration of every wrist, placed by time, and the peaks in them that may be falls.

Every sample falls into a bin of 20 ms; of two in one bin the stronger stays. So it does not matter in what order windows
come, how they are cut, or how often they come: a bin is a maximum, and what a peak is judged by is complete or waits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerts.rules.columns import Column, Columns
from alerts.rules.limit import turns

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BIN_MS = 20
RING = 512
"""Bins that are kept: 10.24 s."""
BEFORE, AFTER = 150, 100
"""Bins before (3 s) and after a peak (2 s) that it is judged by."""
APART = 50
"""Bins (1 s) to either side in which nothing stronger than a peak may be."""
PIECE = 128
"""At most so many bins are written at a time: fewer than the ring holds beyond what a peak needs."""
CLIP_G = 4.0
"""Many wrist sensors end here; all are treated as if they did."""
GLITCH_G = 16.0
"""No wrist goes beyond: what does is a fault of the sensor, and left out."""
LOUD_G = 1.9
"""Below this no peak is looked at."""
GAP = 6
"""So many empty bins in a row (120 ms) are normal down to 8 Hz; more is a gap."""
STANDARD_GRAVITY = 9.80665  # m/s2, CGPM 1901
_STEP = 500  # 1 / 2 mg
_LOUD = round((LOUD_G * _STEP) ** 2)
_NEVER = -(2**62)


class Strip(NamedTuple):
    """Samples of a batch: bin, packed value (|a|² above, x, y, z below; never 0), and index of the window of each."""

    bin: Ints
    packed: Ints
    window: Ints


class Peaks(NamedTuple):
    """n peaks: their row, their bin, and the packed bins round them (n, BEFORE + 1 + AFTER), 0 where there is none."""

    row: Ints
    bin: Ints
    around: Ints


def strip(
    data: Sequence[bytes],
    ts: npt.NDArray[np.float64],
    hz: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
) -> Strip:
    """Windows (little-endian int16 triples; ts in ms; `scale` to g) as samples, without the sensor's glitches."""
    counts = np.array([len(xyz) // 6 for xyz in data], np.int64)
    raw = np.frombuffer(b"".join(data), "<i2").reshape(-1, 3)
    window = np.repeat(np.arange(len(data)), counts)
    place = np.arange(len(raw)) - np.repeat(np.cumsum(counts) - counts, counts)
    value = raw * scale[window][:, None]
    at = ts[window] + place * (1000 / hz)[window]
    bins = np.floor(at / BIN_MS + 0.5).astype(np.int64)
    steps = np.rint(np.clip(value, -CLIP_G, CLIP_G) * _STEP).astype(np.int64)
    strength = (steps * steps).sum(axis=1)
    half = 1 << 11
    packed = strength << 36 | (steps[:, 0] + half) << 24 | (steps[:, 1] + half) << 12 | (steps[:, 2] + half)
    good = np.abs(value).max(axis=1, initial=0) <= GLITCH_G
    return Strip(bins[good], packed[good], window[good]) if not good.all() else Strip(bins, packed, window)


def unpack(packed: Ints) -> npt.NDArray[np.float32]:
    """(…,) packed samples as (…, 3) in g; an empty one is 0, 0, 0."""
    axes = [((packed >> shift & 0xFFF) - (1 << 11)) / _STEP for shift in (24, 12, 0)]
    value: npt.NDArray[np.float32] = np.stack(axes, axis=-1).astype(np.float32)
    value[packed == 0] = 0
    return value


class Traces:
    """A ring for every slot that ever sent acceleration. `rows` below are those of `state`."""

    def __init__(self) -> None:
        self.state = Columns(
            {
                "ring": Column(np.int64, 0, (RING,)),
                "newest": Column(np.int64, _NEVER),
                "decided": Column(np.int64, _NEVER),  # peaks up to here are done with
                "loud": Column(np.int64, _NEVER),  # the last bin above LOUD_G
                "span": Column(np.int64, 0),  # bins of the last window
                "received": Column(np.int64, 0),  # Unix ms
                "device": Column(np.int32, 0),
                "resident": Column(np.int32, 0),
                "late": Column(np.bool_, 0),
            }
        )

    def reaches(self, rows: Ints, lowest: Ints) -> Bools:
        """Whether the ring still holds all that peaks from bin `lowest` on are judged by; a new one does."""
        newest = self.state["newest"][rows]
        fits: Bools = (newest == _NEVER) | (lowest > newest - RING + BEFORE)
        return fits

    def clear(self, rows: Ints) -> None:
        """Forget what is in these rings."""
        self.state["ring"][rows] = 0
        for name in ("newest", "decided", "loud"):
            self.state[name][rows] = _NEVER

    def put(self, rows: Ints, starts: Ints, ends: Ints, strip_: Strip) -> None:
        """Write the samples `starts[i]`..`ends[i]` (a piece, in order of time) into the ring `rows[i]`; rows are distinct."""
        state = self.state
        lengths = ends - starts
        take = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
        bins, packed = strip_.bin[take], strip_.packed[take]
        starts = np.cumsum(lengths) - lengths
        low, high = bins[starts], bins[starts + lengths - 1]
        newest = state["newest"][rows]
        self._empty(rows, np.maximum(newest, high - RING), high)
        ring = state["ring"].reshape(-1)
        at = np.repeat(rows, lengths) * RING + bins % RING
        changed = packed > ring[at]
        np.maximum.at(ring, at, packed)
        first = np.minimum.reduceat(np.where(changed, bins, np.iinfo(np.int64).max), starts)
        loud = np.maximum.reduceat(np.where(packed >> 36 >= _LOUD, bins, _NEVER), starts)
        new = newest == _NEVER
        state["newest"][rows] = np.maximum(newest, high)
        decided = np.where(new, low - 1, state["decided"][rows])
        # What comes late may make another peak of what was looked at without it.
        state["decided"][rows] = np.minimum(decided, np.maximum(first - AFTER - 1, newest - RING + BEFORE))
        state["loud"][rows] = np.maximum(state["loud"][rows], loud)

    def _empty(self, rows: Ints, newest: Ints, until: Ints) -> None:
        """Clear the bins after `newest` up to `until`, at most the whole ring."""
        count = np.maximum(until - newest, 0)
        total = int(count.sum())
        if total:
            bins = np.repeat(until - np.cumsum(count) + 1, count) + np.arange(total)
            self.state["ring"].reshape(-1)[np.repeat(rows, count) * RING + bins % RING] = 0

    def peaks(self, rows: Ints, until: Ints, due: Ints) -> Peaks:
        """The peaks of these rows up to bin `until` that can be judged, those of one row in order: each is given once.

        A peak with a gap around it waits, and those behind it, while what is missing may come: before bin `due` nothing
        will any more.
        """
        state = self.state
        restless = state["loud"][rows] > state["decided"][rows]
        quiet = rows[~restless]
        state["decided"][quiet] = np.maximum(state["decided"][quiet], until[~restless])
        rows, until, due = rows[restless], until[restless], due[restless]
        if not len(rows):
            return Peaks(rows, rows, np.zeros((0, BEFORE + 1 + AFTER), np.int64))
        bins = state["newest"][rows, None] - RING + 1 + np.arange(RING)
        strength = np.take_along_axis(state["ring"][rows], bins % RING, axis=1) >> 36
        peak = (strength >= _LOUD) & (bins > state["decided"][rows, None]) & (bins <= until[:, None])
        before, after = _strongest(strength, APART), _strongest(strength[:, ::-1], APART)[:, ::-1]
        peak &= (strength > before) & (strength >= after)
        which, column = np.nonzero(peak)
        found = Peaks(rows[which], bins[which, column], self._around(rows[which], bins[which, column]))
        gap = _last_gap(found.around)
        waits = (gap >= 0) & (found.bin - BEFORE + gap >= due[which])
        blocked = np.full(len(rows), np.iinfo(np.int64).max)
        np.minimum.at(blocked, which[waits], found.bin[waits])
        state["decided"][rows] = np.maximum(state["decided"][rows], np.minimum(until, blocked - 1))
        ready = found.bin < blocked[which]
        return Peaks(*(part[ready] for part in found))

    def _around(self, rows: Ints, bins: Ints) -> Ints:
        """(n, BEFORE + 1 + AFTER) The packed bins round each of `bins`; 0 what the ring does not hold."""
        at = bins[:, None] + np.arange(-BEFORE, AFTER + 1)
        newest = self.state["newest"][rows, None]
        packed: Ints = self.state["ring"][rows[:, None], at % RING]
        packed[(at > newest) | (at <= newest - RING)] = 0
        return packed


def pieces(strip_: Strip, slots: Ints) -> list[tuple[Ints, Ints, Ints]]:
    """Rounds of (slots, starts, ends): in each, at most one piece of every slot, in order of arrival.

    `slots`: that of each window. A piece is of one window and within one stretch of `PIECE` bins.
    """
    if not len(strip_.bin):
        return []
    stretch = strip_.bin // PIECE
    cut = (np.diff(strip_.window) != 0) | (np.diff(stretch) != 0)
    starts = np.concatenate([[0], np.flatnonzero(cut) + 1])
    ends = np.append(starts[1:], len(strip_.bin))
    slot = slots[strip_.window[starts]]
    order = np.argsort(slot, kind="stable")
    starts, ends, slot = starts[order], ends[order], slot[order]
    return [(slot[turn], starts[turn], ends[turn]) for turn in turns(slot)]


def filled(around: Ints) -> npt.NDArray[np.float32]:
    """(n, length, 3) in g: empty bins on the line between their neighbours, those at the ends like the nearest."""
    value = unpack(around)
    have = around > 0
    here = np.arange(around.shape[1])
    last = np.maximum.accumulate(np.where(have, here, -1), axis=1)
    following = np.minimum.accumulate(np.where(have, here, len(here))[:, ::-1], axis=1)[:, ::-1]
    left = np.where(last < 0, following, last)
    right = np.where(following == len(here), last, following)
    share = ((here - left) / np.maximum(right - left, 1)).astype(np.float32)[..., None]
    rows = np.arange(len(around))[:, None]
    line: npt.NDArray[np.float32] = value[rows, left] * (1 - share) + value[rows, right] * share
    return line


def _strongest(strength: Ints, reach: int) -> Ints:
    """The maximum of the `reach` columns before each (0 where there is none)."""
    width, best = 1, np.pad(strength[:, :-1], ((0, 0), (1, 0)))
    while width < reach:
        step = min(width, reach - width)
        best = np.maximum(best, np.pad(best[:, :-step], ((0, 0), (step, 0))))
        width += step
    return best


def _last_gap(around: Ints) -> Ints:
    """Index of the last bin that is missing in a gap, -1 where there is none."""
    here = np.arange(around.shape[1])
    last = np.maximum.accumulate(np.where(around > 0, here, -1), axis=1)
    inside = here - last > GAP
    return np.where(inside.any(axis=1), around.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1), -1)

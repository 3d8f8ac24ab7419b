"""Together: when the held silences of an area are told, and whether as one outage of the area or each by itself.

When the first held silence's time is up, it is looked at who of its area has fallen silent by then: enough of them are
one outage at that moment; else this one is told alone, and the next one's time is awaited. So it depends on the
deadlines, not on when somebody looked.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerts.rules.rows import run_starts
from alerts.rules.silence_rule import TogetherRule

NEVER = np.iinfo(np.int64).max // 4
"""A time that does not come, Unix ms."""
Ints = npt.NDArray[np.int64]


class Verdict(NamedTuple):
    """What held silences come to; the first three are masks of them, the rest is by outage."""

    single: npt.NDArray[np.bool_]
    covered: npt.NDArray[np.bool_]
    """Silent when the outage of their area was found."""
    joined: npt.NDArray[np.bool_]
    """Of an area with an outage, but silent only after it was found."""
    area: Ints
    at: Ints
    heard: Ints
    """How many others of the area were heard after the one whose time was up had missed its first message."""


class Held(NamedTuple):
    """Held silences as columns; times are Unix ms."""

    area: Ints
    slot: Ints
    silent: Ints
    """Since when it is silent."""
    until: Ints
    """Until when it is held."""
    missed: Ints
    """When its first missing message was to come."""
    heard: Ints
    """When it was last heard."""


def judge(held: Held, awake: tuple[Ints, Ints], now: int, rule: TogetherRule) -> Verdict:
    """All held silences of some areas, to be told where their time was up before `now`.

    `awake`: area and time last heard (Unix ms) of the devices of these areas that are not silent.
    """
    order = np.lexsort((held.slot, held.until, held.area))
    area, _, silent_at, up_at, missed, last = (column[order] for column in held)
    starts = run_starts(area)
    run = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(area))))
    position = np.arange(len(area)) - starts[run]
    # How many of each area had fallen silent when a time was up, less those told by then.
    base = int(min(silent_at.min(), missed.min()))
    span = int(max(up_at.max(), awake[1].max(initial=base))) - base + 2
    fell = np.sort(run * span + (silent_at - base))
    silent = np.searchsorted(fell, run * span + (up_at - base), side="right") - starts[run] - position
    spoke = np.sort(np.searchsorted(area[starts], awake[0]) * span + np.clip(awake[1] - base, 0, span - 1))
    heard = np.searchsorted(spoke, (run + 1) * span) - np.searchsorted(
        spoke, run * span + (missed - base), side="right"
    )
    up = up_at < now
    hopeful = up & (silent >= rule.bands[0].devices) & (silent >= rule.share * (silent + heard))
    first = np.full(len(starts), len(area))
    # Those that fell silent only later spoke as well. Seldom more than once: each further time one is told alone.
    while hopeful.any():
        at_first = np.minimum.reduceat(np.where(hopeful, position, len(area)), starts)
        asked = np.flatnonzero(at_first < len(area))
        rows = starts[asked] + at_first[asked]
        time_up, silence_began = np.full(len(starts), NEVER), np.full(len(starts), NEVER)
        time_up[asked], silence_began[asked] = up_at[rows], missed[rows]
        later = (silent_at > time_up[run]) & (last > silence_began[run])
        heard[rows] += np.add.reduceat(later.astype(np.int64), starts)[asked]
        enough = silent[rows] >= rule.share * (silent[rows] + heard[rows])
        first[asked[enough]] = at_first[asked[enough]]
        hopeful[rows] = False
        hopeful &= first[run] == len(area)
    found = first < len(area)
    rows = starts[found] + first[found]
    at = np.full(len(starts), -NEVER)
    at[found] = up_at[rows]
    with_it = found[run] & (position >= first[run])
    parts = (up & (position < first[run]), with_it & (silent_at <= at[run]), with_it & (silent_at > at[run]))
    masks = [np.zeros(len(area), np.bool_) for _ in parts]
    for mask, part in zip(masks, parts, strict=True):
        mask[order] = part
    return Verdict(masks[0], masks[1], masks[2], area[rows], up_at[rows], heard[rows])

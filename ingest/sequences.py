"""How far each device's count has come: finds what is missing in it, what comes late and what comes twice.

One row of columns per device key, whole batches at a time. `look` changes nothing, so that a batch which cannot be
committed is looked at again; `keep` does, after the commit. The missing ranges themselves are in the database alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ingest.arrivals import LAST_TIME, UNCOUNTED, Array, Arrivals

ENTRY = np.dtype([("device", "<i4"), ("boot", "<i4"), ("highest", "<i4"), ("first", "<i8"), ("last", "<i8")])
"""What one batch did to one device and boot: the highest seq that came, and the times of the samples it brought."""
NEVER = -1

Start = tuple[int, int]
"""(device key, boot): one start of a device, which counts its messages from there."""


@dataclass(slots=True)
class Groups:
    """A batch sorted by start of a device and seq: what `Sequences.look` works on."""

    arrivals: Arrivals
    """Sorted; the counted ones only."""
    repeated: Array
    """bool, per row: the same message came before it in this batch."""
    rows: Array
    """Of each group its first row."""
    device: Array
    boot: Array
    older: Array
    """bool: a start before the device's current one."""

    def unknown(self) -> list[Start]:
        """The starts whose count only the database knows."""
        devices, boots = self.device[self.older].tolist(), self.boot[self.older].tolist()
        return list(zip(devices, boots, strict=True))


@dataclass(slots=True)
class Counted:
    """What a batch changes, as columns. `gaps`: (device, boot, first, last); `late`: (device, boot, seq)."""

    arrivals: Arrivals
    gaps: tuple[Array, Array, Array, Array]
    late: tuple[Array, Array, Array]
    """Those that may have been missing until now; if they were not, they came twice."""
    messages: Array
    """Device keys, one for each message."""
    duplicates: Array
    """The same for those that came twice for sure."""
    past: tuple[Array, Array, Array]
    """(device, boot, highest) of starts that are no longer, or not, the current one."""
    now: tuple[Array, Array, Array]
    """The same of the current ones."""
    entries: Array
    """Rows of ENTRY."""


class Sequences:
    """The current start of every device and its highest seq."""

    def __init__(self) -> None:
        self.boot: Array = np.full(1024, NEVER, np.int32)
        self.highest: Array = np.zeros(1024, np.int32)
        self.gaps: Array = np.zeros(1024, np.bool_)
        """Whether anything of the device may be missing."""
        self._opened: Array = np.zeros(1024, np.bool_)
        self.dirty: Array = np.zeros(1024, np.bool_)
        """Whether the database has an older state."""

    def group(self, arrivals: Arrivals) -> Groups:
        """Sort a batch."""
        counted = arrivals.boot != UNCOUNTED
        if not counted.all():
            arrivals = arrivals.take(np.flatnonzero(counted))
        self._make_room(arrivals.device)
        number = arrivals.boot << 32 | arrivals.seq
        order = np.lexsort((number, arrivals.device))
        arrivals, number = arrivals.take(order), number[order]
        begins = np.ones(len(arrivals), np.bool_)
        repeated = np.zeros(len(arrivals), np.bool_)
        if len(arrivals) > 1:
            same_device = arrivals.device[1:] == arrivals.device[:-1]
            begins[1:] = ~same_device | (arrivals.boot[1:] != arrivals.boot[:-1])
            repeated[1:] = same_device & (number[1:] == number[:-1])
        rows = np.flatnonzero(begins)
        device, boot = arrivals.device[rows], arrivals.boot[rows]
        return Groups(arrivals, repeated, rows, device, boot, boot < self.boot[device])

    def look(self, arrivals: Arrivals, groups: Groups, known: Mapping[Start, int]) -> Counted:
        """What the batch changes; `known`: the highest seq of `groups.unknown()` where there is one."""
        rows = groups.arrivals
        size = np.diff(np.append(groups.rows, len(rows)))
        base, silent = self._bases(groups, known)
        base_of = np.repeat(base, size)
        before = np.empty(len(rows), np.int64)
        before[1:] = rows.seq[:-1]
        before[groups.rows] = base
        # A start counts from 0 or from 1, so nobody can tell that only 0 is missing.
        low = np.maximum(np.maximum(before, base_of) + 1, 1)
        fresh = ~groups.repeated & (rows.seq > base_of)
        opened = fresh & (rows.seq > low)
        stale = ~groups.repeated & ~fresh
        older_of = np.repeat(groups.older, size)
        late = stale & (older_of | self.gaps[rows.device])
        same_kind = np.zeros(len(rows), np.bool_)
        same_kind[1:] = rows.kind[1:] == rows.kind[:-1]
        twice = (stale & ~late) | (groups.repeated & same_kind)
        messages = rows.device[~groups.repeated | same_kind]
        top = np.maximum(base, rows.seq[groups.rows + size - 1])
        gaps = (rows.device[opened], rows.boot[opened], low[opened], rows.seq[opened] - 1)
        past, now = self._division(groups, top, silent)
        return Counted(
            arrivals,
            gaps,
            (rows.device[late], rows.boot[late], rows.seq[late]),
            np.concatenate([messages, arrivals.device[arrivals.boot == UNCOUNTED]]),
            rows.device[twice],
            past,
            now,
            _entries(arrivals, groups, top),
        )

    def keep(self, counted: Counted) -> None:
        """The batch is committed."""
        device, boot, highest = counted.now
        self.boot[device] = boot
        self.highest[device] = highest
        self.dirty[device] = True
        self.gaps[counted.gaps[0]] = True
        self._opened[counted.gaps[0]] = True

    def recall(self, device: Array, boot: Array, highest: Array) -> None:
        """States known from before, in any order: a later start, or more of the same one, is taken over."""
        device, boot, highest = (np.asarray(column, np.int64) for column in (device, boot, highest))
        if not len(device):
            return
        self._make_room(device)
        order = np.lexsort((highest, boot, device))
        device, boot, highest = device[order], boot[order], highest[order]
        last = np.append(device[1:] != device[:-1], True)
        device, boot, highest = device[last], boot[last], highest[last]
        newer = (boot > self.boot[device]) | ((boot == self.boot[device]) & (highest > self.highest[device]))
        self.boot[device[newer]] = boot[newer]
        self.highest[device[newer]] = highest[newer]
        self.dirty[device[newer]] = True

    def ask(self) -> None:
        """Somebody is about to look of whom something is missing, and will call `incomplete`."""
        self._opened[:] = False

    def incomplete(self, devices: Iterable[int]) -> None:
        """Of these, and of those a gap was opened of since `ask`, something may be missing."""
        keys = np.fromiter(devices, np.int64)
        self._make_room(keys)
        self.gaps[:] = self._opened
        self.gaps[keys] = True

    def forget(self, devices: Iterable[int]) -> None:
        """Others counted for these meanwhile: begin anew with their next message, and tell no gap before it."""
        keys = np.fromiter(devices, np.int64)
        self._make_room(keys)
        self.boot[keys] = NEVER
        self.gaps[keys] = self._opened[keys] = True  # there may be some

    def _bases(self, groups: Groups, known: Mapping[Start, int]) -> tuple[Array, Array]:
        """(the highest seq before this batch of each group, whether nothing was known of it)."""
        first = groups.arrivals.seq[groups.rows]
        boot = self.boot[groups.device]
        silent = boot == NEVER
        base = np.where(groups.boot == boot, self.highest[groups.device], -1).astype(np.int64)
        for n in np.flatnonzero(groups.older).tolist():
            highest = known.get((int(groups.device[n]), int(groups.boot[n])))
            silent[n] = highest is None
            base[n] = -1 if highest is None else highest
        # What came before the first message that was ever heard is not missing.
        return np.where(silent, first - 1, base), silent

    def _division(
        self, groups: Groups, top: Array, silent: Array
    ) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
        device, boot = groups.device, groups.boot
        current = ~groups.older
        if len(device) > 1:
            current[:-1] &= device[1:] != device[:-1]  # groups of a device are in the order of its starts
        # What was the current start until now, where the batch itself brings nothing more of it.
        over = current & (boot != self.boot[device]) & ~silent
        over &= ~np.isin(device, device[boot == self.boot[device]])
        past = (
            np.concatenate([device[~current], device[over]]),
            np.concatenate([boot[~current], self.boot[device[over]].astype(np.int64)]),
            np.concatenate([top[~current], self.highest[device[over]].astype(np.int64)]),
        )
        return past, (device[current], boot[current], top[current])

    def _make_room(self, devices: Array) -> None:
        if not len(devices) or (most := int(devices.max())) < len(self.boot):
            return
        more = max(most + 1, 2 * len(self.boot)) - len(self.boot)
        self.boot = np.concatenate([self.boot, np.full(more, NEVER, np.int32)])
        self.highest = np.concatenate([self.highest, np.zeros(more, np.int32)])
        self.gaps = np.concatenate([self.gaps, np.zeros(more, np.bool_)])
        self._opened = np.concatenate([self._opened, np.zeros(more, np.bool_)])
        self.dirty = np.concatenate([self.dirty, np.zeros(more, np.bool_)])


def _entries(arrivals: Arrivals, groups: Groups, top: Array) -> Array:
    uncounted = np.flatnonzero(arrivals.boot == UNCOUNTED)
    n = len(groups.rows)
    entries = np.zeros(n + len(uncounted), ENTRY)
    entries["boot"][n:] = UNCOUNTED
    entries["last"][n:] = arrivals.last[uncounted]
    entries["first"][n:] = arrivals.first[uncounted]
    entries["device"][n:] = arrivals.device[uncounted]
    if n:
        entries["device"][:n], entries["boot"][:n], entries["highest"][:n] = groups.device, groups.boot, top
        entries["first"][:n] = np.minimum.reduceat(groups.arrivals.first, groups.rows)
        entries["last"][:n] = np.maximum.reduceat(groups.arrivals.last, groups.rows)
    return entries


def has_samples(entries: Array) -> Array:
    """bool: those that brought any."""
    return np.asarray((entries["first"] != LAST_TIME) & (entries["first"] <= entries["last"]))

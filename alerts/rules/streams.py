"""One scope's streams: puts the samples of a batch into the order they were measured in and hands them to an operator.

In order is the rule and costs little. A reading that comes out of order, within the allowed lateness, is put where it
belongs: what the operator made of the newer readings of that stream is taken back, and they go through it again,
after the newcomer. What then differs from what was said before is said now.

An operator (`limit.Limits`) names its `columns` of the metrics, has state by slot (`make_room`), takes rows in order
(`step` -> changes), can undo them (`take_back`), puts one into words (`trigger`) and knows its state by its last
trigger (`recall`).
"""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from alerts.rules.limit import Change, Limits
from alerts.rules.limit_rules import LimitRule
from alerts.rules.rows import NO_ROW, Recent, Rows, in_order_of, run_starts
from alerts.rules.slots import Slots
from homecare.samples import Flag, Samples
from homecare.triggers import Trigger

EARLIEST = np.iinfo(np.int64).min


class Streams:
    """The streams of one scope (`slots` by device and resident, or by device) and the state of its rules."""

    def __init__(self, operator: Limits, slots: Slots, lateness_ms: int, *, by_person: bool) -> None:
        self._operator, self._slots, self._lateness = operator, slots, lateness_ms
        self._recent = Recent(len(operator.columns), self._resident_of if by_person else None)
        self._said: dict[int, list[Change]] = {}
        """By row: the transitions it made, so that they can be taken back."""
        self._said_order: deque[int] = deque()
        self._latest = EARLIEST
        self.make_room()

    def make_room(self) -> None:
        """After slots were added."""
        self._recent.make_room(self._slots.capacity)
        self._operator.make_room(self._slots.capacity)

    def apply(self, samples: Samples, slots: npt.NDArray[np.int64], residents: npt.NDArray[np.int32]) -> list[Trigger]:
        """Take in the samples of `slots`; what they raise and clear, unordered."""
        new = self._fresh(samples, slots, residents)
        if not len(new):
            return []
        starts = run_starts(new.slot)
        ends = self._recent.chain_ends(new.slot[starts])
        late = self._out_of_order(new, starts, ends)
        if late.any():
            known, before = self._reorder(new.take(late))
            ends = ends[~late[starts]]
            rows, before = new.take(~late).followed_by(known), np.concatenate([ends, before])
            again = self._take_back(known)
        else:
            rows, before, again = new, ends, {}
        self._recent.keep(rows, before)
        changes = self._operator.step(rows)
        triggers = self._say(rows, changes, again) if changes else []
        self._remember(rows, changes)
        self._latest = max(self._latest, int(samples.received.max()))
        self._recent.forget(self._latest - self._lateness)
        self._forget()
        return triggers

    def _fresh(self, samples: Samples, slots: npt.NDArray[np.int64], residents: npt.NDArray[np.int32]) -> Rows:
        """By slot, the samples that measured something these rules read, and are not too old to say anything of now."""
        columns = self._operator.columns
        measured = np.zeros(len(samples), np.bool_)
        for column in columns.tolist():
            measured |= ~np.isnan(samples.values[:, column])
        keep = np.flatnonzero(measured & (samples.ts >= samples.received - self._lateness))
        keep = keep[in_order_of(slots[keep])]
        return Rows(
            id=np.full(len(keep), NO_ROW, np.int64),
            slot=slots[keep],
            ts=samples.ts[keep],
            received=samples.received[keep],
            message=(samples.boot[keep].astype(np.int64) << 31) | samples.seq[keep],
            part=samples.part[keep],
            wrong_clock=(samples.flags[keep] & Flag.WRONG_CLOCK) != 0,
            resident=residents[keep],
            values=samples.values.take(keep, axis=0)[:, columns],
            changed=np.zeros(len(keep), np.bool_),
        )

    def _out_of_order(
        self, rows: Rows, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Rows of the streams that have to be looked at again: one was measured no later than what is known.

        `starts`: where each stream's rows begin; `ends`: the id of the newest row that is known of it.
        """
        newest = np.empty(len(rows), np.int64)
        newest[1:] = rows.ts[:-1]
        newest[starts] = self._recent.measured(ends)
        # Where the clock is wrong the time says nothing about whether the sample came before.
        bad = (rows.ts <= newest) | rows.wrong_clock
        if not bad.any():
            return bad
        run = np.cumsum(np.bincount(starts, minlength=len(rows))) - 1
        marked = np.zeros(len(starts), np.bool_)
        marked[run[bad]] = True
        return marked[run]

    def _reorder(self, new: Rows) -> tuple[Rows, npt.NDArray[np.int64]]:
        """`new` among the kept rows that were measured at the same time or later, and the row before those by slot."""
        starts = run_starts(new.slot)
        since = np.minimum.reduceat(np.where(new.wrong_clock, EARLIEST, new.ts), starts)
        kept, before = self._recent.since(new.slot[starts], since)
        rows = kept.followed_by(new).without_duplicates().in_order()
        return rows, before

    def _take_back(self, rows: Rows) -> dict[int, list[Change]]:
        """Undo what the kept ones of `rows` made; returns it by row id."""
        ids = rows.id[rows.changed]
        again = {id_: self._said.pop(id_) for id_ in reversed(ids.tolist())}
        self._recent.mark(ids, changed=False)
        for changes in again.values():
            self._operator.take_back(changes)
        return again

    def _say(self, rows: Rows, changes: Sequence[Change], again: dict[int, list[Change]]) -> list[Trigger]:
        """Triggers for what was not said before, by stream and time. The last one of a series is how it stands now."""
        known = {(id_, change.cell): change.says for id_, before in again.items() for change in before}
        by_cell: dict[int, list[Change]] = defaultdict(list)
        for change in changes:
            by_cell[change.cell].append(change)
        said: list[tuple[Change, Trigger]] = []
        for cell, transitions in by_cell.items():
            unsaid = [each for each in transitions if known.get((int(rows.id[each.row]), cell)) != each.says]
            said += [(change, self._trigger(rows, change)) for change in unsaid]
            end = transitions[-1]
            if unsaid and (unsaid[-1].band > 0) != (end.band > 0):
                # Said before what was found out now: said once more, or the older news would stand as the last word.
                trigger, row = self._trigger(rows, end), unsaid[-1].row
                key = f"{trigger.key}:after:{rows.message[row]}.{rows.part[row]}"
                said.append((end, msgspec.structs.replace(trigger, key=key)))
        # Of one reading, what it ends comes before what it begins.
        said.sort(key=lambda one: (one[0].row, one[0].band > 0))
        return [trigger for _, trigger in said]

    def _trigger(self, rows: Rows, change: Change) -> Trigger:
        return self._operator.trigger(rows, change, int(self._slots.keys[rows.slot[change.row]] >> 32))

    def _remember(self, rows: Rows, changes: Sequence[Change]) -> None:
        if not changes:
            return
        ids = [int(rows.id[change.row]) for change in changes]
        self._recent.mark(np.array(ids, np.int64), changed=True)
        for id_, change in zip(ids, changes, strict=True):
            if id_ not in self._said:
                self._said[id_] = []
                self._said_order.append(id_)
            self._said[id_].append(change)

    def _resident_of(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Where the slots are by device and resident: the latter."""
        return (self._slots.keys[slots] & 0xFFFF_FFFF).astype(np.int32)

    def _forget(self) -> None:
        while self._said_order and self._said_order[0] < self._recent.first_id:
            self._said.pop(self._said_order.popleft(), None)

    def tune(self, variants: Sequence[Mapping[str, LimitRule]]) -> None:
        """The rules, the pack's own and its variants, as they are now; the state stays."""
        self._operator.tune(variants)

    def know(self, slots: npt.NDArray[np.int64], variant: npt.NDArray[np.int16]) -> None:
        """Which of the variants holds for these slots from now on."""
        self._operator.know(slots, variant)

    def recall(self, slot: int, trigger: Trigger) -> None:
        """The state that `trigger`, the last of its series, left behind."""
        self._operator.recall(slot, trigger)

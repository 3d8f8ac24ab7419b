"""What is missing in the counts of devices, against a plain model of sets, however messages are lost, late, repeated and cut."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from homecare.checked import Checked
from homecare.messages import Inbound, Rejection
from homecare.samples import Flag, Samples
from ingest.arrivals import Arrivals
from ingest.sequences import Counted, Sequences
from tests.ingest.home import NOW, checked_of, samples, window

Message = tuple[int, int, int]
"""(device, boot, seq)."""


def batch_of(messages: Iterable[Message]) -> Samples:
    names = np.array(list(messages), np.int64).reshape(-1, 3)
    made = Samples.empty(len(names))
    made.device[:], made.boot[:], made.seq[:] = names.T
    made.ts[:] = made.received[:] = NOW + np.arange(len(names))
    return made


class Kept:
    """`Sequences` with the database's part as sets."""

    def __init__(self) -> None:
        self.sequences = Sequences()
        self.missing: set[Message] = set()
        self.past: dict[tuple[int, int], int] = {}
        self.journal: list[Any] = []
        self.duplicates = self.found = self.messages = 0

    def take(self, checked: Checked) -> Counted:
        groups = self.sequences.group(arrivals := Arrivals.of(checked))
        known = {start: self.past[start] for start in groups.unknown() if start in self.past}
        counted = self.sequences.look(arrivals, groups, known)
        for device, boot, first, last in zip(*(column.tolist() for column in counted.gaps), strict=True):
            self.missing |= {(device, boot, seq) for seq in range(first, last + 1)}
        late = set(zip(*(column.tolist() for column in counted.late), strict=True))
        found = late & self.missing
        self.missing -= found
        past = list(zip(*(column.tolist() for column in counted.past), strict=True))
        assert len({(device, boot) for device, boot, _ in past}) == len(past)
        for device, boot, highest in past:
            self.past[device, boot] = max(highest, self.past.get((device, boot), -1))
        self.sequences.keep(counted)
        self.journal.append(counted.entries)
        self.messages += len(counted.messages)
        self.duplicates += len(counted.duplicates) + len(late) - len(found)
        self.found += len(found)
        return counted

    def restart(self) -> None:
        """Only what the database has stays."""
        fresh = Sequences()
        entries = np.concatenate(self.journal)
        fresh.recall(entries["device"], entries["boot"], entries["highest"])
        fresh.incomplete({device for device, _, _ in self.missing})
        self.sequences = fresh


class Model:
    """The same, message by message."""

    def __init__(self) -> None:
        self.current: dict[int, int] = {}
        self.highest: dict[tuple[int, int], int] = {}
        self.missing: set[Message] = set()
        self.duplicates = self.found = 0

    def take(self, messages: list[Message]) -> None:
        before = dict(self.current)
        for device, boot in sorted({(device, boot) for device, boot, _ in messages}):
            came = [seq for d, b, seq in messages if (d, b) == (device, boot)]
            if (device, boot) in self.highest:
                highest = self.highest[device, boot]
            elif boot > before.get(device, boot):
                highest = -1
            else:
                highest = min(came) - 1
            seen: set[int] = set()
            for seq in sorted(came):
                if seq in seen:
                    self.duplicates += 1
                elif seq > highest:
                    self.missing |= {(device, boot, lost) for lost in range(max(highest + 1, 1), seq)}
                    highest = seq
                elif (device, boot, seq) in self.missing:
                    self.missing.remove((device, boot, seq))
                    self.found += 1
                else:
                    self.duplicates += 1
                seen.add(seq)
            self.highest[device, boot] = highest
            self.current[device] = max(boot, self.current.get(device, -1))


messages = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(0, 12)), min_size=1, max_size=12)


@given(st.lists(st.tuples(messages, st.booleans()), max_size=12))
@settings(max_examples=400, deadline=None)
def test_agrees_with_a_plain_model_across_restarts(batches: list[tuple[list[Message], bool]]) -> None:
    kept, model = Kept(), Model()
    for batch, restart in batches:
        kept.take(checked_of(batch_of(batch)))
        model.take(batch)
        assert kept.missing == model.missing
        assert (kept.duplicates, kept.found) == (model.duplicates, model.found)
        if restart:
            kept.restart()
    assert kept.messages == sum(len(batch) for batch, _ in batches)


def test_batch_that_was_not_committed_is_looked_at_again() -> None:
    kept = Kept()
    kept.take(checked_of(batch_of([(1, 1, 1)])))
    arrivals = Arrivals.of(checked_of(batch_of([(1, 1, 4)])))
    for _ in range(2):
        counted = kept.sequences.look(arrivals, kept.sequences.group(arrivals), {})
        assert [column.tolist() for column in counted.gaps] == [[1], [1], [2], [3]]


def test_parts_of_a_message_and_its_windows_are_one_message() -> None:
    parts = samples(7, 5, 5, 5)
    parts.part[:] = [0, 1, 2]
    kept = Kept()
    kept.take(checked_of(parts, samples(7, 6), windows=[window(7, 5), window(7, 5, part=3), window(7, 8)]))
    assert (kept.messages, kept.duplicates, kept.missing) == (3, 0, {(7, 1, 7)})
    twice = Samples.concatenate([parts, parts])
    kept.take(checked_of(twice))
    assert (kept.messages, kept.duplicates) == (5, 2)


def test_rejected_message_with_a_readable_name_is_not_missing() -> None:
    def rejected(payload: bytes, key: int = 7) -> Rejection:
        return Rejection(Inbound("t", payload, NOW), "unknown_subject", "", device_key=key)

    kept = Kept()
    kept.take(checked_of(samples(7, 1)))
    bad = [
        rejected(b'{"boot":1,"seq":2,"subject":"x"}'),
        rejected(b'{"boot":1,"seq"'),
        rejected(b'{"boot":1,"seq":3}', 0),
    ]
    kept.take(checked_of(samples(7, 5), rejections=[*bad, bad[0]]))
    assert kept.missing == {(7, 1, 3), (7, 1, 4)}
    assert kept.messages == 3


def test_messages_without_a_count_tell_no_gap() -> None:
    kept = Kept()
    kept.take(checked_of(samples(7, 1, 90, flags=Flag.UNCOUNTED)))
    assert (kept.missing, kept.messages) == (set(), 2)
    entries = kept.journal[0]
    assert entries["device"].tolist() == [7, 7]
    assert entries["last"].tolist() == [NOW + 1000, NOW + 90_000]


def test_device_that_others_counted_for_begins_anew() -> None:
    kept = Kept()
    kept.take(checked_of(samples(7, 1)))
    kept.sequences.forget([7])
    kept.take(checked_of(samples(7, 50, 52)))
    assert kept.missing == {(7, 1, 51)}


def test_largest_numbers_fit() -> None:
    most = 2**31 - 1
    kept = Kept()
    kept.take(checked_of(batch_of([(5000, most, most - 2)])))
    kept.take(checked_of(batch_of([(5000, most, most)])))
    assert kept.missing == {(5000, most, most - 1)}

"""What waits to be put in order: through a ring that turns and grows, none is lost, none comes twice, all in order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.rules.settled import SET_BACK_MS, SLACK_MS, Settled
from alerts.rules.slots import Slots
from alerts.rules.wearers import Wearers
from homecare.metrics import INDEX
from homecare.samples import Samples

PULSE = INDEX["heart_rate"]
WAIT = 60_000
START = 1_800_000_000_000


def put(held: Settled, ts: list[int], received: int, first: int) -> int:
    """Rows of ten slots, each with its number for a pulse and `seq`; how many were taken."""
    count = len(ts)
    samples = Samples.empty(count)
    samples.ts[:], samples.received[:] = ts, received
    samples.seq[:] = np.arange(first, first + count)
    samples.values[:, PULSE] = samples.seq
    slot = samples.seq.astype(np.int64) % 10
    rows = np.arange(count)
    event, wanted = np.zeros(count, np.int8), np.ones(count, np.uint8)
    return len(held.put(samples, event, None, slot, wanted, rows))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(-5_000, WAIT + 5_000), max_size=400), max_size=12), st.integers(0, 40_000))
def test_each_comes_once_and_in_order(batches: list[list[int]], gap: int) -> None:
    held = Settled(WAIT, [PULSE], positions=False, wanted=np.uint8)
    expected: set[tuple[int, int, int]] = set()
    given_out: list[tuple[int, int, int]] = []
    number, received = 0, START
    for delays in [*batches, []]:
        received += gap if delays else 10 * WAIT
        ts = [received - delay for delay in delays]
        counting = [t for t in ts if t >= received - WAIT and t >= held.until]
        assert put(held, ts, received, number) == len(counting)
        expected |= {
            ((number + at) % 10, t, number + at) for at, t in enumerate(ts) if t >= received - WAIT and t >= held.until
        }
        number += len(ts)
        held.heard_until(received)
        if (settled := held.take()) is None:
            continue
        rows = settled[0]
        assert (rows.samples.values[:, PULSE] == rows.samples.seq).all()
        assert (rows.samples.received >= rows.samples.ts - 5_000).all()
        found = list(zip(rows.slot.tolist(), rows.samples.ts.tolist(), rows.samples.seq.tolist(), strict=True))
        assert found == sorted(found)
        assert all(ts < received - WAIT - SLACK_MS for _, ts, _ in found)
        given_out += found
    assert sorted(given_out) == sorted(expected)
    assert len(held) == 0


def test_when_the_clock_is_set_back_nothing_comes_again() -> None:
    held = Settled(WAIT, [PULSE], wanted=np.uint8)
    put(held, [START], START, 0)
    put(held, [START + 300_000], START + WAIT, 1)
    held.heard_until(START + 2 * WAIT)
    settled = held.take()
    assert settled is not None
    assert settled[0].samples.seq.tolist() == [0]
    back = START - 2 * SET_BACK_MS
    held.heard_until(back)
    put(held, [back], back, 2)
    held.heard_until(back + 2 * WAIT)
    settled = held.take()
    assert settled is not None
    assert settled[0].samples.seq.tolist() == [2]
    held.heard_until(START + 600_000)
    settled = held.take()
    assert settled is not None
    assert settled[0].samples.seq.tolist() == [1]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=8), max_size=8))
def test_whom_a_device_measures_has_the_same_slot_every_time(batches: list[list[tuple[int, int]]]) -> None:
    devices, people, residents = Slots(), Slots(), Slots()
    wearers = Wearers(people, residents)
    for batch in batches:
        keys = np.array([device for device, _ in batch], np.int32)
        whom = np.array([resident for _, resident in batch], np.int32)
        pair, person = wearers.slots(devices.add(keys.astype(np.int64) << 32), keys, whom)
        assert people.keys[pair].tolist() == [(device << 32) | resident for device, resident in batch]
        assert [residents.keys[slot] if slot >= 0 else 0 for slot in person.tolist()] == whom.tolist()

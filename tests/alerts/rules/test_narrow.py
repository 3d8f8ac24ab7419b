"""What is kept narrow reads as it was written, whatever came and however the ring grew."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.rules.narrow import Narrow, Packed, Times

PLACES = 8
DAY_MS = 86_400_000
NOW = 1_795_219_200_000
moments = st.integers(-DAY_MS, DAY_MS).map(lambda ms: NOW + ms)
far = st.integers(-(2**50), 2**50)


def test_a_number_that_does_not_fit_widens_all() -> None:
    for large, size in ((100, 1), (1_000, 2), (-1_000_000, 4), (2**40, 8)):
        column = Narrow(PLACES, np.int8, np.int64)
        column.write(0, np.array([1, -2, 3]))
        column.write(6, np.array([4, large, 5]))
        assert column[np.array([1, 2, 6, 7, 0])].tolist() == [-2, 3, 4, large, 5]
        assert column.nbytes == size * PLACES
        column.move(10, np.array([7, 1]), np.array([9, 0]))
        assert column[np.array([9, 0])].tolist() == [large, -2]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(moments | far, min_size=1, max_size=PLACES), max_size=8))
def test_times_are_what_they_were(batches: list[list[int]]) -> None:
    times, start = Times(PLACES), 0
    kept: dict[int, int] = {}
    for batch in batches:
        places = [(start + index) % PLACES for index in range(len(batch))]
        for place in places:
            kept.pop(place, None)
        times.write(start, np.array(batch), lambda: np.array(sorted(kept), np.int64))
        kept.update(zip(places, batch, strict=True))
        start = (start + len(batch)) % PLACES
        assert times[np.array(list(kept))].tolist() == list(kept.values())
        for moment in (batch[0], NOW):
            assert np.flatnonzero(times.since(moment)).tolist() == sorted(p for p, t in kept.items() if t >= moment)
        low, high = sorted((batch[0], batch[-1]))
        assert times.between(low, high).tolist() == sorted(p for p, t in kept.items() if low <= t < high)
    if batches:
        times.drop(NOW)
        assert np.flatnonzero(times.since(-(2**62))).tolist() == sorted(p for p, t in kept.items() if t >= NOW)


def test_the_base_moves_on_with_the_years() -> None:
    times = Times(PLACES)
    for day in range(0, 3650, 20):
        at = NOW + day * DAY_MS
        times.write(0, np.array([at, at + 1]), lambda: np.array([], np.int64))
        assert times[np.array([0, 1])].tolist() == [at, at + 1]
    assert times.nbytes == 4 * PLACES


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**40), st.lists(st.lists(st.sets(st.integers(0, 5)), min_size=1, max_size=PLACES), max_size=12))
def test_packed_readings_are_what_they_were(before: int, batches: list[list[set[int]]]) -> None:
    packed, start, value = Packed(PLACES, 6), 0, 0.0
    packed.next = before
    kept: list[tuple[int, int, list[float]]] = []  # place, number of the first reading, values
    for batch in batches:
        rows = np.full((len(batch), 6), np.nan, np.float32)
        for row, measured in enumerate(batch):
            for column in measured:
                value += 1
                rows[row, column] = value
        kept = kept[max(0, len(kept) + len(batch) - PLACES) :]
        end = packed.next
        packed.write(start, rows, kept[0][1] if kept else end)
        for row, measured in enumerate(batch):
            kept.append(((start + row) % PLACES, end, rows[row].tolist()))
            end += len(measured)
        start = (start + len(batch)) % PLACES
        found = packed[np.array([place for place, _, _ in kept])]
        assert np.array_equal(found, np.array([values for _, _, values in kept], np.float32), equal_nan=True)

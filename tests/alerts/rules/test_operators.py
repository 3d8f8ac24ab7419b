"""One battery over every operator (see `battery`): cuts, repeats, disorder, restarts, and what the scalar version says."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.alerts.rules import battery
from tests.alerts.rules.battery import Case
from tests.alerts.rules.cases import CASES

SETTINGS = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@EVERY_CASE
@SETTINGS
@given(data=st.data())
def test_it_says_what_the_scalar_version_says(case: Case, data: st.DataObject) -> None:
    rows = battery.arrivals(data.draw, case)
    expected = case.scalar(battery.counting(rows, case.wait_ms), battery.horizon(case, rows))
    assert battery.told(battery.whole(case, rows)) == sorted(expected, key=repr)


@EVERY_CASE
@SETTINGS
@given(data=st.data())
def test_however_cut_repeated_or_started_again_it_says_the_same(case: Case, data: st.DataObject) -> None:
    rows = battery.arrivals(data.draw, case)
    restarts = data.draw(st.booleans())
    stream = rows if restarts else battery.with_repeats(data.draw, rows, case.wait_ms)
    assert battery.in_pieces(data.draw, case, stream, restarts=restarts) == battery.whole(case, rows)

"""Every operator's case for the battery: one line for a new kind of rule."""

from tests.alerts.rules import habit_cases, place_cases, scalar_lasting, scalar_score, scalar_sequence, scalar_tally
from tests.alerts.rules.battery import Case

CASES: tuple[Case, ...] = (
    scalar_tally.BY_DEVICE,
    scalar_tally.BY_RESIDENT,
    scalar_tally.TOGETHER,
    scalar_tally.AT_ONCE,
    scalar_lasting.OF_PEOPLE,
    scalar_lasting.OF_DEVICES,
    place_cases.PLACES_CASE,
    place_cases.WANDERING_CASE,
    scalar_score.NEWS2_CASE,
    scalar_sequence.SEQUENCE_CASE,
    *habit_cases.CASES,
)

"""All kinds of rules besides limits, silence and events: a new one is a module of its own and a line here."""

from alerts.rules import bed, change, fall, place, routine, score, sequence, wandering
from alerts.rules.sections import Section

OPERATORS: tuple[Section, ...] = (
    change.SECTION,
    fall.SECTION,
    routine.SECTION,
    bed.SECTION,
    place.SECTION,
    wandering.SECTION,
    score.SECTION,
    sequence.SECTION,
)

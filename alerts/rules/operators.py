"""All kinds of rules besides limits, silence and events: a new one is a module of its own and a line here."""

from alerts.rules import bed, change, place, routine, wandering
from alerts.rules.sections import Section

OPERATORS: tuple[Section, ...] = (change.SECTION, routine.SECTION, bed.SECTION, place.SECTION, wandering.SECTION)

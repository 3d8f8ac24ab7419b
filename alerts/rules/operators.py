"""All kinds of rules besides limits, silence and events: a new one is a module of its own and a line here."""

from alerts.rules import change, place, wandering
from alerts.rules.sections import Section

OPERATORS: tuple[Section, ...] = (change.SECTION, place.SECTION, wandering.SECTION)

"""Whose slots a resident's rules have: the person, the clock on their wall, the variant of the rule that holds for them."""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from alerts.rules.localtime import Zones
from alerts.rules.operator import Given, Operator, Subject
from alerts.rules.room import with_room


class Known:
    """By slot: key of the resident, number of their zone, variant. Of whom nothing was said: the default zone, the pack.

    Operators of one scope may share one, see `tell`.
    """

    def __init__(self) -> None:
        self._told: Sequence[Subject] = ()
        self.zones = Zones()
        self.resident = np.zeros(0, np.int32)
        self.zone = np.zeros(0, np.int16)
        self.variant = np.zeros(0, np.int16)

    def make_room(self, slots: int) -> None:
        """Room for `slots` slots."""
        self.resident = with_room(self.resident, slots)
        self.zone = with_room(self.zone, slots)
        self.variant = with_room(self.variant, slots)

    def know(self, slots: npt.NDArray[np.int64], subjects: Sequence[Subject], variant: npt.NDArray[np.int16]) -> None:
        """As `Operator.know`."""
        if subjects is self._told:
            return
        self.variant[slots] = variant
        people = [subject.resident for subject in subjects]
        told = np.array([person is not None for person in people], np.bool_)
        count = int(told.sum())
        known = slots[told]
        self.resident[known] = np.fromiter((person.key for person in people if person), np.int32, count)
        numbers = {name: self.zones.number(name) for name in {person.zone for person in people if person}}
        self.zone[known] = np.fromiter((numbers[person.zone] for person in people if person), np.int16, count)

    def tell(
        self,
        sharing: Iterable[Operator],
        slots: npt.NDArray[np.int64],
        subjects: Sequence[Subject],
        variant: npt.NDArray[np.int16],
    ) -> None:
        """Let operators `know`; what those that share this would tell it again, it is told once."""
        self.know(slots, subjects, variant)
        self._told = subjects
        for operator in sharing:
            operator.know(slots, subjects, variant)
        self._told = ()

    def meet(self, given: Given) -> None:
        """Who the readings are of, where nobody has said it yet."""
        self.resident[given.slot] = given.samples.resident


@runtime_checkable
class KnowsPeople(Protocol):
    """An operator that keeps who is in its slots in a `Known`, which may be replaced by one that is shared."""

    known: Known


def sample_name(given: Given, row: int) -> str:
    """What names a reading for ever, for a trigger's key."""
    samples = given.samples
    return f"{samples.device[row]}:{samples.boot[row]}.{samples.seq[row]}.{samples.part[row]}"

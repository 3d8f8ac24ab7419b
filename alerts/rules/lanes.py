"""Which operators share what is held back for them: those of one scope that wait equally long and read alike."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from alerts.rules.operator import Expects, Operator, ReadsFew, Scope
from alerts.rules.seen import Seen
from alerts.rules.settled import EARLIEST, Settled
from alerts.rules.slots import Slots
from homecare.metrics import METRICS


@dataclass(frozen=True, slots=True)
class Named:
    """An operator and the full name of its rule in the pack, `section.rule` or `section`."""

    name: str
    operator: Operator
    made_of: str = ""
    """Digest of the rule: the state that another rule made is not taken up."""

    @property
    def label(self) -> str:
        """What its state is kept under; one rule may have an operator for devices and one for residents."""
        return f"{self.name} of {self.operator.scope}s"


class _Alike(NamedTuple):
    scope: Scope
    wait_ms: int
    positions: bool | None
    """None: they may read anything."""


class Lane:
    """Ordered operators that wait equally long and read alike: bit i of what is wanted stands for `operators[i]`."""

    def __init__(self, alike: _Alike, operators: Sequence[Named], slots: Slots) -> None:
        self.scope, self.operators = alike.scope, tuple(operators)
        self.bits: type[np.unsignedinteger[Any]] = next(
            kind for kind in (np.uint8, np.uint16, np.uint32, np.uint64) if kind(0).nbytes * 8 >= len(operators)
        )
        shift = 32 if alike.scope == "device" else 0
        self.held = Settled(
            alike.wait_ms,
            self.columns,
            positions=alike.positions is not False,
            wanted=self.bits,
            whose=(alike.scope, lambda held: slots.keys[held] >> shift),
        )
        self.seen = Seen(alike.wait_ms)
        self.expecting = [(bit, one.operator) for bit, one in enumerate(operators) if isinstance(one.operator, Expects)]
        self.swept = EARLIEST

    @property
    def columns(self) -> Sequence[int]:
        """Of the values, those that any of them reads."""
        read = set[int]()
        for named in self.operators:
            read.update(named.operator.columns if isinstance(named.operator, ReadsFew) else range(len(METRICS)))
        return sorted(read)


def lanes_of(operators: Sequence[Named], slots: Mapping[Scope, Slots]) -> list[Lane]:
    """Operators that want their readings in order, those together that can share what is held back for them; `slots`: of
    all there are.
    """
    lanes: dict[_Alike, list[Named]] = defaultdict(list)
    for named in operators:
        operator = named.operator
        positions = operator.positions if isinstance(operator, ReadsFew) else None
        lanes[_Alike(operator.scope, operator.wait_ms, positions)].append(named)
    return [Lane(alike, members, slots[alike.scope]) for alike, members in lanes.items()]

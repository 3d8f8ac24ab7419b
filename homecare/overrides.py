"""Where the rule pack does not hold as it is: one field of one rule, for an area and all below it, or for one resident."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec


class Override(msgspec.Struct, frozen=True):
    """One changed field. Exactly one of `area` (code) and `resident` (id) is given."""

    area: str | None
    resident: str | None
    rule: str
    """As in error messages: `limit.heart_rate`, `silence`."""
    field: str
    """Path in the rule: `reading.heart_rate:high.bands.warning.limit`."""
    value: Any
    """JSON."""
    resident_area: str | None = None
    """Where the resident lives: what holds there holds for them first."""
    resident_key: int = 0

    @property
    def whose(self) -> str:
        """`area 990101` or `resident R-1`."""
        return f"area {self.area}" if self.area is not None else f"resident {self.resident}"


class Area(msgspec.Struct, frozen=True):
    """One area as the rules see it: its place in the tree and the time its people live by."""

    code: str
    parent: str | None
    zone: str


CheckOverrides = Callable[[Sequence[Override], Iterable[Area]], list[tuple[str, str, str]]]
"""(all overrides, all areas) -> what is wrong: (whose, rule, what was expected). `alerts.rules.variants.problems` is it."""

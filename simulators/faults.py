"""What goes wrong with a fleet's devices, on request: `duplicates,skew=3600,…`. Pure, but for the random numbers it is given."""

from dataclasses import dataclass
from random import Random
from typing import Any

from homecare.errors import InputError

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NEVER_SET = -1
"""A clock that was never set: 1970."""
NO_CLOCK = -2
DAMAGE = (HOUR_MS, -DAY_MS, NEVER_SET, NO_CLOCK)
"""Of each twenty devices one has each of these, where `skew` has no number."""
KNOWN = """\
duplicates[=N]     one message in ten is sent twice; every one N times
reorder[=N]        one in ten comes up to five later; every N of a device come in reverse order
skew[=S]           of twenty devices one is an hour ahead, one a day behind, one never set its clock, one has none;
                   all are S seconds ahead (below 0: behind)
storm[=S]          every 10 s (every S s) half the fleet loses its connection and comes back at once
dead_battery[=X]   2 % of the devices (a share X, 0..1) fall silent somewhere in the middle of the run"""


@dataclass(frozen=True, slots=True)
class Faults:
    """None: it does not happen; 0: as it usually does; else how much, as KNOWN says."""

    duplicates: float | None = None
    reorder: float | None = None
    skew: float | None = None
    storm: float | None = None
    dead_battery: float | None = None

    def copies(self, random: Random) -> int:
        """How often a message is sent beyond the first time."""
        if self.duplicates is None:
            return 0
        return int(self.duplicates) - 1 if self.duplicates else int(random.random() < 0.1)

    def delay(self, seq: int, random: Random) -> int:
        """How many messages of the same device overtake this one."""
        if self.reorder is None:
            return 0
        if self.reorder:
            block = int(self.reorder)
            return 2 * (block - 1 - seq % block)
        return random.randint(1, 5) if random.random() < 0.1 else 0

    def clock_error(self, number: int) -> int:
        """Milliseconds by which device `number`'s clock is wrong, or NEVER_SET, or NO_CLOCK."""
        if self.skew is None:
            return 0
        if self.skew:
            return int(self.skew * 1000)
        return DAMAGE[number % 20] if number % 20 < len(DAMAGE) else 0

    @property
    def storm_every_s(self) -> float | None:
        return None if self.storm is None else self.storm or 10.0

    def dies(self, number: int) -> bool:
        """Whether device `number`'s battery ends."""
        if self.dead_battery is None:
            return False
        every = max(1, round(1 / (self.dead_battery or 0.02)))
        return number % every == every // 2


def parse(text: str) -> Faults:
    """`name[=number],…`. InputError says what is wrong with it."""
    given: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, _, amount = part.strip().partition("=")
        if name not in Faults.__dataclass_fields__:
            raise InputError(f"--faults {name}: expected some of\n{KNOWN}")
        try:
            given[name] = float(amount or 0)
        except ValueError:
            raise InputError(f"--faults {part}: expected a number after the =") from None
        if not _sensible(name, given[name]):
            raise InputError(f"--faults {part}: out of range")
    return Faults(**given)


def _sensible(name: str, amount: float) -> bool:
    highest = {"duplicates": 1000, "reorder": 1000, "skew": 1e9, "storm": 1e6, "dead_battery": 1}[name]
    return (-highest if name == "skew" else 0) <= amount <= highest

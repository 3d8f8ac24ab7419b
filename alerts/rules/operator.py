"""What an operator is: one kind of rule, its state in columns with one row per slot, whole batches at a time.

`engine.Engine` owns the slots, puts what arrives into order and asks; an operator never sees a batch's edges. Whatever
an operator says depends on the readings and the times only, so it must not matter how the stream was cut:

- a deadline that a reading's time has passed is due before that reading is looked at, whether or not `sweep` came
  in between, and its trigger's `at` is the deadline, not the moment somebody looked;
- a trigger's key is made of what made it (rule, device, resident, times), so that a replay gives the same key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from homecare.devices import RegisteredDevice
from homecare.messages import AccelerationWindow
from homecare.residents import Profile
from homecare.samples import Samples
from homecare.triggers import Trigger

EVENTS = (
    "sos",
    "fall",
    "cancel",
    "assist",
    "check_in",
    "taken_off",
    "put_on",
    "low_battery",
    "power_lost",
    "power_restored",
    "tamper",
    "smoke",
    "gas",
    "water",
    "door",
    "bed_exit",
)
"""The contract's events; `EVENT_CODE` numbers them from 1."""
EVENT_CODE = {name: number for number, name in enumerate(EVENTS, 1)}

Scope = Literal["device", "resident"]


@dataclass(slots=True)
class Given:
    """n readings and events, each once, sorted by slot, then by the time they were measured at.

    Those of equal time are in the order of the device's own count. What no rule reads is not kept: `claimed`, `heading`
    and `altitude` of `samples` are missing.
    """

    samples: Samples
    """n rows. An event is a row with what came with it (often nothing: NaN)."""
    event: npt.NDArray[np.int8]
    """(n,) 0: a sample of telemetry; else `EVENT_CODE` of the event."""
    slot: npt.NDArray[np.int64]
    """(n,) by the operator's scope: of the device, or of the resident whoever's device measured it."""
    of: npt.NDArray[np.int32] | None = None
    """(n,) of a `cancel`: `seq` of the event it takes back, of the same boot; else -1. None: -1 throughout."""

    def __len__(self) -> int:
        return len(self.slot)

    def take(self, rows: npt.NDArray[np.int64]) -> "Given":
        """Those at `rows`, in that order."""
        of = None if self.of is None else self.of[rows]
        return Given(self.samples.take(rows), self.event[rows], self.slot[rows], of)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose slot it is: a device, or a resident with what is known of them."""

    device: RegisteredDevice | None
    resident: Profile | None


class Operator(Protocol):
    """One section of the rule pack over all slots of one scope."""

    section: str
    """Its table in the rule pack."""
    scope: Scope
    ordered: bool
    """True: `step` gets readings in their order, once `wait_ms` has passed in which an earlier one could still come.
    False: what it keeps does not depend on the order (a maximum, a count), so it gets them at once."""

    @property
    def wait_ms(self) -> int:
        """How long after its time of measurement a reading may be received and still count; ordered ones wait as long."""

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
        """(n,) The readings and events it has a use for; it is given no others. Cheap: it is asked about every sample."""

    def make_room(self, slots: int) -> None:
        """Room for `slots` slots."""

    def tune(self, rules: Sequence[Any]) -> None:
        """Its rules: first the pack's own, then the variants that areas and residents have. Again whenever they change:
        the state stays.
        """

    def know(self, slots: npt.NDArray[np.int64], subjects: Sequence[Subject], variant: npt.NDArray[np.int16]) -> None:
        """Who is in these slots and which of the rules (index in `tune`'s) holds for them; again whenever that changes."""

    def step(self, given: Given) -> list[Trigger]:
        """Take in readings; what they raise and clear, and what had come due before them."""

    def sweep(self, until: int) -> list[Trigger]:
        """Nothing that counts and was measured before `until` (Unix ms) will come any more: what has come due."""

    def dump(self) -> dict[str, npt.NDArray[Any]]:
        """The state to keep over a restart: arrays whose first axis is the slot."""

    def load(self, state: dict[str, npt.NDArray[Any]], slots: npt.NDArray[np.int64]) -> None:
        """What `dump` gave; row i of every array belongs to `slots[i]` now. Arrays of an older shape are ignored by name."""


@runtime_checkable
class ReadsWindows(Protocol):
    """An operator that reads raw acceleration as well; `sweep` settles what waited for more of it."""

    def windows(self, windows: Sequence[AccelerationWindow], slots: npt.NDArray[np.int64]) -> list[Trigger]:
        """Windows in order of arrival, repeats and all, and the slot of each: given at once, whatever `ordered` says."""


@runtime_checkable
class ReadsFew(Protocol):
    """An operator that wants its readings in order and reads few of what comes with them: the rest need not be kept."""

    columns: Sequence[int]
    """Of `Samples.values`: in the others is NaN."""
    positions: bool
    """False: what belongs to a position is missing."""


@runtime_checkable
class Expects(Protocol):
    """An operator that wants its readings in order, and of what it is going to be given knows what it will not need."""

    def expect(
        self, samples: Samples, event: npt.NDArray[np.int8], slot: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> None:
        """`rows` of these are held back for it and will be given to `step`; `slot` (n,) as in `Given`."""


@runtime_checkable
class Remembers(Protocol):
    """An operator whose state is made of more than the last minutes."""

    @property
    def memory_ms(self) -> int:
        """How far back, by `ts`, the readings are needed to make its state anew where no snapshot of it is there."""


@runtime_checkable
class KeepsFew(Protocol):
    """An operator whose state is large, of few slots: `dump` of all of them would be looked through in vain."""

    def dump_few(self) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[Any]]]:
        """The slots that have any, and of these what `dump` gives of all: row i belongs to the i-th."""

"""The plainest operator there can be, to try what gives readings to operators: it counts, and misses who stays away.

Ordered, it tells every third heart rate or call for help of its slot, and if none follows for ten minutes; not ordered,
how many there were by `END`.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from alerts.rules.operator import EVENT_CODE, Given, Scope, Subject
from homecare.metrics import INDEX
from homecare.samples import Samples
from homecare.triggers import Trigger

AWAY_MS = 600_000
END = 1_800_500_000_000


def trigger(rule: str, at: int, slot_of: int, device: int, count: int, state: Literal["raised", "cleared"]) -> Trigger:
    """What a tally says; a slot is told by the resident of its reading."""
    return Trigger(
        key=f"{rule}:{device}:{slot_of}:{at}:{count}:{state}",
        at=at,
        rule=rule,
        version=1,
        kind="device",
        metric=None,
        severity="info",
        state=state,
        device=device,
        resident=slot_of,
        evidence={"count": count},
        zh="数",
        en="A count",
    )


class Tally:
    """By slot: how many, the last time, and by which device."""

    section = "tally"
    wait_ms = 300_000
    memory_ms = 12 * 3_600_000

    def __init__(self, scope: Scope, *, ordered: bool) -> None:
        self.scope, self.ordered = scope, ordered
        self._state = {name: np.zeros(0, np.int64) for name in ("count", "last", "whose", "device")}

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
        """Heart rates and calls for help."""
        mask: npt.NDArray[np.bool_] = ~np.isnan(samples.values[:, INDEX["heart_rate"]])
        mask |= event == EVENT_CODE["assist"]
        return mask

    def make_room(self, slots: int) -> None:
        """As `Operator`."""
        for name, array in self._state.items():
            more = slots - len(array)
            if more > 0:
                self._state[name] = np.concatenate([array, np.zeros(more, np.int64)])

    def tune(self, rules: Sequence[Any]) -> None:
        """It has no rules."""

    def know(self, slots: npt.NDArray[np.int64], subjects: Sequence[Subject], variant: npt.NDArray[np.int16]) -> None:
        """It knows nobody."""

    def step(self, given: Given) -> list[Trigger]:
        """One by one: this is for tests."""
        triggers = []
        state = self._state
        for row, slot in enumerate(given.slot.tolist()):
            ts = int(given.samples.ts[row])
            if self.ordered:
                assert ts >= state["last"][slot]
                triggers += self._away(slot, ts)
                state["count"][slot] += 1
                if state["count"][slot] % 3 == 0:
                    triggers.append(self._say("tally", ts, int(state["count"][slot]), row, given))
            else:
                state["count"][slot] += 1
            state["last"][slot] = max(ts, int(state["last"][slot]))
            state["whose"][slot] = given.samples.resident[row]
            state["device"][slot] = given.samples.device[row]
        return triggers

    def sweep(self, until: int) -> list[Trigger]:
        """Who stayed away."""
        if not self.ordered:
            return self._total(until)
        return [trigger for slot in range(len(self._state["last"])) for trigger in self._away(slot, until)]

    def _total(self, until: int) -> list[Trigger]:
        counts = self._state["count"]
        found = np.flatnonzero(counts > 0).tolist() if until > END else []
        triggers = [trigger("total", END, slot, 0, int(counts[slot]), "raised") for slot in found]
        counts[found] = 0
        return triggers

    def _away(self, slot: int, until: int) -> list[Trigger]:
        state = self._state
        due = int(state["last"][slot]) + AWAY_MS
        if state["count"][slot] <= 0 or due >= until:
            return []
        count, state["count"][slot] = int(state["count"][slot]), 0
        whose = int(state["whose"][slot]) if self.scope == "resident" else 0
        return [trigger("away", due, whose, int(state["device"][slot]), count, "raised")]

    def _say(self, rule: str, at: int, count: int, row: int, given: Given) -> Trigger:
        whose = int(given.samples.resident[row]) if self.scope == "resident" else 0
        return trigger(rule, at, whose, int(given.samples.device[row]), count, "raised")

    def dump(self) -> dict[str, npt.NDArray[Any]]:
        """As `Operator`."""
        return {name: array.copy() for name, array in self._state.items()}

    def load(self, state: dict[str, npt.NDArray[Any]], slots: npt.NDArray[np.int64]) -> None:
        """As `Operator`."""
        for name, array in state.items():
            self._state[name][slots] = array

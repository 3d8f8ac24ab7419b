"""Outages: the areas whose devices are silent together, and which devices these are.

What is told of an outage is told of the area; a device that is part of one is not told by itself.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from alerts.rules.room import with_room
from alerts.rules.rows import run_starts
from alerts.rules.silence_rule import TogetherRule
from alerts.rules.together import NEVER, Ints, Verdict
from homecare.devices import RegisteredDevice
from homecare.triggers import Trigger

RULE = "outage"
LISTED = 200
"""So many of an outage's devices are named in its evidence; all are counted."""


class Outages:
    """State by area: since when it has an outage and of how many devices; by slot of the device: its area."""

    def __init__(self, rule: TogetherRule) -> None:
        self.rule = rule
        self.area = np.zeros(0, np.int32)
        """By slot: number of the device's area; -1: not known."""
        self._counts = np.zeros(0, np.bool_)
        self._inside = np.zeros(0, np.bool_)
        self._ids = np.zeros(0, "S1")
        """In UTF-8, all as wide as the longest: a million str objects would be 77 bytes each."""
        self._silent = np.zeros((2, 0), np.int64)
        """(slot, since when it is silent) of those inside an outage, and of some that are it no more."""
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._since = np.zeros(0, np.int64)
        self._devices, self._size, self._peak, self._band = (np.zeros(0, np.int64) for _ in range(4))
        """By area: watched devices; silent ones in the outage now, and at most; as how severe it was told (0: not at all)."""
        self._doubtful: set[int] = set()
        """Areas whose outage may be over though nobody came back."""
        self._bands = np.array([band.devices for band in rule.bands], np.int64)

    def make_room(self, slots: int) -> None:
        """Room for `slots` slots."""
        more = slots - len(self.area)
        if more > 0:
            self.area = np.concatenate([self.area, np.full(more, -1, np.int32)])
            self._counts = np.concatenate([self._counts, np.zeros(more, np.bool_)])
            self._inside = np.concatenate([self._inside, np.zeros(more, np.bool_)])
            self._ids = with_room(self._ids, slots)

    def register(self, slots: Ints, devices: Sequence[RegisteredDevice]) -> Ints:
        """Where they are and whether they are watched; the slots of those that so left their outage."""
        ids = np.array([device.id.encode() for device in devices], "S")
        if ids.dtype.itemsize > self._ids.dtype.itemsize:
            self._ids = self._ids.astype(ids.dtype)
        self._ids[slots] = ids
        area = np.array([self._number(device.area) for device in devices], np.int32)
        watched = np.array([not device.revoked for device in devices])
        slots, last = np.unique(slots[::-1], return_index=True)
        area, watched = area[::-1][last], watched[::-1][last]
        counted = slots[self._counts[slots]]
        np.subtract.at(self._devices, self.area[counted], 1)
        gone: Ints = slots[self._inside[slots] & (~watched | (area != self.area[slots]))]
        self.leave(gone)
        self.area[slots], self._counts[slots] = area, watched
        np.add.at(self._devices, area[watched], 1)
        return gone

    def leave(self, slots: Ints) -> None:
        """These are part of their outage no more, though they did not come back."""
        slots = np.unique(slots[self._inside[slots]])
        self._inside[slots] = False
        np.subtract.at(self._size, self.area[slots], 1)
        self._doubtful.update(self.area[slots].tolist())

    def hold(self, slots: Ints, interval: Ints) -> Ints:
        """(n,) For how long a silence is held, ms, by the devices' intervals; not at all where too few could be silent."""
        rule = self.rule
        held = np.maximum(round(1000 * rule.gather_s), (rule.gather_intervals * interval).astype(np.int64))
        return np.where(self._devices[self.area[slots]] < rule.bands[0].devices, 0, held)

    def open(self, slots: Ints) -> npt.NDArray[np.bool_]:
        """(n,) Whether the device's area has an outage now."""
        is_open: npt.NDArray[np.bool_] = self._since[self.area[slots]] != NEVER
        return is_open

    def some(self, areas: npt.NDArray[np.int32], most: int) -> npt.NDArray[np.bool_]:
        """By area: the first of `areas`, so many that they have about `most` devices."""
        waits = np.zeros(len(self._since), np.bool_)
        waits[areas] = True
        devices = self._devices * waits
        return waits & (np.cumsum(devices) - devices < most)

    def begin(self, verdict: Verdict, slots: Ints, silent_at: Ints) -> list[Trigger]:
        """The outages of `verdict`; `slots`: the devices in them."""
        self._add(slots, silent_at)
        self._since[verdict.area] = verdict.at
        size = self._peak[verdict.area] = self._size[verdict.area]
        self._band[verdict.area] = np.searchsorted(self._bands, size, side="right")
        found = zip(verdict.area.tolist(), verdict.at.tolist(), verdict.heard.tolist(), strict=True)
        inside = self._members(verdict.area)
        return [self._raised(area, at, {"heard": heard}, inside[area]) for area, at, heard in found]

    def join(self, slots: Ints, silent_at: Ints) -> list[Trigger]:
        """More devices of areas with an outage fell silent; told where that makes it more severe."""
        before = self._size.copy()
        self._add(slots, silent_at)
        areas = np.unique(self.area[slots]).astype(np.int64)
        self._peak[areas] = np.maximum(self._peak[areas], self._size[areas])
        worse = areas[np.searchsorted(self._bands, self._size[areas], side="right") > self._band[areas]]
        inside = self._members(worse)
        triggers = []
        for area in worse.tolist():
            came = np.sort(silent_at[self.area[slots] == area])
            while self._band[area] < len(self._bands) and self._size[area] >= self._bands[self._band[area]]:
                at = int(came[max(0, self._bands[self._band[area]] - before[area] - 1)])
                self._band[area] += 1
                slot, silent = inside[area]
                triggers.append(self._raised(area, at, {}, (slot[silent <= at], silent[silent <= at])))
        return triggers

    def come_back(self, slots: Ints, at: Ints) -> tuple[list[Trigger], Ints, Ints]:
        """Devices inside an outage were heard, each once and in this order.

        What that ends; the slots of those still silent then, and since when they have to be told by themselves.
        """
        self._inside[slots] = False
        order = np.argsort(self.area[slots], kind="stable")
        ended: dict[int, tuple[int, Ints]] = {}
        for back in np.split(order, run_starts(self.area[slots[order]].astype(np.int64))[1:]):
            area = int(self.area[slots[back[0]]])
            needed = max(1, int(self._size[area]) - self._may_remain(area))
            if len(back) >= needed:
                ended[area] = int(at[back[needed - 1]]), slots[back[needed:]]
            else:
                self._size[area] -= len(back)
        return self._end(ended)

    def settle(self, now: int) -> tuple[list[Trigger], Ints, Ints]:
        """As `come_back`, of outages that devices have left otherwise."""
        nobody = np.zeros(0, np.int64)
        over = [
            area
            for area in sorted(self._doubtful)
            if self._since[area] != NEVER and self._size[area] <= self._may_remain(area)
        ]
        self._doubtful.clear()
        return self._end(dict.fromkeys(over, (now, nobody)))

    def recall(self, triggers: Iterable[Trigger], slots: Ints, silent_at: Ints) -> Ints:
        """The last trigger of each area; `slots`: devices that are silent and were not told. Which of them are inside one."""
        for trigger in triggers:
            if trigger.state == "raised" and trigger.area in self._numbers:
                area, evidence = self._numbers[trigger.area], trigger.evidence
                self._since[area], self._peak[area] = evidence["since"], evidence["silent"]
                self._band[area] = np.searchsorted(self._bands, evidence["silent"], side="right")
                self._doubtful.add(area)
        inside = self.open(slots)
        inside[inside] = silent_at[inside] <= self._since[self.area[slots[inside]]]
        self._add(slots[inside], silent_at[inside])
        known: Ints = slots[inside]
        return known

    def _number(self, area: str) -> int:
        number = self._numbers.get(area)
        if number is None:
            number = self._numbers[area] = len(self._names)
            self._names.append(area)
            more = number + 1 - len(self._since)
            if more > 0:
                more = max(64, number)
                self._since = np.concatenate([self._since, np.full(more, NEVER, np.int64)])
                none = np.zeros(more, np.int64)
                columns = (self._devices, self._size, self._peak, self._band)
                self._devices, self._size, self._peak, self._band = (np.concatenate([c, none]) for c in columns)
        return number

    def _add(self, slots: Ints, silent_at: Ints) -> None:
        self._inside[slots] = True
        np.add.at(self._size, self.area[slots], 1)
        # One that came back and is silent again is there once.
        added = np.zeros(len(self._inside), np.bool_)
        added[slots] = True
        kept = self._silent[:, self._inside[self._silent[0]] & ~added[self._silent[0]]]
        self._silent = np.concatenate([kept, np.array([slots, silent_at])], axis=1)

    def _members(self, areas: Ints) -> dict[int, tuple[Ints, Ints]]:
        """By area: the slots inside its outage, and since when each is silent."""
        wanted = np.zeros(len(self._since), np.bool_)
        wanted[areas] = True
        slot, silent_at = self._silent[:, self._inside[self._silent[0]]]
        chosen = np.flatnonzero(wanted[self.area[slot]])
        chosen = chosen[np.argsort(self.area[slot[chosen]], kind="stable")]
        starts = run_starts(self.area[slot[chosen]].astype(np.int64))
        parts = [(slot[part], silent_at[part]) for part in np.split(chosen, starts[1:])] if len(chosen) else []
        found = {int(self.area[part[0][0]]): part for part in parts}
        nobody = np.zeros(0, np.int64)
        return {area: found.get(area, (nobody, nobody)) for area in areas.tolist()}

    def _may_remain(self, area: int) -> int:
        """With so many still silent it is over."""
        return math.floor((1 - self.rule.back) * int(self._peak[area]) + 1e-9)

    def _end(self, ended: dict[int, tuple[int, Ints]]) -> tuple[list[Trigger], Ints, Ints]:
        """End these areas' outages: when, and who came back only after that."""
        triggers = []
        inside = self._members(np.array(list(ended), np.int64)) if ended else {}
        for area, (at, later) in ended.items():
            silent = np.concatenate([inside[area][0], later])
            evidence = {"silent": len(silent), "of": int(self._peak[area]), "devices": self._listed(silent)}
            triggers.append(self._trigger("cleared", area, at, evidence))
            self._since[area], self._size[area], self._peak[area], self._band[area] = NEVER, 0, 0, 0
        left = [slot for slot, _ in inside.values()]
        still = np.concatenate(left) if left else np.zeros(0, np.int64)
        self._inside[still] = False
        since = np.repeat([at for at, _ in ended.values()], [len(slots) for slots in left]).astype(np.int64)
        return triggers, still, since

    def _listed(self, slots: Ints) -> list[str]:
        return [name.decode() for name in np.sort(self._ids[slots])[:LISTED].tolist()]

    def _raised(self, area: int, at: int, more: dict[str, Any], silent: tuple[Ints, Ints]) -> Trigger:
        evidence = {
            "silent": len(silent[0]),
            **more,
            "silent_from": int(silent[1].min()),
            "silent_until": int(silent[1].max()),
            "devices": self._listed(silent[0]),
            "least": self.rule.bands[0].devices,
            "share": self.rule.share,
        }
        return self._trigger("raised", area, at, evidence)

    def _trigger(self, state: Literal["raised", "cleared"], area: int, at: int, evidence: dict[str, Any]) -> Trigger:
        rule, name, band = self.rule, self._names[area], max(1, int(self._band[area]))
        since = int(self._since[area])
        words = {"area": name, "silent": evidence["silent"]}
        raised = state == "raised"
        return Trigger(
            key=f"{RULE}:{name}:{since}:{band}:{state}",
            at=at,
            rule=RULE,
            version=rule.version,
            kind="outage",
            metric=None,
            severity=rule.bands[band - 1].severity,
            state=state,
            device=0,
            resident=0,
            area=name,
            evidence={"area": name, "since": since, **evidence},
            zh=(rule.zh if raised else rule.cleared_zh).format(**words),
            en=(rule.en if raised else rule.cleared_en).format(**words),
        )

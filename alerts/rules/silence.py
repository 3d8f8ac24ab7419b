"""Silence: a device that owes us data. Keep-alive and status are not data, so that a device that is connected and
measures nothing is found as well.

It counts from the last data's time of receipt, or from when the device was put on if that is later, by the device's own
interval; one that nobody wears and that was never heard is not watched. `at` is the moment the allowance ran out,
whenever the sweep noticed. Where many devices share an area, a silence is held back a little: see `together`.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from alerts.rules import texts
from alerts.rules.held import HeldSilences
from alerts.rules.outages import Outages
from alerts.rules.room import with_room
from alerts.rules.silence_rule import SilenceRule
from alerts.rules.together import NEVER, Held, Ints, judge
from homecare.devices import RegisteredDevice
from homecare.triggers import Trigger

RULE = "silence"
UNHEARD = -NEVER
"""NEVER is a deadline that does not come, and the allowance of a device that is not watched."""
LONGEST_MS = 2**31 - 1
"""More than the directory takes for an interval."""
BLOCK = 512
MOST_DUE = 50_000
MOST_TOLD = 3_000
"""What one sweep takes up and tells at most; the next goes on. A power cut in a county must not stop the measurements."""
AWAKE, HELD, TOLD, COVERED = range(4)
"""Not silent; silent and not told yet; told by itself; part of its area's outage."""


class Silence:
    """State by slot of the device: last heard, allowance, deadline; times are Unix ms."""

    def __init__(self, rule: SilenceRule) -> None:
        self._rule = rule
        self._rules = [rule]
        self._heard = np.zeros(0, np.int64)
        self._allowance = np.zeros(0, np.int64)
        self._interval = np.zeros(0, np.int32)
        self._wearer = np.zeros(0, np.int32)
        self._since = np.zeros(0, np.int64)
        self._deadline = np.zeros(0, np.int64)
        """In whole blocks."""
        self._soonest = np.zeros(0, np.int64)
        """By block: nobody's deadline is sooner. Who is heard is due later, so most blocks need no look for long."""
        self._silent_at = np.zeros(0, np.int64)
        """Of whoever is not awake; before the first time nothing is written, so that it takes no memory."""
        self._silent_wearer = np.zeros(0, np.int32)
        self._state = np.zeros(0, np.int8)
        self._listening_since = UNHEARD
        self._held = HeldSilences()
        self._outages = None if rule.together is None else Outages(rule.together)
        self._ended: list[Trigger] = []
        """Silences that the directory ended; told with the next sweep."""

    def make_room(self, slots: int) -> None:
        """Room for `slots` slots."""
        if slots > len(self._heard):
            self._heard = with_room(self._heard, slots, UNHEARD)
            self._allowance = with_room(self._allowance, slots, NEVER)
            self._interval = with_room(self._interval, slots)
            self._wearer = with_room(self._wearer, slots)
            self._since = with_room(self._since, slots, UNHEARD)
            blocks = -(-slots // BLOCK)
            self._deadline = with_room(self._deadline, blocks * BLOCK, NEVER)
            self._soonest = with_room(self._soonest, blocks, NEVER)
            self._silent_at = with_room(self._silent_at, slots)
            self._silent_wearer = with_room(self._silent_wearer, slots)
            self._state = with_room(self._state, slots)
            if self._outages is not None:
                self._outages.make_room(slots)

    def tune(self, rules: Sequence[SilenceRule | None]) -> None:
        """The pack's rule and its variants, which differ in `intervals` and `floor_s` only; they count at `register`."""
        self._rules = [rule or self._rule for rule in rules]

    def register(
        self, slots: Ints, devices: Iterable[RegisteredDevice], variant: npt.NDArray[np.int16] | None = None
    ) -> None:
        """Intervals, areas, revocations and wearers as they are now, and which variant holds for them (None: the pack)."""
        devices = list(devices)
        rules = [self._rule] * len(devices) if variant is None else [self._rules[number] for number in variant.tolist()]
        allowance, interval, wearer, since = [], [], [], []
        for device, rule in zip(devices, rules, strict=True):
            worn = device.wearings[-1] if device.wearings and device.wearings[-1].until is None else None
            watched = not device.revoked and device.interval_s > 0
            allowed = max(rule.floor_s, rule.intervals * device.interval_s)
            allowance.append(round(allowed * 1000) if watched else NEVER)
            interval.append(min(round(device.interval_s * 1000), LONGEST_MS))
            wearer.append(worn.resident_key if worn else 0)
            since.append(worn.since if worn else UNHEARD)
        # A device that is put on anew owes its new wearer data from then on; one that is revoked owes nothing.
        over = (self._state[slots] != AWAKE) & (
            (np.array(allowance) == NEVER) | (np.array(since) > self._silent_at[slots])
        )
        for index in np.flatnonzero(over & (self._state[slots] == TOLD)).tolist():
            at = since[index] if since[index] > self._silent_at[slots[index]] else NEVER
            self._ended.append(self._trigger("cleared", devices[index].key, int(slots[index]), at))
        self._wake(slots[over])
        if self._outages is not None:
            was = self._outages.area[slots]
            self._wake(self._outages.register(slots, devices))
            # Held where it was, it is to be held where it is now.
            self._wake(slots[(self._state[slots] == HELD) & (was != self._outages.area[slots])])
        self._allowance[slots] = allowance
        self._interval[slots] = interval
        self._wearer[slots] = wearer
        self._since[slots] = since
        self._count(slots)

    def listen(self, since: int) -> None:
        """Nobody could be heard before `since`: no silence is found until the device's allowance has passed again."""
        self._listening_since = since
        self._count(np.arange(len(self._heard)))

    def heard(self, slots: Ints, devices: npt.NDArray[np.int32], received: Ints) -> list[Trigger]:
        """Data came (in order of receipt); a cleared trigger for each silence it ends."""
        # What was received before the silence began (when the state is rebuilt) does not end it.
        ends = np.flatnonzero(self._state[slots] != AWAKE)
        ends = ends[received[ends] + self._allowance[slots[ends]] > self._silent_at[slots[ends]]]
        ended: list[Trigger] = []
        if len(ends):
            ends = ends[np.sort(np.unique(slots[ends], return_index=True)[1])]
            back, at = slots[ends], received[ends]
            told = self._state[back] == TOLD
            for slot, when, key in zip(
                back[told].tolist(), at[told].tolist(), devices[ends[told]].tolist(), strict=True
            ):
                ended.append(self._trigger("cleared", key, slot, when))
            covered = self._state[back] == COVERED
            self._wake(back)
            if self._outages is not None and covered.any():
                ended += self._part(*self._outages.come_back(back[covered], at[covered]))
        np.maximum.at(self._heard, slots, received)
        self._count(slots)
        return ended

    def sweep(self, now: int, keys: Ints) -> list[Trigger]:
        """Those whose allowance ran out before `now`, once they are held no more; `keys` by slot: the device's in the upper half.

        What is more than `MOST_TOLD` is left to the next sweep.
        """
        told = [msgspec.structs.replace(one, at=now) if one.at == NEVER else one for one in self._ended]
        self._ended = []
        if self._outages is not None:
            told += self._part(*self._outages.settle(now))
        until = self._take_up(now, told)
        up = self._held.up(until)[:MOST_DUE]
        return told + self._judge(up, until, keys) if len(up) else told

    def _take_up(self, now: int, told: list[Trigger]) -> int:
        """Hold those whose allowance ran out before `now`, the earliest first; up to when all such are held."""
        blocks = np.flatnonzero(self._soonest < now)
        if not len(blocks):
            return now
        deadlines = self._deadline.reshape(-1, BLOCK)
        block, place = np.nonzero(deadlines[blocks] < now)
        due = blocks[block] * BLOCK + place
        if len(due) > MOST_DUE:
            all_due = self._deadline[due]
            now = int(np.partition(all_due, MOST_DUE)[MOST_DUE])
            # However many fell silent in the same millisecond.
            earlier, same = due[all_due < now], due[all_due == now]
            due = np.concatenate([earlier, same[: MOST_DUE - len(earlier)]])
        if len(due):
            self._take(due, told)
        self._soonest[blocks] = deadlines[blocks].min(axis=1)
        return now

    def _take(self, due: Ints, told: list[Trigger]) -> None:
        """Hold these, who fell silent."""
        silent = self._deadline[due]
        self._silent_at[due] = np.maximum(self._heard[due], self._since[due]) + self._allowance[due]
        self._silent_wearer[due] = self._wearer[due]
        self._deadline[due] = NEVER
        self._state[due] = HELD
        if self._outages is not None:
            joins = self._outages.open(due)
            told += self._join(self._outages, due[joins], silent[joins])
            due, silent = due[~joins], silent[~joins]
        self._hold(due, silent)

    def _hold(self, slots: Ints, silent: Ints) -> None:
        areas, until = self._areas(), silent
        if self._outages is not None:
            until = silent + self._outages.hold(slots, self._interval[slots].astype(np.int64))
        self._held.add(slots, areas[slots], silent, until, self._state == HELD)

    def _areas(self) -> npt.NDArray[np.int32]:
        """By slot: where the device is; all in one place if it does not matter."""
        return np.zeros(len(self._state), np.int32) if self._outages is None else self._outages.area

    def _judge(self, up: npt.NDArray[np.intp], now: int, keys: Ints) -> list[Trigger]:
        """What the held ones come to, in areas in which somebody's time is up."""
        outages, held = self._outages, self._state == HELD
        if outages is None:
            rows, slot, _, until = self._held.take(up, held, self._areas())
            first = np.lexsort((slot, until))[:MOST_TOLD]
            self._held.cross_out(rows[first])
            return self._tell(slot[first], keys)
        chosen = outages.some(self._held.areas(up), MOST_TOLD)
        rows, slot, silent_at, until = self._held.take(self._held.of_areas(chosen), held, outages.area)
        if not len(rows):
            return []
        missed = np.maximum(self._heard[slot], self._since[slot]) + self._interval[slot].astype(np.int64)
        watched = self._deadline[: len(self._state)] != NEVER
        awake = np.flatnonzero(chosen[outages.area] & (self._state == AWAKE) & watched)
        verdict = judge(
            Held(outages.area[slot].astype(np.int64), slot, silent_at, until, missed, self._heard[slot]),
            (outages.area[awake].astype(np.int64), self._heard[awake]),
            now,
            outages.rule,
        )
        self._held.cross_out(rows[verdict.single | verdict.covered | verdict.joined])
        alone, inside, joining = slot[verdict.single], slot[verdict.covered], slot[verdict.joined]
        told = self._tell(alone[np.lexsort((alone, until[verdict.single]))], keys)
        self._state[inside] = COVERED
        told += outages.begin(verdict, inside, silent_at[verdict.covered])
        return told + self._join(outages, joining, silent_at[verdict.joined])

    def _join(self, outages: Outages, slots: Ints, silent: Ints) -> list[Trigger]:
        self._state[slots] = COVERED
        return outages.join(slots, silent) if len(slots) else []

    def _part(self, told: list[Trigger], slots: Ints, since: Ints) -> list[Trigger]:
        """Outages are over: the devices still silent are on their own from `since` on."""
        self._state[slots] = HELD
        self._hold(slots, since)
        return told

    def _tell(self, slots: Ints, keys: Ints) -> list[Trigger]:
        """Each by itself."""
        self._state[slots] = TOLD
        rows = zip((keys[slots] >> 32).tolist(), slots.tolist(), self._silent_at[slots].tolist(), strict=True)
        return [self._trigger("raised", key, slot, at) for key, slot, at in rows]

    def _wake(self, slots: Ints) -> None:
        self._state[slots] = AWAKE
        self._silent_at[slots] = NEVER

    def _count(self, slots: Ints) -> None:
        counted = np.maximum(self._heard[slots], self._since[slots])
        allowance = self._allowance[slots]
        nothing_due = (counted == UNHEARD) | (allowance == NEVER) | (self._state[slots] != AWAKE)
        from_ = np.maximum(counted, self._listening_since)
        deadline = np.where(nothing_due, NEVER, from_ + np.where(nothing_due, 0, allowance))
        sooner = np.flatnonzero(deadline < self._deadline[slots])
        self._deadline[slots] = deadline
        np.minimum.at(self._soonest, slots[sooner] // BLOCK, deadline[sooner])

    def _trigger(self, state: Literal["raised", "cleared"], device: int, slot: int, at: int) -> Trigger:
        rule, allowance, interval = self._rule, int(self._allowance[slot]), int(self._interval[slot])
        resident, silent_at = int(self._silent_wearer[slot]), int(self._silent_at[slot])
        zh, en = rule.cleared_zh, rule.cleared_en
        if state == "raised":
            zh, en = _sentences(rule.zh, rule.en, allowance, interval)
        return Trigger(
            key=f"{RULE}:{device}:{resident}:{silent_at}:{state}",
            at=at,
            rule=RULE,
            version=rule.version,
            kind=rule.kind,
            metric=None,
            severity=rule.severity,
            state=state,
            device=device,
            resident=resident,
            evidence={
                "counted_from": max(int(self._heard[slot]), int(self._since[slot])),
                "interval_ms": interval,
                "allowed_ms": allowance,
                "silent_at": silent_at,
            },
            zh=zh,
            en=en,
        )

    def recall(self, slot: int, trigger: Trigger) -> None:
        """The state that `trigger`, the device's last of this rule, left behind; call after `register`."""
        if trigger.state != "raised":
            self._wake(np.array([slot]))
        else:
            self._state[slot], self._silent_at[slot] = TOLD, trigger.evidence["silent_at"]
            self._silent_wearer[slot] = trigger.resident
            since, unwatched = int(self._since[slot]), self._allowance[slot] == NEVER
            if unwatched or trigger.at < since:
                at = since if trigger.at < since else NEVER
                self._ended.append(self._trigger("cleared", trigger.device, slot, at))
                self._wake(np.array([slot]))
        self._count(np.array([slot]))

    def recall_outages(self, triggers: Iterable[Trigger]) -> None:
        """As `recall`, the last trigger of each area's outage; call after `heard` and the recall of all devices'."""
        if self._outages is None:
            return
        slots = np.flatnonzero(self._deadline != NEVER)
        silent = np.maximum(self._heard[slots], self._since[slots]) + self._allowance[slots]
        inside = self._outages.recall(triggers, slots, silent)
        self._state[inside] = COVERED
        self._silent_at[inside] = np.maximum(self._heard[inside], self._since[inside]) + self._allowance[inside]
        self._silent_wearer[inside] = self._wearer[inside]
        self._deadline[inside] = NEVER


@lru_cache(4096)
def _sentences(zh: str, en: str, allowance: int, interval: int) -> tuple[str, str]:
    """The two sentences: a fleet has few intervals."""
    return (
        zh.format(duration=texts.duration(allowance, "zh"), interval=texts.duration(interval, "zh")),
        en.format(duration=texts.duration(allowance, "en"), interval=texts.duration(interval, "en")),
    )

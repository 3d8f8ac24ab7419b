"""Silence: a device that owes us data. Keep-alive and status are not data, so that a device that is connected and
measures nothing is found as well.

It counts from the last data's time of receipt, or from when the device was put on if that is later, by the device's own
interval; one that nobody wears and that was never heard is not watched. `at` is the moment the allowance ran out, whenever the sweep noticed.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt

from alerts.rules import texts
from alerts.rules.silence_rule import SilenceRule
from homecare.devices import RegisteredDevice
from homecare.triggers import Trigger

RULE = "silence"
NEVER = np.iinfo(np.int64).max // 4
"""A deadline that does not come, and the allowance of a device that is not watched."""
UNHEARD = -NEVER


class Silence:
    """State by slot of the device: last heard, allowance, deadline; times are Unix ms."""

    def __init__(self, rule: SilenceRule) -> None:
        self._rule = rule
        self._heard = np.zeros(0, np.int64)
        self._allowance = np.zeros(0, np.int64)
        self._interval = np.zeros(0, np.int64)
        self._wearer = np.zeros(0, np.int32)
        self._since = np.zeros(0, np.int64)
        self._deadline = np.zeros(0, np.int64)
        self._silent_at = np.zeros(0, np.int64)
        self._silent_wearer = np.zeros(0, np.int32)
        self._listening_since = UNHEARD

    def make_room(self, slots: int) -> None:
        """Room for `slots` slots."""
        more = slots - len(self._heard)
        if more > 0:
            self._heard = np.concatenate([self._heard, np.full(more, UNHEARD, np.int64)])
            self._allowance = np.concatenate([self._allowance, np.full(more, NEVER, np.int64)])
            self._interval = np.concatenate([self._interval, np.zeros(more, np.int64)])
            self._wearer = np.concatenate([self._wearer, np.zeros(more, np.int32)])
            self._since = np.concatenate([self._since, np.full(more, UNHEARD, np.int64)])
            self._deadline = np.concatenate([self._deadline, np.full(more, NEVER, np.int64)])
            self._silent_at = np.concatenate([self._silent_at, np.full(more, NEVER, np.int64)])
            self._silent_wearer = np.concatenate([self._silent_wearer, np.zeros(more, np.int32)])

    def register(self, slots: npt.NDArray[np.int64], devices: Iterable[RegisteredDevice]) -> None:
        """Intervals, revocations and wearers as they are now."""
        allowance, interval, wearer, since = [], [], [], []
        for device in devices:
            worn = device.wearings[-1] if device.wearings and device.wearings[-1].until is None else None
            watched = not device.revoked and device.interval_s > 0
            allowed = max(self._rule.floor_s, self._rule.intervals * device.interval_s)
            allowance.append(round(allowed * 1000) if watched else NEVER)
            interval.append(round(device.interval_s * 1000))
            wearer.append(worn.resident_key if worn else 0)
            since.append(worn.since if worn else UNHEARD)
        self._allowance[slots] = allowance
        self._interval[slots] = interval
        self._wearer[slots] = wearer
        self._since[slots] = since
        # A device that is put on anew owes its new wearer data from then on.
        over = (self._allowance[slots] == NEVER) | (self._since[slots] > self._silent_at[slots])
        self._silent_at[slots[over]] = NEVER
        self._count(slots)

    def listen(self, since: int) -> None:
        """Nobody could be heard before `since`: no silence is found until the device's allowance has passed again."""
        self._listening_since = since

    def heard(
        self, slots: npt.NDArray[np.int64], devices: npt.NDArray[np.int32], received: npt.NDArray[np.int64]
    ) -> list[Trigger]:
        """Data came (in order of receipt); a cleared trigger for each silence it ends."""
        silent = np.flatnonzero(self._silent_at[slots] != NEVER)
        before = self._heard[slots[silent]]
        np.maximum.at(self._heard, slots, received)
        self._count(slots)
        ended = []
        for row, last in zip(silent.tolist(), before.tolist(), strict=True):
            slot, at = slots[row], int(received[row])
            silent_at = int(self._silent_at[slot])
            # What was received before the silence began (when the state is rebuilt) does not end it.
            if silent_at == NEVER or at + self._allowance[slot] <= silent_at:
                continue
            self._silent_at[slot] = NEVER
            ended.append(self._trigger("cleared", int(devices[row]), int(slot), at, silent_at, last))
        return ended

    def sweep(self, now: int, keys: npt.NDArray[np.int64]) -> list[Trigger]:
        """Those whose allowance has run out since the last sweep; `keys` by slot: the device's key in the upper half."""
        due = np.flatnonzero(self._deadline < now)
        if not len(due):
            return []
        due = due[(self._silent_at[due] == NEVER) & (self._listening_since + self._allowance[due] < now)]
        at = self._deadline[due]
        self._silent_at[due] = at
        self._silent_wearer[due] = self._wearer[due]
        self._deadline[due] = NEVER
        counted = np.maximum(self._heard[due], self._since[due])
        columns = (keys[due] >> 32, due, at, at, counted)
        return [self._trigger("raised", *row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def _trigger(
        self, state: Literal["raised", "cleared"], device: int, slot: int, at: int, silent_at: int, last: int
    ) -> Trigger:
        rule, allowance, interval = self._rule, int(self._allowance[slot]), int(self._interval[slot])
        resident = int(self._silent_wearer[slot])
        zh, en = rule.cleared_zh, rule.cleared_en
        if state == "raised":
            zh = rule.zh.format(duration=texts.duration(allowance, "zh"), interval=texts.duration(interval, "zh"))
            en = rule.en.format(duration=texts.duration(allowance, "en"), interval=texts.duration(interval, "en"))
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
                "counted_from": last,
                "interval_ms": interval,
                "allowed_ms": allowance,
                "silent_at": silent_at,
            },
            zh=zh,
            en=en,
        )

    def recall(self, slot: int, trigger: Trigger) -> None:
        """The state that `trigger`, the device's last of this rule, left behind; call after `register`."""
        silent = trigger.state == "raised" and trigger.at >= self._since[slot]
        self._silent_at[slot] = trigger.at if silent else NEVER
        self._silent_wearer[slot] = trigger.resident

    def _count(self, slots: npt.NDArray[np.int64]) -> None:
        counted = np.maximum(self._heard[slots], self._since[slots])
        allowance = self._allowance[slots]
        unknown = (counted == UNHEARD) | (allowance == NEVER)
        self._deadline[slots] = np.where(unknown, NEVER, counted + allowance)

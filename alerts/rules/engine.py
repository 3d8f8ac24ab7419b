"""The rules over a stream of samples: state in columns, one slot per stream, whole batches at a time.

A stream is a person measured by a device (`scope = "person"`) or a device (`scope = "device"`).

What is promised
    * A batch may be cut anywhere; a sample (device, boot, seq, part) that comes again changes nothing; a reading older
      than the pack's `lateness_s` when received says nothing (but the device was heard).
    * Samples that come in the order they were measured in: exactly the triggers of `tests/alerts/rules/scalar.py`.
    * Out of order, within the lateness: alarms do not wait for what might still come, so a reading beyond its limit
      raises at once. When an earlier one turns up, the state becomes what it would be in order, and what was not yet
      said is said. So (1) the state is that of the ordered stream; (2) every trigger of the ordered stream is given,
      with the same key (but a cleared one names the severity that was known when it was given); (3) what is given beyond those are transitions of the ordered stream's own readings that an
      earlier reading has since replaced, and (4) the last one given of a series agrees with its state: if older news
      would be the last word, the standing one is said again (its key ends in `:after:…`). A consumer that takes the
      triggers as they come, and each key once, ends where the ordered stream ends.
    * For triggers that are *equal* under reordering, as a backtest wants, `inorder.InOrder` holds the samples back until
      the lateness has passed.

Starting again
    1. `register` all devices; `heard` with each device's last time of receipt;
    2. `recall` the last trigger of every series (device, resident, rule, metric, evidence's side) with
       `at` < now - `memory_ms`, and the last one of each device of the rule `silence`, whenever;
    3. `restore` the samples with `ts` >= now - `memory_ms`, in any order;
    4. `listen(now)`, and again whenever the broker was out of reach: who could not be heard is not silent.
    The state of a series is that of its last trigger, so this is exact.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from alerts.rules.limit import Limits
from alerts.rules.pack import Pack
from alerts.rules.silence import RULE as SILENCE
from alerts.rules.silence import Silence
from alerts.rules.slots import Slots
from alerts.rules.streams import Streams
from homecare.devices import RegisteredDevice
from homecare.samples import Flag, Samples
from homecare.triggers import Trigger

AHEAD_MS = 5 * 60_000
"""How far ahead of its time of receipt a device's `ts` may be (contract section 2)."""


class Engine:
    """The state of all rules of `pack`. Not thread-safe; one owner per device."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._devices = Slots()
        self._people = Slots()
        person = {name: rule for name, rule in pack.limit.items() if rule.scope == "person"}
        device = {name: rule for name, rule in pack.limit.items() if rule.scope == "device"}
        self._by_person = Streams(Limits(person), self._people, pack.lateness_ms)
        self._by_device = Streams(Limits(device), self._devices, pack.lateness_ms)
        self._silence = None if pack.silence is None else Silence(pack.silence)
        self._make_room()

    @property
    def memory_ms(self) -> int:
        """How far back, by `ts`, samples are needed to rebuild the state."""
        return self._pack.lateness_ms + AHEAD_MS

    def register(self, devices: Iterable[RegisteredDevice]) -> None:
        """New devices, and changes of interval, wearer or revocation of known ones."""
        devices = list(devices)
        if devices:
            keys = np.array([device.key for device in devices], np.int64)
            slots = self._device_slots(keys)
            if self._silence is not None:
                self._silence.register(slots, devices)

    def apply(self, samples: Samples) -> list[Trigger]:
        """Take in a batch, any number of samples in order of arrival; what it raises and clears, in a fixed order."""
        if not len(samples):
            return []
        devices = self._device_slots(samples.device)
        residents = samples.resident.astype(np.int64)
        people = self._people.add((samples.device.astype(np.int64) << 32) | residents)
        self._make_room()
        # Of a kiosk's own state (its battery), nobody is the person concerned.
        concerned = np.where((samples.flags & Flag.SUBJECT) != 0, 0, samples.resident).astype(np.int32)
        return sorted(
            [
                *self._by_person.apply(samples, people, samples.resident),
                *self._by_device.apply(samples, devices, concerned),
                *(self._silence.heard(devices, samples.device, samples.received) if self._silence else ()),
            ],
            key=_order,
        )

    def sweep(self, now: int) -> list[Trigger]:
        """The devices whose silence has become too long by `now`; all data received before must have been applied."""
        return sorted(self._silence.sweep(now, self._devices.keys) if self._silence else (), key=_order)

    def restore(self, samples: Samples) -> None:
        """As `apply`, raising nothing: these samples have been through the rules before."""
        self.apply(samples)

    def recall(self, triggers: Iterable[Trigger]) -> None:
        """The last trigger of every series, as given out before the restart."""
        for trigger in sorted(triggers, key=lambda trigger: trigger.at):
            device = self._device_slots(np.array([trigger.device], np.int64))
            if trigger.rule == SILENCE:
                if self._silence is not None:
                    self._silence.recall(int(device[0]), trigger)
            elif (rule := self._pack.limit.get(trigger.rule)) is not None:
                if rule.scope == "device":
                    self._by_device.recall(int(device[0]), trigger)
                else:
                    key = np.array([trigger.device << 32 | trigger.resident], np.int64)
                    slot = self._people.add(key)
                    self._make_room()
                    self._by_person.recall(int(slot[0]), trigger)

    def heard(self, devices: npt.NDArray[np.int32], received: npt.NDArray[np.int64]) -> None:
        """When each device (by key) was last heard; clears nothing."""
        slots = self._device_slots(devices)
        if self._silence is not None:
            self._silence.heard(slots, devices, received)

    def listen(self, since: int) -> None:
        """Nobody could be heard before `since` (a start, a broker out of reach)."""
        if self._silence is not None:
            self._silence.listen(since)

    def _device_slots(self, devices: npt.NDArray[np.int32] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        slots = self._devices.add(devices.astype(np.int64) << 32)
        self._make_room()
        return slots

    def _make_room(self) -> None:
        self._by_person.make_room()
        self._by_device.make_room()
        if self._silence is not None:
            self._silence.make_room(self._devices.capacity)


def _order(trigger: Trigger) -> tuple[int, int, str, int]:
    """By time, device and rule; those of one stream stay in the order of its samples."""
    return trigger.at, trigger.device, trigger.rule, trigger.resident

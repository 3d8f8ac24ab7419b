"""The rules over a stream of samples: state in columns, one slot per stream, whole batches at a time.

A stream is a person measured by a device (`scope = "person"`) or a device (`scope = "device"`). Limits and silence are
asked here; every other kind of rule is an operator (`operator.Operator`), which `running.Running` gives what it wants.

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
    The state of a series is that of its last trigger, so this is exact. The other operators' state is that of a snapshot
    (`dump`, `load`) and of the readings and events since; see `running`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

import msgspec
import numpy as np
import numpy.typing as npt

from alerts.rules.event_samples import event_samples
from alerts.rules.lasting import Lasting
from alerts.rules.limit import Limits
from alerts.rules.operator import Scope, Subject
from alerts.rules.outages import RULE as OUTAGE
from alerts.rules.pack import SECTIONS, Pack
from alerts.rules.running import AHEAD_MS, Named, Running
from alerts.rules.silence import RULE as SILENCE
from alerts.rules.silence import Silence
from alerts.rules.slots import Slots
from alerts.rules.streams import Streams
from alerts.rules.variants import Variants
from alerts.rules.wearers import Wearers
from alerts.rules.whose import Whose
from homecare.devices import RegisteredDevice
from homecare.kept import Kept
from homecare.messages import AccelerationWindow, Event
from homecare.residents import Profile
from homecare.samples import Flag, Samples
from homecare.triggers import Trigger

__all__ = ["AHEAD_MS", "Engine", "operators_of"]

Ints = npt.NDArray[np.int64]
STATE_FORMAT = 1
"""Of what operators keep over a restart: increase it, and they all start anew."""


def operators_of(pack: Pack) -> list[Named]:
    """An operator for each rule of the pack that is neither limit, silence nor event."""
    return [
        Named(section.name if section.single else f"{section.name}.{name}", section.operator(name, rule), _digest(rule))
        for section in SECTIONS.values()
        for name, rule in pack.rules.get(section.name, {}).items()
    ]


class Engine:
    """The state of all rules of `pack`. Not thread-safe; one owner per device.

    `operators`: other ones than those of the pack, to try one alone.
    """

    def __init__(self, pack: Pack, operators: Sequence[Named] | None = None) -> None:
        self._pack = pack
        self._devices = Slots()
        self._people = Slots()
        self._residents = Slots()
        person = {name: rule for name, rule in pack.limit.items() if rule.scope == "person"}
        device = {name: rule for name, rule in pack.limit.items() if rule.scope == "device"}
        self._by_person = Streams(Limits(person), self._people, pack.lateness_ms, by_person=True)
        self._by_device = Streams(Limits(device), self._devices, pack.lateness_ms, by_person=False)
        self._silence = None if pack.silence is None else Silence(pack.silence)
        if operators is None:
            lasting = (Lasting(pack.limit, scope, pack.lateness_ms) for scope in get_args(Scope))
            operators = [*operators_of(pack), *(Named("limit", each, _digest(pack.limit)) for each in lasting)]
        self._running = Running(operators, self._devices, self._residents)
        self._variants = Variants((pack,))
        self._whose = Whose(self._devices, self._residents)
        self._wearers = Wearers(self._people, self._residents)
        self._room = (0, 0, 0)
        """For how many slots of each kind there is room."""
        self._told = 0
        """Streams of people that know which variant holds for them: those below this slot."""
        self._make_room()

    @property
    def memory_ms(self) -> int:
        """How far back, by `ts`, samples are needed to rebuild the state where no snapshot is there."""
        return max(self.limits_memory_ms, self._running.memory_ms)

    @property
    def limits_memory_ms(self) -> int:
        """How far back, by `ts`, samples are needed to rebuild the limits' state."""
        return self._pack.lateness_ms + AHEAD_MS

    def register(self, devices: Iterable[RegisteredDevice]) -> None:
        """New devices, and changes of interval, area, wearer or revocation of known ones."""
        devices = list(devices)
        if not devices:
            return
        slots = self._device_slots(np.array([device.key for device in devices], np.int64))
        variant = np.array([self._variants.of(device.area) for device in devices], np.int16)
        if self._silence is not None:
            self._silence.register(slots, devices, variant)
        self._running.know("device", slots, [Subject(device, None) for device in devices], variant)
        if self._whose.devices(slots, variant):
            self._by_device.know(slots, variant)
            self._told = 0

    def know(self, profiles: Iterable[Profile], variants: Variants | None = None) -> None:
        """Residents, as they are now; and which rules hold for whom, where that has changed: then `profiles` are all, and
        `register` with all devices comes after it.
        """
        if variants is not None and variants is not self._variants:
            self._variants = variants
            self._running.tune(variants.packs)
            if self._silence is not None:
                self._silence.tune([pack.silence for pack in variants.packs])
            self._by_person.tune([pack.limit for pack in variants.packs])
            self._by_device.tune([pack.limit for pack in variants.packs])
        profiles = list(profiles)
        if not profiles:
            return
        slots = self._residents.add(np.array([profile.key for profile in profiles], np.int64))
        self._make_room()
        variant = np.array([self._variants.of(profile.area, profile.key) for profile in profiles], np.int16)
        self._running.know("resident", slots, [Subject(None, profile) for profile in profiles], variant)
        if self._whose.residents(slots, variant):
            self._told = 0

    def apply(self, samples: Samples) -> list[Trigger]:
        """Take in a batch, any number of samples in order of arrival; what it raises and clears, in a fixed order."""
        if not len(samples):
            return []
        devices, people, residents = self._slots_of(samples)
        triggers = self._limits(samples, devices, people)
        if self._silence is not None:
            triggers += self._silence.heard(devices, samples.device, samples.received)
        triggers += self._running.apply(samples, devices, residents)
        return sorted(triggers, key=_order)

    def events(self, events: Sequence[Event]) -> list[Trigger]:
        """As `apply`, of what happened; an event calls for people by itself, and not here (`events.event_trigger`)."""
        samples, event, of = event_samples(events)
        if not len(samples):
            return []
        devices, people, residents = self._slots_of(samples)
        triggers = self._limits(samples, devices, people)
        triggers += self._running.apply(samples, devices, residents, event, of)
        return sorted(triggers, key=_order)

    def windows(self, windows: Sequence[AccelerationWindow]) -> list[Trigger]:
        """As `apply`, of raw acceleration; its devices were heard."""
        if not windows:
            return []
        keys = np.array([window.device_key for window in windows], np.int32)
        received = np.array([window.received for window in windows], np.int64)
        devices = self._device_slots(keys)
        triggers = [] if self._silence is None else self._silence.heard(devices, keys, received)
        triggers += self._running.windows(windows, devices)
        return sorted(triggers, key=_order)

    def sweep(self, now: int) -> list[Trigger]:
        """What has come due by `now`, silence and all; all data received before must have been applied."""
        silent = [] if self._silence is None else self._silence.sweep(now, self._devices.keys)
        return sorted([*silent, *self._running.sweep(now)], key=_order)

    def _limits(self, samples: Samples, devices: Ints, people: Ints) -> list[Trigger]:
        self._tell_people()
        # Of a kiosk's own state (its battery), nobody is the person concerned.
        concerned = np.where((samples.flags & Flag.SUBJECT) != 0, 0, samples.resident).astype(np.int32)
        return [
            *self._by_person.apply(samples, people, samples.resident),
            *self._by_device.apply(samples, devices, concerned),
        ]

    def restore(self, samples: Samples) -> list[Trigger]:
        """As `apply` for samples that have been through the rules before, in order of receipt. Limits say nothing; what
        operators say may have been lost with the process, and is known by its key if it was not.
        """
        if not len(samples):
            return []
        devices, people, residents = self._slots_of(samples)
        self._limits(samples, devices, people)
        if self._silence is not None:
            self._silence.heard(devices, samples.device, samples.received)
        return self._running.apply(samples, devices, residents)

    def restore_events(self, events: Sequence[Event]) -> list[Trigger]:
        """As `restore`; before the samples."""
        samples, event, of = event_samples(events)
        devices, people, residents = self._slots_of(samples)
        self._limits(samples, devices, people)
        return self._running.apply(samples, devices, residents, event, of, settle=False)

    def dump(self) -> Iterator[Kept]:
        """The operators' state; what limits and silence know comes from triggers and samples."""
        return self._running.dump()

    def load(self, kept: Kept) -> None:
        """What `dump` gave; first of all, after `register` and `know`."""
        self._running.load(kept)

    @property
    def since(self) -> int | None:
        """Since when, by `ts`, samples and events must be restored for the operators; None: since `memory_ms` ago."""
        return self._running.since

    def recall(self, triggers: Iterable[Trigger]) -> None:
        """The last trigger of every series, as given out before the restart."""
        triggers = sorted(triggers, key=lambda trigger: trigger.at)
        for trigger in triggers:
            if not trigger.device:
                continue
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
        if self._silence is not None:
            self._silence.recall_outages([trigger for trigger in triggers if trigger.rule == OUTAGE])

    def heard(self, devices: npt.NDArray[np.int32], received: npt.NDArray[np.int64]) -> None:
        """When each device (by key) was last heard; clears nothing."""
        slots = self._device_slots(devices)
        if self._silence is not None:
            self._silence.heard(slots, devices, received)

    def listen(self, since: int) -> None:
        """Nobody could be heard before `since` (a start, a broker out of reach)."""
        if self._silence is not None:
            self._silence.listen(since)

    def _slots_of(self, samples: Samples) -> tuple[Ints, Ints, Ints]:
        """Of the devices, of device and person together, of the residents (-1: nobody)."""
        devices = self._devices.add(samples.device.astype(np.int64) << 32)
        people, residents = self._wearers.slots(devices, samples.device, samples.resident)
        self._make_room()
        return devices, people, residents

    def _device_slots(self, devices: npt.NDArray[np.int32] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        slots = self._devices.add(devices.astype(np.int64) << 32)
        self._make_room()
        return slots

    def _tell_people(self) -> None:
        """Which variant holds for the streams of people that do not know it yet."""
        if self._whose.differ and self._told < self._people.count:
            slots = np.arange(self._told, self._people.count)
            self._by_person.know(slots, self._whose.people(self._people.keys[slots]))
        self._told = self._people.count

    def _make_room(self) -> None:
        room = (self._devices.capacity, self._people.capacity, self._residents.capacity)
        if room == self._room:
            return
        self._room = room
        self._by_person.make_room()
        self._by_device.make_room()
        self._running.make_room()
        if self._silence is not None:
            self._silence.make_room(self._devices.capacity)


def _digest(rules: object) -> str:
    return hashlib.sha256(msgspec.json.encode([STATE_FORMAT, msgspec.to_builtins(rules)])).hexdigest()


def _order(trigger: Trigger) -> tuple[int, int, str, int]:
    """By time, device and rule; those of one stream stay in the order of its samples."""
    return trigger.at, trigger.device, trigger.rule, trigger.resident

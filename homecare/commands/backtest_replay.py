"""A capture's messages through the same decode, checks and rules as live ones, on the capture's own clock.

What the live processes learn from the directory is learnt from the capture: whoever speaks is registered, whoever is
named is a resident, and a device that names nobody measures one person of its own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from alerts.rules.engine import AHEAD_MS, Engine
from alerts.rules.event_samples import event_samples
from alerts.rules.events import event_trigger
from alerts.rules.inorder import InOrder
from alerts.rules.pack import Pack
from gateway.bulk import Bulk, Plain
from gateway.edge import Edge
from gateway.open_registry import OpenRegistry
from homecare.checked import Checked
from homecare.commands.backtest_gaps import Gaps
from homecare.messages import AccelerationWindow, Event, Inbound, Status
from homecare.residents import Profile
from homecare.samples import Samples
from homecare.triggers import Trigger

STEP_MS = 60_000
"""Of the capture's time in one batch, at most."""
MOST_MESSAGES = 10_000
"""In one batch."""
OWN = 1 << 30
"""Added to a device's key: the person it measures where it names nobody. The keys of the named are below."""


END = 2**62
SETTLED_MS = 3_600_000
"""After so long nothing waits for anything earlier."""


@dataclass(slots=True)
class Tally:
    """What was in the capture."""

    messages: int = 0
    samples: int = 0
    windows: int = 0
    events: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Rejections by reason: one for each reason of each message."""
    first: int = 0
    """Unix ms of receipt."""
    last: int = 0

    def count(self, checked: Checked) -> None:
        """What the checks made of a batch."""
        self.samples += len(checked.samples)
        self.windows += len(checked.windows)
        self.events += len(checked.events)
        self.rejected.update(rejection.reason for rejection in checked.rejections)


class Replay:
    """One run. What is raised is given once, and in the order of its time unless it was late.

    Limits speak at once when live, and may have to correct themselves when an earlier reading turns up. Here they can
    wait for it, so that nobody has to tell a correction from an alarm; the other rules put things in order themselves.
    """

    def __init__(
        self,
        pack: Pack,
        *,
        interval_s: float = 60.0,
        zone: str | None = None,
        see: Callable[[Samples], None] = lambda _: None,
    ) -> None:
        self.registry = OpenRegistry(interval_s)
        self.tally = Tally()
        self._pack = pack
        self._zone = zone or Profile(0, "", "").zone
        self._see = see
        """Is told of everything that was measured, with whose it is."""
        self.bulk = Bulk(self.registry)
        self._edge = Edge(self.registry)
        self._limits = Engine(msgspec.structs.replace(pack, silence=None, rules={}))
        self._others = Engine(msgspec.structs.replace(pack, limit={}))
        self._in_order = InOrder(pack.lateness_ms)
        self._gaps = Gaps(pack.silence)
        self._known_people = 0
        self._given: set[str] = set()
        """Keys of triggers: a message that was sent again raises nothing again."""
        self._waiting: list[Trigger] = []

    def take(self, messages: Sequence[Plain | Inbound]) -> Iterator[Trigger]:
        """Messages in the order of the capture; what they raise."""
        times = np.array([each.at if type(each) is Plain else each.received for each in messages], np.int64)  # type: ignore[union-attr]
        for step in _steps(times):
            self._step(messages[step], times[step])
            yield from self._due(min(self.tally.last, self._in_order.latest) - self._pack.lateness_ms - AHEAD_MS)

    def end(self) -> Iterator[Trigger]:
        """No more will come: what is still raised, up to the time of the last message."""
        last = self.tally.last
        self._keep(self._limits.apply(self._in_order.rest()))
        self._keep(self._others.sweep(last))
        # What waited for earlier readings need wait no more; but of who is silent after the end, nobody knows.
        unwatched = [msgspec.structs.replace(device, revoked=True) for device in self.registry.devices.values()]
        self._others.register(unwatched)
        for engine in (self._limits, self._others):
            self._keep(trigger for trigger in engine.sweep(last + SETTLED_MS) if trigger.at <= last)
        yield from self._due(None)

    def _step(self, messages: Sequence[Plain | Inbound], times: npt.NDArray[np.int64]) -> None:
        checked = self._check(messages)
        tally = self.tally
        tally.first = tally.first or int(times[0])
        tally.last = max(tally.last, int(times.max()))
        tally.messages += len(messages)
        tally.count(checked)
        self._meet(checked.statuses)
        samples = _with_own(checked.samples)
        events = [_with_own_event(event) for event in checked.events]
        windows = [_with_own_window(window) for window in checked.windows]
        self._see(samples)
        self._keep(self._others.sweep(int(times[0])))
        for event in events:
            trigger = event_trigger(event, self._pack)
            self._keep([trigger] if trigger is not None else [])
        for some, read in self._parts(samples, windows):
            self._keep(self._others.apply(some))
            self._keep(self._others.windows(read))
        self._keep(self._others.events(events))
        self._keep(self._others.sweep(tally.last))
        with_events = Samples.concatenate([samples, event_samples(events)[0]]) if events else samples
        self._keep(self._limits.apply(self._in_order.put(with_events)))
        self._keep(self._limits.sweep(self._in_order.latest))

    def _parts(
        self, samples: Samples, windows: Sequence[AccelerationWindow]
    ) -> Iterator[tuple[Samples, Sequence[AccelerationWindow]]]:
        """What was received between one look for the silent ones and the next; mostly all of it."""
        by_window = np.array([window.received for window in windows], np.int64)
        keys = np.array([window.device_key for window in windows], np.int32)
        looks = self._gaps.looks(np.concatenate([samples.device, keys]), np.concatenate([samples.received, by_window]))
        if not looks:
            yield samples, windows
            return
        for since, until in pairwise([0, *looks, END]):
            self._keep(self._others.sweep(since))
            within = np.flatnonzero((samples.received >= since) & (samples.received < until))
            yield samples.take(within), [window for window in windows if since <= window.received < until]

    def _check(self, messages: Sequence[Plain | Inbound]) -> Checked:
        plain = [each for each in messages if type(each) is Plain]
        if len(plain) == len(messages):
            return Checked(self.bulk.columns(plain))
        checked = self._edge.check([each for each in messages if type(each) is Inbound])
        if plain:
            samples = Samples.concatenate([self.bulk.columns(plain), checked.samples])
            checked.samples = samples.take(np.argsort(samples.received, kind="stable"))
        return checked

    def _meet(self, statuses: Iterable[Status]) -> None:
        """Who is new, and what devices say of themselves."""
        for status in statuses:
            if status.interval is not None:
                self.registry.report_interval(status.origin.device, status.interval)
        devices = self.registry.changes()
        self._others.register(devices)
        self._gaps.register(devices)
        profiles = [Profile(device.key | OWN, device.id, device.area, self._zone) for device in devices]
        new = islice(self.registry.subjects.items(), self._known_people, None)
        profiles += [Profile(key, name, "", self._zone) for name, key in new]
        self._known_people = len(self.registry.subjects)
        self._others.know(profiles)

    def _keep(self, triggers: Iterable[Trigger]) -> None:
        for trigger in triggers:
            if trigger.state == "raised" and trigger.key not in self._given:
                self._given.add(trigger.key)
                self._waiting.append(trigger)

    def _due(self, until: int | None) -> Iterator[Trigger]:
        """Those before `until`, in order."""
        due = [trigger for trigger in self._waiting if until is None or trigger.at < until]
        if due:
            self._waiting = [] if until is None else [trigger for trigger in self._waiting if trigger.at >= until]
            yield from sorted(due, key=_order)


class Names:
    """The devices and people of a registry by their keys."""

    def __init__(self, registry: OpenRegistry) -> None:
        self._registry = registry
        self._devices: list[str] = [""]
        self._people: list[str | None] = [None]

    def device(self, key: int) -> str:
        """As in the topic; empty for none."""
        if key >= len(self._devices):
            self._devices = ["", *self._registry.devices]
        return self._devices[key]

    def subject(self, key: int) -> str | None:
        """As in the payload; None where nobody was named."""
        if key >= OWN:
            return None
        if key >= len(self._people):
            self._people = [None, *self._registry.subjects]
        return self._people[key]

    def people(self) -> dict[int, str]:
        """Everybody by key: as named, or by the device that measures nobody else."""
        own = {device.key | OWN: device.id for device in self._registry.devices.values()}
        return own | {key: name for name, key in self._registry.subjects.items()}


def _with_own(samples: Samples) -> Samples:
    samples.resident = np.where(samples.resident == 0, samples.device | OWN, samples.resident)
    return samples


def _with_own_event(event: Event) -> Event:
    if event.origin.resident_key is not None or event.origin.device_key is None:
        return event
    origin = msgspec.structs.replace(event.origin, resident_key=event.origin.device_key | OWN)
    return msgspec.structs.replace(event, origin=origin)


def _with_own_window(window: AccelerationWindow) -> AccelerationWindow:
    if window.resident_key is not None:
        return window
    return msgspec.structs.replace(window, resident_key=window.device_key | OWN)


def _steps(times: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Parts of a block: not too many messages, not too long, and no step back of the capture's clock."""
    start = 0
    while start < len(times):
        part = times[start : start + MOST_MESSAGES] - times[start]
        beyond = np.flatnonzero((part < 0) | (part >= STEP_MS))
        end = start + int(beyond[0] if len(beyond) else len(part))
        yield slice(start, end)
        start = end


def _order(trigger: Trigger) -> tuple[int, int, str, int, str]:
    return trigger.at, trigger.device, trigger.rule, trigger.resident, trigger.key

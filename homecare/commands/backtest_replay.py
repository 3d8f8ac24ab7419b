"""A capture's messages through the same decode, checks and rules as live ones, on the capture's own clock.

What the live processes learn from the directory is learnt from the capture: whoever speaks is registered, whoever is
named is a resident, and a device that names nobody measures one person of its own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from alerts.rules.engine import AHEAD_MS, Engine
from alerts.rules.events import event_trigger
from alerts.rules.inorder import InOrder
from alerts.rules.pack import Pack
from gateway.edge import Edge
from gateway.open_registry import OpenRegistry
from homecare.messages import AccelerationWindow, Event, Inbound
from homecare.samples import Samples
from homecare.triggers import Trigger

STEP_MS = 10_000
"""Of the capture's time in one batch, at most: who is silent is looked for as often."""
MOST_MESSAGES = 5_000
"""In one batch."""
OWN = 1 << 30
"""Added to a device's key: the person it measures where it names nobody. The keys of the named are below."""


@dataclass(slots=True)
class Tally:
    """What was in the capture."""

    messages: int = 0
    samples: int = 0
    windows: int = 0
    events: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Messages by reason; one may have several."""
    first: int = 0
    """Unix ms of receipt."""
    last: int = 0


class Replay:
    """One run. What is raised is given once, and in the order of its time unless it was late."""

    def __init__(
        self, pack: Pack, *, interval_s: float = 60.0, see: Callable[[Samples], None] = lambda _: None
    ) -> None:
        self.registry = OpenRegistry(interval_s)
        self.tally = Tally()
        self._pack = pack
        self._see = see
        """Is told of everything that was measured, with whose it is."""
        self._edge = Edge(self.registry)
        self._engine = Engine(pack)
        self._in_order = InOrder(pack.lateness_ms)
        self._given: set[str] = set()
        """Keys of triggers: a message that was sent again raises nothing again."""
        self._waiting: list[Trigger] = []

    def take(self, messages: Sequence[Inbound]) -> Iterator[Trigger]:
        """Messages in the order of the capture; what they raise."""
        for step in _steps(messages):
            self._step(step)
            yield from self._due(self.tally.last - self._pack.lateness_ms - AHEAD_MS)

    def end(self) -> Iterator[Trigger]:
        """No more will come: what is still raised, up to the time of the last message."""
        last = self.tally.last
        self._keep(self._engine.apply(self._in_order.rest()))
        # What waited for earlier readings need wait no more; but beyond the end nobody knows who was silent.
        after = self._engine.sweep(last + self._pack.lateness_ms + AHEAD_MS)
        self._keep(trigger for trigger in after if trigger.at <= last)
        yield from self._due(None)

    def _step(self, messages: Sequence[Inbound]) -> None:
        tally, first = self.tally, messages[0].received
        checked = self._edge.check(messages)
        for status in checked.statuses:
            if status.interval is not None:
                self.registry.report_interval(status.origin.device, status.interval)
        self._engine.register(self.registry.changes())
        tally.first = tally.first or first
        tally.last = max(tally.last, *(message.received for message in messages))
        tally.messages += len(messages)
        tally.samples += len(checked.samples)
        tally.windows += len(checked.windows)
        tally.events += len(checked.events)
        tally.rejected.update({(id(r.message), r.reason): r.reason for r in checked.rejections}.values())
        self._keep(self._engine.sweep(first))
        self._hear(checked.samples, checked.windows)
        self._raise_events(checked.events)
        samples = checked.samples
        samples.resident = np.where(samples.resident == 0, samples.device | OWN, samples.resident)
        self._see(samples)
        self._keep(self._engine.apply(self._in_order.put(samples)))
        self._keep(self._engine.sweep(tally.last))

    def _hear(self, samples: Samples, windows: Sequence[AccelerationWindow]) -> None:
        """The rules get samples only when they are settled; that their devices spoke is known at once."""
        if len(samples):
            self._engine.heard(samples.device, samples.received)
        if windows:
            devices = np.array([window.device_key for window in windows], np.int32)
            self._engine.heard(devices, np.array([window.received for window in windows], np.int64))

    def _raise_events(self, events: Iterable[Event]) -> None:
        for event in events:
            trigger = event_trigger(event, self._pack)
            if trigger is not None:
                self._keep([trigger])

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


def _steps(messages: Sequence[Inbound]) -> Iterator[Sequence[Inbound]]:
    start = 0
    for at, message in enumerate(messages):
        if at - start >= MOST_MESSAGES or not 0 <= message.received - messages[start].received < STEP_MS:
            if at > start:
                yield messages[start:at]
            start = at
    if start < len(messages):
        yield messages[start:]


def _order(trigger: Trigger) -> tuple[int, int, str, int, str]:
    return trigger.at, trigger.device, trigger.rule, trigger.resident, trigger.key

"""A small source, checks and rules, so that the lane is tested by itself: no broker, no contract, one rule."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from homecare.checked import Checked
from homecare.devices import RegisteredDevice
from homecare.kept import Kept
from homecare.messages import AccelerationWindow, Event, Inbound, Rejection
from homecare.metrics import INDEX
from homecare.samples import Samples
from homecare.triggers import Trigger
from tests.ingest.home import samples, status, trigger


def message(device: int, seq: int, heart_rate: float = 72.0, **more: Any) -> Inbound:
    """What `SmallChecks` reads; `model` makes a status of it."""
    payload = msgspec.json.encode({"device": device, "seq": seq, "heart_rate": heart_rate, **more})
    return Inbound(f"care/v1/990101/{device}/telemetry", payload, 1_795_289_400_000)


class SmallChecks:
    """JSON with a device's key."""

    def check(self, messages: Sequence[Inbound]) -> Checked:
        checked = Checked()
        parts = [Samples.empty(0)]
        for inbound in messages:
            try:
                body = msgspec.json.decode(inbound.payload)
            except msgspec.DecodeError as error:
                checked.rejections.append(Rejection(inbound, "not_json", str(error)))
                continue
            if "model" in body:
                checked.statuses.append(status(body["device"], "online", inbound.received, model=body["model"]))
            parts.append(samples(body["device"], body["seq"], received=inbound.received, heart_rate=body["heart_rate"]))
        checked.samples = Samples.concatenate(parts)
        return checked


class SmallRules:
    """A heart rate above 100 is a trigger; who is in `silent` is so at the next sweep."""

    memory_ms = 3_600_000
    limits_memory_ms = 3_600_000
    since: int | None = None

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.restored: list[Samples] = []
        self.loaded: list[Kept] = []
        self.happened: list[Event] = []
        self.recalled: list[Trigger] = []
        self.last_heard: dict[int, int] = {}
        self.listening_since: list[int] = []
        self.swept: list[int] = []
        self.silent: list[int] = []
        self.said: list[Trigger] = []
        self.fails = False

    def register(self, devices: Iterable[RegisteredDevice]) -> None:
        """One rule for all."""

    def apply(self, samples: Samples) -> list[Trigger]:
        if self.fails:
            raise ZeroDivisionError("a rule with a fault")
        self.seen += samples.seq.tolist()
        high = np.flatnonzero(samples.values[:, INDEX["heart_rate"]] > 100).tolist()
        return self.said + [trigger(f"high:{samples.device[n]}:{samples.seq[n]}", int(samples.device[n])) for n in high]

    def sweep(self, now: int) -> list[Trigger]:
        self.swept.append(now)
        silent, self.silent = self.silent, []
        return [trigger(f"silent:{device}", device) for device in silent]

    def listen(self, since: int) -> None:
        self.listening_since.append(since)

    def heard(self, devices: npt.NDArray[np.int32], received: npt.NDArray[np.int64]) -> None:
        self.last_heard.update(zip(devices.tolist(), received.tolist(), strict=True))

    def recall(self, triggers: Iterable[Trigger]) -> None:
        self.recalled += triggers

    def load(self, kept: Kept) -> None:
        self.loaded.append(kept)

    def windows(self, windows: Sequence[AccelerationWindow]) -> list[Trigger]:
        self.last_heard.update((window.device_key, window.received) for window in windows)
        return []

    def events(self, events: Sequence[Event]) -> list[Trigger]:
        self.happened += events
        return [trigger(f"event:{event.seq}", event.origin.device_key or 0) for event in events]

    def restore_events(self, events: Sequence[Event]) -> list[Trigger]:
        self.happened += events
        return []

    def restore(self, samples: Samples) -> list[Trigger]:
        self.restored.append(samples)
        return self.said


class GivenBatch:
    def __init__(self, messages: list[Inbound], acknowledged: Callable[["GivenBatch"], None]) -> None:
        self.messages = messages
        self._acknowledged = acknowledged

    def acknowledge(self) -> None:
        self._acknowledged(self)


class GivenSource:
    """Gives the batches that are put into it, and knows which were acknowledged."""

    def __init__(self) -> None:
        self.connected = True
        self.acknowledged: list[GivenBatch] = []
        self._given: asyncio.Queue[GivenBatch] = asyncio.Queue()

    def give(self, *messages: Inbound) -> GivenBatch:
        batch = GivenBatch(list(messages), self.acknowledged.append)
        self._given.put_nowait(batch)
        return batch

    async def batches(self, most: int = 5000) -> AsyncIterator[GivenBatch]:
        while True:
            batch = await self._given.get()
            assert len(batch.messages) <= most
            yield batch


async def until(condition: Callable[[], object], within: float = 10.0) -> None:
    """Wait for it; TimeoutError where it does not become true."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110  # whatever it looks at has no event
            await asyncio.sleep(0.005)

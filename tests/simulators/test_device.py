"""A simulated device against a real broker: the test is the backend, by a client of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest

from homecare.broker import Broker
from homecare.devices import DeviceKind
from homecare.messages import Position
from simulators import device as device_module
from simulators.device import Device
from simulators.home import link_for, switched_on
from simulators.link import Credentials
from simulators.memory import Memory
from simulators.payloads import Sample

KINDS: list[DeviceKind] = ["handset", "fall_sensor"]
"""One that speaks MQTT 5, one that speaks MQTT 3.1.1."""
NOW = 1_795_289_357_123


class Backend:
    """What the backend sees of a device, in order."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def next(self, leaf: str) -> dict[str, Any]:
        """The next message on a topic that ends in `leaf`; others are skipped."""
        async with asyncio.timeout(10):
            while True:
                message = await anext(self._client.messages)
                if message.topic.value.endswith(f"/{leaf}"):
                    return msgspec.json.decode(bytes(message.payload), type=dict[str, Any])

    async def send(self, device: Device, leaf: str, **content: object) -> None:
        await self._client.publish(f"care/v1/{device.area}/{device.id}/{leaf}", msgspec.json.encode(content), qos=1)


@asynccontextmanager
async def listening(broker: Broker) -> AsyncIterator[Backend]:
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, username="homecare", password=broker.users["homecare"]
    ) as client:
        await client.subscribe("care/v1/#", qos=1)
        yield Backend(client)


def make(broker: Broker, kind: DeviceKind, boot: int = 1) -> Device:
    broker.users.setdefault("d-1", "one")
    broker.set_users({k: v for k, v in broker.users.items() if k != "homecare"})
    link = link_for(kind, Credentials("127.0.0.1", broker.port, "d-1", "one"))
    return Device("d-1", "990100", kind, link, boot, clock=lambda: NOW)


@pytest.mark.parametrize("kind", KINDS)
async def test_says_that_it_is_online_and_counts_its_messages(broker: Broker, kind: DeviceKind) -> None:
    device = make(broker, kind, boot=7)
    async with listening(broker) as backend, switched_on([device]):
        status = await backend.next("status")
        assert status == {"boot": 7, "state": "online", "model": "SIM-1", "firmware": "1.0.0", "interval": 60}
        await device.measure([Sample(NOW, {"heart_rate": 72.0})])
        await device.measure([Sample(NOW, {"steps": 1.0}), Sample(None, {}, Position(26.5, 104.8, fix="gnss"))])
        first, second = await backend.next("telemetry"), await backend.next("telemetry")
        assert first == {"boot": 7, "seq": 1, "ts": NOW, "values": {"heart_rate": 72}}
        assert second == {
            "boot": 7,
            "seq": 2,
            "samples": [
                {"ts": NOW, "values": {"steps": 1}},
                {"ts": None, "position": {"lat": 26.5, "lon": 104.8, "fix": "gnss"}},
            ],
        }


@pytest.mark.parametrize("kind", KINDS)
async def test_repeats_an_event_until_the_backend_acknowledges_it(
    broker: Broker, kind: DeviceKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "REPEAT_S", (0.05,))
    device = make(broker, kind)
    async with listening(broker) as backend, switched_on([device]), asyncio.TaskGroup() as tasks:
        pressed = tasks.create_task(device.signal("sos", values={"battery": 50.0}))
        tries = [await backend.next("event") for _ in range(3)]
        assert tries[0] == {"boot": 1, "seq": 1, "event": "sos", "ts": NOW, "values": {"battery": 50}}
        assert tries[1] == tries[2] == tries[0]
        await backend.send(device, "ack", boot=1, seq=9, alert="another", state="opened")
        await backend.send(device, "ack", boot=0, seq=1, alert="of an earlier start", state="opened")
        await backend.send(device, "ack", boot=1, seq=1, alert="a-1", state="opened")
        ack = await pressed
        assert (ack.alert, ack.state) == ("a-1", "opened")
        assert ack.tries >= 3


@pytest.mark.parametrize("kind", KINDS)
async def test_broken_connection_leaves_its_last_will_and_comes_back(broker: Broker, kind: DeviceKind) -> None:
    device = make(broker, kind)
    async with listening(broker) as backend, switched_on([device]):
        assert (await backend.next("status"))["state"] == "online"
        device.cut()
        assert await backend.next("status") == {"state": "offline"}
        assert (await backend.next("status"))["state"] == "online"


@pytest.mark.parametrize("kind", KINDS)
async def test_event_outlives_a_broker_that_is_killed(
    broker: Broker, kind: DeviceKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "REPEAT_S", (0.1,))
    device = make(broker, kind)
    async with switched_on([device]), asyncio.TaskGroup() as tasks:
        broker.kill()
        pressed = tasks.create_task(device.signal("fall"))
        broker.start()
        async with listening(broker) as backend:
            seen = await backend.next("event")
            await backend.send(device, "ack", boot=1, seq=seen["seq"], alert="a-1", state="opened")
            assert (await pressed).alert == "a-1"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ({"name": "locate"}, {"ok": True, "result": {"lat": 26.5, "lon": 104.8}}),
        ({"name": "ring"}, {"ok": True, "result": {}}),
        ({"name": "set_interval", "args": {"interval": 5}}, {"ok": True, "result": {}}),
        ({"name": "set_interval", "args": {}}, {"ok": False, "error": "args.interval: expected seconds above 0"}),
        ({"name": "dance"}, {"ok": False, "error": "unknown command dance"}),
    ],
)
async def test_answers_a_command(broker: Broker, command: dict[str, Any], answer: dict[str, Any]) -> None:
    device = make(broker, "handset")
    device.position = Position(26.5, 104.8)
    async with listening(broker) as backend, switched_on([device]):
        await backend.send(device, "command", id="late", name="ring", args={}, expires=NOW - 1)
        await backend.send(device, "command", id="c-1", expires=NOW + 1000, **command)
        assert await backend.next("reply") == {"id": "c-1"} | answer
    assert device.rang == (command["name"] == "ring")


def test_starts_are_counted_over_restarts(tmp_path: Path) -> None:
    assert [Memory(tmp_path / "m").next_boot("d-1") for _ in range(3)] == [1, 2, 3]
    assert Memory(tmp_path / "m").next_boot("d-2") == 1

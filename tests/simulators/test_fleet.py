"""The fleet against a real broker: what arrives is what its ledger says, whatever goes wrong on purpose."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import msgspec
import pytest

from homecare.broker import Broker
from homecare.directory.entries import Device
from homecare.errors import BrokerRefused, BrokerUnavailable, InputError
from simulators import ledger
from simulators.faults import DAY_MS, HOUR_MS, Faults, parse
from simulators.fleet import Fleet, build_fleet, readings
from simulators.memory import Memory

AREA = "990101"
Message = dict[str, int | None]


def entries(count: int) -> list[Device]:
    return [Device(id=f"d-{n}", area=AREA, kind="handset", password=f"password {n}") for n in range(count)]


def fleet_of(broker: Broker, folder: Path, count: int = 5, *, rate: float, seconds: float, faults: str = "") -> Fleet:
    devices = entries(count)
    broker.set_users({device.id: device.password or "" for device in devices})
    return build_fleet(
        devices, "127.0.0.1", broker.port, Memory(folder), rate=rate, seconds=seconds, faults=parse(faults), seed=7
    )


@asynccontextmanager
async def listening(broker: Broker) -> AsyncIterator[list[tuple[str, Message]]]:
    """Telemetry as the broker hands it on: (device, message)."""
    heard: list[tuple[str, Message]] = []

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            heard.append((message.topic.value.split("/")[3], msgspec.json.decode(bytes(message.payload))))

    async with aiomqtt.Client(
        "127.0.0.1", broker.port, username="homecare", password=broker.users["homecare"], identifier="listener"
    ) as client:
        await client.subscribe("care/v1/+/+/telemetry", qos=1)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(listen(client), name="listen")
            yield heard
            task.cancel()


async def until_quiet(heard: list[tuple[str, Message]], wanted: int) -> None:
    async with asyncio.timeout(10):
        while len(heard) < wanted:  # noqa: ASYNC110  # the list has no event for it
            await asyncio.sleep(0.02)


async def run(fleet: Fleet) -> None:
    await fleet.run(asyncio.Event(), 20, 5)


async def test_ledger_is_what_arrived(broker: Broker, tmp_path: Path) -> None:
    fleet = fleet_of(broker, tmp_path, rate=1000, seconds=1)
    async with listening(broker) as heard:
        await run(fleet)
        ledger.write(tmp_path / "ledger", [device.account for device in fleet.devices])
        records = list(ledger.read(tmp_path / "ledger"))
        await until_quiet(heard, fleet.made)
    assert 950 <= fleet.made <= 1000
    assert len(heard) == fleet.made
    for record in records:
        own = [message for device, message in heard if device == record.device]
        assert [message["seq"] for message in own] == list(range(len(own)))
        assert record.sent == record.acknowledged == [(0, len(own) - 1)]
        assert (record.area, record.boot, record.deliveries) == (AREA, 1, len(own))
        for message in own:
            assert (message["values"]["heart_rate"], message["values"]["spo2"]) == readings(message["seq"])  # type: ignore[index, arg-type]


async def test_everything_is_acknowledged_through_storms_and_a_broker_that_restarts(
    broker: Broker, tmp_path: Path
) -> None:
    fleet = fleet_of(broker, tmp_path, 20, rate=500, seconds=3, faults="storm=0.5,duplicates,reorder")
    running = asyncio.create_task(run(fleet))
    async with asyncio.timeout(10):
        while fleet.made < 300:  # noqa: ASYNC110  # the fleet has no event for it
            await asyncio.sleep(0.02)
    broker.kill()
    broker.start()
    await running
    assert fleet.connections_lost > 30
    assert fleet.made + fleet.withheld >= 1400
    for record in (device.account.record() for device in fleet.devices):
        assert record.sent == record.acknowledged
        assert len(record.sent) == 1
        assert record.deliveries > record.sent[0][1] + 1


async def test_duplicates_and_reversed_order_are_sent_as_asked(broker: Broker, tmp_path: Path) -> None:
    fleet = fleet_of(broker, tmp_path, 2, rate=200, seconds=0.5, faults="duplicates=10,reorder=20")
    async with listening(broker) as heard:
        await run(fleet)
        await until_quiet(heard, fleet.made * 10)
    assert set(Counter((device, message["seq"]) for device, message in heard).values()) == {10}
    assert sum(device.account.deliveries for device in fleet.devices) == len(heard)


async def test_reversed_order_is_reversed(broker: Broker, tmp_path: Path) -> None:
    fleet = fleet_of(broker, tmp_path, 1, rate=100, seconds=0.5, faults="reorder=10")
    async with listening(broker) as heard:
        await run(fleet)
        await until_quiet(heard, fleet.made)
    order = [message["seq"] for _, message in heard]
    assert [seq for seq in order if seq is not None and seq < 10] == list(range(9, -1, -1))
    assert sorted(seq for seq in order if seq is not None) == list(range(fleet.made))


async def test_clocks_are_wrong_and_batteries_end(broker: Broker, tmp_path: Path) -> None:
    fleet = fleet_of(broker, tmp_path, 20, rate=400, seconds=1, faults="skew,dead_battery=0.25")
    async with listening(broker) as heard:
        await run(fleet)
        await until_quiet(heard, fleet.made)
    now = fleet.clock()
    last = {device: message["ts"] for device, message in heard}
    assert abs((last["d-0"] or 0) - now - HOUR_MS) < 5000
    assert abs((last["d-1"] or 0) - now + DAY_MS) < 5000
    assert 0 <= (last["d-2"] or -1) < DAY_MS
    assert last["d-3"] is None
    assert abs((last["d-4"] or 0) - now) < 5000
    assert sum(device.dead for device in fleet.devices) == 5
    assert fleet.withheld > 0
    batteries = [message["values"]["battery"] for device, message in heard if device == "d-2"]  # type: ignore[index]
    assert batteries[0] > 50
    assert batteries[-1] < 20


async def test_broker_that_refuses_or_is_not_there_is_said(broker: Broker, tmp_path: Path) -> None:
    fleet = fleet_of(broker, tmp_path, rate=10, seconds=1)
    broker.set_users({})
    with pytest.raises(BrokerRefused, match="not authorized"):
        await run(fleet)
    fleet = fleet_of(broker, tmp_path, rate=10, seconds=1)
    broker.stop()
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.5, stop.set)
    await fleet.run(stop, 1, 1)
    assert "d-" in fleet.problem
    assert issubclass(BrokerRefused, BrokerUnavailable)


@pytest.mark.parametrize("text", ["typo", "duplicates=x", "reorder=-1", "dead_battery=2", "storm=1e9"])
def test_fault_that_makes_no_sense_is_wrong_use(text: str) -> None:
    with pytest.raises(InputError, match="--faults"):
        parse(text)


def test_faults_are_read() -> None:
    assert parse("") == Faults()
    assert parse("duplicates, skew=-86400,storm=5") == Faults(duplicates=0, skew=-86400, storm=5)

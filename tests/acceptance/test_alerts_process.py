"""The alerts process as it runs: a device presses its button over real MQTT, a contact's endpoint hears of it."""

import asyncio
import random
import socket
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import msgspec
import pytest
from psycopg import AsyncConnection

from homecare.broker import Broker
from tests.alerts.places import Directory
from tests.alerts.receiver import Receiver
from tests.alerts.service import rows, until
from tests.services.processes import Processes

AREA, DEVICE, PASSWORD = "990102", "H-1", "a device's password"
SECRET_KEY = "a secret of the tests, 32 characters at least"


class Handset:
    """A device with its own MQTT client; it hears its acknowledgements and commands."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.acks: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1000)
        self.commands: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1000)

    async def listen(self) -> None:
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            kind = message.topic.value.rsplit("/", 1)[1]
            await (self.acks if kind == "ack" else self.commands).put(msgspec.json.decode(message.payload))

    async def send(self, kind: str, **body: Any) -> None:
        await self.client.publish(f"care/v1/{AREA}/{DEVICE}/{kind}", msgspec.json.encode(body), qos=1)

    async def press(self, seq: int, event: str = "sos", **more: Any) -> dict[str, Any]:
        """Send the event; its acknowledgement (others may come first: of what an earlier process left unfinished)."""
        await self.send("event", boot=1, seq=seq, ts=int(time.time() * 1000), event=event, **more)
        async with asyncio.timeout(10):
            while (ack := await self.acks.get())["seq"] != seq:
                pass
            return ack


@asynccontextmanager
async def handset(broker: Broker) -> AsyncIterator[Handset]:
    async with (
        aiomqtt.Client(
            "127.0.0.1",
            broker.port,
            username=DEVICE,
            password=PASSWORD,
            identifier=DEVICE,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        ) as client,
        asyncio.TaskGroup() as group,
    ):
        device = Handset(client)
        await client.subscribe(f"care/v1/{AREA}/{DEVICE}/ack", qos=1)
        await client.subscribe(f"care/v1/{AREA}/{DEVICE}/command", qos=1)
        listening = group.create_task(device.listen(), name="handset")
        yield device
        listening.cancel()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[AsyncConnection]:
    async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def home(db: AsyncConnection, broker: Broker) -> Directory:
    """A resident with a handset the broker knows, in the sample county."""
    directory = Directory(db, SECRET_KEY)
    await directory.add_areas()
    resident = await directory.add_resident()
    await directory.add_device(DEVICE, wearer=resident)
    broker.set_users({DEVICE: PASSWORD})
    return directory


@pytest.fixture
async def family(home: Directory) -> AsyncIterator[list[tuple[Receiver, str]]]:
    """The resident's two contacts, first and second: (endpoint, its secret)."""
    found = []
    for rank in (1, 2):
        receiver = Receiver()
        await receiver.start()
        (channel,) = await home.add_contact(f"C-{rank}", receiver.url, resident=1, rank=rank)
        found.append((receiver, home.secrets[channel]))
    yield found
    for receiver, _ in found:
        await receiver.close()


async def test_a_button_reaches_the_contact_and_the_device_hears_that_it_is_kept(
    home: Directory, family: list[tuple[Receiver, str]], db: AsyncConnection, broker: Broker, processes: Processes
) -> None:
    await processes.start("alerts")
    (first, secret), (second, _) = family
    async with handset(broker) as device:
        opened = await device.press(7)
        assert opened == {"boot": 1, "seq": 7, "alert": opened["alert"], "state": "opened"}
        assert await device.press(7) == {**opened, "state": "duplicate"}
        assert await device.press(8) == {**opened, "seq": 8, "state": "merged"}
        data = (await first.wait(1))[0].verified(secret)["data"]
        assert (data["alert_id"], data["kind"], data["resident"]["id"], data["step"]) == (
            opened["alert"],
            "sos",
            "R-1",
            1,
        )
        asked = await device.commands.get()
        assert asked["name"] == "locate"
        await device.send("reply", id=asked["id"], ok=True, result={"fix": "gnss"})
        await until(db, "select ok from command")
        cancelled = await device.press(9, "cancel", of=8)
        assert cancelled == {"boot": 1, "seq": 9, "alert": opened["alert"], "state": "recorded"}
        assert (await first.wait(2))[1].verified(secret)["type"] == "alert.cancelled"
    assert second.posts == []


@pytest.mark.slow
async def test_killed_at_any_moment_it_goes_on_where_it_was(
    home: Directory, family: list[tuple[Receiver, str]], db: AsyncConnection, broker: Broker, processes: Processes
) -> None:
    """Presses while the process is killed and started: each is kept once, and the contact hears of each alert."""
    moments = random.Random(7)
    (first, _), _ = family
    seq = 0
    for _ in range(3):
        process = await processes.start("alerts")
        async with handset(broker) as device:
            seq += 1
            await device.send("event", boot=1, seq=seq, ts=int(time.time() * 1000), event="sos")
            await asyncio.sleep(moments.uniform(0.0, 0.04))
            process.kill()
    await processes.start("alerts")
    async with handset(broker) as device:
        for number in range(1, seq + 1):
            assert (await device.press(number))["alert"]
    assert [e["seq"] for e in await rows(db, "select seq from event order by seq")] == [1, 2, 3]
    (alert,) = await rows(db, "select id, triggers from alert")
    assert alert["triggers"] == 3
    posts = await first.wait(1, within_s=40)
    assert len({post.headers["webhook-id"] for post in posts}) == 1
    assert len({post.body for post in posts}) == 1
    await until(db, "select count(*) = 1 from notification where state = 'delivered'", within_s=40)


async def test_sigterm_ends_it_in_time_and_a_second_one_beside_it_goes_on(
    home: Directory, family: list[tuple[Receiver, str]], broker: Broker, processes: Processes
) -> None:
    one = await processes.start("alerts", instance="a")
    await processes.start("alerts", instance="b")
    async with handset(broker) as device:
        ack = await device.press(1)
        other = await device.acks.get()
        assert {ack["state"], other["state"]} == {"opened", "duplicate"}
        started = time.monotonic()
        assert await one.stop() == 0
        assert time.monotonic() - started < 10
        assert (await device.press(2))["state"] == "merged"


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("database_url", "postgresql://127.0.0.1:1/none", "database"),
        ("mqtt_url", "mqtt://127.0.0.1:1", "broker"),
        ("webhook_allow_networks", "everywhere", "HOMECARE_WEBHOOK_ALLOW_NETWORKS"),
    ],
)
async def test_what_is_missing_at_the_start_ends_it_with_one_line(
    processes: Processes, setting: str, value: str, says: str
) -> None:
    process = await processes.start("alerts", ready=False, **{setting: value})
    assert await process.ended(20) in (1, 2)
    (line,) = [line for line in process.tail().splitlines() if line.startswith("homecare:")]
    assert says in line
    assert "Traceback" not in process.tail()


async def test_from_button_to_webhook_takes_milliseconds(
    home: Directory,
    family: list[tuple[Receiver, str]],
    db: AsyncConnection,
    broker: Broker,
    processes: Processes,
    record_property: Callable[[str, object], None],
) -> None:
    await processes.start("alerts")
    (first, _), _ = family
    latencies = []
    async with handset(broker) as device:
        for seq in range(1, 41):
            pressed = time.monotonic()
            ack = await device.press(seq)
            posts = await first.wait(2 * seq - 1)
            latencies.append((posts[2 * seq - 2].at - pressed) * 1000)
            await db.execute("select alert_resolve(%s, 'operator:li', 'page', 'drill', '')", [ack["alert"]])
            await first.wait(2 * seq)
    median = statistics.median(latencies[5:])
    record_property("button_to_webhook_p50_ms", round(median, 1))
    record_property("button_to_webhook_worst_ms", round(max(latencies[5:]), 1))
    assert median < 250

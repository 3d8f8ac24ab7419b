"""SenML and Traccar's forward through the real processes: a broker, both lanes, a database, a contact's endpoint."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import msgspec
import pytest
from psycopg import AsyncConnection

from homecare.broker import Broker
from homecare.clock import to_datetime, to_rfc3339, wall_clock
from tests.acceptance.waiting import fetch, until
from tests.alerts.places import Directory
from tests.alerts.receiver import Receiver
from tests.services.processes import Processes

AREA, HANDSET, TRACKER, STRANGER = "990102", "H-1", "860000000000001", "860000000000009"
PASSWORD = "a password of the tests"
SECRET_KEY = "a secret of the tests, 32 characters at least"
MESSAGES_SEEN = "select count(*) from sample where heart_rate = 99"
"""The last message of each test measures this, so that all before it have been taken by then."""


@pytest.fixture
async def family(database_url: str, broker: Broker) -> AsyncIterator[tuple[Receiver, str]]:
    """A resident with a handset and a tracker behind Traccar; their contact's endpoint and its secret."""
    broker.set_users({HANDSET: PASSWORD, "traccar": PASSWORD})
    receiver = Receiver()
    await receiver.start()
    async with await AsyncConnection.connect(database_url, autocommit=True) as db:
        directory = Directory(db, SECRET_KEY)
        await directory.add_areas()
        resident = await directory.add_resident()
        await directory.add_device(HANDSET, wearer=resident)
        await directory.add_device(TRACKER, wearer=resident)
        (channel,) = await directory.add_contact("C-1", receiver.url, resident=resident)
    yield receiver, directory.secrets[channel]
    await receiver.close()


@asynccontextmanager
async def connected(broker: Broker, user: str) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client("127.0.0.1", broker.port, username=user, password=PASSWORD, identifier=user) as client:
        yield client


async def test_senml_is_stored_once_and_its_bad_part_set_aside(
    family: tuple[Receiver, str], processes: Processes, broker: Broker, database_url: str
) -> None:
    await processes.start("ingest")
    ts = wall_clock() // 1000 - 60
    pack = msgspec.json.encode([
        {"bn": f"urn:dev:mac:0024befffe804ff1:{HANDSET}/", "bt": ts, "n": "heart_rate", "u": "beat/min", "v": 72},
        {"n": "spo2", "u": "%", "v": 197},
        {"n": "height", "u": "m", "v": 1.62},
        {"n": "heart_rate", "u": "beat/min", "t": -30, "v": 71},
    ])  # fmt: skip
    last = msgspec.json.encode([{"n": "heart_rate", "t": ts, "v": 99}])
    async with connected(broker, HANDSET) as device:
        topic = f"care/v1/{AREA}/{HANDSET}/telemetry/senml"
        for payload in (pack, pack, b'[{"n":"spo2"', pack, last):
            await device.publish(topic, payload, qos=1)
    await until(database_url, MESSAGES_SEEN, [(1,)])
    stored = fetch(
        database_url,
        "select ts, heart_rate, spo2, height, flags & 4, d.id from sample s join device d on d.key = s.device"
        " where heart_rate < 99 order by ts",
    )
    assert stored == [
        (to_datetime((ts - 30) * 1000), 71, None, None, 0, HANDSET),
        (to_datetime(ts * 1000), 72, None, 162, 4, HANDSET),
    ]
    found = fetch(database_url, "select reason, times, payload, device from quarantine order by reason desc")
    assert found == [("out_of_range", 3, pack, HANDSET), ("not_json", 1, b'[{"n":"spo2"', HANDSET)]


def forward(number: int, device: str = TRACKER, **more: Any) -> bytes:
    """What Traccar publishes of one position."""
    at = to_rfc3339(to_datetime(wall_clock() - 1000))
    position: dict[str, Any] = {
        "id": number,
        "valid": True,
        "latitude": 26.5921,
        "longitude": 104.8302,
        "accuracy": 8.0,
        "speed": 2.0,
    }
    position |= {"fixTime": at, "deviceTime": at, "serverTime": at, "outdated": False, "course": 0.0, "altitude": 0.0}
    return msgspec.json.encode(
        {"position": position | more, "device": {"id": 5, "uniqueId": device, "status": "online"}}
    )


async def test_traccar_measures_and_raises_through_both_lanes_and_the_shards(
    family: tuple[Receiver, str], processes: Processes, broker: Broker, database_url: str
) -> None:
    receiver, secret = family
    # The tracker's area is the third shard's, those that are not registered are the first's.
    lanes = [("alerts",), *(("ingest", "--shard", f"{n}/3") for n in (1, 2, 3))]
    await asyncio.gather(*(processes.start(*lane) for lane in lanes))
    beside = {"alarm": "lowBattery,sos,fallDown", "batteryLevel": 4}
    nowhere: dict[str, Any] = {"latitude": 0.0, "longitude": 0.0, "valid": False, "accuracy": 0.0}
    async with connected(broker, "traccar") as traccar:
        here = forward(41, attributes={"batteryLevel": 5, "heartRate": 72})
        alarm = forward(0, attributes=beside, **nowhere)
        unknown = forward(0, STRANGER, attributes={"alarm": "sos"})
        for payload in (here, alarm, unknown, b'{"position":', here, alarm, forward(42, attributes={"heartRate": 99})):
            await traccar.publish("traccar/positions", payload, qos=1)
    await until(database_url, MESSAGES_SEEN, [(1,)])
    await until(database_url, "select count(*) from event", [(4,)])
    events = (
        "select event, device_id, flags & ~64, \"values\" ->> 'battery', alert is not null from event order by 1, 2"
    )
    assert fetch(database_url, events) == [
        ("fall", TRACKER, 0, "4.0", True),
        ("low_battery", TRACKER, 0, "4.0", True),
        ("sos", TRACKER, 0, "4.0", True),
        ("sos", STRANGER, 0, None, True),
    ]
    stored = "select heart_rate, battery, round(speed::numeric, 3)::text, fix, flags & ~64 from sample order by ts, heart_rate"
    assert sorted(fetch(database_url, stored), key=str) == sorted(
        [(72, 5, "1.029", 3, 0), (None, 4, None, 0, 0), (99, None, "1.029", 3, 0)], key=str
    )
    kept = "select lane, reason, times, device from quarantine order by reason"
    rejected = [("telemetry", "not_json", 1, ""), ("telemetry", "unknown_device", 1, STRANGER)]
    await until(database_url, kept, rejected)
    assert fetch(database_url, "select device, messages from unknown_device") == [(STRANGER, 1)]
    posts = await receiver.wait(2)
    assert {post.verified(secret)["data"]["kind"] for post in posts} >= {"sos", "fall"}

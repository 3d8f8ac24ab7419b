"""The real `homecare ingest` between a real broker and a real database: what comes in over MQTT is stored, once, or set aside."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import aiomqtt
import msgspec
import psycopg
import pytest

from homecare.broker import Broker
from homecare.clock import to_datetime, wall_clock
from tests.acceptance.waiting import fetch, until
from tests.services.postgres import TimescaleServer
from tests.services.processes import HomecareProcess, Processes

AREA = "990101"
SEQS = "select seq, count(*) from sample group by seq order by seq"


@pytest.fixture(autouse=True)
def directory(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as db:
        for code, zh, en in ((AREA, "示例村", "Sample Village"), ("990104", "样例村", "Example Village")):
            db.execute(
                "insert into area (code, level, name_zh, name_en) values (%s, 'village', %s, %s)", [code, zh, en]
            )
        db.execute("insert into resident (id, card, area, name) values ('R-1', 'C-77', %s, '示例·甲一')", [AREA])
        db.execute(
            "insert into device (id, area, kind) values ('H-1', %s, 'handset'), ('K-1', %s, 'kiosk')", [AREA, AREA]
        )
        db.execute(
            "insert into wearing (device, resident, since) select d.key, r.key, '2026-01-01' from device d, resident r where d.id = 'H-1'"
        )


@asynccontextmanager
async def publisher(broker: Broker) -> AsyncIterator[aiomqtt.Client]:
    url = urlsplit(broker.url())
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, username=url.username, password=broker.users["homecare"]
    ) as client:
        yield client


async def send(client: aiomqtt.Client, route: str, payload: object, device: str = "H-1", area: str = AREA) -> None:
    data = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    await client.publish(f"care/v1/{area}/{device}/{route}", data, qos=1)


def reading(seq: int, **more: Any) -> dict[str, Any]:
    return {"boot": 1, "seq": seq, "ts": wall_clock(), "values": {"heart_rate": 72}} | more


async def test_contract_messages_are_stored(processes: Processes, broker: Broker, database_url: str) -> None:
    await processes.start("ingest")
    ts = wall_clock() - 1000
    async with publisher(broker) as client:
        await send(client, "status", {"boot": 3, "state": "online", "model": "M", "firmware": "1.2.0", "interval": 30})
        await send(
            client,
            "telemetry",
            {"boot": 3, "seq": 1, "ts": ts, "values": {"heart_rate": 72, "spo2": 97, "battery": 81}},
        )
        position = {"lat": 26.5921, "lon": 104.8302, "accuracy": 8, "fix": "gnss"}
        parts = [{"ts": ts - 7000, "values": {"steps": 12}}, {"ts": ts, "position": position}]
        await send(client, "telemetry", {"boot": 3, "seq": 2, "samples": parts})
        pressure = {"systolic": 152, "diastolic": 95, "heart_rate": 80}
        await send(client, "telemetry", {"boot": 9, "seq": 77, "ts": ts, "subject": "C-77", "values": pressure}, "K-1")
        xyz = struct.pack("<6h", 0, 0, 98, 1, 2, 97)
        acceleration = {"hz": 50, "unit": "m/s2", "scale": 0.1, "xyz": base64.b64encode(xyz).decode()}
        await send(client, "telemetry", {"boot": 3, "seq": 3, "ts": ts, "acceleration": acceleration})
        await send(client, "telemetry", {"boot": 3, "seq": 4, "ts": 1, "values": {"heart_rate": 71}})
    at, before = to_datetime(ts), to_datetime(ts - 7000)
    await until(
        database_url,
        "select d.id, s.seq, s.part, r.id, s.heart_rate, s.spo2, s.systolic, s.steps, s.lat, s.fix, s.flags & 9, s.claimed,"
        " case when s.flags & 1 = 0 then s.ts end, s.ts <= s.received and s.received <= s.committed"
        " from sample s join device d on d.key = s.device left join resident r on r.key = s.resident order by 1, 2, 3",
        [
            ("H-1", 1, 0, "R-1", 72, 97, None, None, None, None, 0, None, at, True),
            ("H-1", 2, 0, "R-1", None, None, None, 12, None, None, 0, None, before, True),
            ("H-1", 2, 1, "R-1", None, None, None, None, 26.5921, 3, 0, None, at, True),
            ("H-1", 4, 0, "R-1", 71, None, None, None, None, None, 1, 1, None, True),
            ("K-1", 77, 0, "R-1", 80, None, 152, None, None, None, 8, None, at, True),
        ],
    )
    kept = fetch(
        database_url,
        "select d.id, ts, a.boot, seq, hz, unit, scale, xyz from acceleration a join device d on key = device",
    )
    assert kept == [("H-1", at, 3, 3, 50, "m/s2", pytest.approx(0.1), xyz)]
    status = "select state, boot, model, firmware, interval_s from device where id = 'H-1'"
    assert fetch(database_url, status) == [("online", 3, "M", "1.2.0", 30)]


BAD: dict[str, tuple[dict[str, str], object]] = {
    "too_large": ({}, reading(10, padding="x" * 65_536)),
    "not_utf8": ({}, b'{"boot":1,"seq":11,"values":{"heart_rate":72},"note":"\xff"}'),
    "not_json": ({}, b'{"boot":1,'),
    "bad_schema": ({}, {"boot": "one", "seq": 12, "values": {"heart_rate": 72}}),
    "unknown_device": ({"device": "X-9"}, reading(13)),
    "wrong_area": ({"area": "990104"}, reading(14)),
    "unknown_metric": ({}, reading(15, values={"mood": 3})),
    "not_a_number": ({}, reading(16, values={"heart_rate": "72"})),
    "out_of_range": ({}, reading(17, values={"heart_rate": 900})),
    "unknown_subject": ({"device": "K-1"}, reading(18, subject="R-404")),
}  # fmt: skip


async def test_every_reason_comes_out_of_the_quarantine(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    await processes.start("ingest")
    async with publisher(broker) as client:
        for topic, payload in BAD.values():
            await send(client, "telemetry", payload, **topic)
        await send(client, "telemetry", reading(99))
    # Nothing bad stopped what was behind it, and a sample is kept for what was good in it, if only that it came.
    kept = "select seq, flags & 4, heart_rate from sample order by seq"
    await until(database_url, kept, [(15, 4, None), (16, 4, None), (17, 4, None), (99, 0, 72)])
    found = fetch(database_url, "select reason, topic, payload, times, lane from quarantine order by id")
    expected = [
        (
            reason,
            f"care/v1/{topic.get('area', AREA)}/{topic.get('device', 'H-1')}/telemetry",
            payload if isinstance(payload, bytes) else msgspec.json.encode(payload),
            1,
            "telemetry",
        )
        for reason, (topic, payload) in BAD.items()
    ]
    assert sorted(found) == sorted(expected)
    assert fetch(database_url, "select device, area, messages from unknown_device") == [("X-9", AREA, 1)]

    listed = await run(processes, "quarantine", "list", "--json")
    assert {msgspec.json.decode(line)["reason"] for line in listed.out.splitlines()} == BAD.keys()
    table = (await run(processes, "quarantine", "list", "--reason", "not_utf8")).out.splitlines()
    assert len(table) == 2
    assert table[0].startswith("ID")
    entry = table[1].split()[0]
    shown = await run(processes, "quarantine", "show", entry)
    assert "not_utf8" in shown.out
    assert r"\xff" in shown.out
    assert (await run(processes, "quarantine", "show", "4040")).status == 2
    assert (await run(processes, "quarantine", "list", "--reason", "nonsense")).status == 2
    assert (await run(processes, "quarantine", "replay")).status == 2


async def test_message_is_kept_when_it_is_replayed_after_the_fix(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    await processes.start("ingest")
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(1), device="X-9")
        await send(client, "telemetry", reading(2, values={"heart_rate": 900}))
        await until(database_url, "select count(*) from quarantine", [(2,)])
        await run(processes, "device", "add", "X-9", "--area", AREA, "--kind", "handset")
        last = 2
        while not fetch(database_url, "select from sample join device on key = device where id = 'X-9'"):
            last += 1
            await send(client, "telemetry", reading(last), device="X-9")
            await asyncio.sleep(0.1)  # how soon the process knows of it cannot be seen but by what it does
    replayed = await run(processes, "quarantine", "replay", "--all")
    assert replayed.status == 0
    assert replayed.out.startswith("replayed ")
    await until(database_url, SEQS, [(seq, 1) for seq in range(1, last + 1)])
    state = "select reason, times from quarantine where replayed_at is null"
    await until(database_url, state, [("out_of_range", 1)])


async def test_killed_in_the_middle_every_sample_is_there_once(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    count = 3000
    process = await processes.start("ingest")
    async with publisher(broker) as client:

        async def publish() -> None:
            for seq in range(count):
                await send(client, "telemetry", reading(seq) if seq % 10 else reading(seq, ts=None))

        publishing = asyncio.create_task(publish())
        for stored in (300, 1200):
            await until(database_url, f"select count(*) > {stored} from sample", [(True,)])
            process.kill()
            process = await processes.start("ingest")
        await publishing
    await until(database_url, "select count(*) from sample", [(count,)], within=60)
    assert fetch(database_url, SEQS) == [(seq, 1) for seq in range(count)]
    assert await process.stop() == 0


async def test_database_that_goes_and_comes_back_costs_nothing(
    processes: Processes, broker: Broker, timescale: TimescaleServer, database_url: str
) -> None:
    await processes.start("ingest")
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(0))
        await until(database_url, SEQS, [(0, 1)])
        timescale.kill()
        for seq in range(1, 50):
            await send(client, "telemetry", reading(seq))
        timescale.start()
    await until(database_url, SEQS, [(seq, 1) for seq in range(50)])


async def test_asked_to_stop_while_the_database_is_away_it_ends_and_loses_nothing(
    processes: Processes, broker: Broker, timescale: TimescaleServer, database_url: str
) -> None:
    process = await processes.start("ingest")
    timescale.kill()
    async with publisher(broker) as client:
        for seq in range(20):
            await send(client, "telemetry", reading(seq))
    async with asyncio.timeout(10):
        while "retrying" not in process.tail():  # noqa: ASYNC110  # the log has no event for it
            await asyncio.sleep(0.02)
    assert await process.stop() == 0
    timescale.start()
    await processes.start("ingest")
    await until(database_url, SEQS, [(seq, 1) for seq in range(20)])


async def test_plain_postgresql_is_served_with_a_warning(
    processes: Processes, broker: Broker, plain_database_url: str
) -> None:
    with psycopg.connect(plain_database_url) as db:
        db.execute(
            "insert into area (code, level, name_zh, name_en) values (%s, 'village', '示例村', 'Sample Village')",
            [AREA],
        )
        db.execute("insert into device (id, area, kind) values ('H-1', %s, 'handset')", [AREA])
    process = await processes.start("ingest", database_url=plain_database_url)
    assert process.tail().count("plain_postgresql") == 1
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(1))
    await until(plain_database_url, SEQS, [(1, 1)])


async def test_standby_that_is_asked_to_stop_ends(processes: Processes) -> None:
    await processes.start("ingest")
    second = await processes.start("ingest", ready=False)
    async with asyncio.timeout(20):
        while "standing_by" not in second.tail():  # noqa: ASYNC110  # the log has no event for it
            await asyncio.sleep(0.02)
    assert await second.stop() == 0


async def test_broker_that_goes_and_comes_back_is_found_again(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    process = await processes.start("ingest")
    broker.kill()
    broker.start()
    await process.ready()
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(1))
    await until(database_url, SEQS, [(1, 1)])


async def test_second_process_takes_over_when_the_first_dies(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    first = await processes.start("ingest")
    second = await processes.start("ingest", ready=False)
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(1))
        await until(database_url, SEQS, [(1, 1)])
        assert second.returncode is None
        first.kill()
        await send(client, "telemetry", reading(2))
        await until(database_url, SEQS, [(1, 1), (2, 1)])
    assert await second.stop() == 0


async def test_shards_share_the_areas(processes: Processes, broker: Broker, database_url: str) -> None:
    with psycopg.connect(database_url) as db:
        db.execute("insert into device (id, area, kind) values ('H-2', '990104', 'handset')")
    for shard in ("1/2", "2/2"):
        await processes.start("ingest", "--shard", shard)
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(1))
        await send(client, "telemetry", reading(2), device="H-2", area="990104")
    await until(database_url, SEQS, [(1, 1), (2, 1)])


async def test_high_heart_rate_is_a_trigger_once_across_a_restart(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    process = await processes.start("ingest")
    triggers = "select kind, metric, state from trigger where kind = 'vital' order by id"
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(1, values={"heart_rate": 190}))
        await until(database_url, triggers, [("vital", "heart_rate", "raised")])
        process.kill()
        await processes.start("ingest")
        await send(client, "telemetry", reading(2, values={"heart_rate": 191}))
        await until(database_url, SEQS, [(1, 1), (2, 1)])
        assert fetch(database_url, triggers) == [("vital", "heart_rate", "raised")]
        await send(client, "telemetry", reading(3, values={"heart_rate": 75}))
        await until(database_url, triggers, [("vital", "heart_rate", "raised"), ("vital", "heart_rate", "cleared")])


@pytest.mark.parametrize(
    ("settings", "status", "named"),
    [
        ({"database_url": "postgresql://nobody@127.0.0.1:1/none"}, 1, "database"),
        ({"mqtt_url": "mqtt://homecare:x@127.0.0.1:1"}, 1, "MQTT broker"),
        ({"mqtt_url": "127.0.0.1"}, 2, "HOMECARE_MQTT_URL"),
        ({"secret_key": "short"}, 2, "HOMECARE_SECRET_KEY"),
        ({"mqtt_receive_maximum": "0"}, 2, "HOMECARE_MQTT_RECEIVE_MAXIMUM"),
    ],
)
async def test_what_is_missing_at_the_start_is_said_in_one_line(
    processes: Processes, settings: dict[str, str], status: int, named: str
) -> None:
    await assert_ends(processes, status, named, **settings)


async def test_database_that_nobody_migrated_is_said_in_one_line(processes: Processes, empty_database_url: str) -> None:
    await assert_ends(processes, 1, "run `homecare migrate`", database_url=empty_database_url)


async def test_wrong_password_of_the_broker_is_said_in_one_line(processes: Processes, broker: Broker) -> None:
    await assert_ends(processes, 1, "MQTT broker", mqtt_url=f"mqtt://homecare:wrong@127.0.0.1:{broker.port}")


async def test_wrong_shard_is_wrong_use(processes: Processes) -> None:
    process = await processes.start("ingest", "--shard", "5/4", ready=False)
    assert await process.ended() == 2
    assert "--shard '5/4'" in process.tail()


async def assert_ends(processes: Processes, status: int, named: str, **settings: str) -> None:
    process = await processes.start("ingest", ready=False, **settings)
    assert await process.ended(within=20) == status
    said = [line for line in process.tail().splitlines() if line.startswith("homecare: ")]
    assert len(said) == 1, process.tail()
    assert named in said[0]
    assert "Traceback" not in process.tail()


class Said(msgspec.Struct):
    status: int
    out: str


async def run(processes: Processes, *arguments: str) -> Said:
    process = await processes.start(*arguments, ready=False)
    status = await process.ended(within=20)
    return Said(status, process.tail(100_000))


async def test_missing_messages_are_known_and_closed_across_kill_and_events_are_none(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    process = await processes.start("ingest")
    await processes.start("alerts")
    gaps = "select first_seq, last_seq, missing from device_missing where missing > 0 order by first_seq"
    async with publisher(broker) as client:
        for seq in (1, 2, 7):
            await send(client, "telemetry", reading(seq, values={"heart_rate": 70 + seq}))
        await send(client, "event", {"boot": 1, "seq": 5, "ts": wall_clock(), "event": "check_in"})
        await until(database_url, gaps, [(3, 6, 3)])
        process.kill()
        process = await processes.start("ingest")
        for seq in (8, 4, 11):
            await send(client, "telemetry", reading(seq, values={"heart_rate": 70 + seq}))
        late = reading(6, ts=wall_clock() - 600_000, values={"heart_rate": 60, "spo2": 95})
        await send(client, "telemetry", late)
        await until(database_url, gaps, [(3, 3, 1), (9, 10, 2)])
        newest = "select heart_rate, spo2, spo2_at < heart_rate_at - interval '9 minutes' from latest"
        await until(database_url, newest, [(81, 95, True)])
        for seq in (3, 9, 10):
            await send(client, "telemetry", reading(seq))
        await until(database_url, gaps, [])
    assert fetch(database_url, "select flags & 2 from sample where seq = 6") == [(2,)]
    assert await process.stop() == 0


async def test_it_says_what_the_broker_dropped_and_how_long_messages_wait(
    processes: Processes, broker: Broker, timescale: TimescaleServer
) -> None:
    process = await processes.start("ingest")
    assert await figure(process, "homecare_broker_connected_clients", lambda value: value >= 2)
    assert await figure(process, "homecare_broker_dropped_messages", lambda value: value >= 0)
    timescale.kill()
    async with publisher(broker) as client:
        await send(client, "telemetry", reading(1))
    assert await figure(process, "homecare_ingest_oldest_unacknowledged_seconds", lambda value: value > 0.5)
    assert await figure(process, "homecare_ingest_backlog_messages", lambda value: value == 1)
    timescale.start()
    assert await figure(process, "homecare_ingest_backlog_messages", lambda value: value == 0)


async def figure(process: HomecareProcess, name: str, wanted: Callable[[float], bool], within: float = 30.0) -> bool:
    """Wait until /metrics has it so."""
    async with asyncio.timeout(within), aiohttp.ClientSession() as http:
        while True:
            async with http.get(process.url + "/metrics") as answer:
                lines = (await answer.text()).splitlines()
            if any(wanted(float(line.split()[1])) for line in lines if line.startswith(name + " ")):
                return True
            await asyncio.sleep(0.1)

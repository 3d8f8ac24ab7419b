"""The real `homecare ingest` between a real broker and a real database: what comes in over MQTT is stored, once, or set aside."""

import asyncio
import base64
import struct

import msgspec
import pytest

from homecare.broker import Broker
from homecare.clock import to_datetime, wall_clock
from tests.acceptance.ingest_site import AREA, SEQS, publisher, reading, register_village, run, send
from tests.acceptance.waiting import fetch, until
from tests.services.processes import Processes


@pytest.fixture(autouse=True)
def directory(database_url: str) -> None:
    register_village(database_url)


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

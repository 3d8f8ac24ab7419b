"""What the rules know survives the process: stopped, it keeps all of it; killed, what came since the last time it was kept is shown again."""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from homecare.broker import Broker
from homecare.clock import wall_clock
from tests.acceptance.ingest_site import AREA, publisher, send
from tests.acceptance.waiting import fetch, until
from tests.services.processes import Processes

PROGRAM = Path(sys.executable).with_name("homecare")
TRIGGERS = "select r.id, t.rule, t.metric, t.state from trigger t join resident r on r.key = t.resident order by t.id"
ALMOST_LATE_MS = 292_000
"""Readings that are counted wait 315 s from their measurement on; these had most of that before they were sent."""


@pytest.fixture(autouse=True)
def directory(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute(
            "insert into area (code, level, name_zh, name_en) values (%s, 'village', '示例村', 'Village')", [AREA]
        )
        for n in (1, 2):
            db.execute("insert into resident (id, area, name) values (%s, %s, '示例·甲')", [f"R-{n}", AREA])
            db.execute("insert into device (id, area, kind) values (%s, %s, 'handset')", [f"H-{n}", AREA])
        db.execute(
            "insert into wearing (device, resident, since) select d.key, r.key, '2026-01-01' from device d"
            " join resident r on right(r.id, 1) = right(d.id, 1)"
        )


def wait_for_two_of_three(processes: Processes) -> None:
    subprocess.run(
        [PROGRAM, "rules", "set", "limit.heart_rate", "reading.heart_rate:high.of=[2,3]", "--area", AREA, "--by", "li"],
        env=os.environ | dict(processes.environment),
        check=True,
        capture_output=True,
    )


async def test_stopped_then_killed_twice_each_case_is_told_once(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    wait_for_two_of_three(processes)
    seq = 0
    async with publisher(broker) as client:

        async def measured(number: int, age_ms: int = ALMOST_LATE_MS, **values: float) -> None:
            nonlocal seq
            seq += 1
            await send(
                client,
                "telemetry",
                {"boot": 1, "seq": seq, "ts": wall_clock() - age_ms, "values": values},
                f"H-{number}",
            )

        process = await processes.start("ingest")
        await measured(1, heart_rate=115)
        await until(database_url, "select count(*) from sample", [(1,)])
        asked_to_stop: datetime = fetch(database_url, "select clock_timestamp()")[0][0]
        assert await process.stop() == 0
        ((kept, first),) = fetch(database_url, "select count(*), min(taken_at) from rules_snapshot")
        assert kept > 5
        assert first > asked_to_stop

        process = await processes.start("ingest")
        await measured(1, heart_rate=116)
        await until(database_url, "select count(*) from sample", [(2,)])
        process.kill()  # the second reading is not in what was kept, and has not been judged

        process = await processes.start("ingest")
        for heart_rate in (117, 118):
            await measured(2, heart_rate=heart_rate)
        told = [("R-1", "heart_rate", "heart_rate", "raised"), ("R-2", "heart_rate", "heart_rate", "raised")]
        await until(database_url, TRIGGERS, told, within=60)
        process.kill()  # what it told is stored, and not in what was kept

        await processes.start("ingest")
        await measured(1, age_ms=0, spo2=70)  # what a restart still has to say is stored before this
        await until(database_url, TRIGGERS, [*told, ("R-1", "spo2", "spo2", "raised")])
    assert fetch(database_url, "select taken_at from rules_snapshot order by taken_at limit 1") == [(first,)]

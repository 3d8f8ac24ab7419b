"""Rules that are changed while `homecare ingest` runs: the next reading is judged by them, and no episode is lost."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from homecare.broker import Broker
from homecare.clock import wall_clock
from tests.acceptance.ingest_site import AREA, publisher, send
from tests.acceptance.waiting import fetch
from tests.services.processes import Processes

PROGRAM = Path(sys.executable).with_name("homecare")
WARNING = "reading.heart_rate:high.bands.warning.limit"
TRIGGERS = "select state, severity, (evidence->>'limit')::float8 from trigger where rule = 'heart_rate' order by id"
WITHIN_S = 15.0


@pytest.fixture(autouse=True)
def directory(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute(
            "insert into area (code, level, name_zh, name_en) values (%s, 'village', '示例村', 'Village')", [AREA]
        )
        db.execute("insert into resident (id, area, name) values ('R-1', %s, '示例·甲一')", [AREA])
        db.execute("insert into device (id, area, kind) values ('H-1', %s, 'handset')", [AREA])
        db.execute(
            "insert into wearing (device, resident, since) select d.key, r.key, '2026-01-01' from device d, resident r"
        )


def rules(processes: Processes, *arguments: str) -> str:
    ran = subprocess.run(
        [PROGRAM, "rules", *arguments],
        env=os.environ | dict(processes.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


async def test_a_limit_that_is_set_while_it_runs_judges_the_next_reading(
    processes: Processes, broker: Broker, database_url: str
) -> None:
    await processes.start("ingest")
    seq = 0

    async with publisher(broker) as client:

        async def measured(heart_rate: float) -> None:
            nonlocal seq
            seq += 1
            values = {"heart_rate": heart_rate}
            await send(client, "telemetry", {"boot": 1, "seq": seq, "ts": wall_clock(), "values": values})

        async def measured_until(heart_rate: float, triggers: list[tuple[Any, ...]]) -> None:
            """The process hears of a change when it does: the same reading, until it is judged by the new limit."""
            async with asyncio.timeout(WITHIN_S):
                while fetch(database_url, TRIGGERS) != triggers:
                    await measured(heart_rate)
                    await asyncio.sleep(0.2)

        await measured_until(105, [("raised", "warning", 100.0)])
        said = rules(processes, "set", "limit.heart_rate", f"{WARNING}=104", "--area", AREA, "--by", "Dr. Sample")
        assert said == f"limit.heart_rate {WARNING}: added\n"
        # The episode goes on and ends by the new limit less the hysteresis of 5: 97 is inside now, and was not before.
        await measured_until(97, [("raised", "warning", 100.0), ("cleared", "warning", 104.0)])
        rules(processes, "set", "limit.heart_rate", f"{WARNING}=90", "--resident", "R-1")
        expected = [("raised", "warning", 100.0), ("cleared", "warning", 104.0), ("raised", "warning", 90.0)]
        await measured_until(97, expected)
        shown = rules(processes, "show", "limit.heart_rate", "--resident", "R-1")
        assert f"limit.heart_rate {WARNING} = 90.0  (area {AREA}, resident R-1)\n" in shown
        rules(processes, "unset", "limit.heart_rate", WARNING, "--resident", "R-1")
        await measured_until(97, [*expected, ("cleared", "warning", 104.0)])

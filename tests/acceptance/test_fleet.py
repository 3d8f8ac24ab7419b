"""`homecare simulate fleet` from the file of its devices to its ledger: the whole way, as a person would go it."""

import asyncio
import os
from pathlib import Path

import psycopg

from homecare.broker import Broker
from simulators import ledger
from tests.acceptance.test_capture import PROGRAM
from tests.acceptance.waiting import fetch, until
from tests.services.processes import Processes

STORED = "select device.id, sample.boot, count(*), count(distinct seq) from sample join device on key = device group by 1, 2 order by 1"


async def homecare(*arguments: str, **settings: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(str(PROGRAM), *arguments),
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (out + err).decode()
    return out.decode()


async def test_what_the_ledger_says_is_in_the_database(
    processes: Processes, broker: Broker, database_url: str, tmp_path: Path
) -> None:
    directory, accounts = tmp_path / "fleet.json", tmp_path / "ledger.jsonl"
    await homecare("simulate", "fleet", "--devices", "30", "--write-directory", str(directory))
    backend = {
        "HOMECARE_DATABASE_URL": database_url,
        "HOMECARE_SECRET_KEY": "a secret of the tests, 32 characters at least",
    }
    await homecare("directory", "import", str(directory), **backend)
    passwords = broker.directory / "passwords"
    await homecare("device", "passwords", "--output", str(passwords), HOMECARE_MQTT_URL=broker.url(), **backend)
    broker.reload()
    await processes.start("ingest")
    said = await homecare(
        *(
            "simulate",
            "fleet",
            "--devices",
            "30",
            "--rate",
            "1500",
            "--seconds",
            "2",
            "--faults",
            "duplicates,reorder,storm=1",
        ),
        *("--directory", str(directory), "--broker", f"mqtt://127.0.0.1:{broker.port}"),
        *("--state", str(tmp_path / "state"), "--ledger", str(accounts)),
    )
    assert "messages sent by 30 devices" in said
    assert "0 not" in said.splitlines()[1]
    records = list(ledger.read(accounts))
    expected = []
    for record in sorted(records, key=lambda r: r.device):
        assert record.acknowledged == record.sent
        assert len(record.sent) == 1
        count = record.sent[0][1] + 1
        assert record.deliveries > count
        expected.append((record.device, 1, count, count))
    await until(database_url, STORED, expected)
    with psycopg.connect(database_url) as db:
        found = db.execute(
            "select count(*) from sample where heart_rate <> 60 + seq % 40 or spo2 <> 94 + seq % 6"
        ).fetchone()
    assert found == (0,)
    assert fetch(database_url, "select count(*) from quarantine") == [(0,)]

"""Real homes through the whole system: every sample of a quarter of a year arrives, once, whole."""

import asyncio
import datetime as dt
import sys
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest

from homecare.broker import Broker
from homecare.directory.entries import Area, Device, Directory, Resident, Source
from homecare.directory.store import import_directory
from homecare.metrics import METRICS
from homecare.secrets import Vault
from simulators import capture, tihm
from simulators.capture import Line
from tests.acceptance.waiting import fetch, until
from tests.services.processes import Processes

DATA = Path(__file__).parents[3] / "shared/data/tihm/physiology.csv.gz"
AREA = "990100"
SINCE = dt.datetime(2019, 1, 1, tzinfo=dt.UTC)
OUT_OF_RANGE = {"heart_rate": 0.0, "weight": 0.0}
"""What such homes send now and then; put among the real readings of the first home."""
COLUMNS = ", ".join(metric.name for metric in METRICS)


def directory_of(homes: tihm.Homes) -> Directory:
    names = homes.names()
    return Directory(
        areas=[Area(code=AREA, level="county", name_zh="示例县", name_en="Sample County")],
        residents=[Resident(id=tihm.resident_of(name), area=AREA, name=f"示例·{name}") for name in names],
        devices=[
            Device(id=tihm.device_of(name), area=AREA, kind="home_sensor", wearer=tihm.resident_of(name), since=SINCE)
            for name in names
        ]
        + [Device(id="last", area=AREA, kind="home_sensor")],
    )


@pytest.mark.slow
async def test_every_sample_of_real_homes_arrives_once(
    processes: Processes, broker: Broker, database_url: str, tmp_path: Path
) -> None:
    if not DATA.exists():
        pytest.skip(f"no TIHM data: {DATA} is not there")
    homes = tihm.read(DATA)
    first = homes.names()[0]
    homes.readings.append(tihm.Reading(first, homes.readings[-1].ts + 1000, OUT_OF_RANGE | {"temperature": 36.5}))
    import_directory(database_url, Source(directory_of(homes)), Vault(processes.environment["HOMECARE_SECRET_KEY"]))
    messages = capture.write(tmp_path / "tihm.jsonl.gz", tihm.lines(homes, AREA))
    await processes.start("ingest")
    await processes.start("alerts")

    for round_ in (1, 2):
        await play(tmp_path / "tihm.jsonl.gz", broker, messages)
        # What is sent behind all of it is stored behind all of it.
        mark = Line(0, f"care/v1/{AREA}/last/telemetry", {"boot": round_, "seq": 1, "values": {"battery": 50}})
        await asyncio.to_thread(capture.play, broker.url(), [mark])
        await until(
            database_url,
            "select count(*) from sample join device on key = device where id = 'last'",
            [(round_,)],
            within=60,
        )
        assert stored(database_url) == sent(homes)

    assert fetch(database_url, "select reason, device, count(*) from quarantine group by 1, 2") == [
        ("out_of_range", tihm.device_of(first), 1)
    ]
    # Readings of 2019 are late by years: they are kept, marked, and call nobody.
    assert fetch(database_url, "select distinct flags & 2 from sample where ts < '2020-01-01'") == [(2,)]
    assert fetch(database_url, "select kind, count(*) from alert where kind <> 'silence' group by 1") == []


async def play(path: Path, broker: Broker, messages: int) -> None:
    program = Path(sys.executable).with_name("homecare")
    played = await asyncio.create_subprocess_exec(
        program,
        "simulate",
        "play",
        path,
        "--speed",
        "0",
        env={"HOMECARE_MQTT_URL": broker.url()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, problem = await played.communicate()
    assert played.returncode == 0, problem
    assert out.startswith(b"%d messages" % messages)


def sent(homes: tihm.Homes) -> Counter[bytes]:
    """Each sample as text: home, time, what the contract calls plausible of its values as the database keeps them."""
    samples: Counter[bytes] = Counter()
    for reading in homes.readings:
        kept = {name: float(np.float32(value)) for name, value in reading.kept().items()}
        samples[_text(tihm.device_of(reading.home), tihm.resident_of(reading.home), reading.ts, kept)] += 1
    return samples


def stored(url: str) -> Counter[bytes]:
    rows = fetch(
        url,
        "select device.id, resident.id, (extract(epoch from ts) * 1000)::bigint, "
        + COLUMNS
        + " from sample join device on device.key = sample.device join resident on resident.key = sample.resident",
    )
    samples: Counter[bytes] = Counter()
    for device, resident, ts, *values in rows:
        present = {m.name: value for m, value in zip(METRICS, values, strict=True) if value is not None}
        samples[_text(device, resident, ts, {k: float(np.float32(v)) for k, v in present.items()})] += 1
    return samples


def _text(device: str, resident: str, ts: int, values: dict[str, float]) -> bytes:
    return msgspec.json.encode([device, resident, ts, sorted(values.items())])

"""A sample directory, and samples, windows and triggers of it, for the tests of this package."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import psycopg

from homecare.checked import Checked
from homecare.errors import DatabaseUnavailable
from homecare.messages import AccelerationWindow, Inbound, Origin, Status
from homecare.metrics import INDEX
from homecare.samples import Flag, Samples
from homecare.tasks import retry
from homecare.triggers import Trigger
from ingest.connection import LiveConnection, WriterConnection
from ingest.shards import Shard
from ingest.store import Store

NOW = 1_795_289_357_000
AREA = "990101"
WHOLE = Shard()


@dataclass(frozen=True)
class Home:
    """Keys of what was registered."""

    handset: int
    kiosk: int
    resident: int


def register(url: str) -> Home:
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(
            "insert into area (code, level, name_zh, name_en) values (%s, 'village', '示例村', 'Sample Village')",
            [AREA],
        )
        resident = _key(db, "insert into resident (id, area, name) values ('R-1', %s, '示例·甲一') returning key")
        handset = _key(db, "insert into device (id, area, kind) values ('H-1', %s, 'handset') returning key")
        kiosk = _key(db, "insert into device (id, area, kind) values ('K-1', %s, 'kiosk') returning key")
        db.execute("insert into wearing (device, resident) values (%s, %s)", [handset, resident])
    return Home(handset, kiosk, resident)


def _key(db: psycopg.Connection, statement: str) -> int:
    row = db.execute(statement, [AREA]).fetchone()
    assert row is not None
    key: int = row[0]
    return key


@asynccontextmanager
async def open_store(url: str, shard: Shard = WHOLE) -> AsyncIterator[Store]:
    """The store as the process has it."""
    writer, reader = WriterConnection(url, shard), LiveConnection(url, "tests")
    store = Store(writer, reader)
    try:
        await retry(store.load, what="store", on=DatabaseUnavailable)
        await retry(writer.get, what="writer", on=DatabaseUnavailable)
        yield store
    finally:
        await writer.close()
        await reader.close()


def samples(
    device: int, *seqs: int, at: int = NOW, received: int | None = None, flags: int = 0, **values: float
) -> Samples:
    """One sample for each seq, a second apart; with a wrong clock all are at their time of receipt."""
    made = Samples.empty(len(seqs))
    made.device[:] = device
    made.boot[:] = 1
    made.seq[:] = seqs
    made.ts[:] = at + 1000 * np.array(seqs)
    made.received[:] = made.ts + 50 if received is None else received
    made.flags[:] = flags
    if flags & Flag.WRONG_CLOCK:
        made.claimed[:] = made.ts
        made.ts[:] = made.received
    for name, value in (values or {"heart_rate": 72.0}).items():
        made.values[:, INDEX[name]] = value
    return made


def window(device: int, seq: int, **changes: Any) -> AccelerationWindow:
    ts = NOW + 1000 * seq
    made = {
        "device_key": device, "resident_key": None, "ts": ts, "claimed": None, "received": ts + 50, "boot": 1, "seq": seq,
        "part": 0, "flags": 0, "hz": 50.0, "unit": "m/s2", "scale": 0.5, "xyz": bytes(range(12)),
    }  # fmt: skip
    return AccelerationWindow(**(made | changes))


def trigger(key: str, device: int, resident: int = 0, **evidence: Any) -> Trigger:
    return Trigger(
        key=key, at=NOW, rule="heart_rate_high", version=1, kind="vital", metric="heart_rate", severity="urgent",
        state="raised", device=device, resident=resident, evidence=evidence, zh="心率过高", en="Heart rate is high",
    )  # fmt: skip


def status(device: int, state: Literal["online", "offline"], received: int, **said: Any) -> Status:
    return Status(Origin("H-1", AREA, device), state, received, **said)


def inbound(topic: str = f"care/v1/{AREA}/H-1/telemetry", payload: bytes = b"{}", received: int = NOW) -> Inbound:
    return Inbound(topic, payload, received)


def checked_of(*parts: Samples, **other: Any) -> Checked:
    return replace(Checked(samples=Samples.concatenate([Samples.empty(0), *parts])), **other)

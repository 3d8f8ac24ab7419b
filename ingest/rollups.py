"""Hours of every device, kept by the product where TimescaleDB's continuous aggregates are not to be had; and retention.

An hour is rolled up once it is long enough over, some devices at a time; hours that late samples came into are made anew.
Every step is one transaction that may be done again, so it goes on where it stopped.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import LiteralString

import numpy as np
import structlog
from psycopg import AsyncConnection, sql

from homecare.clock import to_datetime
from homecare.database import load_queries, unavailable
from homecare.errors import DatabaseUnavailable
from homecare.samples import Samples
from homecare.tasks import raise_if_cancelled
from ingest import measures
from ingest.connection import LiveConnection

log = structlog.get_logger()
QUERIES = load_queries("ingest")
HOUR_MS = 3_600_000
EVERY_S = 60.0
RETENTION_EVERY_S = 3600.0
LAG_MIN = 10
"""How long after its end an hour is rolled up. Samples of the hour that is now are not marked when they are stored, so this
must be longer than any transaction, and than the clocks of this host and the database's may differ."""
DEVICES_AT_ONCE = 2_000
HOURS_AT_ONCE = 100
"""Of those made anew, in one transaction; who stores more of them waits for it."""
ROWS_AT_ONCE = 20_000
LOCK = 0x726F6C6D
TABLES: tuple[LiteralString, ...] = ("sample", "acceleration")


async def kept_by_product(db: AsyncConnection) -> bool:
    """Whether the roll-ups are this product's to keep."""
    row = await (await db.execute(QUERIES["rollups_kept_by"])).fetchone()
    return row is not None and row[0] == "product"


async def mark(db: AsyncConnection, samples: Samples, now: int) -> None:
    """Within the transaction that stores `samples` at `now` (Unix ms): note the hours before this one that it changes."""
    hours = samples.ts // HOUR_MS
    past = np.flatnonzero(hours < now // HOUR_MS)
    if not len(past):
        return
    changed = np.unique(np.stack([samples.device[past], hours[past]]), axis=1)
    await db.execute(QUERIES["hold_rollups"])
    moments = [to_datetime(hour * HOUR_MS) for hour in changed[1].tolist()]
    await db.execute(QUERIES["mark_rollups"], {"device": changed[0].tolist(), "hour": moments})


class RollUps:
    """One process does it, whoever has the lock."""

    def __init__(self, connection: LiveConnection, retention_days: int) -> None:
        """`retention_days`: how long samples are kept; 0: for ever."""
        self._connection = connection
        self._days = retention_days
        self._has_lock: AsyncConnection | None = None

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        retention_due = loop.time()
        try:
            while True:
                await self._try("rollups", self.roll_up)
                if loop.time() >= retention_due and await self._try("retention", self.retain):
                    retention_due = loop.time() + RETENTION_EVERY_S
                await asyncio.sleep(EVERY_S)
        finally:
            await self._connection.close()

    async def _try(self, what: str, do: Callable[[AsyncConnection], Awaitable[None]]) -> bool:
        try:
            db = await self._connection.get()
            with unavailable():
                if await self._mine(db):
                    await do(db)
        except DatabaseUnavailable as error:
            measures.UPKEEP_FAILURES.labels(what).inc()
            log.warning("upkeep_waits", what=what, problem=str(error))
            return False
        raise_if_cancelled()
        return True

    async def _mine(self, db: AsyncConnection) -> bool:
        if self._has_lock is not db:
            row = await (await db.execute("select pg_try_advisory_lock(%s)", [LOCK])).fetchone()
            self._has_lock = db if row is not None and row[0] else None
        return self._has_lock is db

    async def roll_up(self, db: AsyncConnection) -> None:
        """All hours that are over, and all that late samples came into."""
        if not await kept_by_product(db):
            return
        while await self._close_hour(db):
            pass
        while await self._make_anew(db):
            pass

    async def _close_hour(self, db: AsyncConnection) -> bool:
        async with db.transaction():
            # Whoever marks hours by the old state has stored what it stores when this lock is ours.
            await db.execute(QUERIES["lock_rollups"])
            begun = await (await db.execute(QUERIES["begin_hour"], {"lag_min": LAG_MIN})).fetchone()
        if begun is None:
            return False
        hour, after = begun
        while True:
            row = await (
                await db.execute(QUERIES["next_devices"], {"after": after, "most": DEVICES_AT_ONCE})
            ).fetchone()
            devices = row[0] if row else None
            if not devices:
                break
            async with db.transaction():
                await db.execute(QUERIES["rollup_hour"], {"hour": hour, "devices": devices})
                after = devices[-1]
                await db.execute(QUERIES["rollup_progress"], {"device": after})
        await db.execute(QUERIES["end_hour"])
        measures.ROLLED_UP_UNTIL.set(hour.timestamp() + HOUR_MS / 1000)
        return True

    async def _make_anew(self, db: AsyncConnection) -> bool:
        async with db.transaction():
            asked = {"most": HOURS_AT_ONCE, "days": self._days}
            taken = await (await db.execute(QUERIES["take_due"], asked)).fetchall()
            for hour in sorted({hour for _, hour, kept in taken if kept}):
                devices = [device for device, at, _ in taken if at == hour]
                await db.execute(QUERIES["rollup_hour"], {"hour": hour, "devices": devices})
        return bool(taken)

    async def retain(self, db: AsyncConnection) -> None:
        """Drop samples and windows that are older than they are kept; the roll-ups stay."""
        row = await (await db.execute(QUERIES["is_hypertable"])).fetchone()
        hypertable = row is not None and row[0]
        if hypertable:
            await db.execute(QUERIES["retain_chunks"], {"days": self._days})
        elif self._days:
            for table in TABLES:
                names = {
                    "table": sql.Identifier(table),
                    "days": sql.Literal(self._days),
                    "most": sql.Literal(ROWS_AT_ONCE),
                }
                statement = sql.SQL(QUERIES["delete_old"]).format(**names)
                while (await db.execute(statement)).rowcount:
                    pass
        if self._days:
            await db.execute(QUERIES["delete_old_notes"], {"days": self._days})

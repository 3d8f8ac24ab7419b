"""One batch, one transaction: samples, windows, triggers, quarantine, statuses and strangers are there together or not at all.

Samples go straight in by COPY. Only when the unique index objects, because messages came again, is the batch redone
through a staging table that leaves out what is there; and so are the next ones, until one has no repeats.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import psycopg
from psycopg import AsyncConnection, sql

from homecare.checked import Checked
from homecare.clock import to_datetime, wall_clock
from homecare.database import load_queries, unavailable
from homecare.errors import DatabaseUnavailable, HomecareError
from homecare.messages import AccelerationWindow, Rejection, Status
from homecare.samples import Samples
from homecare.triggers import Trigger
from ingest import repeats, rollups
from ingest.arrivals import Array
from ingest.connection import LiveConnection, WriterConnection
from ingest.counting import Counting
from ingest.reading import read_samples
from ingest.rejections import merge_rejections, merge_strangers
from ingest.repeats import Delivery, WrongClocks
from ingest.rows import READINGS, encode
from ingest.sequences import has_samples

QUERIES = load_queries("ingest")
WINDOW_COLUMNS = {
    "ts": "timestamptz",
    "received": "timestamptz",
    "claimed": "int8",
    "device": "int4",
    "resident": "int4",
    "boot": "int4",
    "seq": "int4",
    "part": "int2",
    "flags": "int2",
    "hz": "float4",
    "unit": "text",
    "scale": "float4",
    "xyz": "bytea",
}


class Refused(HomecareError):
    """The database will not have this, however often it is tried: the data is at fault."""


@dataclass(slots=True)
class Written:
    """What a commit added; `repeated` counts samples and windows that were there already."""

    samples: int = 0
    windows: int = 0
    repeated: int = 0
    triggers: list[tuple[str, str]] = field(default_factory=list)
    """(kind, state) of each that is new."""


class Store:
    """The only way into the database for measurements. One task writes; `repeats` may be asked meanwhile."""

    def __init__(self, writer: WriterConnection, reader: LiveConnection) -> None:
        self._writer = writer
        self._reader = reader
        self._wrong_clocks = WrongClocks()
        self._expect_repeats = False
        self._keeps_rollups = False
        self.counting = Counting(str(writer.shard))

    async def load(self) -> None:
        """Read what must be known before the first batch. DatabaseUnavailable."""
        db = await self._reader.get()
        with unavailable():
            await self._wrong_clocks.load(db)
            self._keeps_rollups = await rollups.kept_by_product(db)
            entries = await self.counting.load(db)
            await self._gather_latest(db, entries[has_samples(entries)])

    async def _gather_latest(self, db: AsyncConnection, entries: Array) -> None:
        """The samples that may not be among the latest readings yet."""
        if not len(entries):
            return
        entries = entries[np.argsort(entries["device"], kind="stable")]
        rows = np.flatnonzero(np.append(True, entries["device"][1:] != entries["device"][:-1]))
        asked = {
            "device": entries["device"][rows].tolist(),
            "first": [to_datetime(ms) for ms in np.minimum.reduceat(entries["first"], rows).tolist()],
            "last": [to_datetime(ms) for ms in np.maximum.reduceat(entries["last"], rows).tolist()],
        }
        async for samples in read_samples(db, "journalled_samples", **asked):
            self.counting.latest.add(samples)

    async def repeats(self, checked: Checked) -> frozenset[Delivery]:
        """Deliveries that came before, which only their (device, boot, seq) tells. DatabaseUnavailable."""
        with unavailable():
            return await self._wrong_clocks.repeats(self._reader, checked)

    async def write(
        self, checked: Checked, triggers: Sequence[Trigger] = (), repeats: Iterable[Delivery] = ()
    ) -> Written:
        """Commit it all; `repeats` were taken out of `checked` and are only counted.

        Raises:
            DatabaseUnavailable: nothing is stored; try again. Also where the schema or a right is missing: that is for
                people to put right, and no message's fault.
            Refused: nothing is stored, and something in here is at fault.
        """
        db = await self._writer.get()
        try:
            try:
                written = await self._commit(db, checked, triggers, repeats, staged=self._expect_repeats)
            except psycopg.errors.UniqueViolation:
                written = await self._commit(db, checked, triggers, repeats, staged=True)
                self._expect_repeats = True
        except (psycopg.Error, ValueError, OverflowError) as error:
            raise _judged(error) from error
        self._expect_repeats = self._expect_repeats and written.repeated > 0
        self._wrong_clocks.done(checked)
        return written

    def give_up(self, checked: Checked) -> None:
        """What was asked about in `repeats` will not be written after all."""
        self._wrong_clocks.done(checked)

    def forget(self) -> None:
        """Nothing that was asked about in `repeats` will be written."""
        self._wrong_clocks.forget()

    async def _commit(
        self,
        db: AsyncConnection,
        checked: Checked,
        triggers: Sequence[Trigger],
        repeats_of: Iterable[Delivery],
        *,
        staged: bool,
    ) -> Written:
        written = Written()
        async with db.transaction():
            if len(checked.samples):
                written.samples = await _copy_samples(db, checked.samples, staged=staged)
            if checked.windows:
                written.windows = await _copy_windows(db, checked.windows, staged=staged)
            await repeats.remember(db, checked)
            if triggers:
                written.triggers = await _add_triggers(db, triggers)
            await _add_to_quarantine(db, checked.rejections)
            if checked.strangers:
                await db.execute(QUERIES["add_unknown_devices"], merge_strangers(checked.strangers))
            await _keep_statuses(db, checked.statuses)
            counted = await self.counting.write(db, checked, repeats_of)
            if self._keeps_rollups:
                await rollups.mark(db, checked.samples, wall_clock())
        self.counting.keep(counted, checked.samples)
        written.repeated = len(checked.samples) - written.samples + len(checked.windows) - written.windows
        return written


def _judged(error: Exception) -> HomecareError:
    """Whose fault is it? The data's is `Refused`; all else is the database's state and passes."""
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, psycopg.Error):
        limit_exceeded = (error.sqlstate or "").startswith("54")  # a value too big for an index, say
        if not limit_exceeded and not isinstance(error, (psycopg.DataError, psycopg.IntegrityError)):
            return DatabaseUnavailable(f"the database cannot be used now: {first_line}")
    return Refused(first_line)


async def _copy_samples(db: AsyncConnection, samples: Samples, *, staged: bool) -> int:
    rows = encode(samples)
    if staged:
        await db.execute(QUERIES["stage_samples"])
    statement = _copy("staged_sample" if staged else "sample", rows.columns)
    async with db.cursor() as cursor:
        async with cursor.copy(statement) as copy:
            await copy.write(rows.data)
        if staged:
            await cursor.execute(QUERIES["keep_staged_samples"])
        kept = cursor.rowcount
        if kept < len(samples) and not READINGS.isdisjoint(rows.columns):
            await cursor.execute(_complete(samples, rows.columns))
        return kept


def _complete(samples: Samples, columns: Sequence[str]) -> sql.Composed:
    """Fill in what an earlier time was rejected of these."""
    names = [sql.Identifier(name) for name in columns if name in READINGS]
    fill_in = [sql.SQL("{0} = coalesce(sample.{0}, staged.{0})").format(name) for name in names]
    missing = [sql.SQL("sample.{0} is null and staged.{0} is not null").format(name) for name in names]
    return sql.SQL(QUERIES["complete_partial_samples"]).format(
        fill_in=sql.SQL(", ").join(fill_in),
        missing=sql.SQL(" or ").join(missing),
        first=sql.Literal(to_datetime(int(samples.ts.min()))),
        last=sql.Literal(to_datetime(int(samples.ts.max()))),
    )


async def _copy_windows(db: AsyncConnection, windows: Sequence[AccelerationWindow], *, staged: bool) -> int:
    if staged:
        await db.execute(QUERIES["stage_windows"])
    statement = _copy("staged_acceleration" if staged else "acceleration", tuple(WINDOW_COLUMNS))
    async with db.cursor() as cursor:
        async with cursor.copy(statement) as copy:
            copy.set_types(list(WINDOW_COLUMNS.values()))
            for w in windows:
                times = to_datetime(w.ts), to_datetime(w.received), w.claimed
                name = w.device_key, w.resident_key, w.boot, w.seq, w.part, w.flags
                await copy.write_row((*times, *name, w.hz, w.unit, w.scale, w.xyz))
        if staged:
            await cursor.execute(QUERIES["keep_staged_windows"])
        return cursor.rowcount


def _copy(table: str, columns: Sequence[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("copy {} ({}) from stdin (format binary)").format(sql.Identifier(table), names)


async def _add_triggers(db: AsyncConnection, triggers: Sequence[Trigger]) -> list[tuple[str, str]]:
    # As JSON, where NaN and infinity are null.
    json = msgspec.json.encode(triggers).decode()
    added = await db.execute(QUERIES["add_triggers"], {"triggers": json})
    return [(kind, state) for kind, state in await added.fetchall()]


async def _add_to_quarantine(db: AsyncConnection, rejections: Sequence[Rejection]) -> None:
    if rejections:
        await db.execute(QUERIES["add_to_quarantine"], merge_rejections(rejections))


async def _keep_statuses(db: AsyncConnection, statuses: Sequence[Status]) -> None:
    """In the order they arrived."""
    rows = [
        {
            "device": status.origin.device_key,
            "state": status.state,
            "received": to_datetime(status.received),
            "boot": status.boot,
            "model": status.model,
            "firmware": status.firmware,
            "interval": status.interval,
        }
        for status in statuses
        if status.origin.device_key is not None
    ]
    if rows:
        async with db.cursor() as cursor:
            await cursor.executemany(QUERIES["keep_status"], rows)

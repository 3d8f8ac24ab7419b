"""What follows the batches from memory, on a connection of its own so that no commit waits for it: the latest readings within
a second, the counts and figures now and then, and gaps that turn out to be none.

What is not written when the process dies is in the journal, or was a figure.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import numpy as np
import structlog
from psycopg import AsyncConnection, sql

from homecare.database import load_queries, unavailable
from homecare.errors import DatabaseUnavailable
from homecare.samples import Samples
from homecare.tasks import raise_if_cancelled
from ingest import measures
from ingest.connection import LiveConnection
from ingest.counting import Counting
from ingest.latest import encode, readings_of

log = structlog.get_logger()
QUERIES = load_queries("ingest")
LATEST_S = 0.45
SPREAD_S = 0.4
"""Over which one round of latest readings is written, so that no commit waits behind all of it; with LATEST_S less than 1 s."""
COUNTS_S = 10.0
FIGURES_S = 60.0
AT_ONCE = 2_000
"""Rows in one statement."""
PAUSE_S = 0.005
"""Between two statements of a long row of them."""
MOST_GAPS = 200
"""Of one device."""


@dataclass(slots=True)
class Duty:
    """Something that is to be done every so many seconds."""

    name: str
    do: Callable[[AsyncConnection], Awaitable[None]]
    every_s: float
    due: float = 0.0


class Upkeep:
    """Of one shard."""

    def __init__(self, connection: LiveConnection, counting: Counting, shard: str, *, first: bool = True) -> None:
        """`first`: this shard also does what is done once for all of them."""
        self._connection = connection
        self._counting = counting
        self._shard = shard
        self.duties = [
            Duty("latest", self.write_latest, LATEST_S),
            Duty("counts", self.write_counts, COUNTS_S),
            Duty("figures", self.write_figures, FIGURES_S),
        ]
        if first:
            self.duties.append(Duty("gaps", self.settle_gaps, FIGURES_S))
        self.duties.append(Duty("incomplete", counting.reload_gaps, FIGURES_S))

    async def run(self) -> None:
        """Until cancelled. A duty that cannot be done now is done later."""
        try:
            while True:
                now = time.monotonic()
                for duty in self.duties:
                    if duty.due <= now:
                        await self._try(duty)
                        duty.due = time.monotonic() + duty.every_s
                await asyncio.sleep(max(0.0, min(duty.due for duty in self.duties) - time.monotonic()))
        finally:
            await self._connection.close()

    async def _try(self, duty: Duty) -> None:
        try:
            db = await self._connection.get()
            with unavailable():
                await db.execute(QUERIES["follow_on"])
                await duty.do(db)
        except DatabaseUnavailable as error:
            measures.UPKEEP_FAILURES.labels(duty.name).inc()
            log.warning("upkeep_waits", what=duty.name, problem=str(error))
        raise_if_cancelled()

    async def write_latest(self, db: AsyncConnection) -> None:
        """The readings gathered until now; whatever is there and newer stays."""
        waiting = self._counting.latest.take()
        measures.LATEST_WAITING.set(len(waiting))
        if not len(waiting):
            return
        parts = np.array_split(np.argsort(waiting.device, kind="stable"), -(-len(waiting) // AT_ONCE))
        for n, part in enumerate(parts):
            try:
                await _keep_latest(db, waiting.take(np.sort(part)))
                if n + 1 < len(parts):
                    await asyncio.sleep(SPREAD_S / len(parts))
            except BaseException:
                self._counting.latest.give_back(waiting.take(np.sort(np.concatenate(parts[n:]))))
                raise

    async def write_counts(self, db: AsyncConnection) -> None:
        """How far the counts came; the journal until then is not needed any more."""
        until = self._counting.written
        await self.write_latest(db)
        sequences = self._counting.sequences
        keys = np.flatnonzero(sequences.dirty)
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            sequences.dirty[some] = False
            columns = {"device": some, "boot": sequences.boot[some], "highest": sequences.highest[some]}
            try:
                await db.execute(QUERIES["keep_sequences"], {name: c.tolist() for name, c in columns.items()})
            except BaseException:
                sequences.dirty[some] = True
                raise
            await asyncio.sleep(PAUSE_S)
        await db.execute(QUERIES["forget_journal"], {"shard": self._shard, "until": until})

    async def write_figures(self, db: AsyncConnection) -> None:
        """How messages came in."""
        while (figures := self._counting.reception.take(AT_ONCE)).device:
            await db.execute(QUERIES["keep_reception"], asdict(figures))
            await asyncio.sleep(PAUSE_S)

    async def settle_gaps(self, db: AsyncConnection) -> None:
        """Events are not missing; what is missing for too long, or too much, is given up and only counted."""
        async with db.transaction():
            await db.execute(QUERIES["lock_gaps"])
            await db.execute(QUERIES["settle_gaps"])
            await db.execute(QUERIES["give_up_gaps"], {"most": MOST_GAPS})
        await db.execute(QUERIES["forget_starts"])
        row = await (await db.execute(QUERIES["count_missing"])).fetchone()
        missing, devices = row or (0, 0)
        measures.MISSING.set(missing)
        measures.INCOMPLETE_DEVICES.set(devices)


async def _keep_latest(db: AsyncConnection, samples: Samples) -> None:
    rows = encode(readings_of(samples))
    names = sql.SQL(", ").join(map(sql.Identifier, rows.columns))
    copy_in = sql.SQL("copy staged_latest ({}) from stdin (format binary)").format(names)
    keep = sql.SQL(QUERIES["keep_latest"]).format(columns=names, changes=_changes(rows.columns))
    async with db.transaction(), db.cursor() as cursor:
        await cursor.execute(QUERIES["stage_latest"])
        async with cursor.copy(copy_in) as copy:
            await copy.write(rows.data)
        await cursor.execute(keep)


def _changes(columns: tuple[str, ...]) -> sql.Composable:
    """`, x = …, x_at = …` of every reading that is among the columns."""
    changes = []
    for at in columns:
        if at.endswith("_at"):
            held = ("lat", "lon", "accuracy", "fix") if at == "position_at" else (at.removesuffix("_at"),)
            for name in held:
                if name in columns:
                    changes.append(_NEWER.format(name=sql.Identifier(name), at=sql.Identifier(at)))
            changes.append(_LATER.format(at=sql.Identifier(at)))
    return sql.Composed(changes)


_NEWER = sql.SQL(
    ", {name} = case when excluded.{at} >= coalesce(l.{at}, '-infinity') then excluded.{name} else l.{name} end"
)
_LATER = sql.SQL(", {at} = greatest(l.{at}, excluded.{at})")

"""The counts of the devices and the database: gaps open and close in the batch's own transaction, with a note in the journal
of how far each count came; the counts themselves and the latest readings follow from memory (`upkeep.py`).

After a crash the journal holds exactly what had not followed yet, so a restart neither loses nor invents a gap.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import structlog
from psycopg import AsyncConnection

from homecare.checked import Checked
from homecare.database import load_queries
from homecare.samples import Samples
from ingest import measures
from ingest.arrivals import Array, Arrivals
from ingest.latest import Latest
from ingest.reception import Reception
from ingest.repeats import Delivery
from ingest.sequences import ENTRY, Counted, Groups, Sequences, Start

log = structlog.get_logger()
QUERIES = load_queries("ingest")
Found = dict[int, int]
"""Device key -> how many of its missing messages came."""


class Counting:
    """What is counted in one shard. `look` and `write` change nothing in here; `keep` does, after the commit."""

    def __init__(self, shard: str) -> None:
        self._shard = shard
        self.sequences = Sequences()
        self.reception = Reception()
        self.latest = Latest()
        self.written = 0
        """The last entry of the journal that is committed."""

    async def load(self, db: AsyncConnection) -> Array:
        """Read what is known; returns the journal's entries, all together."""
        rows = await (await db.execute(QUERIES["current_starts"])).fetchall()
        columns = np.array(rows, np.int64).reshape(-1, 3).T
        self.sequences.recall(*columns)
        self.sequences.dirty[:] = False
        row = await (await db.execute(QUERIES["end_of_journal"], {"shard": self._shard})).fetchone()
        self.written = row[0] if row else 0
        parts = [np.frombuffer(e, ENTRY) for (e,) in await (await db.execute(QUERIES["journal_entries"])).fetchall()]
        entries = np.concatenate([np.zeros(0, ENTRY), *parts])
        self.sequences.recall(entries["device"], entries["boot"], entries["highest"])
        await self.reload_gaps(db)
        return entries

    async def reload_gaps(self, db: AsyncConnection) -> None:
        """Of whom something is missing."""
        self.sequences.ask()
        rows = await (await db.execute(QUERIES["incomplete_devices"])).fetchall()
        self.sequences.incomplete(device for (device,) in rows)

    async def write(
        self, db: AsyncConnection, checked: Checked, repeats: Iterable[Delivery]
    ) -> tuple[Counted, Found, int] | None:
        """Within the batch's transaction. None: there was nothing to count."""
        arrivals = Arrivals.of(checked, repeats)
        if not len(arrivals):
            return None
        groups = self.sequences.group(arrivals)
        counted = self.sequences.look(arrivals, groups, await _known(db, groups))
        if len(counted.gaps[0]):
            names = ("device", "boot", "first", "last")
            await db.execute(QUERIES["open_gaps"], _lists(names, counted.gaps))
        found: Found = {}
        if len(counted.late[0]):
            asked = _lists(("device", "boot", "seq"), counted.late)
            await db.execute(QUERIES["hold_gaps"])
            found = dict(await (await db.execute(QUERIES["close_gaps"], asked)).fetchall())
        if len(counted.past[0]):
            await db.execute(QUERIES["keep_sequences"], _lists(("device", "boot", "highest"), counted.past))
        entry = {"shard": self._shard, "entries": counted.entries.tobytes()}
        row = await (await db.execute(QUERIES["journal"], entry, binary=True)).fetchone()
        assert row is not None
        return counted, found, row[0]

    def keep(self, written: tuple[Counted, Found, int] | None, samples: Samples) -> None:
        """The transaction is committed."""
        self.latest.add(samples)
        if written is None:
            return
        counted, found, self.written = written
        self.sequences.keep(counted)
        self.reception.keep(counted, found)
        closed = sum(found.values())
        _, _, first, last = counted.gaps
        measures.MISSED.inc(int((last - first + 1).sum()))
        measures.FOUND.inc(closed)
        measures.DUPLICATE_MESSAGES.inc(len(counted.duplicates) + len(counted.late[0]) - closed)


async def _known(db: AsyncConnection, groups: Groups) -> dict[Start, int]:
    """The counts of starts that are over already."""
    asked = groups.unknown()
    if not asked:
        return {}
    devices, boots = zip(*asked, strict=True)
    rows = await (
        await db.execute(QUERIES["highest_of_starts"], {"device": list(devices), "boot": list(boots)})
    ).fetchall()
    return {(device, boot): highest for device, boot, highest in rows}


def _lists(names: Iterable[str], columns: Iterable[Array]) -> dict[str, list[Any]]:
    return {name: column.tolist() for name, column in zip(names, columns, strict=True)}

"""After a restart the rules must know what they knew: they are given what they kept, and shown what is stored since.

What limits say of that is not said again, for it was stored with the readings. What the operators say may have been lost
with the process, so it is stored now; a trigger's key makes it harmless where it was not.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import structlog
from psycopg import AsyncConnection
from psycopg.rows import class_row

from homecare.clock import to_datetime
from homecare.database import load_queries, unavailable
from homecare.devices import RegisteredDevice
from homecare.kept import Kept
from homecare.messages import Event
from homecare.samples import Samples
from homecare.triggers import Trigger
from ingest.occurrences import Occurrences
from ingest.reading import read_samples
from ingest.shards import Shard
from ingest.snapshots import load_snapshots

log = structlog.get_logger()
QUERIES = load_queries("ingest")
MOST_SAMPLES = 6_000_000
"""So many are shown to rules without a snapshot, the newest; more would keep the measurements waiting for minutes."""
UNSAID_MS = 15 * 60_000
"""Where there is no snapshot: how far back what the operators say is not taken to be old news."""


class Rules(Protocol):
    """What the rules are given at the start, in this order."""

    @property
    def memory_ms(self) -> int:
        """How far back, by `ts`, samples are needed to rebuild the state where nothing was kept."""

    @property
    def limits_memory_ms(self) -> int:
        """How far back the limits need them."""

    @property
    def since(self) -> int | None:
        """Since when (Unix ms) what was kept needs them; None: something was not kept."""

    def load(self, kept: Kept) -> None:
        """What was kept of one operator."""

    def heard(self, devices: npt.NDArray[np.int32], received: npt.NDArray[np.int64]) -> None:
        """These devices (keys) were heard then, by other means than a sample."""

    def recall(self, triggers: Iterable[Trigger]) -> None:
        """The last trigger of every series, given out before a restart."""

    def restore_events(self, events: Sequence[Event]) -> list[Trigger]: ...

    def restore(self, samples: Samples) -> list[Trigger]: ...


async def restore(
    db: AsyncConnection,
    rules: Rules,
    devices: Sequence[RegisteredDevice],
    now: int,
    *,
    shard: Shard,
    occurrences: Occurrences,
) -> list[Trigger]:
    """Rebuild the state of `rules`, which know `devices` and the residents already. What is to be stored of what they say.

    What was kept; when each device was last heard, however long ago; the last trigger of every series before the time
    since when the samples are shown; and the events and samples since.

    Raises:
        DatabaseUnavailable: start again with fresh rules.
    """
    oldest_kept = now

    def load(kept: Kept) -> None:
        nonlocal oldest_kept
        oldest_kept = min(oldest_kept, kept.since)
        rules.load(kept)

    kept = await load_snapshots(db, shard, load)
    since = await _since(db, rules, now)
    unsaid = min(oldest_kept, now - UNSAID_MS) if kept else now - UNSAID_MS
    keys = None if shard.count == 1 else [device.key for device in devices]
    asked = {"since": to_datetime(since), "devices": keys}
    with unavailable():
        heard = await (await db.execute(QUERIES["last_heard"], asked)).fetchall()
        if heard:
            device, received = zip(*heard, strict=True)
            rules.heard(np.array(device, np.int32), np.array(received, np.int64))
        async with db.cursor(row_factory=class_row(Trigger)) as cursor:
            recalled = await (await cursor.execute(QUERIES["last_triggers"], asked)).fetchall()
            recalled += await (await cursor.execute(QUERIES["last_outages"])).fetchall()
        rules.recall(recalled)
        events = await occurrences.restore(db, since)
        triggers = rules.restore_events(events)
        samples = 0
        async for batch in read_samples(db, "samples_to_restore", since=to_datetime(since), devices=keys):
            triggers += rules.restore(batch)
            samples += len(batch)
            await asyncio.sleep(0)  # the health server answers meanwhile
    log.info(
        "rules_restored",
        devices=len(devices),
        kept=kept,
        since=to_datetime(since).isoformat(),
        heard=len(heard),
        triggers=len(recalled),
        events=len(events),
        samples=samples,
    )
    return [trigger for trigger in triggers if trigger.at >= unsaid]


async def _since(db: AsyncConnection, rules: Rules, now: int) -> int:
    limits = now - rules.limits_memory_ms
    since = min(limits, now - rules.memory_ms if rules.since is None else rules.since)
    if since < limits:
        with unavailable():
            found = await (await db.execute(QUERIES["oldest_to_restore"], {"most": MOST_SAMPLES})).fetchone()
        if found is not None and found[0] > since:
            log.warning("rules_not_restored_whole", wanted_since=since, shown_since=min(limits, found[0]))
            since = min(limits, found[0])
    return since

"""After a restart the rules must know what they knew, and say nothing about it: they are shown what is stored."""

from collections.abc import Sequence

import numpy as np
import structlog
from psycopg import AsyncConnection
from psycopg.rows import class_row

from homecare.clock import to_datetime
from homecare.database import load_queries, unavailable
from homecare.devices import RegisteredDevice
from homecare.triggers import Trigger
from ingest.pipeline import Rules
from ingest.reading import read_samples

log = structlog.get_logger()
QUERIES = load_queries("ingest")


async def restore(
    db: AsyncConnection, rules: Rules, devices: Sequence[RegisteredDevice], now: int, *, all_devices: bool = True
) -> None:
    """Rebuild the state of `rules`, with which `devices` are registered already; `all_devices`: there are no others.

    When each device was last heard, however long ago; the last trigger of every series; and the samples that a late
    one may still come before.

    Raises:
        DatabaseUnavailable: start again with fresh rules.
    """
    since = now - rules.memory_ms
    keys = None if all_devices else [device.key for device in devices]
    asked = {"since": to_datetime(since), "devices": keys}
    with unavailable():
        heard = await (await db.execute(QUERIES["last_heard"], asked)).fetchall()
        if heard:
            device, received = zip(*heard, strict=True)
            rules.heard(np.array(device, np.int32), np.array(received, np.int64))
        async with db.cursor(row_factory=class_row(Trigger)) as cursor:
            triggers = await (await cursor.execute(QUERIES["last_triggers"], asked)).fetchall()
            triggers += await (await cursor.execute(QUERIES["last_outages"])).fetchall()
        rules.recall(triggers)
        samples = 0
        async for batch in read_samples(db, "recent_samples", since=to_datetime(since), devices=keys):
            rules.restore(batch)
            samples += len(batch)
    log.info("rules_restored", devices=len(devices), heard=len(heard), triggers=len(triggers), samples=samples)

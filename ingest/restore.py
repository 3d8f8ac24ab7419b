"""After a restart the rules must know what they knew, and say nothing about it: they are shown what is stored."""

from collections.abc import AsyncIterator, Sequence

import numpy as np
import structlog
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from homecare.clock import to_datetime
from homecare.database import load_queries, unavailable
from homecare.devices import RegisteredDevice
from homecare.triggers import Trigger
from ingest.pipeline import Rules
from ingest.rows import COLUMNS, HEADER, TRAILER, Column, decode, row_size

log = structlog.get_logger()
QUERIES = load_queries("ingest")
CHUNK_ROWS = 20_000


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
        rules.recall(triggers)
        samples = 0
        async for rows in _read_samples(db, since, keys):
            batch = decode(rows)
            rules.restore(batch)
            samples += len(batch)
    log.info("rules_restored", devices=len(devices), heard=len(heard), triggers=len(triggers), samples=samples)


async def _read_samples(db: AsyncConnection, since: int, keys: list[int] | None) -> AsyncIterator[bytes]:
    """Rows for `decode`, about `CHUNK_ROWS` at a time."""
    select = sql.SQL(QUERIES["recent_samples"]).format(
        columns=sql.SQL(", ").join(map(_whole, COLUMNS)),
        since=sql.Literal(to_datetime(since)),
        devices=sql.Literal(keys),
    )
    size = row_size()
    held = bytearray()
    async with (
        db.cursor() as cursor,
        cursor.copy(sql.SQL("copy ({}) to stdout (format binary)").format(select)) as copy,
    ):
        async for part in copy:
            held += part
            if held.startswith(HEADER):
                del held[: len(HEADER)]
            if len(held) >= CHUNK_ROWS * size:
                whole = len(held) // size * size
                yield bytes(held[:whole])
                del held[:whole]
    assert held.endswith(TRAILER)
    del held[-len(TRAILER) :]
    if held:
        yield bytes(held)


def _whole(column: Column) -> sql.Composable:
    """Never NULL, so that all rows have one width."""
    name = sql.Identifier("sample", column.name)
    if column.null is None:
        return name
    return sql.SQL("coalesce({}, {})").format(name, sql.Literal(str(column.null)))

"""After a restart the rules must know what they knew: they are shown again, in order, what is stored, and say nothing.

How far back: a day, or less where a day holds more than `MOST_ROWS`; and the last samples of every device that has
been silent for longer, since its silence, its flat battery, its high pressure are known from those alone.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import structlog
from psycopg import AsyncConnection, sql

from homecare.clock import to_datetime
from homecare.database import load_queries, unavailable
from homecare.devices import RegisteredDevice
from ingest.pipeline import Rules
from ingest.rows import COLUMNS, HEADER, TRAILER, Column, decode, row_size

log = structlog.get_logger()
QUERIES = load_queries("ingest")

HOUR_MS = 3_600_000
WINDOW_HOURS = (24, 12, 6, 3, 1)
MOST_ROWS = 5_000_000
LAST_OF_EACH = 16
"""Samples of a device that was silent for the whole window: more than any rule wants in a row."""
CHUNK_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Restored:
    """`heard_until` is the time of receipt (Unix ms) of the last sample; None: there is none."""

    samples: int
    heard_until: int | None


async def restore(
    db: AsyncConnection, rules: Rules, devices: Sequence[RegisteredDevice], now: int, *, all_devices: bool
) -> Restored:
    """Show `rules` what is stored of `devices`, already registered with them. `all_devices`: there are no others.

    Raises DatabaseUnavailable.
    """
    keys = None if all_devices else [device.key for device in devices]
    with unavailable():
        since = now - await _window_hours(db, now) * HOUR_MS
        count, heard_until = 0, None
        for query in ("last_samples", "recent_samples"):
            async for rows in _read(db, query, since, keys):
                samples = decode(rows)
                rules.restore(samples)
                count += len(samples)
                heard_until = max(int(samples.received.max()), heard_until or 0)
    log.info("restored", samples=count, devices=len(devices), since=to_datetime(since).isoformat())
    return Restored(count, heard_until)


async def _window_hours(db: AsyncConnection, now: int) -> int:
    """The longest window that holds no more than `MOST_ROWS`, as far as the planner knows."""
    for hours in WINDOW_HOURS:
        since = sql.Literal(to_datetime(now - hours * HOUR_MS))
        plan = await db.execute(sql.SQL("explain (format json) select from sample where ts >= {}").format(since))
        row = await plan.fetchone()
        assert row is not None
        if row[0][0]["Plan"]["Plan Rows"] <= MOST_ROWS:
            return hours
    return WINDOW_HOURS[-1]


async def _read(db: AsyncConnection, query: str, since: int, keys: list[int] | None) -> AsyncIterator[bytes]:
    """Rows for `decode`, about `CHUNK_ROWS` at a time."""
    select = sql.SQL(QUERIES[query]).format(
        columns=sql.SQL(", ").join(map(_whole, COLUMNS)),
        since=sql.Literal(to_datetime(since)),
        devices=sql.Literal(keys),
        most=sql.Literal(LAST_OF_EACH),
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
    name = sql.Identifier("sample", column.name)
    if column.null is None:
        return name
    return sql.SQL("coalesce({}, {})").format(name, sql.Literal(str(column.null)))

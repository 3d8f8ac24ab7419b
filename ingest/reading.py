"""Samples out of the database again, as columns, by binary COPY."""

from collections.abc import AsyncIterator
from typing import Any

from psycopg import AsyncConnection, sql

from homecare.database import load_queries
from homecare.samples import Samples
from ingest.rows import COLUMNS, HEADER, TRAILER, Column, decode, row_size

QUERIES = load_queries("ingest")
CHUNK_ROWS = 20_000


async def read_samples(db: AsyncConnection, query: str, **parameters: Any) -> AsyncIterator[Samples]:
    """What the query of that name selects, about `CHUNK_ROWS` at a time; its {columns} are filled in here."""
    literals = {name: sql.Literal(value) for name, value in parameters.items()}
    select = sql.SQL(QUERIES[query]).format(columns=sql.SQL(", ").join(map(_whole, COLUMNS)), **literals)
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
                yield decode(bytes(held[:whole]))
                del held[:whole]
    assert held.endswith(TRAILER)
    del held[-len(TRAILER) :]
    if held:
        yield decode(bytes(held))


def _whole(column: Column) -> sql.Composable:
    """Never NULL, so that all rows have one width."""
    name = sql.Identifier("sample", column.name)
    if column.null is None:
        return name
    return sql.SQL("coalesce({}, {})").format(name, sql.Literal(str(column.null)))

"""The one way these pages reach the database: the named queries beside this file, each row as the type it is asked as."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from homecare.database import load_queries, unavailable

QUERIES = load_queries("dashboards")
Pool = AsyncConnectionPool[AsyncConnection]
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Store:
    """Runs `queries.sql` by name. Every method raises DatabaseUnavailable where the database cannot be used now."""

    pool: Pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection of the pool, each statement its own transaction unless one is opened."""
        with unavailable():
            async with self.pool.connection() as db:
                yield db

    async def rows(self, query: str, kind: type[Row], /, **parameters: Any) -> list[Row]:
        """All rows, as `kind`, whose fields are the query's columns."""
        async with self.connection() as db, db.cursor(row_factory=class_row(kind)) as cursor:
            return await (await cursor.execute(QUERIES[query].encode(), parameters)).fetchall()

    async def row(self, query: str, kind: type[Row], /, **parameters: Any) -> Row | None:
        """The first row, as `kind`, or None."""
        async with self.connection() as db, db.cursor(row_factory=class_row(kind)) as cursor:
            return await (await cursor.execute(QUERIES[query].encode(), parameters)).fetchone()

    async def mappings(self, query: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """All rows, by column."""
        async with self.connection() as db, db.cursor(row_factory=dict_row) as cursor:
            return await (await cursor.execute(QUERIES[query].encode(), parameters)).fetchall()

    async def execute(self, query: str, /, **parameters: Any) -> int:
        """How many rows it touched."""
        async with self.connection() as db:
            return (await db.execute(QUERIES[query].encode(), parameters)).rowcount

    async def record(self, actor: str, action: str, *, alert: object = None, **detail: Any) -> None:
        """One line of the append-only log; no personal data in `detail` beyond ids."""
        await self.execute("record", alert=alert, actor=actor, action=action, detail=Jsonb(detail))

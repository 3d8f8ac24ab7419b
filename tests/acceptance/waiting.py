"""Waiting for what the running processes do, by what can be seen of it in the database."""

import asyncio
import time
from typing import Any

import psycopg

POLL_S = 0.05


def fetch(url: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of one query."""
    with psycopg.connect(url, autocommit=True) as db:
        return db.execute(query.encode(), parameters).fetchall()


async def until(url: str, query: str, wanted: object, *parameters: object, within: float = 20.0) -> None:
    """Wait until the query's rows equal `wanted`. AssertionError with what they were instead."""
    deadline = time.monotonic() + within
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
        while True:
            rows = await (await db.execute(query.encode(), parameters)).fetchall()
            if rows == wanted:
                return
            assert time.monotonic() < deadline, f"after {within} s still {rows}, not {wanted}"
            await asyncio.sleep(POLL_S)

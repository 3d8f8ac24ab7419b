"""The log's proof: seals of what is past, and a check that nothing in it was changed, removed or put in another order.

The chain and its hashes are made by the database as rows are written (migration 0012); seals are made here, with a key
that the database never sees, so that even who owns the database cannot rewrite a sealed day unnoticed.
"""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool

from homecare.chain import Finding, Head, Line, check_chain
from homecare.database import load_queries, unavailable
from homecare.errors import DatabaseUnavailable
from homecare.tasks import retry

QUERIES = load_queries("alerts")
LOCK = 0x7365616C
SEAL_AFTER_S = 3600.0
"""Rows this old are sealed: no transaction takes as long, so none with a smaller id can still come."""
EVERY_S = 600.0
AT_ONCE = 10_000


@dataclass(slots=True)
class Verdict:
    """What a verification saw."""

    rows: int = 0
    chains: int = 0
    erased: int = 0
    """Rows whose detail was forgotten with a person; their place in the chain is proven all the same."""
    seals: int = 0
    sealed_rows: int = 0
    findings: list[Finding] = field(default_factory=list)


class Seal(NamedTuple):
    """As the table `log_seal`."""

    number: int
    first_id: int
    last_id: int
    rows: int
    digest: bytes
    seal: bytes


def sealing_key(secret_key: str) -> bytes:
    """The key of the seals, of HOMECARE_SECRET_KEY and nothing else."""
    return hashlib.blake2b(secret_key.encode(), person=b"homecare-seal", digest_size=32).digest()


def make_seal(key: bytes, before: bytes, number: int, first_id: int, last_id: int, rows: int, digest: bytes) -> bytes:
    """The seal of rows `first_id`..`last_id`, which also covers the seal before it."""
    words = f"{number}.{first_id}.{last_id}.{rows}".encode()
    return hmac.digest(key, before + b"." + words + b"." + digest, "sha256")


async def verify(db: AsyncConnection, key: bytes) -> Verdict:
    """Every chain and every seal, as they are at one moment."""
    verdict = Verdict()
    async with db.transaction():
        await db.execute("set transaction isolation level repeatable read, read only")
        # In the order of the seals' ids is one pass, by chain another: neither needs the log in memory.
        await _verify_chains(db, verdict)
        await _verify_seals(db, key, verdict)
    return verdict


async def _verify_chains(db: AsyncConnection, verdict: Verdict) -> None:
    heads = {row.chain: row async for row in _stream(db, "log_heads", Head)}
    lines: list[Line] = []
    async for line in _stream(db, "log_lines", Line):
        if lines and lines[-1].chain != line.chain:
            verdict.findings += check_chain(lines, heads.pop(lines[-1].chain, None))
            verdict.chains += 1
            lines = []
        lines.append(line)
        verdict.rows += 1
        verdict.erased += line.detail is None
    if lines:
        verdict.findings += check_chain(lines, heads.pop(lines[-1].chain, None))
        verdict.chains += 1
    for head in heads.values():
        verdict.findings += check_chain([], head)


async def _verify_seals(db: AsyncConnection, key: bytes, verdict: Verdict) -> None:
    before, number, last_id = b"", 0, 0
    async for seal in _stream(db, "log_seals", Seal):
        number += 1
        rows, digest = await _digest(db, last_id, seal.last_id)
        expected = make_seal(key, before, seal.number, seal.first_id, seal.last_id, seal.rows, seal.digest)
        whole = seal.number == number and hmac.compare_digest(expected, seal.seal)
        if not whole or (rows, digest) != (seal.rows, seal.digest):
            verdict.findings.append(Finding("seal_broken", "seal", seal.number, seal.first_id))
        verdict.seals += 1
        verdict.sealed_rows += seal.rows
        before, last_id, number = seal.seal, seal.last_id, seal.number


async def keep_sealed(pool: AsyncConnectionPool[AsyncConnection], key: bytes) -> None:
    """Until cancelled: a seal a day. Whichever of several processes comes first makes it."""

    async def attempt() -> None:
        with unavailable():
            async with pool.connection() as db:
                await seal(db, key)

    while True:
        await retry(attempt, what="seal", on=DatabaseUnavailable)
        await asyncio.sleep(EVERY_S)


async def seal(db: AsyncConnection, key: bytes, *, after_s: float = SEAL_AFTER_S) -> int:
    """Seal what is `after_s` old and not sealed yet, if the last seal is of another day (UTC); how many rows."""
    async with db.transaction():
        await db.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        found = await (await db.execute(QUERIES["log_to_seal"].encode(), {"after_s": after_s})).fetchone()
        assert found is not None
        number, before, previous_id, last_id = found
        if last_id is None:
            return 0
        rows, digest = await _digest(db, previous_id, last_id)
        values = {"number": number, "first_id": previous_id + 1, "last_id": last_id, "rows": rows, "digest": digest}
        made = make_seal(key, bytes(before), number, previous_id + 1, last_id, rows, digest)
        await db.execute(QUERIES["insert_seal"].encode(), {**values, "seal": made})
        return rows


async def _digest(db: AsyncConnection, after_id: int, last_id: int) -> tuple[int, bytes]:
    total, rows = hashlib.sha256(), 0
    async for (hash_,) in _stream(db, "log_hashes", _Hash, after_id=after_id, last_id=last_id):
        total.update(hash_)
        rows += 1
    return rows, total.digest()


class _Hash(NamedTuple):
    hash: bytes


async def _stream(db: AsyncConnection, query: str, kind: type, **parameters: object) -> AsyncIterator:  # type: ignore[type-arg]
    async with db.cursor(name=f"audit_{query}", row_factory=namedtuple_row) as cursor:
        cursor.itersize = AT_ONCE
        await cursor.execute(QUERIES[query].encode(), parameters)
        async for row in cursor:
            yield kind(*row)

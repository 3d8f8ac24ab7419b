"""Connections that are made again whenever they are lost, one for each lane: a pool would hide which writes.

The writer's holds the shard's advisory lock, so whoever writes for a shard is the only one who does.
"""

import asyncio

import structlog
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from homecare.database import unavailable
from homecare.errors import DatabaseUnavailable
from homecare.tasks import raise_if_cancelled
from ingest.shards import Shard

log = structlog.get_logger()

SETUP = """
    set client_min_messages = warning;
    set tcp_keepalives_idle = 10;
    set tcp_keepalives_interval = 5;
    set tcp_keepalives_count = 3;
"""
"""The server notices soon when this process's machine is gone, and frees its locks for the one that waits."""


class LiveConnection:
    """One autocommit connection to `url`."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._db: AsyncConnection | None = None

    async def get(self) -> AsyncConnection:
        """The connection, outside a transaction. DatabaseUnavailable where there is none to be had now."""
        db = self._db
        if db is None or db.closed or db.info.transaction_status != TransactionStatus.IDLE:
            await self.close()
            db = self._db = await self._connect()
        return db

    async def close(self) -> None:
        """End it; `get` makes another."""
        db, self._db = self._db, None
        if db is not None:
            await db.close()

    async def _connect(self) -> AsyncConnection:
        with unavailable():
            db = await AsyncConnection.connect(
                self._url,
                autocommit=True,
                application_name=self._name,
                connect_timeout=5,
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
            )
            try:
                await db.execute(SETUP)
                await self._claim(db)
            except BaseException:
                await db.close()
                raise
        return db

    async def _claim(self, db: AsyncConnection) -> None:
        """What a new connection must have before it is of use; raises where it cannot."""


class ShardTaken(DatabaseUnavailable):
    """Another process has the shard."""


class WriterConnection(LiveConnection):
    """The connection that writes for `shard`, of use only with the shard's lock."""

    def __init__(self, url: str, shard: Shard) -> None:
        super().__init__(url, f"homecare-ingest {shard}")
        self.shard = shard

    async def stand_by(self, every_s: float = 1.0) -> None:
        """Wait until this process has the shard. DatabaseUnavailable where the database cannot be reached."""
        waiting = False
        while True:
            try:
                await self.get()
                raise_if_cancelled()
                return
            except ShardTaken as taken:
                if not waiting:
                    log.info("standing_by", reason=str(taken))
                waiting = True
                await asyncio.sleep(every_s)

    async def _claim(self, db: AsyncConnection) -> None:
        row = await (await db.execute("select pg_try_advisory_lock(%s, %s)", self.shard.lock)).fetchone()
        if row is None or not row[0]:
            raise ShardTaken(f"another process has shard {self.shard}")

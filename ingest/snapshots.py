"""What the rules know, kept in the database while they run, so that a restart need not read weeks of measurements.

What is kept is what was committed: a snapshot is taken between two batches and written only when all that the rules had
said by then is stored. So a state that is kept never hides a trigger that was lost.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import structlog
from psycopg import AsyncConnection

from homecare.database import load_queries, unavailable
from homecare.errors import DatabaseUnavailable
from homecare.kept import Kept
from homecare.memory import return_free_pages
from ingest import measures
from ingest.connection import LiveConnection
from ingest.shards import Shard

log = structlog.get_logger()
QUERIES = load_queries("ingest")
EVERY_S = 300.0
AT_THE_END_S = 3.0
WRITTEN_S = 60.0
"""How long what the rules said may take to be stored; after that this snapshot is given up."""
PART_ROWS = 50_000


class _Array(msgspec.Struct, array_like=True, frozen=True):
    dtype: str
    shape: list[int]
    data: bytes


class Snapshots:
    """Those of one shard. `written` returns when what the rules have said so far is stored."""

    def __init__(
        self,
        connection: LiveConnection,
        shard: Shard,
        dump: Callable[[], Iterable[Kept]],
        written: Callable[[], Awaitable[None]],
        every_s: float = EVERY_S,
    ) -> None:
        self._connection, self._shard, self._dump, self._written = connection, shard, dump, written
        self._every_s = every_s

    async def run(self) -> None:
        """One every `every_s` and, when cancelled, a last one if the database takes it at once."""
        try:
            while True:
                await asyncio.sleep(self._every_s)
                try:
                    await self.take()
                except (DatabaseUnavailable, TimeoutError) as error:
                    log.warning("rules_not_kept", problem=str(error) or "what the rules said is not stored yet")
        except asyncio.CancelledError:
            await self._last()
            raise
        finally:
            await self._connection.close()

    async def take(self) -> None:
        """Keep it now. DatabaseUnavailable, or TimeoutError: the last one stands."""
        for kept in self._dump():
            async with asyncio.timeout(WRITTEN_S):
                await self._written()
            parts = await asyncio.to_thread(lambda kept=kept: list(_encoded(kept)))  # type: ignore[misc]
            await self._write(kept, parts)
            measures.KEPT_BYTES.labels(kept.name).set(sum(map(len, parts)))
        return_free_pages()

    async def _last(self) -> None:
        try:
            async with asyncio.timeout(AT_THE_END_S):
                await self.take()
        except (DatabaseUnavailable, TimeoutError):
            log.info("rules_not_kept", problem="asked to stop")

    async def _write(self, kept: Kept, parts: Sequence[bytes]) -> None:
        with unavailable():
            db = await self._connection.get()
            whose = {"shard": str(self._shard), "operator": kept.name, "made_of": kept.made_of, "since": kept.since}
            async with db.transaction():
                await db.execute(QUERIES["forget_snapshot"], whose)
                async with db.cursor() as cursor:
                    rows = [{**whose, "part": part, "state": state} for part, state in enumerate(parts)]
                    await cursor.executemany(QUERIES["keep_snapshot"], rows)


async def load_snapshots(db: AsyncConnection, shard: Shard, load: Callable[[Kept], None]) -> int:
    """Give `load` what the shard's last run kept, or, where it had another share, that of those who had it all.

    Returns:
        How many states there were.
    """
    with unavailable():
        names = [name for (name,) in await (await db.execute(QUERIES["snapshot_shards"])).fetchall()]
        # Newest first: how many shards there were when the rules last ran.
        shards = [name for name in names if name.partition("/")[2] == names[0].partition("/")[2]]
        if str(shard) in shards:
            shards = [str(shard)]
        states = 0
        async with db.cursor() as cursor:
            async for name, made_of, since, state in cursor.stream(QUERIES["snapshots"].encode(), {"shards": shards}):
                keys, arrays = await asyncio.to_thread(_decoded, bytes(state))
                load(Kept(name, made_of, since, keys, arrays))
                states += 1
    return states


def without(state: bytes, keys: frozenset[int]) -> tuple[bytes, int]:
    """A kept state without the rows of these devices or residents, and how many there were."""
    names, arrays = _decoded(state)
    stay = ~np.isin(names, list(keys))
    if stay.all():
        return state, 0
    (forgotten,) = _encoded(Kept("", "", 0, names[stay], {name: array[stay] for name, array in arrays.items()}))
    return forgotten, int((~stay).sum())


def _encoded(kept: Kept) -> Iterator[bytes]:
    for start in range(0, max(len(kept.keys), 1), PART_ROWS):
        rows = slice(start, start + PART_ROWS)
        arrays = {"": kept.keys[rows], **{f"={name}": array[rows] for name, array in kept.state.items()}}
        packed = {name: _Array(a.dtype.str, list(a.shape), a.tobytes()) for name, a in arrays.items()}
        yield zlib.compress(msgspec.msgpack.encode(packed), 1)


def _decoded(state: bytes) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[Any]]]:
    packed = msgspec.msgpack.decode(zlib.decompress(state), type=dict[str, _Array])
    arrays = {
        name: np.frombuffer(array.data, np.dtype(array.dtype)).reshape(array.shape).copy()
        for name, array in packed.items()
    }
    keys = arrays.pop("").astype(np.int64)
    return keys, {name.removeprefix("="): array for name, array in arrays.items()}

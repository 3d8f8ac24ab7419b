"""Keeps the registry as fresh as the directory: NOTIFY wakes, a look every 30 s is the truth."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, cast

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from gateway.registry import Registry
from homecare.database import load_queries, unavailable
from homecare.devices import DeviceKind, RegisteredDevice, Wearing
from homecare.errors import DatabaseUnavailable
from homecare.wakeups import Wakeups

log = structlog.get_logger()
CHANNEL: Final = "homecare_directory"
POLL_S: Final = 30.0
AT_ONCE: Final = 5_000
PACE_S: Final = 1.0
"""At least this long between two looks: every status that is stored is a change of a device, too."""
_QUERIES: Final = load_queries("gateway")

Pool = AsyncConnectionPool[AsyncConnection[Any]]


async def load(pool: Pool, registry: Registry, since: float | None = None) -> tuple[list[RegisteredDevice], float]:
    """Bring `registry` up to date with what changed since the horizon `since` of the last load (None: with everything).

    Returns:
        The devices that are new or differ, and the horizon to give the next time.

    Raises:
        DatabaseUnavailable: and nothing in the registry has changed.
    """
    with unavailable():
        async with pool.connection() as db, db.transaction():
            horizon = float((await _rows(db, "horizon", None))[0][0])
            devices, residents, areas, size = await _read(db, since)
            if since is not None and size != _size_after(registry, devices, residents):
                log.info("registry_reloaded", why="something was deleted from the directory")
                since = None
                devices, residents, areas, size = await _read(db, None)
    registry.areas = frozenset(areas)
    registry.update_subjects(residents)
    if since is None:
        registry.retain({device.id for device in devices}, {key for key, _, _ in residents})
    return registry.update(devices), horizon


async def follow(
    pool: Pool,
    registry: Registry,
    wakeups: Wakeups,
    since: float | None,
    on_change: Callable[[list[RegisteredDevice]], None],
    poll_s: float = POLL_S,
) -> None:
    """Runs until cancelled; `on_change` is told of devices that are new or differ. Waits while there is no database."""
    while True:
        await wakeups.wait(CHANNEL, poll_s)
        try:
            changed, since = await load(pool, registry, since)
        except DatabaseUnavailable as error:
            log.warning("registry_stale", problem=str(error))
            continue
        if changed:
            log.info("registry_changed", devices=len(changed))
            on_change(changed)
        await asyncio.sleep(PACE_S)


Residents = list[tuple[int, str, str | None]]


async def _read(
    db: AsyncConnection[Any], since: float | None
) -> tuple[list[RegisteredDevice], Residents, list[str], tuple[int, ...]]:
    devices = [_device(row) async for row in _stream(db, "devices_changed", since)]
    residents: Residents = [row async for row in _stream(db, "residents_changed", since)]
    areas = [code for (code,) in await _rows(db, "areas", None)]
    (size,) = await _rows(db, "size", None)
    return devices, residents, areas, size


async def _rows(db: AsyncConnection[Any], query: str, since: float | None) -> list[Any]:
    cursor = await db.execute(_QUERIES[query].encode(), {"since": since})
    return await cursor.fetchall()


async def _stream(db: AsyncConnection[Any], query: str, since: float | None) -> AsyncIterator[Any]:
    """Rows of a result that may be as long as the directory: the whole of it is never held beside what is made of it."""
    async with db.cursor() as cursor:
        async for row in cursor.stream(_QUERIES[query].encode(), {"since": since}, size=AT_ONCE):
            yield row


def _device(row: tuple[Any, ...]) -> RegisteredDevice:
    key, name, area, kind, interval_s, revoked, residents, since, until = row
    wearings = tuple(Wearing(*wearing) for wearing in zip(residents, since, until, strict=True))
    # A million devices have the same few areas and kinds: one object each, not a million.
    return RegisteredDevice(
        key, name, sys.intern(area), cast("DeviceKind", sys.intern(kind)), interval_s, wearings, revoked
    )


def _size_after(registry: Registry, devices: list[RegisteredDevice], residents: Residents) -> tuple[int, int, int]:
    """How many devices, wearings and residents the registry will know with these."""
    return registry.size_with(devices, {key for key, _, _ in residents})

"""What the rules know of residents, as fresh as the directory: who lives where and by which clock, their places and
orders, and which variant of the rules holds for them. NOTIFY wakes, a look every 30 s is the truth.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import structlog
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from homecare.database import load_queries, unavailable
from homecare.errors import DatabaseUnavailable
from homecare.overrides import Area, Override
from homecare.residents import Place, Profile
from homecare.wakeups import Wakeups
from ingest import measures
from ingest.shards import Shard

log = structlog.get_logger()
CHANNEL: Final = "homecare_rules"
POLL_S: Final = 30.0
PACE_S: Final = 0.5
"""At least this long between two looks."""
AT_ONCE: Final = 5_000
_QUERIES: Final = load_queries("ingest")

Pool = AsyncConnectionPool[AsyncConnection[Any]]


class Variants(Protocol):
    """Which of the rules' variants holds for whom (`alerts.rules.variants.Variants`)."""

    @property
    def area(self) -> dict[str, int]: ...

    @property
    def resident(self) -> dict[int, int]: ...

    @property
    def problems(self) -> Sequence[tuple[str, str, str]]: ...


V = TypeVar("V", bound=Variants)
V_contra = TypeVar("V_contra", contravariant=True)
MakeVariants = Callable[[Sequence[Override], Iterable[Area], V | None], V]
"""(all overrides, all areas, what held before) -> what holds now."""


class Knows(Protocol[V_contra]):
    """The rules, as far as they know of people."""

    def know(self, profiles: Iterable[Profile], variants: V_contra | None = None) -> None: ...


class Residents(Generic[V]):
    """Tells the rules of `shard` about residents. One task at a time."""

    def __init__(
        self,
        pool: Pool,
        shard: Shard,
        rules: Knows[V],
        make_variants: MakeVariants[V],
        on_areas: Callable[[frozenset[str]], None] = lambda areas: None,  # noqa: ARG005  # nobody asked
    ) -> None:
        self._pool, self._shard, self._rules = pool, shard, rules
        self._make_variants, self._on_areas = make_variants, on_areas
        self._variants: V | None = None
        self._zones: dict[str, str] = {}
        self._keys: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        """Of all residents there are, sorted."""
        self._since: float | None = None
        """The horizon of the last look; None: there was none."""
        self._fingerprint: tuple[Any, ...] = ()

    async def look(self) -> int:
        """Tell the rules what changed since the last look, at first everything; how many residents were told of.

        `on_areas` is told in which areas other rules hold now for devices.

        Raises:
            DatabaseUnavailable: the rest is told by the next look.
        """
        since, self._since = self._since, None  # all of it again, if this look fails half-way
        with unavailable():
            async with self._pool.connection() as db, db.transaction():
                await db.execute("set transaction isolation level repeatable read, read only")
                ((horizon,),) = await _rows(db, "resident_horizon")
                areas, residents = await self._read_variants(db)
                told = await self._tell(db, since, areas, residents)
        self._since = horizon
        return told

    async def follow(self, wakeups: Wakeups, poll_s: float = POLL_S) -> None:
        """Runs until cancelled. Waits while there is no database."""
        while True:
            await wakeups.wait(CHANNEL, poll_s)
            try:
                told = await self.look()
            except DatabaseUnavailable as error:
                log.warning("residents_stale", problem=str(error))
                continue
            log.debug("residents_looked_at", told=told)
            await asyncio.sleep(PACE_S)

    async def _read_variants(self, db: AsyncConnection[Any]) -> tuple[frozenset[str], frozenset[int]]:
        """Bring the variants up to date; the areas and residents for whom something else holds now."""
        (fingerprint,) = await _rows(db, "override_fingerprint")
        if fingerprint == self._fingerprint:
            return frozenset(), frozenset()
        areas = await db.cursor(row_factory=class_row(Area)).execute(_QUERIES["area_tree"])
        tree = await areas.fetchall()
        overrides = await db.cursor(row_factory=class_row(Override)).execute(_QUERIES["overrides"])
        variants = self._make_variants(await overrides.fetchall(), tree, self._variants)
        zones = {area.code: area.zone for area in tree}
        moved = _differing(zones, self._zones)
        before = self._variants
        self._variants, self._zones, self._fingerprint = variants, zones, fingerprint
        measures.OVERRIDES_LEFT_OUT.set(len(variants.problems))
        for whose, rule, text in variants.problems:
            log.error("rule_override_left_out", whose=whose, rule=rule, problem=text)
        self._know([], variants)
        changed = _differing(variants.area, {} if before is None else before.area)
        residents = _differing(variants.resident, {} if before is None else before.resident)
        if changed:
            self._on_areas(changed)
        return moved | changed, residents

    async def _tell(
        self, db: AsyncConnection[Any], since: float | None, areas: frozenset[str], residents: frozenset[int]
    ) -> int:
        ours = None if self._shard.count == 1 else self._shard.areas(self._zones)
        asked = {"since": since, "areas": sorted(areas), "residents": sorted(residents), "ours": ours}
        told: list[int] = []
        async for batch in _batches(db, asked):
            self._know([self._profile(row) for row in batch])
            told += [row[0] for row in batch]
            await asyncio.sleep(0)  # measurements go on
        await self._forget(db, told)
        return len(told)

    def _know(self, profiles: Sequence[Profile], variants: V | None = None) -> None:
        """A rule that cannot take in what it is told must not stop the measurements."""
        try:
            self._rules.know(profiles, variants)
        except Exception:
            if len(profiles) > 1:  # one of them must not stand in the others' way
                for profile in profiles:
                    self._know([profile])
                return
            measures.RULE_FAILURES.inc()
            log.exception("rules_failed", residents=[profile.key for profile in profiles])

    def _profile(self, row: tuple[Any, ...]) -> Profile:
        key, name, area, lat, lon, scale, places = row
        zone = self._zones.get(area, Profile.__struct_defaults__[0])
        return Profile(key, name, area, zone, lat, lon, scale, tuple(_place(*place) for place in places or ()))

    async def _forget(self, db: AsyncConnection[Any], new: Sequence[int]) -> None:
        """Whoever was deleted leaves nothing of theirs in the rules but the number."""
        known = np.union1d(self._keys, np.array(new, np.int32)).astype(np.int32)
        ((count,),) = await _rows(db, "count_residents")
        if count != len(known):
            # At the start those of other shards are missing here too.
            there = np.array([key for (key,) in await _rows(db, "resident_keys")], np.int32)
            gone = np.setdiff1d(known, there)
            self._know([Profile(int(key), "", "") for key in gone])
            known = there
        self._keys = known


def _differing(now: dict[Any, Any], before: dict[Any, Any]) -> frozenset[Any]:
    return frozenset(key for key in now.keys() | before.keys() if now.get(key) != before.get(key))


def _place(name: str, watch: Any, lat: list[float], lon: list[float], radius_m: float, minute: int | None) -> Place:
    return Place(name, watch, tuple(zip(lat, lon, strict=True)), radius_m, minute)


async def _rows(db: AsyncConnection[Any], query: str) -> list[tuple[Any, ...]]:
    return await (await db.execute(_QUERIES[query].encode())).fetchall()


async def _batches(db: AsyncConnection[Any], asked: dict[str, Any]) -> AsyncIterator[list[tuple[Any, ...]]]:
    """As many as the directory has: never all of them at once."""
    async with db.cursor(name="residents") as cursor:
        query = "profiles_met" if asked["since"] is None else "profiles_changed"
        await cursor.execute(_QUERIES[query].encode(), asked)
        while batch := await cursor.fetchmany(AT_ONCE):
            yield batch

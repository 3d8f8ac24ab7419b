"""Rules that are killed and started again, on a real database: nothing they say is lost, nothing is said twice."""

from collections.abc import AsyncIterator
from itertools import pairwise

import numpy as np
import psycopg
import pytest

from alerts.rules.engine import Engine
from alerts.rules.pack import build_pack
from alerts.rules.running import Named
from homecare.kept import Kept
from homecare.samples import Samples
from homecare.triggers import Trigger
from ingest.connection import LiveConnection
from ingest.occurrences import Occurrences
from ingest.restore import restore
from ingest.shards import Shard
from ingest.snapshots import Snapshots, load_snapshots
from ingest.store import Store
from tests.alerts.rules.tally import Tally
from tests.ingest.home import NOW, WHOLE, Home, checked_of, samples

MINUTE = 60_000
PACK = build_pack({"pack": {"lateness_s": 300}}, partial=True)
LAST = NOW + 60 * MINUTE


def engine(made_of: str = "") -> Engine:
    """With operators of all kinds: of devices and residents, in order and at once."""
    return Engine(
        PACK,
        [
            Named("devices", Tally("device", ordered=True), made_of),
            Named("residents", Tally("resident", ordered=True), made_of),
            Named("total", Tally("device", ordered=False), made_of),
        ],
    )


def batches(home: Home) -> list[Samples]:
    """An hour of two devices, ten batches, with gaps after which somebody is missed, and samples that come late."""
    rng = np.random.default_rng(3)
    n = 60
    made = samples(home.handset, *range(n))
    made.device[rng.random(n) < 0.4] = home.kiosk
    made.resident[:] = home.resident
    made.received[:] = NOW + np.sort(rng.integers(0, 40, n)) * MINUTE
    made.ts[:] = made.received - rng.choice([0, 0, 1_000, 2 * MINUTE, 5 * MINUTE], n)
    cuts = np.linspace(0, n, 11).astype(int).tolist()
    return [made.take(slice(start, end)) for start, end in pairwise(cuts)]


@pytest.fixture
async def connection(url: str) -> AsyncIterator[LiveConnection]:
    live = LiveConnection(url, "tests")
    yield live
    await live.close()


async def all_written() -> None:
    """Every batch is stored before the next one here."""


async def started(connection: LiveConnection, store: Store, now: int, made_of: str = "") -> Engine:
    rules = engine(made_of)
    occurrences = Occurrences(connection, WHOLE)
    unsaid = await restore(await connection.get(), rules, [], now, shard=WHOLE, occurrences=occurrences)
    await store.write(checked_of(), unsaid)
    return rules


async def lived(connection: LiveConnection, store: Store, home: Home, ends: list[str]) -> None:
    """Each batch comes with one of `ends`: nothing; `kept` after it; killed before or after it is stored; a look at the clock."""
    rules = engine()
    snapshots = Snapshots(connection, WHOLE, lambda: rules.dump(), all_written)  # noqa: PLW0108 - of the rules there are then
    for batch, end in zip(batches(home), ends, strict=True):
        now = int(batch.received.max())
        triggers = rules.apply(batch)
        if "lost" in end:  # before it was stored: not acknowledged, it comes again
            rules = await started(connection, store, now)
            triggers = rules.apply(batch)
        if "swept" in end:
            triggers += rules.sweep(now)
        await store.write(checked_of(batch), triggers)
        if "kept" in end:
            await snapshots.take()
        if "killed" in end:
            rules = await started(connection, store, now)
    await store.write(checked_of(), rules.sweep(LAST))


def told(db: psycopg.Connection) -> list[tuple[str, str]]:
    return db.execute("select key, rule from trigger order by key").fetchall()


@pytest.mark.parametrize(
    "ends",
    [
        ["killed"] * 10,
        ["lost"] * 10,
        ["kept killed"] * 10,
        ["kept", "lost", "killed", "swept", "kept lost", "swept killed", "kept", "", "lost killed", "killed"],
        ["swept lost", "kept", "", "", "killed", "kept swept", "lost", "lost", "", "kept killed"],
    ],
    ids=["killed", "lost", "kept and killed", "this and that", "that and this"],
)
async def test_killed_at_any_moment_nothing_is_lost_and_nothing_said_twice(
    connection: LiveConnection, store: Store, home: Home, db: psycopg.Connection, ends: list[str]
) -> None:
    rules = engine()
    whole: list[Trigger] = [trigger for batch in batches(home) for trigger in rules.apply(batch)]
    whole += rules.sweep(LAST)
    await lived(connection, store, home, ends)
    assert {trigger.rule for trigger in whole} == {"tally", "away"}
    assert told(db) == sorted((trigger.key, trigger.rule) for trigger in whole)


async def test_state_comes_back_as_it_was_but_not_to_a_rule_that_has_changed(
    connection: LiveConnection, store: Store, home: Home
) -> None:
    rules = engine("one")
    for batch in batches(home):
        rules.apply(batch)
    await Snapshots(connection, WHOLE, rules.dump, all_written).take()
    loaded: list[Kept] = []
    assert await load_snapshots(await connection.get(), WHOLE, loaded.append) == 4
    before = {kept.name: kept for kept in rules.dump()}
    for kept in loaded:
        assert (kept.made_of, kept.since) == (before[kept.name].made_of, before[kept.name].since)
        np.testing.assert_array_equal(kept.keys, before[kept.name].keys)
        for name, array in before[kept.name].state.items():
            np.testing.assert_array_equal(kept.state[name], array, strict=True)
    same, other = engine("one"), engine("another")
    for kept in loaded:
        same.load(kept)
        other.load(kept)
    assert same.since is not None
    assert other.since is None, "its state is made anew from the readings"


async def test_more_shards_take_up_what_fewer_kept(
    connection: LiveConnection, store: Store, home: Home, db: psycopg.Connection
) -> None:
    rules = engine()
    rules.apply(batches(home)[0])
    await Snapshots(connection, WHOLE, rules.dump, all_written).take()
    names: list[str] = []
    await load_snapshots(await connection.get(), Shard(2, 4), lambda kept: names.append(kept.name))
    assert "residents of residents" in names
    await Snapshots(connection, Shard(1, 4), rules.dump, all_written).take()
    db.execute("update rules_snapshot set taken_at = taken_at - interval '1 hour' where shard = '1/1'")
    count = db.execute("select count(*) from rules_snapshot where shard = '1/4'").fetchone()
    assert count == (await load_snapshots(await connection.get(), Shard(2, 4), lambda _: None),)

"""After a restart the rules are shown what they knew."""

import numpy as np
import psycopg

from homecare.devices import RegisteredDevice
from homecare.samples import Flag, Samples
from ingest.connection import LiveConnection
from ingest.occurrences import Occurrences
from ingest.restore import restore
from ingest.shards import Shard
from ingest.store import Store
from tests.ingest.home import AREA, NOW, Home, checked_of, samples, trigger, window
from tests.ingest.small import SmallRules
from tests.ingest.test_rows import assert_equal, varied

HOUR = 3_600_000


async def restored(url: str, now: int, *devices: int) -> SmallRules:
    rules = SmallRules()
    registered = [RegisteredDevice(key, str(key), AREA, "handset", 60) for key in devices]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
        shard = Shard(1, 2) if devices else Shard()
        await restore(
            db, rules, registered, now, shard=shard, occurrences=Occurrences(LiveConnection(url, "events"), shard)
        )
    return rules


def in_order(found: list[Samples]) -> Samples:
    whole = Samples.concatenate([Samples.empty(0), *found])
    return whole.take(np.argsort(whole.seq))


async def test_samples_within_the_rules_memory_come_back_as_they_were(store: Store, url: str, home: Home) -> None:
    stored = varied(500, home.handset, seed=5)
    await store.write(checked_of(stored))
    now = NOW - 10**9 + SmallRules.memory_ms // 2 + 5 * 10**8
    rules = await restored(url, now)
    # What came with an event is told with the event.
    expected = stored.take((stored.ts >= now - SmallRules.memory_ms) & ((stored.flags & Flag.EVENT) == 0))
    assert 0 < len(expected) < 500
    assert_equal(in_order(rules.restored), expected)
    assert not rules.seen, "restoring raises nothing"


async def test_large_state_comes_in_parts(store: Store, url: str, home: Home) -> None:
    await store.write(checked_of(samples(home.handset, *range(45_000), at=NOW - 45_000_000)))
    rules = await restored(url, NOW - 45_000_000)
    assert sum(map(len, rules.restored)) == 45_000
    assert max(map(len, rules.restored)) <= 20_001
    assert in_order(rules.restored).seq.tolist() == list(range(45_000))


async def test_every_device_was_last_heard_however_long_ago(store: Store, url: str, home: Home) -> None:
    long_ago = NOW - 240 * HOUR
    await store.write(checked_of(samples(home.handset, 1, 2, 3, at=long_ago)))
    await store.write(
        checked_of(samples(home.kiosk, 1, at=NOW), windows=[window(home.kiosk, 9, ts=NOW + 9, received=NOW + HOUR)])
    )
    rules = await restored(url, NOW + HOUR)
    assert rules.last_heard == {home.handset: long_ago + 3050, home.kiosk: NOW + HOUR}
    assert (await restored(url, NOW, home.handset)).last_heard.keys() == {home.handset}


async def test_last_trigger_of_every_series_is_recalled(store: Store, url: str, home: Home) -> None:
    def said(key: str, ago: int, rule: str = "r", state: str = "raised", side: str = "high", kind: str = "vital"):  # type: ignore[no-untyped-def]
        made = trigger(key, home.handset, home.resident, side=side)
        changes = {"at": NOW - ago, "rule": rule, "state": state, "kind": kind}
        return type(made)(**({name: getattr(made, name) for name in made.__struct_fields__} | changes))

    old = 3 * HOUR
    await store.write(checked_of(), [
        said("a1", old), said("a2", old - 1, state="cleared"),
        said("b1", old, side="low"),
        said("c1", old, rule="other"), said("c2", 1, rule="other"),
        said("s1", old, rule="silence", kind="silence"), said("s2", 1, rule="silence", kind="silence", state="cleared"),
    ])  # fmt: skip
    rules = await restored(url, NOW)
    assert {t.key for t in rules.recalled} == {"a2", "b1", "c1", "s2"}
    by_key = {t.key: t for t in rules.recalled}
    assert by_key["b1"] == said("b1", old, side="low")


async def test_shard_restores_its_own_devices(store: Store, url: str, home: Home) -> None:
    await store.write(checked_of(samples(home.handset, 1), samples(home.kiosk, 2)), [trigger("k", home.kiosk)])
    rules = await restored(url, NOW + 3 * HOUR, home.handset)
    assert not rules.recalled
    rules = await restored(url, NOW, home.handset)
    assert [part.seq.tolist() for part in rules.restored] == [[1]]


async def test_nothing_stored_is_nothing_restored(url: str, home: Home) -> None:
    rules = await restored(url, NOW)
    assert (rules.restored, rules.recalled, rules.last_heard) == ([], [], {})

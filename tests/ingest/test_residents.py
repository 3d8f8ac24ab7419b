"""What the rules are told of residents, on a real database: everything at first, then what changed."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field

import psycopg
import pytest

from homecare.database import open_pool
from homecare.errors import DatabaseUnavailable
from homecare.overrides import Area, Override
from homecare.residents import Place, Profile
from homecare.wakeups import Wakeups
from ingest import measures
from ingest.residents import CHANNEL, Pool, Residents
from ingest.shards import Shard

WITHIN_S = 10.0
ROOT, VILLAGE, OTHER = "9901", "990101", "990201"


@dataclass(frozen=True)
class Made:
    """Stands for the rules' variants: an override of `again_s` is the variant of that number; others cannot be followed."""

    area: dict[str, int]
    resident: dict[int, int]
    problems: Sequence[tuple[str, str, str]]
    before: "Made | None"


def make(overrides: Sequence[Override], areas: Iterable[Area], before: Made | None) -> Made:
    good = [override for override in overrides if override.field == "again_s"]
    wrong = [(o.whose, o.rule, "what?") for o in overrides if o not in good]
    codes = {area.code for area in areas}
    of_area = {o.area: o.value for o in good if o.area is not None and o.area in codes}
    return Made(of_area, {o.resident_key: o.value for o in good if o.area is None}, wrong, before)


@dataclass
class Told:
    """Rules that remember what they were told."""

    profiles: dict[str, Profile] = field(default_factory=dict)
    forgotten: list[int] = field(default_factory=list)
    variants: list[Made] = field(default_factory=list)
    areas: list[frozenset[str]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    trips_over: str = ""

    def know(self, profiles: Iterable[Profile], variants: Made | None = None) -> None:
        profiles = list(profiles)
        if any(profile.id == self.trips_over for profile in profiles if profile.id):
            raise ValueError(self.trips_over)
        for profile in profiles:
            if profile.id:
                self.profiles[profile.id] = profile
            else:
                self.forgotten.append(profile.key)
        if variants is not None:
            self.variants.append(variants)
        self.news.set()


@pytest.fixture
async def db(plain_database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(plain_database_url, autocommit=True) as opened:
        for code, parent, zone in (
            (ROOT, None, "Asia/Shanghai"),
            (VILLAGE, ROOT, "Asia/Urumqi"),
            (OTHER, None, "Asia/Shanghai"),
        ):
            await opened.execute(
                "insert into area (code, parent, level, name_zh, name_en, timezone) values (%s, %s, 'village', '示例村', 'V', %s)",
                [code, parent, zone],
            )
        await opened.execute(
            "insert into resident (id, area, name, lat, lon) values ('R-1', %s, '示例·一', 26.5, 104.8), ('R-2', %s, '示例·二', null, null)",
            [VILLAGE, OTHER],
        )
        yield opened


@pytest.fixture
async def pool(plain_database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(plain_database_url, name="test", max_size=2) as opened:
        yield opened


def telling(pool: Pool, told: Told, shard: Shard | None = None) -> Residents[Made]:
    return Residents(pool, shard or Shard(), told, make, told.areas.append)


async def test_everything_is_told_at_first(db: psycopg.AsyncConnection, pool: Pool) -> None:
    await db.execute(
        "insert into place (resident, name, watch, lat, lon, radius_m, minute) select key, 'home', 'home_by', '{26.5}', '{104.8}', 150, 1260 from resident where id = 'R-1'"
    )
    await db.execute(
        "insert into place (resident, name, watch, lat, lon) select key, 'pond', 'enter', '{1,2,3}', '{4,5,6}' from resident where id = 'R-1'"
    )
    await db.execute(
        "insert into resident_order (resident, what, ordered_by, ordered_at) select key, 'spo2_scale_2', 'Dr. Sample', now() from resident where id = 'R-1'"
    )
    told = Told()
    assert await telling(pool, told).look() == 2
    one, two = told.profiles["R-1"], told.profiles["R-2"]
    home = Place("home", "home_by", ((26.5, 104.8),), 150, 1260)
    pond = Place("pond", "enter", ((1, 4), (2, 5), (3, 6)))
    assert one == Profile(one.key, "R-1", VILLAGE, "Asia/Urumqi", 26.5, 104.8, 2, (home, pond))
    assert two == Profile(two.key, "R-2", OTHER)
    assert told.variants == [Made({}, {}, [], None)]
    assert told.areas == []


async def test_then_only_what_changed(db: psycopg.AsyncConnection, pool: Pool) -> None:
    told = Told()
    residents = telling(pool, told)
    await long_ago(db)
    await residents.look()
    told.profiles.clear()
    assert await residents.look() == 0
    await db.execute("insert into place (resident, name, watch, lat, lon, radius_m) select key, 'home', 'leave', '{1}', '{2}', 90 from resident where id = 'R-2'")  # fmt: skip
    await residents.look()
    assert [place.name for place in told.profiles["R-2"].places] == ["home"]
    await db.execute("delete from place")
    await residents.look()
    assert told.profiles["R-2"].places == ()
    await db.execute("update area set timezone = 'Asia/Tokyo' where code = %s", [VILLAGE])
    await residents.look()
    assert told.profiles["R-1"].zone == "Asia/Tokyo"


async def test_an_order_holds_from_when_it_was_given_until_it_ends(db: psycopg.AsyncConnection, pool: Pool) -> None:
    told = Told()
    residents = telling(pool, told)
    await db.execute("insert into resident_order (resident, what, ordered_by, ordered_at, ended_at) select key, 'spo2_scale_2', 'Dr. Sample', now() + interval '0.3 s', now() + interval '1 s' from resident where id = 'R-1'")  # fmt: skip
    await long_ago(db)
    await residents.look()
    assert told.profiles["R-1"].spo2_scale == 1
    for scale in (2, 1):
        async with asyncio.timeout(WITHIN_S):
            while told.profiles["R-1"].spo2_scale != scale:
                await residents.look()


async def test_overrides_make_variants_and_say_whose_changed(db: psycopg.AsyncConnection, pool: Pool) -> None:
    told = Told()
    residents = telling(pool, told)
    await long_ago(db)
    await residents.look()
    told.profiles.clear()
    await override(db, "area", VILLAGE, "again_s", 60)
    await residents.look()
    assert told.variants[-1].area == {VILLAGE: 60}
    assert told.variants[-1].before is told.variants[0]
    assert told.areas == [{VILLAGE}]
    assert list(told.profiles) == ["R-1"]
    (key,) = (await (await db.execute("select key from resident where id = 'R-2'")).fetchall())[0]
    await override(db, "resident", key, "again_s", 90)
    await override(db, "resident", key, "agian_s", 90)
    await residents.look()
    assert told.variants[-1].resident == {key: 90}
    assert told.variants[-1].problems == [("resident R-2", "limit.heart_rate", "what?")]
    await db.execute("delete from rule_override")
    await residents.look()
    assert (told.variants[-1].area, told.variants[-1].resident) == ({}, {})
    looks = len(told.variants)
    await residents.look()
    assert len(told.variants) == looks


async def test_whoever_is_erased_is_forgotten(db: psycopg.AsyncConnection, pool: Pool) -> None:
    told = Told()
    residents = telling(pool, told)
    await residents.look()
    key = told.profiles["R-2"].key
    await db.execute("delete from resident where id = 'R-2'")
    await residents.look()
    assert told.forgotten == [key]
    await residents.look()
    assert told.forgotten == [key]


async def test_rules_that_trip_over_somebody_do_not_stop_the_process(db: psycopg.AsyncConnection, pool: Pool) -> None:
    told = Told(trips_over="R-1")
    residents = telling(pool, told)
    failures = measures.RULE_FAILURES._value.get()
    assert await residents.look() == 2
    assert measures.RULE_FAILURES._value.get() == failures + 1
    assert list(told.profiles) == ["R-2"]
    told.trips_over = ""
    await residents.look()
    assert sorted(told.profiles) == ["R-1", "R-2"]


async def test_a_shard_begins_with_those_it_will_meet(db: psycopg.AsyncConnection, pool: Pool) -> None:
    share = next(Shard(n, 64) for n in range(1, 65) if Shard(n, 64).has(VILLAGE))
    assert not share.has(OTHER)
    await db.execute(
        "insert into resident (id, area, name) select 'R-' || n, %s, 'x' from generate_series(3, 5) n", [OTHER]
    )
    await db.execute("insert into device (id, area, kind) values ('H-1', %s, 'handset')", [VILLAGE])
    await db.execute("insert into wearing (device, resident) select d.key, r.key from device d, resident r where r.id = 'R-3'")  # fmt: skip
    await db.execute("insert into resident_order (resident, what, ordered_by, ordered_at) select key, 'spo2_scale_2', 'x', now() from resident where id = 'R-4'")  # fmt: skip
    told = Told()
    await telling(pool, told, share).look()
    assert sorted(told.profiles) == ["R-1", "R-3", "R-4"]
    assert told.forgotten == []


async def test_following_is_woken_by_a_change(db: psycopg.AsyncConnection, pool: Pool, plain_database_url: str) -> None:
    told = Told()
    residents = telling(pool, told)
    await residents.look()
    wakeups = Wakeups(plain_database_url, [CHANNEL])
    tasks = [
        asyncio.create_task(wakeups.listen(), name="wakeups"),
        asyncio.create_task(residents.follow(wakeups, poll_s=600), name="residents"),
    ]
    await override(db, "area", ROOT, "again_s", 60)
    async with asyncio.timeout(WITHIN_S):
        while told.variants[-1].area != {ROOT: 60}:
            told.news.clear()
            await told.news.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_without_a_database_nothing_changes_and_all_is_told_again_after(
    db: psycopg.AsyncConnection, plain_database_url: str
) -> None:
    told = Told()
    async with open_pool(plain_database_url, name="test", max_size=1) as pool:
        residents = telling(pool, told)
        await residents.look()
    with pytest.raises(DatabaseUnavailable):
        await residents.look()
    async with open_pool(plain_database_url, name="test", max_size=1) as pool:
        residents._pool = pool
        assert await residents.look() == 2


async def long_ago(db: psycopg.AsyncConnection) -> None:
    """So that the ten seconds a look reaches back hold nothing."""
    for table in ("resident", "area"):
        await db.execute(f"alter table {table} disable trigger stamp_change".encode())
        await db.execute(f"update {table} set changed_at = now() - interval '1 hour'".encode())
        await db.execute(f"alter table {table} enable trigger stamp_change".encode())


async def override(db: psycopg.AsyncConnection, whose: str, which: str | int, name: str, value: int) -> None:
    await db.execute(
        f"insert into rule_override ({whose}, rule, field, value, set_by) values (%s, 'limit.heart_rate', %s, to_jsonb(%s), 'test')".encode(),
        [which, name, value],
    )

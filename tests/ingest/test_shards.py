"""Which areas a process has, and that only one process has them."""

import asyncio

import pytest

from homecare.errors import DatabaseUnavailable, InputError
from ingest.connection import WriterConnection
from ingest.shards import NOWHERE, Shard

AREAS = [f"5202{n:02}" for n in range(100)]


@pytest.mark.parametrize(
    "text", ["", "1", "0/1", "2/1", "1/0", "-1/4", "1/4/2", "a/b", "1.0/2", "1/2000", "１/２", " 1/2", "1 / 2"]
)
def test_wrong_shards_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--shard"):
        Shard.parse(text)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
def test_every_area_is_in_exactly_one_shard(count: int) -> None:
    shards = [Shard.parse(f"{n}/{count}") for n in range(1, count + 1)]
    assert sorted(area for shard in shards for area in shard.areas(AREAS)) == AREAS
    assert len({shard.lock for shard in shards}) == count


def test_areas_are_dealt_the_same_way_for_ever() -> None:
    dealt = [next(n for n in range(1, 5) if Shard(n, 4).has(area)) for area in AREAS[:8]]
    assert dealt == [4, 2, 4, 2, 3, 1, 3, 1]


def test_a_single_shard_listens_to_areas_nobody_entered() -> None:
    filters = ["care/v1/+/+/telemetry", "care/v1/+/+/telemetry/senml", "care/v1/+/+/status", "traccar/positions"]
    assert Shard().filters([]) == filters


def test_one_of_many_listens_to_its_own() -> None:
    filters = Shard(4, 4).filters(AREAS[:2])
    own = ["care/v1/520200/+/telemetry", "care/v1/520200/+/telemetry/senml", "care/v1/520200/+/status"]
    assert filters == [*own, "traccar/positions"]
    assert Shard(2, 4).filters([]) == []


def test_the_first_shard_hears_of_devices_that_are_not_registered() -> None:
    assert [n for n in range(1, 8) if Shard(n, 7).has(NOWHERE)] == [1]
    assert Shard(1, 4).filters([]) == ["traccar/positions"]


async def test_second_process_of_a_shard_waits_for_the_first(url: str) -> None:
    first, second, other = (
        WriterConnection(url, Shard()),
        WriterConnection(url, Shard()),
        WriterConnection(url, Shard(1, 2)),
    )
    await first.stand_by()
    await other.stand_by()
    waiting = asyncio.create_task(second.stand_by(every_s=0.01))
    with pytest.raises(DatabaseUnavailable, match="another process has shard 1/1"):
        await second.get()
    assert not waiting.done()
    await first.close()
    await asyncio.wait_for(waiting, 10)
    with pytest.raises(DatabaseUnavailable):
        await first.get()
    for connection in (second, other):
        await connection.close()

"""The quarantine as a person uses it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest
from psycopg import AsyncConnection

from homecare.clock import to_datetime
from homecare.messages import Rejection, RejectionReason
from ingest.quarantine import Selection, list_entries, replay, show
from ingest.store import Store
from tests.ingest.home import AREA, NOW, Home, checked_of, inbound


@pytest.fixture
async def adb(url: str, store: Store) -> AsyncIterator[AsyncConnection]:
    reasons: list[RejectionReason] = ["not_json", "not_utf8", "not_json"]
    await store.write(checked_of(rejections=[rejected(n, reason) for n, reason in enumerate(reasons)]))
    async with await AsyncConnection.connect(url, autocommit=True) as opened:
        yield opened


def rejected(n: int, reason: RejectionReason) -> Rejection:
    message = inbound(f"care/v1/{AREA}/D-{n}/telemetry", b"\x00\xff%d" % n, NOW + n * 1000)
    return Rejection(message, reason, "at byte 0", f"D-{n}", AREA)


class Published:
    """What was published, and a broker that fails when told to."""

    def __init__(self, fail_at: int = -1) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.fail_at = fail_at

    async def __call__(self, topic: str, payload: bytes) -> None:
        if len(self.messages) == self.fail_at:
            raise ConnectionError
        self.messages.append((topic, payload))


async def test_entries_are_listed_newest_first_and_by_what_is_asked(adb: AsyncConnection, home: Home) -> None:
    assert [entry.device for entry in await list_entries(adb, Selection())] == ["D-2", "D-1", "D-0"]
    assert [entry.device for entry in await list_entries(adb, Selection(reason="not_utf8"))] == ["D-1"]
    assert [entry.device for entry in await list_entries(adb, Selection(device="D-0"))] == ["D-0"]
    since = to_datetime(NOW) + timedelta(seconds=1)
    assert [entry.device for entry in await list_entries(adb, Selection(since=since))] == ["D-2", "D-1"]
    assert len(await list_entries(adb, Selection(), most=2)) == 2


async def test_one_is_shown_with_its_bytes(adb: AsyncConnection) -> None:
    entry = (await list_entries(adb, Selection(device="D-1")))[0]
    shown = await show(adb, entry.id)
    assert shown is not None
    assert (shown.payload, shown.size, shown.times) == (b"\x00\xff1", 3, 1)
    assert await show(adb, 10**9) is None


async def test_replay_publishes_the_raw_bytes_in_order_and_once(adb: AsyncConnection) -> None:
    published = Published()
    assert await replay(adb, Selection(), published) == 3
    assert published.messages == [(f"care/v1/{AREA}/D-{n}/telemetry", b"\x00\xff%d" % n) for n in range(3)]
    assert await replay(adb, Selection(), published) == 0
    assert not await list_entries(adb, Selection())
    assert len(await list_entries(adb, Selection(), replayed=True)) == 3


async def test_replay_takes_what_is_named(adb: AsyncConnection) -> None:
    published = Published()
    entries = await list_entries(adb, Selection(reason="not_json"))
    assert await replay(adb, Selection(ids=(entries[0].id,)), published) == 1
    assert await replay(adb, Selection(reason="not_json"), published) == 1
    assert [payload for _, payload in published.messages] == [b"\x00\xff2", b"\x00\xff0"]


async def test_replay_that_is_interrupted_leaves_the_rest(adb: AsyncConnection) -> None:
    with pytest.raises(ConnectionError):
        await replay(adb, Selection(), Published(fail_at=1))
    assert [entry.device for entry in await list_entries(adb, Selection())] == ["D-2", "D-1"]


async def test_what_is_still_wrong_comes_back_as_a_new_entry(
    adb: AsyncConnection, store: Store, db: psycopg.Connection
) -> None:
    import asyncio

    writing: list[asyncio.Task[object]] = []

    async def publish(topic: str, payload: bytes) -> None:
        # Received and rejected again before the replay has noted that it sent it.
        again = Rejection(inbound(topic, payload, NOW + 99_000), "not_utf8", "still", "D-1", AREA)
        writing.append(asyncio.create_task(store.write(checked_of(rejections=[again]))))
        waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        async with asyncio.timeout(10):
            while not db.execute(waiting).fetchone():  # noqa: ASYNC110  # the database has no event for it
                await asyncio.sleep(0.01)

    assert await replay(adb, Selection(device="D-1"), publish) == 1
    await asyncio.wait(writing)
    entries = await list_entries(adb, Selection(device="D-1"), replayed=True)
    assert [(entry.replayed_at is None, entry.times, entry.detail) for entry in entries] == [
        (True, 1, "still"),
        (False, 1, "at byte 0"),
    ]

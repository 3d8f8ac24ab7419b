"""The outbox on a real database and real endpoints: until it is delivered or a visible dead letter, the same bytes."""

import asyncio
import random
import time
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from prometheus_client import REGISTRY
from psycopg import AsyncConnection

from alerts import schedule
from alerts.outbox import PER_ENDPOINT
from tests.alerts.places import VAULT, Directory, new_secret
from tests.alerts.receiver import Receiver, in_turn, ok, status
from tests.alerts.service import assembled, event, row, rows, running, until

TEST = "insert into notification (type, channel_kind, channel, contact) values ('test', 'webhook', %s, %s) returning id"


async def due_now(db: AsyncConnection) -> None:
    await db.execute("update notification set next_at = clock_timestamp() where state = 'pending'")
    await db.execute("notify homecare_outbox")


async def write_test(db: AsyncConnection, channel: int, contact: str = "C-1") -> UUID:
    found = await (await db.execute(TEST, [channel, contact])).fetchone()
    assert found is not None
    notification: UUID = found[0]
    return notification


async def test_a_retry_has_the_same_id_and_bytes_and_a_new_timestamp(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    resident = await directory.add_resident()
    (channel,) = await directory.add_contact("C-1", receiver.url, resident=resident)
    receiver.answer = in_turn(status(500), status(302, Location="http://127.0.0.1:1/"), ok)
    counted = first_posts()
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, resident=resident))
        await receiver.wait(1)
        await until(db, "select count(*) = 1 from attempt")
        waits = await row(db, "select extract(epoch from next_at - clock_timestamp())::float s from notification")
        assert 4 < waits["s"] < 5.6
        # What the body says may have changed meanwhile; what was said is said again.
        await db.execute("update resident set name = '示例·乙'")
        for number in (2, 3):
            await asyncio.sleep(1.05 if number == 2 else 0)
            await due_now(db)
            await receiver.wait(number)
            await until(db, "select count(*) = %s from attempt", number)
    ids = {post.headers["webhook-id"] for post in receiver.posts}
    notification = await row(db, "select * from notification where type = 'alert.opened'")
    assert ids == {f"msg_{notification['id'].hex}"}
    assert {post.body for post in receiver.posts} == {notification["body"].encode()}
    assert receiver.posts[0].headers["webhook-timestamp"] != receiver.posts[1].headers["webhook-timestamp"]
    for post in receiver.posts:
        data = post.verified(directory.secrets[channel])["data"]
        assert VAULT.read_link(data["acknowledge_url"].removeprefix("https://care.example.org/a/")) == {
            "a": str(notification["alert"]), "c": "C-1", "n": str(notification["id"]),
        }  # fmt: skip
    attempts = await rows(db, "select outcome, status from attempt order by id")
    assert [(a["outcome"], a["status"]) for a in attempts] == [("refused", 500), ("refused", 302), ("delivered", 200)]
    assert (notification["state"], notification["attempts"]) == ("delivered", 3)
    assert first_posts() == counted + 1  # the figure is of first attempts alone


def first_posts() -> float:
    """How many first attempts have been timed so far."""
    return REGISTRY.get_sample_value("homecare_notification_first_attempt_seconds_count") or 0.0


async def test_a_channel_that_fails_starts_the_contacts_next_at_once(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    resident = await directory.add_resident()
    await directory.add_contact("C-1", "http://127.0.0.1:1/", "http://10.1.2.3/", receiver.url, resident=resident)
    async with running(database_url) as service:
        pressed = time.monotonic()
        await service.broker.send(event("sos", 1, resident=resident))
        await receiver.wait(1)
        assert time.monotonic() - pressed < 3
    errors = [n["last_error"] for n in await rows(db, "select last_error from notification order by channel")]
    assert errors == ["ClientConnectorError", "address_not_allowed", None]


async def test_retry_after_is_honoured_and_bounded(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    (channel,) = await directory.add_contact("C-1", receiver.url)
    receiver.answer = in_turn(status(429, Retry_After="100"), status(503, Retry_After="999999"), ok)
    async with running(database_url):
        await write_test(db, channel)
        for number, expected in ((1, 100), (2, schedule.RETRY_AFTER_MOST_S)):
            await receiver.wait(number)
            await until(db, "select count(*) = %s from attempt", number)
            waits = await row(db, "select extract(epoch from next_at - clock_timestamp())::float s from notification")
            assert waits["s"] == pytest.approx(expected, abs=3)
            await due_now(db)
        await receiver.wait(3)


async def test_410_disables_the_channel_for_good_and_the_next_takes_over(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    gone = Receiver(answer=status(410))
    await gone.start()
    resident = await directory.add_resident()
    first, _ = await directory.add_contact("C-1", gone.url, receiver.url, resident=resident)
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, resident=resident))
        await receiver.wait(1)
        late = await write_test(db, first)
        await until(db, "select state = 'dead' from notification where id = %s", late)
        await service.broker.send(event("fall", 2, resident=resident))
        await receiver.wait(2)
    await gone.close()
    assert len(gone.posts) == 1
    channel = await row(db, "select disabled_at, disabled_reason from channel where id = %s", first)
    assert channel["disabled_reason"] == "gone"
    dead = [
        n["last_error"]
        for n in await rows(db, "select last_error from notification where state = 'dead' order by created_at")
    ]
    assert dead == ["gone", "channel_disabled"]
    assert await rows(db, "select from log where action = 'channel.disabled'")


async def test_what_is_never_delivered_becomes_a_dead_letter_after_a_day(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    (channel,) = await directory.add_contact("C-1", receiver.url)
    receiver.answer = status(500)
    async with running(database_url):
        notification = await write_test(db, channel)
        await until(db, "select count(*) = 1 from attempt")
        await db.execute("update notification set created_at = created_at - interval '23 hours 59 minutes'")
        await due_now(db)
        await until(db, "select count(*) = 2 from attempt")
        await until(db, "select state = 'pending' from notification")
        await db.execute("update notification set created_at = created_at - interval '2 minutes'")
        await due_now(db)
        await until(db, "select state = 'dead' from notification")
    assert (await row(db, "select last_error, attempts from notification")) == {
        "last_error": "status_500",
        "attempts": 3,
    }
    entry = await row(db, "select detail from log where action = 'notification.dead'")
    assert entry["detail"] == {"notification": str(notification), "contact": "C-1", "error": "status_500"}


def test_retries_are_dense_at_first_and_go_on_for_a_day() -> None:
    exact = [schedule.delay_s(n, _Zero()) for n in range(1, 13)]
    at = [sum(exact[:n]) for n in range(13)]
    assert at == [0, 5, 15, 30, 60, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert all(
        0 <= schedule.delay_s(n, random.Random(n)) - schedule.delay_s(n, _Zero()) <= 0.1 * 86_400 for n in range(1, 30)
    )


class _Zero(random.Random):
    def random(self) -> float:
        return 0.0


async def test_a_hanging_endpoint_holds_no_other_and_only_its_share(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    hanging, most = 0, 0

    async def hang(_: web.Request) -> web.StreamResponse:
        nonlocal hanging, most
        hanging += 1
        most = max(most, hanging)
        try:
            await asyncio.sleep(30)
        finally:
            hanging -= 1
        return web.Response()

    slow = Receiver(answer=hang)
    await slow.start()
    (stuck,) = await directory.add_contact("C-1", slow.url)
    (good,) = await directory.add_contact("C-2", receiver.url)
    async with running(database_url, timeout_s=2.0):
        for _ in range(30):
            await write_test(db, stuck)
        for _ in range(30):
            await write_test(db, good, "C-2")
        await until(db, "select count(*) = 30 from notification where state = 'delivered'", within_s=1.9)
        await until(db, "select count(*) >= 8 from attempt where error = 'timeout'")
        assert most <= PER_ENDPOINT
    await slow.close()


async def test_a_sender_that_died_is_followed_by_another_with_the_same_bytes(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    (channel,) = await directory.add_contact("C-1", receiver.url)
    posted = asyncio.Event()

    async def never_ends(_: web.Request) -> web.StreamResponse:
        posted.set()
        await asyncio.sleep(30)
        return web.Response()

    receiver.answer = never_ends
    await write_test(db, channel)
    async with assembled(database_url, timeout_s=20) as service:
        sending = asyncio.create_task(service.outbox.run(), name="doomed")
        await asyncio.wait_for(posted.wait(), 5)
        for _, task in service.outbox._sending.values():
            task.cancel()
        sending.cancel()
        await asyncio.wait({sending})
    assert not await rows(db, "select from attempt")
    receiver.answer = ok
    async with running(database_url):
        await asyncio.sleep(0.3)
        assert len(receiver.posts) == 1
        await db.execute("update notification set leased_until = clock_timestamp()")
        await due_now(db)
        first, second = await receiver.wait(2)
        await until(db, "select state = 'delivered' from notification")
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_two_senders_post_each_notification_once(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    (channel,) = await directory.add_contact("C-1", receiver.url)
    async with running(database_url), running(database_url):
        for _ in range(100):
            await write_test(db, channel)
        await until(db, "select count(*) = 100 from notification where state = 'delivered'")
    assert len(receiver.posts) == len({post.headers["webhook-id"] for post in receiver.posts}) == 100


async def test_while_a_secret_rotates_both_verify_and_afterwards_only_the_new(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    (channel,) = await directory.add_contact("C-1", receiver.url)
    new = new_secret()
    rotate = "update channel set previous_secret = secret, previous_secret_until = now() + %s::interval, secret = %s where id = %s"
    async with running(database_url):
        await db.execute(rotate, ["1 hour", VAULT.seal(new), channel])
        await write_test(db, channel)
        (post,) = await receiver.wait(1)
        assert post.verified(directory.secrets[channel]) == post.verified(new)
        await db.execute("update channel set previous_secret_until = now() - interval '1 s'")
        await write_test(db, channel)
        post = (await receiver.wait(2))[1]
        assert len(post.headers["webhook-signature"].split(" ")) == 1
        assert post.verified(new)["type"] == "test"


async def test_the_operators_console_is_left_to_their_pages(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1))
        await until(db, "select count(*) = 1 from notification where channel_kind = 'console'")
        await asyncio.sleep(0.3)
    page: dict[str, Any] = await row(db, "select state, attempts, area from notification")
    assert page == {"state": "pending", "attempts": 0, "area": "990102"}


async def test_a_secret_sealed_with_another_key_is_a_failure_that_can_be_seen(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    foreign = Directory(db, "another key, which this process does not have")
    (channel,) = await foreign.add_contact("C-1", receiver.url)
    async with running(database_url):
        await write_test(db, channel)
        await until(db, "select last_error = 'bad_address_or_secret' from notification")
    assert receiver.posts == []

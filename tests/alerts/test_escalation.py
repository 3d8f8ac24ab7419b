"""Escalation on a real database: who is told in which order, what an answer stops, what a restart resumes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from tests.alerts.places import Directory
from tests.alerts.receiver import Receiver, status
from tests.alerts.service import assembled, event, row, rows, running, until

STEPS = "select detail from log where action = 'escalation.step' order by id"


class House:
    """A resident with a handset and two contacts, each with an endpoint."""

    def __init__(self, directory: Directory, resident: int, device: int, first: Receiver, second: Receiver) -> None:
        self.directory, self.resident, self.device = directory, resident, device
        self.first, self.second = first, second

    async def policy(self, *delays_s: float, repeat_s: int = 60) -> None:
        """First contact, second contact, first contact … after these delays."""
        steps = [(delay_s, [{"contact_rank": 1 + n % 2}]) for n, delay_s in enumerate(delays_s)]
        await self.directory.add_policy("p", *steps, resident=self.resident, repeat_s=repeat_s)

    def secret(self, number: int) -> str:
        return list(self.directory.secrets.values())[number - 1]


@pytest.fixture
async def house(directory: Directory, receivers: Callable[[], Awaitable[Receiver]]) -> House:
    first, second = await receivers(), await receivers()
    resident = await directory.add_resident()
    device = await directory.add_device("H-1", wearer=resident)
    await directory.add_contact("C-1", first.url, resident=resident, rank=1)
    await directory.add_contact("C-2", second.url, resident=resident, rank=2)
    return House(directory, resident, device, first, second)


async def acknowledge(db: AsyncConnection, alert: UUID | None) -> str:
    found = await row(db, "select alert_acknowledge(%s, 'contact:C-2', 'link', '') as answer", alert)
    return str(found["answer"])


async def test_the_first_contact_is_told_then_the_second_and_an_answer_ends_it(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    await house.policy(0, 0.3, 0.4)
    async with running(database_url) as service:
        await service.broker.send(event("fall", 1, key=house.device, resident=house.resident))
        opened = (await house.first.wait(1))[0].verified(house.secret(1))
        escalated = (await house.second.wait(1))[0].verified(house.secret(2))
        assert (opened["type"], opened["data"]["step"]) == ("alert.opened", 1)
        assert (escalated["type"], escalated["data"]["step"]) == ("alert.escalated", 2)
        assert house.second.posts[0].at - house.first.posts[0].at == pytest.approx(0.3, abs=0.25)
        alert = service.broker.acks[0][1]
        assert await acknowledge(db, alert) == "acknowledged"
        # Everyone who was told is told; the step that was due a moment later is not taken.
        told = [
            (await house.first.wait(2))[1].verified(house.secret(1)),
            (await house.second.wait(2))[1].verified(house.secret(2)),
        ]
        assert [(message["type"], message["data"]["step"]) for message in told] == [("alert.acknowledged", 2)] * 2
        await asyncio.sleep(0.6)
        await db.execute("select alert_resolve(%s, 'operator:li', 'page', 'true', '')", [alert])
        assert (await house.first.wait(3))[2].verified(house.secret(1))["data"]["state"] == "resolved"
    assert [
        post["step"] for post in await rows(db, "select step from notification where type = 'alert.escalated'")
    ] == [2]
    assert (await row(db, "select next_at from escalation"))["next_at"] is None


async def test_the_last_step_repeats_until_somebody_answers_and_goes_up_the_areas(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    await house.directory.add_operator("li", "990101")
    await house.directory.add_operator("wang", "990100")
    await house.policy(0)
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, key=house.device, resident=house.resident))
        for repeat in range(1, 4):
            await house.first.wait(repeat)
            await until(db, "select count(*) = %s from notification where state = 'delivered'", repeat)
            await db.execute("update escalation set next_at = clock_timestamp()")
            await db.execute("notify homecare_escalation")
        await house.first.wait(4)
    assert len({post.headers["webhook-id"] for post in house.first.posts}) == 4
    console = await rows(db, "select area from notification where channel_kind = 'console' order by created_at")
    # One for each area; a page that no operator has seen yet is not written again.
    assert [page["area"] for page in console] == ["990101", "990100"]
    assert [step["detail"]["reason"] for step in await rows(db, STEPS)] == ["step", "repeat", "repeat", "repeat"]


async def test_a_restart_resumes_and_what_is_overdue_does_not_fire_all_at_once(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    await house.policy(0, 30, 30, 30)
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, key=house.device, resident=house.resident))
        await house.first.wait(1)
    await db.execute("update escalation set next_at = next_at - interval '5 minutes'")
    async with running(database_url):
        await house.second.wait(1)
        await until(db, "select step = 2 and next_at > clock_timestamp() + interval '29 s' from escalation")
    assert len(house.first.posts) == 1


async def test_two_instances_take_each_step_once(house: House, db: AsyncConnection, database_url: str) -> None:
    await house.policy(0, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05)
    async with running(database_url) as one, running(database_url):
        await one.broker.send(event("sos", 1, key=house.device, resident=house.resident))
        await until(db, "select step = 8 from escalation")
        await house.first.wait(4)
        await house.second.wait(4)
        await until(db, "select count(*) = 8 from notification where state = 'delivered'")
    assert len(house.first.posts) == len(house.second.posts) == 4
    assert [step["detail"]["step"] for step in await rows(db, STEPS)] == list(range(1, 9))


async def test_a_step_that_reaches_nobody_is_passed_over_and_the_log_says_so(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    await house.directory.add_policy(
        "p", (0, [{"contact_rank": 7}]), (30, [{"contact_rank": 2}]), resident=house.resident
    )
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, key=house.device, resident=house.resident))
        await house.second.wait(1)
    skipped = await row(db, "select detail from log where action = 'escalation.skipped'")
    assert skipped["detail"] == {"step": 1, "reason": "nobody"}


@pytest.mark.parametrize("area", ["990102", "990103"])
async def test_a_policy_without_steps_pages_the_operators(
    directory: Directory, db: AsyncConnection, database_url: str, area: str
) -> None:
    await directory.add_operator("li", "990101")
    await directory.add_policy("empty", area="990100")
    key = await directory.add_device("H-1", area)
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, key=key, area=area))
        await until(db, "select count(*) = 1 from notification where channel_kind = 'console' and area = '990101'")


async def test_nothing_is_posted_after_an_acknowledgement(house: House, db: AsyncConnection, database_url: str) -> None:
    await house.policy(0)
    house.first.answer = status(500)
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, key=house.device, resident=house.resident))
        await house.first.wait(1)
        await until(db, "select exists (select from attempt)")
        await acknowledge(db, service.broker.acks[0][1])
        answered = time.monotonic()
        await db.execute("update notification set next_at = clock_timestamp()")
        await db.execute("notify homecare_outbox")
        await asyncio.sleep(0.5)
    late = [p.verified(house.secret(1))["type"] for p in house.first.posts if p.at > answered]
    assert set(late) == {"alert.acknowledged"}
    dropped = await row(db, "select state, last_error from notification where type = 'alert.opened'")
    assert dropped == {"state": "dropped", "last_error": "alert.acknowledged"}


async def test_an_answer_and_a_step_at_the_same_moment_have_one_outcome(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    await house.policy(0, *[0.0] * 40)
    async with running(database_url) as one, running(database_url):
        await one.broker.send(event("sos", 1, key=house.device, resident=house.resident))
        await until(db, "select step > 3 from escalation")
        answers = await asyncio.gather(*(_answer(database_url, one.broker.acks[0][1]) for _ in range(5)))
        await asyncio.sleep(0.3)
    assert sorted(answers) == ["acknowledged"] + ["already_acknowledged"] * 4
    entries = [
        e["action"] for e in await rows(db, "select action from log where action ~ 'step|acknowledged' order by id")
    ]
    assert entries[-1] == "alert.acknowledged"
    assert not await rows(db, "select from notification where state = 'pending' and type <> 'alert.acknowledged'")


async def _answer(url: str, alert: UUID | None) -> str:
    async with await AsyncConnection.connect(url, autocommit=True) as db:
        return await acknowledge(db, alert)


async def test_worse_than_what_was_acknowledged_needs_people_again(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    insert = (
        "insert into trigger (key, at, rule, version, kind, metric, severity, state, device, resident, evidence, zh, en)"
        " values (%s, now(), 'spo2', 1, 'vital', 'spo2', %s, %s, %s, %s, '{}', '血氧低', 'Low oxygen')"
    )
    async with running(database_url):
        await db.execute(insert, ["t1", "warning", "raised", house.device, house.resident])
        await house.first.wait(1)
        alert = (await row(db, "select id from alert"))["id"]
        await acknowledge(db, alert)
        await house.first.wait(2)
        await db.execute(insert, ["t2", "critical", "raised", house.device, house.resident])
        types = [post.verified(house.secret(1))["type"] for post in await house.first.wait(3)]
        assert types == ["alert.opened", "alert.acknowledged", "alert.escalated"]
        assert (await row(db, "select state, severity, triggers from alert")) == {
            "state": "open", "severity": "critical", "triggers": 2,
        }  # fmt: skip
        assert await acknowledge(db, alert) == "acknowledged"
        await house.first.wait(4)
        await db.execute(insert, ["t3", "critical", "cleared", house.device, house.resident])
        await until(db, "select cleared_at is not null from alert")
    assert (await row(db, "select state from alert"))["state"] == "acknowledged"


async def test_a_case_of_two_series_leads_with_the_worse_and_is_over_when_both_are(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    insert = (
        "insert into trigger (key, at, rule, version, kind, metric, severity, state, device, resident, evidence, zh, en)"
        " values (%s, now(), 'blood_pressure', 1, 'vital', %s, %s, %s, %s, %s, '{\"side\": \"high\"}', %s, %s)"
    )
    who = house.device, house.resident
    async with running(database_url):
        await db.execute(insert, ["t1", "diastolic", "urgent", "raised", *who, "舒张压 112", "Diastolic 112"])
        await db.execute(insert, ["t2", "systolic", "critical", "raised", *who, "收缩压 188", "Systolic 188"])
        await until(db, "select triggers = 2 and severity = 'critical' and reason_en = 'Systolic 188' from alert")
        await db.execute(insert, ["t3", "systolic", "critical", "cleared", *who, "收缩压 130", "Systolic 130"])
        await until(db, "select count(*) = 0 from trigger where handled_at is null")
        assert (await row(db, "select cleared_at from alert"))["cleared_at"] is None
        await db.execute(insert, ["t4", "diastolic", "urgent", "cleared", *who, "舒张压 80", "Diastolic 80"])
        await until(db, "select cleared_at is not null from alert")


async def test_a_device_that_is_back_needs_nobody(house: House, db: AsyncConnection, database_url: str) -> None:
    insert = (
        "insert into trigger (key, at, rule, version, kind, severity, state, device, evidence, zh, en)"
        " values (%s, now(), 'silent', 1, 'silence', 'warning', %s, %s, '{}', '设备无响应', 'Device silent')"
    )
    async with running(database_url):
        await db.execute(insert, ["t1", "raised", house.device])
        await until(db, "select count(*) = 1 from alert where dedup_key = 'silence:silent:dH-1'")
        await db.execute(insert, ["t2", "cleared", house.device])
        await until(db, "select state = 'resolved' from alert")
        await db.execute(insert, ["t3", "cleared", house.device])
        await until(db, "select count(*) = 0 from trigger where handled_at is null")
    assert (await row(db, "select outcome, closed_by from alert")) == {"outcome": "technical", "closed_by": "system"}


async def test_one_of_two_devices_that_is_back_leaves_the_case_to_the_other(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    second = await house.directory.add_device("H-2", wearer=house.resident)
    insert = (
        "insert into trigger (key, at, rule, version, kind, metric, severity, state, device, resident, evidence, zh, en)"
        " values (%s, now(), 'battery', 1, 'battery', %s, 'warning', %s, %s, %s, '{}', '电量低', 'Low battery')"
    )
    async with running(database_url):
        # The device's own word, and its reading.
        await db.execute(insert, ["t1", None, "raised", house.device, house.resident])
        await db.execute(insert, ["t2", "battery", "raised", house.device, house.resident])
        await db.execute(insert, ["t3", "battery", "raised", second, house.resident])
        await until(db, "select triggers = 3 from alert")
        await db.execute(insert, ["t4", "battery", "cleared", house.device, house.resident])
        await until(db, "select count(*) = 0 from trigger where handled_at is null")
        assert (await row(db, "select state, cleared_at from alert")) == {"state": "open", "cleared_at": None}
        await db.execute(insert, ["t5", "battery", "cleared", second, house.resident])
        await until(db, "select state = 'resolved' from alert")


async def test_triggers_of_many_devices_are_taken_in_by_two_instances_once_each(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    key = await directory.add_device("H-1")
    await db.execute(
        "insert into trigger (key, at, rule, version, kind, severity, state, device_id, evidence, zh, en)"
        " select 't' || n, now(), 'silent', 1, 'silence', 'warning', 'raised', 'D-' || n %% 100, '{}', '无', 'none'"
        " from generate_series(1, 500) n where %s > 0",
        [key],
    )
    async with running(database_url), running(database_url):
        await until(db, "select count(*) = 0 from trigger where handled_at is null")
    assert (await row(db, "select count(*) n, sum(triggers) t from alert")) == {"n": 100, "t": 500}


async def test_it_works_on_plain_postgresql_too(plain_database_url: str) -> None:
    async with await AsyncConnection.connect(plain_database_url, autocommit=True) as db:
        directory = Directory(db)
        await directory.add_areas()
        key = await directory.add_device("H-1")
        async with running(plain_database_url) as service:
            await service.broker.send(event("sos", 1, key=key, values={"heart_rate": 90.0}))
            await until(db, "select count(*) = 1 from notification where channel_kind = 'console'")
        assert (await row(db, "select heart_rate from sample"))["heart_rate"] == 90


async def test_the_parts_wait_for_the_database_and_lose_nothing(directory: Directory, database_url: str) -> None:
    """A step that cannot be written is not half taken."""
    async with assembled(database_url) as service:
        await service.pool.close()
        with pytest.raises(Exception, match="cannot be used"):
            await service.escalation.step()

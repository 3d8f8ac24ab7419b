"""A drill reaches who an SOS would call first, says that it is one, disturbs nobody else, and lists whom it did not reach."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from alerts.watch import drills
from alerts.watch.auditor import Auditor
from alerts.watch.drills import Drills
from homecare import answers
from tests.alerts.places import Directory
from tests.alerts.receiver import Receiver, status
from tests.alerts.service import Service, event, row, rows, running, until

ROOT = "990100"
ALL_DAY = "insert into drill_schedule (area, day, begins, ends, per_minute) values (%s, 1, '00:00', '24:00', %s)"
Receivers = Callable[[], Awaitable[Receiver]]


@pytest.fixture
async def service(directory: Directory, database_url: str) -> AsyncIterator[Service]:
    await directory.add_operator("li", "990102")
    async with running(database_url) as service:
        yield service


@pytest.fixture
async def household(directory: Directory, receiver: Receiver) -> int:
    """The key of a resident with a handset and a contact, whose policy would page the operators as well."""
    resident = await directory.add_resident()
    await directory.add_contact("C-1", receiver.url, resident=resident)
    await directory.add_device("H-1", wearer=resident)
    await directory.add_policy("p", (0, [{"operators": True}]), (60, [{"contact_rank": 1}]), area="990102")
    return resident


def a_drill(service: Service) -> Drills:
    return Drills(service.pool, ("webhook",), service.wakeups.wake)


async def begun(db: AsyncConnection, service: Service, per_minute: int = 60, area: str = ROOT) -> UUID | None:
    """A drill by the schedule, and the alert of the first that it told."""
    await db.execute(ALL_DAY.encode(), [area, per_minute])
    await a_drill(service).step()
    found = await rows(db, "select alert from drill_household where alert is not null order by told_at")
    return found[0]["alert"] if found else None


async def outcome(db: AsyncConnection, service: Service) -> tuple[str, str]:
    """After another step: what is said of the people and of the device of the one household."""
    await a_drill(service).step()
    found = await row(db, "select people, device from drill_household")
    return found["people"], found["device"]


async def reply(db: AsyncConnection, ok: bool = True) -> None:
    await db.execute("select command_reply(id, device, %s, null, null) from command", [ok])


async def test_who_answers_a_drill_was_reached(
    service: Service, household: int, db: AsyncConnection, directory: Directory, receiver: Receiver
) -> None:
    alert = await begun(db, service)
    assert alert is not None
    message = (await receiver.wait(1))[0].verified(next(iter(directory.secrets.values())))
    assert message["type"] == "alert.opened"
    assert (message["data"]["kind"], message["data"]["severity"]) == ("device", "info")
    assert message["data"]["reason"] == {"code": "drill", "zh": drills.ZH, "en": drills.EN}
    assert (await row(db, "select name, alert from command")) == {"name": "test", "alert": alert}
    await a_drill(service).step()
    assert (await row(db, "select ended_at from drill_household"))["ended_at"] is None
    assert await answers.acknowledge(db, alert, "contact:C-1", "link") == "acknowledged"
    await reply(db)
    assert await outcome(db, service) == ("answered", "answered")
    assert (await row(db, "select state, outcome from alert")) == {"state": "resolved", "outcome": "drill"}
    assert (await row(db, "select ended_at is not null as ended from drill"))["ended"]
    said = await rows(db, "select action from log where action like 'drill.%%' order by id")
    assert [line["action"] for line in said] == ["drill.started", "drill.told", "drill.result", "drill.ended"]


async def test_a_drill_calls_nobody_else_whatever_is_answered(
    service: Service, household: int, db: AsyncConnection
) -> None:
    alert = await begun(db, service)
    assert alert is not None
    assert await answers.decline(db, alert, "contact:C-1", "link") == "declined"
    await db.execute("update escalation set next_at = now()")
    assert await service.escalation.step() > 0
    assert (await row(db, "select next_at from escalation"))["next_at"] is None
    assert [
        n["contact"] for n in await rows(db, "select contact from notification where channel_kind <> 'console'")
    ] == ["C-1"]
    assert await rows(db, "select 1 from notification where channel_kind = 'console'") == []
    assert [found.wrong for found in await Auditor(service.pool, service.escalation.begin).look()] == [0] * 6
    await reply(db, ok=False)
    assert await outcome(db, service) == ("answered", "refused")


async def test_a_drill_that_is_called_a_false_alarm_is_still_a_drill(
    service: Service, household: int, db: AsyncConnection
) -> None:
    alert = await begun(db, service)
    assert alert is not None
    await answers.resolve(db, alert, "contact:C-1", "link", "false")
    await reply(db)
    assert await outcome(db, service) == ("answered", "answered")
    assert (await row(db, "select outcome from alert"))["outcome"] == "drill"


async def test_who_does_not_answer_within_the_time_is_listed(
    service: Service, household: int, db: AsyncConnection, receiver: Receiver
) -> None:
    await begun(db, service)
    await until(db, "select state = 'delivered' from notification")
    await db.execute("update drill_household set told_at = told_at - interval '86399 seconds'")
    await db.execute("update command set expires_at = now()")
    await a_drill(service).step()
    assert (await row(db, "select ended_at from drill_household"))["ended_at"] is None
    await db.execute("update drill_household set told_at = told_at - interval '2 seconds'")
    assert await outcome(db, service) == ("no_answer", "no_answer")
    assert (await row(db, "select state, outcome from alert")) == {"state": "resolved", "outcome": "drill"}


async def test_who_could_not_be_told_is_listed_as_that(
    service: Service, household: int, db: AsyncConnection, receiver: Receiver
) -> None:
    receiver.answer = status(500)
    await begun(db, service)
    await receiver.wait(1)
    await db.execute("update drill_household set told_at = told_at - interval '86401 seconds'")
    await reply(db)
    assert await outcome(db, service) == ("not_delivered", "answered")


async def test_who_has_neither_contact_nor_device_is_listed_at_once(
    service: Service, directory: Directory, db: AsyncConnection
) -> None:
    await directory.add_resident(2)
    await begun(db, service)
    assert await outcome(db, service) == ("no_contact", "no_device")
    assert await rows(db, "select 1 from notification") == []


async def test_a_real_sos_opens_its_own_case_and_ends_the_drill(
    service: Service, household: int, db: AsyncConnection, receiver: Receiver
) -> None:
    await begun(db, service)
    device = (await row(db, "select key from device"))["key"]
    await service.broker.send(event("sos", 1, key=device, resident=household))
    cases = await rows(db, "select kind, severity, state from alert order by number")
    assert cases == [
        {"kind": "device", "severity": "info", "state": "open"},
        {"kind": "sos", "severity": "critical", "state": "open"},
    ]
    await db.execute("update command set expires_at = now()")
    assert await outcome(db, service) == ("interrupted", "no_answer")
    left = await rows(db, "select kind from alert where state = 'open'")
    assert [case["kind"] for case in left] == ["sos"]


async def test_nobody_is_told_who_has_a_real_alert(service: Service, household: int, db: AsyncConnection) -> None:
    device = (await row(db, "select key from device"))["key"]
    await service.broker.send(event("fall", 1, key=device, resident=household))
    assert await begun(db, service) is None
    await db.execute("select alert_resolve(id, 'operator:li', 'page', 'false', '') from alert")
    await a_drill(service).step()
    assert (await row(db, "select told_at is not null as told from drill_household"))["told"]


async def test_no_more_households_are_told_in_a_minute_than_agreed(
    service: Service, directory: Directory, db: AsyncConnection
) -> None:
    for number in range(1, 6):
        await directory.add_resident(number)
    await begun(db, service, per_minute=2)
    told = "select count(*) as told from drill_household where told_at is not null"
    assert (await row(db, told))["told"] == 1
    for _ in range(4):
        await a_drill(service).step()
    assert (await row(db, told))["told"] == 2
    await db.execute("update drill_household set told_at = told_at - interval '1 minute'")
    await a_drill(service).step()
    assert (await row(db, told))["told"] == 3


@pytest.mark.parametrize(
    ("begins", "ends"),
    [("now + interval '1 hour'", "now + interval '2 hours'"), ("now - interval '2 hours'", "now - interval '1 hour'")],
)
async def test_nobody_is_told_outside_its_hours(
    service: Service, household: int, db: AsyncConnection, begins: str, ends: str
) -> None:
    # Where an hour from now is tomorrow, so that the hours would end before they begin, the clock of another zone serves.
    await db.execute(
        "update area set timezone = 'Etc/GMT' || case when h >= 12 then '+' || (h - 12) else '-' || (12 - h) end"
        " from (select extract(hour from now() at time zone 'UTC')::int as h) utc"
    )
    assert await begun(db, service, area="990103") is None
    await db.execute(
        f"insert into drill (area, started_by, begins, ends, per_minute, answer_s) select '{ROOT}', 'test', ({begins})::time,"
        f" ({ends})::time, 60, 86400 from (select now() at time zone timezone as now from area where code = '{ROOT}') here".encode()
    )
    await db.execute("insert into drill_household (drill, resident) select max(id), %s from drill", [household])
    await a_drill(service).step()
    assert (await row(db, "select told_at from drill_household"))["told_at"] is None
    await db.execute("update drill set begins = '00:00', ends = '24:00'")
    await a_drill(service).step()
    assert (await row(db, "select told_at from drill_household"))["told_at"] is not None


async def test_an_area_with_a_schedule_of_its_own_is_left_to_that_and_each_is_once_a_month(
    service: Service, directory: Directory, db: AsyncConnection
) -> None:
    await directory.add_resident(1, "990102")
    await directory.add_resident(2, "990103")
    await db.execute("insert into drill_schedule (area, day, begins, ends) values ('990103', 1, '00:00', '24:00')")
    await begun(db, service)
    enrolled = await rows(
        db,
        "select d.area, r.id from drill_household h join drill d on d.id = h.drill"
        " join resident r on r.key = h.resident order by r.id",
    )
    assert [tuple(one.values()) for one in enrolled] == [(ROOT, "R-1"), ("990103", "R-2")]
    await a_drill(service).step()
    await a_drill(service).step()
    assert (await row(db, "select count(*) as n, count(ended_at) as ended from drill")) == {"n": 2, "ended": 2}


async def test_a_drill_by_hand_can_be_stopped(service: Service, directory: Directory, db: AsyncConnection) -> None:
    for number in range(1, 4):
        await directory.add_resident(number)
    async with service.pool.connection() as own:
        assert await drills.start(own, "nowhere", "test") is None
        first = await drills.start(own, ROOT, "test", per_minute=1)
        assert first is not None
        assert await drills.start(own, ROOT, "test") is None
        await db.execute("update drill set begins = '00:00', ends = '24:00'")
        await a_drill(service).step()
        assert await drills.stop(own, ROOT, "test") == first
        assert await drills.stop(own, ROOT, "test") is None
    await a_drill(service).step()
    found = await rows(db, "select people, count(*) as n from drill_household group by people order by people")
    assert [tuple(one.values()) for one in found] == [("no_contact", 1), ("not_tested", 2)]
    assert (await row(db, "select ended_at is not null as ended from drill"))["ended"]

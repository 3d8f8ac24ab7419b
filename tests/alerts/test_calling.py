"""Whom a step calls, on a real database: who sleeps, who is on duty, who lives near, who provides what assist asks for."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from psycopg import AsyncConnection

from alerts.circles import circle_of_resident
from alerts.policies import preview
from homecare.messages import Position
from tests.alerts.places import Directory
from tests.alerts.receiver import Receiver
from tests.alerts.service import event, row, rows, running, until

SHANGHAI = ZoneInfo("Asia/Shanghai")
PENDING = "select contact from notification where state = 'pending' and channel is not null"


class Village:
    """A resident with a handset, and people who are no contacts of theirs, each with an endpoint."""

    def __init__(
        self, directory: Directory, receivers: Callable[[], Awaitable[Receiver]], resident: int, device: int
    ) -> None:
        self.directory, self.db = directory, directory.db
        self._receivers, self.resident, self.device = receivers, resident, device

    async def add(self, name: str, **columns: Any) -> Receiver:
        receiver = await self._receivers()
        await self.directory.add_contact(name, receiver.url)
        values = {"area": "990102"} | columns
        assigned = ", ".join(f"{column} = %({column})s" for column in values)
        await self.db.execute(f"update contact set {assigned} where id = %(id)s".encode(), values | {"id": name})
        return receiver

    async def policy(self, *targets: dict[str, Any]) -> None:
        """A step for each, an hour apart."""
        await self.db.execute(
            "insert into policy (id, resident, kinds, repeat_s) values ('p', %s, '{battery,sos,assist}', 3600)",
            [self.resident],
        )
        for number, target in enumerate(targets, 1):
            await self.db.execute("insert into policy_step values ('p', %s, %s)", [number, 0 if number == 1 else 3600])
            columns, places = ", ".join(target), ", ".join(["%s"] * len(target))
            await self.db.execute(
                f"insert into step_target (policy, step, n, {columns}) values ('p', %s, 1, {places})".encode(),
                [number, *target.values()],
            )

    def says(self, name: str, seq: int = 1, **more: Any) -> Any:
        return event(name, seq, key=self.device, resident=self.resident, **more)

    async def answer(self, function: str, alert: UUID | None, contact: str) -> str:
        asked = f"select {function}(%s, %s, 'link', '') as answer"
        return str((await row(self.db, asked, alert, f"contact:{contact}"))["answer"])


@pytest.fixture
async def village(directory: Directory, receivers: Callable[[], Awaitable[Receiver]]) -> Village:
    resident = await directory.add_resident()
    await directory.db.execute("update resident set lat = 26.5921, lon = 104.8302")
    await directory.add_operator("li", "990101")
    return Village(directory, receivers, resident, await directory.add_device("H-1", wearer=resident))


async def quiet_now(db: AsyncConnection) -> dict[str, int]:
    """Quiet hours that began an hour ago and end in an hour."""
    shown = (await row(db, "select clock_timestamp() as now"))["now"].astimezone(SHANGHAI)
    minute = shown.hour * 60 + shown.minute
    return {"quiet_from": (minute - 60) % 1440, "quiet_to": (minute + 60) % 1440}


async def test_who_sleeps_is_told_afterwards_and_nobody_waits_for_them(
    village: Village, db: AsyncConnection, database_url: str
) -> None:
    asleep, awake = await village.add("C-1", **await quiet_now(db)), await village.add("C-2")
    await village.policy({"contact": "C-1"}, {"contact": "C-2"})
    async with running(database_url) as service:
        await service.broker.send(village.says("low_battery"))
        assert (await awake.wait(1))[0].message["data"]["step"] == 2
        await until(db, "select count(*) = 1 from notification where state = 'delivered'")
        waits = await row(
            db,
            "select contact, step, next_at = not_before as same, next_at - created_at as wait, attempts from notification"
            " where state = 'pending'",
        )
        assert timedelta(minutes=58) < waits.pop("wait") <= timedelta(minutes=60)
        assert waits == {"contact": "C-1", "step": 1, "same": True, "attempts": 0}
        said = await rows(
            db, "select action, detail ->> 'reason' as why from log where action ~ 'deferred|skipped' order by id"
        )
        assert said == [
            {"action": "escalation.skipped", "why": "quiet"},
            {"action": "escalation.deferred", "why": None},
        ]
        # The hour passes.
        await db.execute(
            "update notification set next_at = clock_timestamp(), not_before = clock_timestamp() where attempts = 0"
        )
        await db.execute("notify homecare_outbox")
        assert (await asleep.wait(1))[0].message["type"] == "alert.opened"


async def test_nobody_sleeps_through_an_sos(village: Village, db: AsyncConnection, database_url: str) -> None:
    asleep = await village.add("C-1", **await quiet_now(db))
    await village.policy({"contact": "C-1"})
    async with running(database_url) as service:
        await service.broker.send(village.says("sos"))
        assert (await asleep.wait(1))[0].message["type"] == "alert.opened"


async def test_who_sleeps_is_not_told_of_what_somebody_has_taken_on(
    village: Village, db: AsyncConnection, database_url: str
) -> None:
    await village.add("C-1", **await quiet_now(db))
    awake = await village.add("C-2")
    await village.policy({"contact": "C-1"}, {"contact": "C-2"})
    async with running(database_url) as service:
        await service.broker.send(village.says("low_battery"))
        await awake.wait(1)
        assert (
            await village.answer("alert_acknowledge", (await row(db, "select id from alert"))["id"], "C-2")
            == "acknowledged"
        )
    deferred = await row(db, "select state, last_error from notification where contact = 'C-1'")
    assert deferred == {"state": "dropped", "last_error": "alert.acknowledged"}


async def test_who_declines_waits_for_nobody_who_sleeps(
    village: Village, db: AsyncConnection, database_url: str
) -> None:
    await village.add("C-1", **await quiet_now(db))
    awake, last = await village.add("C-2"), await village.add("C-3")
    await village.policy({"contact": "C-1"}, {"contact": "C-3"})
    await db.execute("insert into step_target (policy, step, n, contact) values ('p', 1, 2, 'C-2')")
    async with running(database_url) as service:
        await service.broker.send(village.says("low_battery"))
        await awake.wait(1)
        shown = await row(db, "select id, next_to from alert_shown")
        assert shown["next_to"] == [{"name": "Sample C-3", "role": "family", "operators": False}]
        assert await village.answer("alert_decline", shown["id"], "C-2") == "declined"
        await db.execute("notify homecare_escalation")
        await last.wait(1)
    assert await rows(db, PENDING) == [{"contact": "C-1"}]


async def test_the_pages_say_whom_the_next_step_means(village: Village, db: AsyncConnection, database_url: str) -> None:
    first = await village.add("C-1")
    await db.execute("insert into rota values ('night', '990100', 'Night', 'Asia/Shanghai')")
    await village.policy({"contact": "C-1"}, {"rota": "night"})
    for n, (column, value) in enumerate(
        {"role": "village_doctor", "area_up": 1, "provider": 1, "contact_rank": 7}.items(), 2
    ):
        target = f"insert into step_target (policy, step, n, {column}) values ('p', 2, %s, %s)"
        await db.execute(target.encode(), [n, value])
    async with running(database_url) as service:
        await service.broker.send(village.says("sos"))
        await first.wait(1)
    assert (await row(db, "select next_to from alert_shown"))["next_to"] == [
        {"name": "Night", "role": None, "operators": False},
        {"name": None, "role": "village_doctor", "operators": False},
        {"name": None, "role": None, "operators": True},
        {"name": None, "role": "service", "operators": False},
    ]


async def test_a_step_that_cannot_be_taken_is_the_operators_at_once(
    village: Village, db: AsyncConnection, database_url: str
) -> None:
    await village.policy({"operators": True})
    await db.execute("update policy_step set delay_s = 'NaN'")
    async with running(database_url) as service:
        await service.broker.send(village.says("sos"))
        await until(db, "select count(*) = 1 from notification where channel_kind = 'console' and area = '990102'")
        await db.execute("update escalation set next_at = clock_timestamp()")
        await db.execute("notify homecare_escalation")
        await until(db, "select next_at > clock_timestamp() from escalation")
    # Told once, however often it fails; and it goes on as soon as it can.
    assert len(await rows(db, "select from notification")) == 1
    failed = await row(db, "select detail from log where action = 'escalation.failed'")
    assert failed["detail"] == {"step": 0, "problem": "ValidationError"}


async def test_what_becomes_critical_wakes_them_once(village: Village, db: AsyncConnection, database_url: str) -> None:
    asleep = await village.add("C-1", **await quiet_now(db))
    await village.policy({"contact": "C-1"})
    async with running(database_url) as service:
        await service.broker.send(village.says("low_battery"))
        await until(db, "select count(*) = 1 from notification where contact = 'C-1'")
        for _ in range(2):  # repeats of the last step, still in their quiet hours: nothing piles up
            at = (await row(db, "select next_at from escalation"))["next_at"]
            await db.execute("update escalation set next_at = clock_timestamp()")
            await db.execute("notify homecare_escalation")
            await until(db, "select next_at > %s from escalation", at)
        assert await rows(db, PENDING) == [{"contact": "C-1"}]
        assert asleep.posts == []
        await db.execute("update alert set severity = 'critical'")
        await db.execute("update escalation set next_at = clock_timestamp()")
        await db.execute("notify homecare_escalation")
        await asleep.wait(1)
        await until(db, "select count(*) = 1 from notification where contact = 'C-1' and state = 'delivered'")
    assert len(asleep.posts) == 1


async def test_who_is_on_duty_is_called_and_a_gap_is_left_to_the_next_and_logged(
    village: Village, db: AsyncConnection, database_url: str
) -> None:
    nurse, neighbour = await village.add("nurse"), await village.add("neighbour")
    await db.execute(
        "insert into rota values ('night', '990100', 'Night', 'Asia/Shanghai'), ('gone', '990100', 'Gone', 'UTC')"
    )
    shift = "insert into rota_shift (rota, n, contact, starts, ends) select %s, 1, %s, t + %s, t + %s from (select clock_timestamp() at time zone %s as t) now"
    hour = timedelta(hours=1)
    await db.execute(shift, ["night", "nurse", -hour, hour, "Asia/Shanghai"])
    await db.execute(shift, ["gone", "nurse", -2 * hour, -hour, "UTC"])
    await village.policy({"rota": "gone"}, {"rota": "night"}, {"contact": "neighbour"})
    async with running(database_url) as service:
        await service.broker.send(village.says("sos"))
        await nurse.wait(1)
    assert neighbour.posts == []
    gap = await row(db, "select detail from log where action = 'escalation.gap'")
    assert gap["detail"] == {"step": 1, "round": 0, "rota": "gone"}


async def test_a_role_and_the_nearest_helpers_are_found_around_the_person(
    village: Village, db: AsyncConnection, database_url: str
) -> None:
    doctor = await village.add("doctor", role="village_doctor", area="990101")
    await village.add("other-doctor", role="village_doctor", area="990103")
    near = await village.add("near", watch_group=True, lat=26.6010, lon=104.8302)
    at_home = await village.add("at-home", watch_group=True, lat=26.5922, lon=104.8302)
    await village.policy({"role": "village_doctor"}, {"nearest": 1, "radius_m": 500})
    async with running(database_url) as service:
        # A kilometre from home: the helper there is nearer than the one next door.
        await service.broker.send(village.says("sos", position=Position(26.6011, 104.8302)))
        await doctor.wait(1)
        await db.execute("update escalation set next_at = clock_timestamp()")
        await db.execute("notify homecare_escalation")
        await near.wait(1)
    assert at_home.posts == []
    told = await rows(db, "select distinct contact from notification order by contact")
    assert [one["contact"] for one in told] == ["doctor", "near"]


async def test_assist_goes_from_provider_to_provider_and_then_to_the_operators(
    village: Village, db: AsyncConnection, database_url: str
) -> None:
    first = await village.add("doctor-1", services=["health"], done_within_s=7200)
    second = await village.add("doctor-2", services=["health", "other"], area="990100", accept_within_s=300)
    shop = await village.add("shop", services=["shopping"])
    async with running(database_url) as service:
        await service.broker.send(village.says("assist", service="health"))
        alert = service.broker.acks[0][1]
        await first.wait(1)
        due = await row(db, "select extract(epoch from next_at - clock_timestamp())::int as s from escalation")
        assert 590 <= due["s"] <= 600
        # The first accepts, and does not come in the time they say they need.
        assert await village.answer("alert_acknowledge", alert, "doctor-1") == "acknowledged"
        held = await row(db, "select extract(epoch from answer_until - acknowledged_at)::int as s from alert")
        assert held["s"] == 7200
        await db.execute("update escalation set next_at = clock_timestamp()")
        await db.execute("notify homecare_escalation")
        await second.wait(1)
        # The second declines: now the operators have it.
        assert await village.answer("alert_decline", alert, "doctor-2") == "declined"
        await db.execute("notify homecare_escalation")
        await until(db, "select exists (select from notification where channel_kind = 'console' and area = '990101')")
        # Something else they need is a case of its own, with other people.
        await service.broker.send(village.says("assist", 2, service="shopping"))
        await shop.wait(1)
        assert service.broker.acks[1][1] != alert
        assert service.broker.acks[1][2] == "opened"
    assert len(second.posts) == 1


async def test_a_preview_reads_what_an_alert_would(village: Village, db: AsyncConnection) -> None:
    await village.add("C-1", quiet_from=22 * 60, quiet_to=7 * 60)
    await village.policy({"contact": "C-1"}, {"operators": True})
    night = datetime(2026, 11, 22, 2, 0, tzinfo=SHANGHAI)
    for kind, step in (("sos", 1), ("battery", 2)):
        circle = await circle_of_resident(db, "R-1", kind, "warning", night, None)
        assert circle is not None
        assert next(preview(circle, night)).page.step == step
    assert await circle_of_resident(db, "nobody", "sos", "critical", night, None) is None

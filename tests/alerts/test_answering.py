"""Answers that hold or do not: an acknowledgement runs out, who cannot says so, an SOS taken back is made sure of."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from tests.alerts.places import Directory
from tests.alerts.receiver import Receiver
from tests.alerts.service import event, row, rows, running, until


class House:
    """A resident with a handset, two contacts told one after the other with an hour between, and an operator."""

    def __init__(self, db: AsyncConnection, first: Receiver, second: Receiver, device: int, resident: int) -> None:
        self.db, self.first, self.second, self.device, self.resident = db, first, second, device, resident

    async def answer(self, function: str, *values: object) -> str:
        places = ", ".join(["%s"] * len(values))
        return str((await row(self.db, f"select {function}({places}) as answer", *values))["answer"])

    async def acknowledge(self, alert: UUID | None, contact: str = "C-1") -> str:
        return await self.answer("alert_acknowledge", alert, f"contact:{contact}", "link", "")

    async def decline(self, alert: UUID | None, contact: str) -> str:
        return await self.answer("alert_decline", alert, f"contact:{contact}", "link", "")

    async def arrive(self, alert: UUID | None, contact: str = "C-1") -> str:
        return await self.answer("alert_arrive", alert, f"contact:{contact}", "link", "")

    async def confirm(self, alert: UUID | None, well: bool) -> str:
        return await self.answer("alert_confirm", alert, "contact:C-1", "link", well, "")


@pytest.fixture
async def house(db: AsyncConnection, directory: Directory, receivers: Callable[[], Awaitable[Receiver]]) -> House:
    first, second = await receivers(), await receivers()
    resident = await directory.add_resident()
    device = await directory.add_device("H-1", wearer=resident)
    await directory.add_contact("C-1", first.url, resident=resident, rank=1)
    await directory.add_contact("C-2", second.url, resident=resident, rank=2)
    await directory.add_operator("li", "990101")
    await directory.add_policy(
        "p", (0, [{"contact_rank": 1}]), (3600, [{"contact_rank": 2}]), resident=resident, repeat_s=3600
    )
    return House(db, first, second, device, resident)


async def test_an_acknowledgement_without_anybody_there_runs_out_and_calls_begin_again(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, key=house.device, resident=house.resident))
        alert = service.broker.acks[0][1]
        await house.first.wait(1)
        assert await house.acknowledge(alert) == "acknowledged"
        held = await row(
            db,
            "select extract(epoch from answer_until - acknowledged_at)::int as s, answer_until, next_at"
            " from alert join escalation on alert = id",
        )
        assert held["s"] == 1800, "half an hour for what is critical"
        await house.first.wait(2)
        await db.execute("update escalation set next_at = clock_timestamp()")
        await db.execute("notify homecare_escalation")
        assert (await house.first.wait(3))[2].message["type"] == "alert.escalated"
        now = await row(db, "select state, acknowledged_by, answer_until, arrived_at from alert")
        assert now == {"state": "open", "acknowledged_by": None, "answer_until": None, "arrived_at": None}
    reopened = await rows(db, "select detail ->> 'reason' as reason from log where action = 'alert.reopened'")
    assert reopened == [{"reason": "answer_expired"}]


async def test_who_is_there_holds_it_until_it_is_resolved(house: House, db: AsyncConnection, database_url: str) -> None:
    async with running(database_url) as service:
        await service.broker.send(event("fall", 1, key=house.device, resident=house.resident))
        alert = service.broker.acks[0][1]
        assert await house.acknowledge(alert) == "acknowledged"
        assert await house.arrive(alert) == "arrived"
        assert await house.arrive(alert, "C-2") == "already_arrived"
    now = await row(db, "select arrived_by, answer_until, next_at from alert join escalation on alert = id")
    assert now == {"arrived_by": "contact:C-1", "answer_until": None, "next_at": None}
    assert await house.answer("alert_resolve", alert, "contact:C-1", "link", "true", "") == "resolved"
    assert await house.arrive(alert) == "closed"


async def test_who_comes_unannounced_has_it(house: House, db: AsyncConnection, database_url: str) -> None:
    async with running(database_url) as service:
        await service.broker.send(event("fall", 1, key=house.device, resident=house.resident))
        assert await house.arrive(service.broker.acks[0][1], "C-2") == "arrived"
    assert await row(db, "select state, acknowledged_by, arrived_by from alert") == {
        "state": "acknowledged",
        "acknowledged_by": "contact:C-2",
        "arrived_by": "contact:C-2",
    }


async def test_who_cannot_go_says_so_and_the_next_is_called_at_once(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    async with running(database_url) as service:
        await service.broker.send(event("fall", 1, key=house.device, resident=house.resident))
        alert = service.broker.acks[0][1]
        await house.first.wait(1)
        # Somebody who was not asked in this step decides nothing.
        assert await house.decline(alert, "C-2") == "declined"
        assert (await row(db, "select next_at > clock_timestamp() + interval '50 min' as later from escalation"))[
            "later"
        ]
        assert await house.decline(alert, "C-1") == "declined"
        await db.execute("notify homecare_escalation")
        assert (await house.second.wait(1))[0].message["data"]["step"] == 2


async def test_who_had_it_and_cannot_after_all_gives_it_back_to_the_next(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    async with running(database_url) as service:
        await service.broker.send(event("fall", 1, key=house.device, resident=house.resident))
        alert = service.broker.acks[0][1]
        await house.first.wait(1)
        await house.acknowledge(alert)
        assert await house.decline(alert, "C-1") == "declined"
        await db.execute("notify homecare_escalation")
        told = (await house.second.wait(1))[0].message
        assert (told["type"], told["data"]["step"]) == ("alert.escalated", 2)


@pytest.mark.parametrize("well", [True, False])
async def test_an_sos_taken_back_is_made_sure_of(
    house: House, db: AsyncConnection, database_url: str, well: bool
) -> None:
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, key=house.device, resident=house.resident))
        alert = service.broker.acks[0][1]
        await house.first.wait(1)
        await service.broker.send(event("cancel", 2, key=house.device, resident=house.resident, of=1))
        assert (await house.first.wait(2))[1].message["type"] == "alert.cancelled"
        asked = await row(db, "select detail from log where action = 'alert.confirmation_asked'")
        assert asked["detail"] == {"contact": "C-1"}
        if well:
            assert await house.confirm(alert, True) == "confirmed"
            assert await house.confirm(alert, True) == "already_confirmed"
            now = await row(db, "select state, confirmed_by, next_at from alert join escalation on alert = id")
            assert now == {"state": "cancelled", "confirmed_by": "contact:C-1", "next_at": None}
        else:
            assert await house.confirm(alert, False) == "reopened"
            await db.execute("notify homecare_escalation")
            assert (await house.first.wait(3))[2].message["type"] == "alert.escalated"
            assert (await row(db, "select state from alert"))["state"] == "open"


async def test_where_nobody_makes_sure_the_operators_are_told(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, key=house.device, resident=house.resident))
        await house.first.wait(1)
        await service.broker.send(event("cancel", 2, key=house.device, resident=house.resident, of=1))
        await house.first.wait(2)
        await db.execute("update escalation set next_at = clock_timestamp()")
        await db.execute("notify homecare_escalation")
        await until(db, "select count(*) = 1 from log where action = 'alert.not_confirmed'")
    told = await row(
        db, "select area, type from notification where channel_kind = 'console' and type <> 'alert.opened'"
    )
    assert told == {"area": "990102", "type": "alert.cancelled"}
    assert (await row(db, "select next_at from escalation"))["next_at"] is None


async def test_a_fall_taken_back_needs_nobody_to_make_sure(
    house: House, db: AsyncConnection, database_url: str
) -> None:
    async with running(database_url) as service:
        await service.broker.send(event("fall", 1, key=house.device, resident=house.resident))
        alert = service.broker.acks[0][1]
        await service.broker.send(event("cancel", 2, key=house.device, resident=house.resident, of=1))
        assert await house.confirm(alert, True) == "closed"
    assert (await row(db, "select confirm_until from alert"))["confirm_until"] is None

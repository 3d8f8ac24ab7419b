"""The auditor finds what should not be, mends what is safe, and tells the operators once: by damage done to a real database."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from psycopg import AsyncConnection

from alerts.watch.auditor import CHECKS, Auditor
from tests.alerts.places import Directory
from tests.alerts.service import Service, assembled, event, row, rows, running, until

ROOT = "990100"


@pytest.fixture
async def service(directory: Directory, database_url: str) -> AsyncIterator[Service]:
    """One that has recorded an SOS, and rests: nobody but the test and the auditor touches the database."""
    await directory.add_operator("li", ROOT)
    wearer = await directory.add_resident()
    await directory.add_contact("C-1", "http://127.0.0.1:9/hook", resident=wearer)
    device = await directory.add_device("H-1", wearer=wearer, kind="fall_sensor")
    async with running(database_url) as first:
        await first.broker.send(event("sos", 1, key=device, resident=wearer))
        await until(directory.db, "select count(*) = 1 from escalation where next_at is not null")
    # What the sender left is not what this is about.
    await directory.db.execute("update notification set leased_until = null, next_at = now() + interval '1 hour'")
    async with assembled(database_url) as resting:
        yield resting


def auditor(service: Service, woken: list[str] | None = None) -> Auditor:
    return Auditor(service.pool, service.escalation.begin, (woken if woken is not None else []).append)


async def looked(service: Service) -> dict[str, tuple[int, int]]:
    """What was found and mended, by check, where anything was."""
    return {name: (count, repaired) for name, count, repaired in await auditor(service).look() if count}


async def test_all_is_well_where_nothing_is_wrong(service: Service, db: AsyncConnection) -> None:
    found = await auditor(service).look()
    assert [(check.name, check.wrong) for check in found] == [(check.name, 0) for check in CHECKS]
    assert await rows(db, "select 1 from trigger where rule like 'service.%%'") == []


@pytest.mark.parametrize("damage", ["delete from escalation", "update escalation set next_at = null"])
async def test_an_open_alert_without_a_timer_gets_one_and_operators_are_told(
    service: Service, db: AsyncConnection, damage: str
) -> None:
    await db.execute(damage.encode())
    assert await looked(service) == {"no_timer": (1, 1)}
    assert (
        await row(
            db, "select e.next_at <= now() as due from escalation e join alert a on a.id = alert and kind = 'sos'"
        )
    )["due"]
    repaired = await row(
        db,
        "select a.kind, detail ->> 'check' as name from log join alert a on a.id = alert where action = 'audit.repaired'",
    )
    assert repaired == {"kind": "sos", "name": "no_timer"}
    told = await row(
        db, "select id, area, severity, state, reason_en from alert where reason_code = 'service.no_timer'"
    )
    assert (told["area"], told["severity"], told["state"]) == (ROOT, "urgent", "open")
    assert told["reason_en"].startswith("Self-check: 1 alerts")
    paged = await row(db, "select channel_kind, area from notification where alert = %s", told["id"])
    assert paged == {"channel_kind": "console", "area": ROOT}


async def test_an_answer_that_is_to_run_out_gets_its_timer_back(service: Service, db: AsyncConnection) -> None:
    await db.execute("select alert_acknowledge(id, 'operator:li', 'page', '') from alert")
    await db.execute("update escalation set next_at = null")
    assert await looked(service) == {"no_timer": (1, 1)}
    assert (
        await row(
            db,
            "select e.next_at = a.answer_until as same from alert a join escalation e on e.alert = a.id and kind = 'sos'",
        )
    )["same"]


async def test_whoever_is_there_needs_no_timer(service: Service, db: AsyncConnection) -> None:
    await db.execute("select alert_arrive(id, 'operator:li', 'page', '') from alert")
    assert await looked(service) == {}


async def test_a_late_timer_is_told_and_wakes_who_should_have_seen_to_it(service: Service, db: AsyncConnection) -> None:
    woken: list[str] = []
    await db.execute("update escalation set next_at = now() - interval '9 seconds'")
    assert await looked(service) == {}
    await db.execute("update escalation set next_at = now() - interval '42 seconds'")
    found = {name: count for name, count, _ in await auditor(service, woken).look() if count}
    assert found == {"late_timer": 1}
    assert woken == ["homecare_escalation"]
    evidence = (await row(db, "select evidence from trigger where rule = 'service.late_timer'"))["evidence"]
    assert (evidence["count"], len(evidence["examples"])) == (1, 1)
    assert 42 <= evidence["longest_s"] < 60


@pytest.mark.parametrize("until_", ["now() - interval '11 seconds'", "now() + interval '1 hour'"])
async def test_a_lease_that_nobody_holds_is_let_go(service: Service, db: AsyncConnection, until_: str) -> None:
    await db.execute(f"update notification set leased_until = {until_}".encode())
    assert await looked(service) == {"stuck_lease": (1, 1)}
    assert await rows(db, "select 1 from notification where leased_until is not null") == []


async def test_a_lease_in_use_is_left_alone(service: Service, db: AsyncConnection) -> None:
    await db.execute(
        "update notification set leased_until = now() + interval '30 seconds', next_at = now() - interval '70 seconds'"
    )
    assert await looked(service) == {}


async def test_a_notification_that_nobody_sends_is_told_but_a_console_waits_for_people(
    service: Service, db: AsyncConnection
) -> None:
    await db.execute("update notification set next_at = now() - interval '61 seconds'")
    assert await looked(service) == {"waiting_notification": (1, 0)}
    await db.execute("update notification set channel_kind = 'console' where channel_kind = 'webhook'")
    assert await looked(service) == {}


async def test_a_command_that_nobody_sends_is_told(service: Service, db: AsyncConnection) -> None:
    await db.execute(
        "insert into command (device, name, expires_at, created_by, next_at)"
        " select key, 'ring', now() + interval '5 minutes', 'system', now() - interval '61 seconds' from device"
    )
    assert await looked(service) == {"waiting_command": (1, 0)}


async def test_a_trigger_that_nobody_handles_is_told_once_and_over_when_it_is_handled(
    service: Service, db: AsyncConnection
) -> None:
    await db.execute(
        "insert into trigger (key, at, rule, version, kind, severity, state, area, evidence, zh, en, created_at)"
        " values ('k', now(), 'outage', 1, 'outage', 'urgent', 'raised', '990102', '{}', '停电', 'Outage',"
        " now() - interval '11 seconds')"
    )
    assert await looked(service) == {"unhandled_trigger": (1, 0)}
    assert await looked(service) == {"unhandled_trigger": (1, 0)}
    own = await row(db, "select state, triggers, dedup_key from alert where reason_code = 'service.unhandled_trigger'")
    assert own == {"state": "open", "triggers": 1, "dedup_key": f"device:service.unhandled_trigger:a{ROOT}"}
    await service.intake.handle()
    assert await looked(service) == {}
    await service.intake.handle()
    closed = await row(db, "select state, outcome from alert where reason_code = 'service.unhandled_trigger'")
    assert closed == {"state": "resolved", "outcome": "technical"}
    assert await looked(service) == {}
    assert len(await rows(db, "select 1 from trigger where rule = 'service.unhandled_trigger'")) == 2


async def test_two_auditors_at_once_open_one_alert(service: Service, db: AsyncConnection, database_url: str) -> None:
    await db.execute("update escalation set next_at = now() - interval '42 seconds'")
    async with assembled(database_url) as other:
        await asyncio.gather(auditor(service).look(), auditor(other).look())
    assert len(await rows(db, "select 1 from alert where reason_code = 'service.late_timer'")) == 1

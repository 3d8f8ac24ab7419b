"""What a sequence of events means belongs to the case that its first event has."""

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from tests.alerts.places import Directory
from tests.alerts.service import event, row, rows, running, until

INSERT = """
insert into trigger (key, at, rule, version, kind, severity, state, device, device_id, evidence, zh, en)
values (%s, now(), 'sos_taken_back', 1, 'sos', %s, 'raised', %s, 'H-1', %s, '撤销', 'taken back')
"""
EVENTS = {"events": [{"event": "sos", "boot": 1, "seq": 1}, {"event": "cancel", "boot": 1, "seq": 2}]}


async def test_an_sos_taken_back_has_one_case(directory: Directory, db: AsyncConnection, database_url: str) -> None:
    key = await directory.add_device("H-1")
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, key=key))
        await service.broker.send(event("cancel", 2, key=key, of=1))
        await until(db, "select state = 'cancelled' from alert")
        await db.execute(INSERT, ["s1", "info", key, Jsonb(EVENTS)])
        await until(db, "select count(*) = 0 from trigger where handled_at is null")
    (case,) = await rows(db, "select id, state from alert")
    assert case["state"] == "cancelled"
    assert (await row(db, "select alert from trigger where key = 's1'"))["alert"] == case["id"]
    joined = await row(db, "select detail ->> 'rule' as rule from log where action = 'alert.joined'")
    assert joined["rule"] == "sos_taken_back"


async def test_what_is_worse_than_the_case_is_a_case_of_its_own(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    key = await directory.add_device("H-1")
    async with running(database_url) as service:
        await service.broker.send(event("low_battery", 1, key=key))
        await until(db, "select count(*) = 1 from alert")
        await db.execute(INSERT, ["s1", "critical", key, Jsonb(EVENTS)])
        await until(db, "select count(*) = 2 from alert")

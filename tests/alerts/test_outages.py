"""An outage of a village: one case of the area, told to whoever the area's policy names."""

from collections.abc import Awaitable, Callable

from psycopg import AsyncConnection

from tests.alerts.places import Directory
from tests.alerts.receiver import Receiver
from tests.alerts.service import row, rows, running, until

INSERT = """
insert into trigger (key, at, rule, version, kind, severity, state, area, evidence, zh, en)
values (%s, now(), 'outage', 1, 'outage', %s, %s, '990102', '{"silent": 12}', '12 台设备没有数据', '12 devices silent')
"""


async def test_an_outage_is_one_case_of_its_area_until_most_are_back(
    directory: Directory, db: AsyncConnection, database_url: str, receivers: Callable[[], Awaitable[Receiver]]
) -> None:
    receiver = await receivers()
    await directory.add_operator("li", "990102")
    await directory.add_contact("C-1", receiver.url)
    await directory.add_policy("p", (0, [{"contact": "C-1"}, {"operators": True}]), area="990101", repeat_s=3600)
    async with running(database_url):
        await db.execute(INSERT, ["o1", "warning", "raised"])
        told = (await receiver.wait(1))[0].verified(next(iter(directory.secrets.values())))
        await db.execute(INSERT, ["o2", "urgent", "raised"])
        await until(db, "select triggers = 2 and severity = 'urgent' from alert")
        await until(db, "select count(*) >= 1 from notification where channel_kind = 'console' and area = '990102'")
        await db.execute(INSERT, ["o3", "urgent", "cleared"])
        await until(db, "select state = 'resolved' from alert")
    data = told["data"]
    assert (data["kind"], data["area"], data["device"], data["resident"]) == ("outage", "990102", None, None)
    assert data["reason"] == {"code": "outage", "zh": "12 台设备没有数据", "en": "12 devices silent"}
    assert (await row(db, "select dedup_key, outcome from alert")) == {
        "dedup_key": "outage:outage:a990102",
        "outcome": "technical",
    }


async def test_two_villages_are_two_cases(directory: Directory, db: AsyncConnection, database_url: str) -> None:
    assert directory.db is db
    async with running(database_url):
        await db.execute(INSERT, ["o1", "warning", "raised"])
        await db.execute(INSERT.replace("990102", "990103"), ["o2", "warning", "raised"])
        await until(db, "select count(*) = 0 from trigger where handled_at is null")
        await db.execute(INSERT, ["o3", "warning", "cleared"])
        await until(db, "select count(*) = 1 from alert where state = 'resolved'")
    assert [case["area"] for case in await rows(db, "select area from alert where state = 'open'")] == ["990103"]

"""The first step of what a rule raises: in the transaction that opens the alert, unless there are many or it is over already."""

import pytest
from psycopg import AsyncConnection

from alerts.intake import BEGUN_AT_ONCE
from tests.alerts.places import SECRET_KEY
from tests.alerts.receiver import Receiver
from tests.alerts.service import assembled, row, running, until
from tests.alerts.town import Town

CLEAR = """
    insert into trigger (key, at, rule, version, kind, severity, state, resident, area, evidence, zh, en)
    select 'clear:' || key, clock_timestamp(), rule, 1, kind, severity, %s, resident, area, '{}', zh, en
    from trigger where state = 'raised'
"""


@pytest.fixture
async def town(db: AsyncConnection) -> Town:
    town = Town(db, SECRET_KEY)
    await town.found()
    return town


@pytest.mark.parametrize(("number", "taken"), [(1, 1), (BEGUN_AT_ONCE + 1, 0)])
async def test_one_transaction_opens_few_alerts_and_takes_their_first_step(
    town: Town, database_url: str, number: int, taken: int
) -> None:
    people = await town.settle([[["http://127.0.0.1:9/ok"]]] * number)
    await town.trigger(*people)
    async with assembled(database_url) as service:
        assert await service.intake.handle() == number
    found = await row(
        town.db,
        "select count(*) as alerts, count(*) filter (where e.step = 1) as begun from alert a join escalation e on e.alert = a.id",
    )
    assert found == {"alerts": number, "begun": taken}


async def test_what_was_raised_and_cleared_in_one_batch_calls_nobody(
    town: Town, database_url: str, receiver: Receiver
) -> None:
    people = await town.settle([[[receiver.url]]])
    await town.trigger(*people)
    await town.db.execute("update trigger set kind = 'silence', rule = 'silence'")
    await town.db.execute(CLEAR, ["cleared"])
    async with assembled(database_url) as service:
        assert await service.intake.handle() == 2
    found = await row(town.db, "select a.state, e.step, e.next_at from alert a join escalation e on e.alert = a.id")
    assert found == {"state": "resolved", "step": 0, "next_at": None}


async def test_a_trigger_is_posted_and_its_next_step_is_the_timers(
    town: Town, database_url: str, receiver: Receiver
) -> None:
    await town.agree(0, 0.2)
    (person,) = await town.settle([[[receiver.url]]])
    async with running(database_url):
        await town.trigger(person)
        posts = await receiver.wait(2)
        await until(town.db, "select count(*) = 2 from notification where state = 'delivered'")
    assert [post.message["data"]["step"] for post in posts] == [1, 2]

"""The database's clock is set back: no deadline comes later for it."""

import pytest
from psycopg import AsyncConnection

from tests.alerts.places import SECRET_KEY
from tests.alerts.receiver import Receiver
from tests.alerts.service import row, running, until
from tests.alerts.town import Town

AN_HOUR_BACK = """
    update clock set seen_at = seen_at + interval '1 hour';
    update escalation set next_at = next_at + interval '1 hour';
    update notification set next_at = next_at + interval '1 hour'
"""
"""To move all that was written down an hour on is the same as to set the clock an hour back."""


async def test_a_step_comes_when_it_is_due_though_the_clock_was_set_back_an_hour(
    db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    town = Town(db, SECRET_KEY)
    await town.found()
    await town.agree(0, 2, 600)
    (person,) = await town.settle([[[receiver.url]]])
    async with running(database_url):
        await town.trigger(person)
        await receiver.wait(1)
        await db.execute(AN_HOUR_BACK)
        await receiver.wait(2, within_s=10)
        await until(db, "select count(*) = 2 from notification where state = 'delivered'")
    seen = await row(db, "select (detail ->> 'seconds')::float8 as seconds from log where action = 'clock.set_back'")
    assert seen["seconds"] == pytest.approx(3600, abs=10)


async def test_a_clock_that_goes_on_moves_nothing(db: AsyncConnection) -> None:
    for ago in ("0 seconds", "3 seconds", "1 hour"):
        await db.execute("update clock set seen_at = clock_timestamp() - %s::interval", [ago])
        assert await row(db, "select clock_check() as back") == {"back": None}
    # A little back is a clock that is being kept right: nobody is called a second time for that.
    await db.execute("update clock set seen_at = clock_timestamp() + interval '4 seconds'")
    assert await row(db, "select clock_check() as back") == {"back": None}


async def test_steps_are_apart_as_the_policy_says_across_a_change_to_and_from_summer_time(db: AsyncConnection) -> None:
    await db.execute("set timezone = 'Europe/Berlin'")
    for change in ("2026-03-29 01:00Z", "2026-10-25 01:00Z"):
        found = await row(
            db,
            "select extract(epoch from at + make_interval(secs => 3600) - at)::int as apart"
            " from (select %s::timestamptz - interval '10 minutes' as at) before",
            change,
        )
        assert found == {"apart": 3600}

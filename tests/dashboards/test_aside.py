"""Drills and the canary's presses are no operator's work: not in the queue, not among the day's cases, not announced."""

import pytest

from tests.dashboards.conftest import Dashboard
from tests.dashboards.test_stream import listen
from tests.dashboards.town import Town

CANARY = """
with own as (insert into area (code, parent, level, name_zh, name_en)
    select 'canary', code, 'village', '自检', 'Self-test' from area where parent is null returning code)
select code from own
"""


@pytest.mark.parametrize(
    "aside", ["update alert set reason_code = 'drill' where id = %s", "update alert set area = 'canary' where id = %s"]
)
async def test_what_is_no_work_is_neither_shown_nor_announced(dashboard: Dashboard, town: Town, aside: str) -> None:
    town.execute(CANARY)
    alert, real = town.alert("H-1"), town.alert("H-2")
    visit = await dashboard.signed_in("li")
    assert str(alert) in (await visit.get("/"))[1]
    town.execute(aside, alert)
    async with listen(visit) as events:
        town.execute("select alert_resolve(id, 'system', 'page', 'technical', '') from alert where id = %s", alert)
        last = town.log(real, "alert.noted")
        assert int((await events.next())["id"]) == last
    text = (await visit.get("/"))[1] + (await visit.get("/queue"))[1]
    assert str(real) in text
    assert str(alert) not in text

"""A person's data is seen only by those whose area it is: pages, parts of pages, answers, the API; elsewhere is nowhere."""

import re

from tests.dashboards.conftest import Dashboard
from tests.dashboards.test_api import token_of
from tests.dashboards.town import Town


async def test_another_village_is_nowhere_on_the_pages(dashboard: Dashboard, town: Town) -> None:
    mine, theirs = town.alert("H-1"), town.alert("H-2")
    town.execute(
        "insert into unknown_device values ('X-2', '99010102', now(), now(), 1), ('X-0', 'nowhere', now(), now(), 1)"
    )
    town.execute(
        "insert into quarantine (received, last_received, lane, topic, payload, reason, detail, device, area)"
        " values (now(), now(), 'telemetry', 'care/v1/99010102/H-2/telemetry', 'x', 'not_json', '', 'H-2', '99010102')"
    )
    visit = await dashboard.signed_in("wang")
    for path in ("/", "/queue", "/residents", "/residents?search=R-2", "/devices/unknown", "/quarantine"):
        status, text = await visit.get(path)
        assert status == 200
        for hidden in (str(theirs), "示例·乙一", "乙村", "H-2", "X-2", "X-0"):
            assert hidden not in text.replace('value="R-2"', ""), (path, hidden)
    assert str(mine) in (await visit.get("/"))[1]
    for path in (
        f"/alerts/{theirs}",
        f"/alerts/{theirs}/case",
        f"/alerts/{theirs}/resolve",
        f"/queue/{theirs}",
        "/residents/R-2",
        "/residents/R-2/day.json",
        "/residents/R-2/history.json?span=week",
        "/alerts/not-a-uuid",
    ):
        assert (await visit.get(path))[0] == 404, path


async def test_another_villages_alert_cannot_be_answered(dashboard: Dashboard, town: Town) -> None:
    theirs = town.alert("H-2")
    town.execute("insert into unknown_device values ('X-2', '99010102', now(), now(), 1)")
    visit = await dashboard.signed_in("wang")
    proof = await visit.proof()
    for path, data in (
        ("acknowledge", {}),
        ("resolve", {"outcome": "false"}),
        ("notes", {"note": "x"}),
    ):
        assert (await visit.post(f"/alerts/{theirs}/{path}", data | {"csrf": proof}))[0] == 404
    adoption = {"device": "X-2", "area": "99010102", "kind": "handset", "interval_s": "60", "csrf": proof}
    assert (await visit.post("/devices/unknown/adopt", adoption))[0] == 409
    assert (await visit.post("/console/received", {"alerts": str(theirs), "csrf": proof}))[0] == 204
    assert town.one("select state from alert where id = %s", theirs) == "open"
    assert town.one("select count(*) from notification where state = 'delivered'") == 0
    assert town.one("select count(*) from device where id = 'X-2'") == 0


async def test_a_wearer_from_another_village_cannot_be_named(dashboard: Dashboard, town: Town) -> None:
    town.execute("insert into unknown_device values ('X-1', '99010101', now(), now(), 1)")
    visit = await dashboard.signed_in("wang")
    adoption = {"device": "X-1", "area": "99010101", "kind": "handset", "interval_s": "60", "csrf": await visit.proof()}
    assert (await visit.post("/devices/unknown/adopt", adoption | {"resident": "R-2"}))[0] == 422
    assert town.one("select count(*) from device where id = 'X-1'") == 0


async def test_another_village_is_nowhere_in_the_api(dashboard: Dashboard, town: Town) -> None:
    theirs = town.alert("H-2")
    headers = {"Authorization": f"Bearer {token_of(town, 'wang')}"}
    visit = dashboard.visit()
    for path in ("alerts", "residents", "devices", "devices/unknown", "quarantine"):
        status, text = await visit.get(f"/api/v1/{path}", **headers)
        assert status == 200
        assert not re.search(rf"{theirs}|R-2|H-2|99010102", text), path
    for path in (
        f"alerts/{theirs}",
        "residents/R-2",
        "residents/R-2/samples?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
    ):
        assert (await visit.get(f"/api/v1/{path}", **headers))[0] == 404, path
    for path in (f"alerts/{theirs}/acknowledge", "contacts/C-21/test"):
        assert (await visit.post(f"/api/v1/{path}", None, **headers))[0] == 404, path
    assert town.one("select state from alert where id = %s", theirs) == "open"


async def test_views_of_a_person_are_logged(dashboard: Dashboard, town: Town) -> None:
    visit = await dashboard.signed_in("li")
    await visit.get("/residents/R-1")
    await visit.get("/residents/none")
    await dashboard.visit().get("/api/v1/residents/R-2", Authorization=f"Bearer {token_of(town, 'li')}")
    assert town.execute("select actor, detail from log where action = 'resident.viewed' order by id") == [
        ("operator:li", {"resident": "R-1", "how": "page"}),
        ("token:test", {"resident": "R-2", "how": "api"}),
    ]

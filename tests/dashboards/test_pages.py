"""Pages as HTML over HTTP: what they answer when something is wrong, lost races, unregistered devices, odd texts."""

import json

from tests.dashboards.conftest import Dashboard
from tests.dashboards.town import Town


async def test_a_lost_race_is_told_and_changes_nothing(dashboard: Dashboard, town: Town) -> None:
    alert = town.alert()
    li, wang = await dashboard.signed_in("li"), await dashboard.signed_in("wang")
    heard = []
    for visit in (li, wang):
        proof = await visit.proof()
        async with visit.http.post(
            f"{dashboard.url}/alerts/{alert}/acknowledge", headers={"X-CSRF-Token": proof, "HX-Request": "true"}
        ) as answer:
            heard.append(json.loads(answer.headers["HX-Trigger"])["said"]["text"])
            assert "示例值班员 li" in await answer.text()
    assert heard == ["已接手，已通知所有被呼叫的人。", "已有人先接手了。"]
    assert town.one("select count(*) from log where action = 'alert.acknowledged'") == 1


async def test_the_buttons_work_without_scripts(dashboard: Dashboard, town: Town) -> None:
    alert = town.alert()
    visit = await dashboard.signed_in("li")
    proof = await visit.proof()
    assert (await visit.post(f"/alerts/{alert}/acknowledge", {"csrf": proof}))[0] == 303
    assert (await visit.post(f"/alerts/{alert}/resolve", {"csrf": proof, "outcome": "technical"}))[0] == 303
    assert (await visit.post(f"/alerts/{alert}/resolve", {"csrf": proof, "outcome": "maybe"}))[0] == 422
    assert town.one("select outcome from alert where id = %s", alert) == "technical"


async def test_an_sos_of_an_unregistered_device_is_shown(dashboard: Dashboard, town: Town) -> None:
    trigger = town.one(
        "insert into trigger (key, at, rule, version, kind, severity, state, device_id, area, evidence, zh, en) values"
        " ('event:X-5:1:1', now(), 'sos', 1, 'sos', 'critical', 'raised', 'X-5', '99010102', '{}', '紧急按钮', 'Button') returning id"
    )
    alert = town.one("select alert_id from alert_raise(%s)", trigger)
    _, text = await (await dashboard.signed_in("bo")).get("/")
    assert "X-5" in text
    assert "Village B" in text
    assert (await (await dashboard.signed_in("bo")).get(f"/alerts/{alert}"))[0] == 200


async def test_what_devices_and_people_wrote_is_text(dashboard: Dashboard, town: Town) -> None:
    alert = town.alert()
    town.execute("update resident set name = '<img src=x onerror=alert(1)>' where id = 'R-1'")
    town.one("select alert_note(%s, 'operator:li', '<script>alert(2)</script>')", alert)
    town.execute(
        "insert into quarantine (received, last_received, lane, topic, payload, reason, detail, device, area)"
        " values (now(), now(), 'telemetry', 't', '<script>alert(3)</script>', 'not_json', '<b>', 'H-1', '99010101')"
    )
    visit = await dashboard.signed_in("li")
    for path in ("/", f"/alerts/{alert}", "/residents", "/residents/R-1", "/quarantine"):
        text = (await visit.get(path))[1]
        for harm in ("<img", "<script>alert", "<b>'"):
            assert harm not in text, path


async def test_nowhere_is_said_in_the_readers_language(dashboard: Dashboard) -> None:
    status, text = await (await dashboard.signed_in("bo")).get("/residents/none")
    assert (status, "There is nothing here" in text) == (404, True)
    status, text = await (await dashboard.signed_in("li")).get("/residents/none")
    assert (status, "这里没有内容" in text) == (404, True)


async def test_too_large_a_body_is_refused(dashboard: Dashboard) -> None:
    status, _ = await dashboard.visit().post("/login", {"login": "li", "password": "x" * 100_000, "csrf": "x"})
    assert status in (403, 413)


async def test_what_is_closed_or_gone_is_no_longer_asked_about(dashboard: Dashboard, town: Town) -> None:
    alert = town.alert()
    town.one("select alert_cancel(%s, 'device:H-1', 'device', '')", alert)
    _, text = await (await dashboard.signed_in("li")).get("/")
    assert "已撤销" in text
    assert f"take-{alert}" not in text
    assert f"end-{alert}" not in text

"""The page behind a contact's link: told in their language, taken by the button alone, honest when it is too late."""

from uuid import UUID

from homecare.secrets import Vault
from tests.dashboards.conftest import Dashboard
from tests.dashboards.town import Town


def link(town: Town, vault: Vault, alert: UUID, contact: str = "C-11") -> str:
    notification = town.one("select id from notification where alert = %s and contact = %s", alert, contact)
    return "/a/" + vault.sign_link({"a": str(alert), "c": contact, "n": str(notification)})


async def test_looking_changes_nothing(dashboard: Dashboard, town: Town, vault: Vault) -> None:
    alert = town.alert()
    before = town.execute("select a.*, e.next_at from alert a join escalation e on e.alert = a.id")
    notified = town.execute("select * from notification order by id")
    visit = dashboard.visit()
    for _ in range(2):
        status, text = await visit.get(link(town, vault, alert))
        assert status == 200
        for said in ("示例·甲一", "跌倒", "设备检测到跌倒", "示例镇甲村", "示例路1号", "我去"):
            assert said in text
    async with visit.http.head(dashboard.url + link(town, vault, alert)):
        pass
    assert town.execute("select a.*, e.next_at from alert a join escalation e on e.alert = a.id") == before
    assert town.execute("select * from notification order by id") == notified
    assert town.one("select actor from log where action = 'alert.viewed' limit 1") == "contact:C-11"


async def test_it_speaks_the_contacts_language(dashboard: Dashboard, town: Town, vault: Vault) -> None:
    alert = town.alert()
    town.execute("update contact set language = 'en' where id = 'C-11'")
    _, text = await dashboard.visit().get(link(town, vault, alert))
    for said in ("I am going", "The device detected a fall", "Village A, Sample Township", "China Standard Time"):
        assert said in text


async def test_the_button_takes_it_once(dashboard: Dashboard, town: Town, vault: Vault) -> None:
    alert = town.alert()
    mine = link(town, vault, alert)
    visit = dashboard.visit()
    assert (await visit.post(f"{mine}/acknowledge"))[0] == 303
    assert town.execute("select state, acknowledged_by, acknowledged_how from alert") == [
        ("acknowledged", "contact:C-11", "link")
    ]
    assert "谢谢" in (await visit.get(mine))[1]
    assert (await visit.post(f"{mine}/acknowledge"))[0] == 303
    assert town.one("select count(*) from log where action = 'alert.acknowledged'") == 1


async def test_it_says_who_has_it_and_when_it_is_over(dashboard: Dashboard, town: Town, vault: Vault) -> None:
    alert = town.alert()
    mine = link(town, vault, alert)
    visit = dashboard.visit()
    town.one("select alert_acknowledge(%s, 'operator:li', 'page', '')", alert)
    text = (await visit.get(mine))[1]
    assert "已有人负责" in text
    assert "示例值班员 li" in text
    assert "<button" not in text
    town.one("select alert_resolve(%s, 'operator:li', 'page', 'false', '')", alert)
    text = (await visit.get(mine))[1]
    assert "事情已经结束" in text
    assert "010-00000001" not in text
    assert (await visit.post(f"{mine}/acknowledge"))[0] == 303
    assert town.one("select state from alert") == "resolved"


async def test_a_link_that_proves_nothing_shows_nothing(dashboard: Dashboard, town: Town, vault: Vault) -> None:
    alert = town.alert()
    good = link(town, vault, alert)
    notification = town.one("select id from notification where contact = 'C-11'")
    visit = dashboard.visit()
    for bad in (
        good[:-3] + "abc",
        "/a/"
        + Vault("another secret of 32 characters or more").sign_link(
            {"a": str(alert), "c": "C-11", "n": str(notification)}
        ),
        "/a/" + vault.sign_link({"a": str(alert), "c": "C-12", "n": str(notification)}),
        "/a/" + vault.sign_link({"a": str(alert), "c": "C-11"}),
        "/a/" + vault.sign_link({"a": "x", "c": 3, "n": None}),
    ):
        status, text = await visit.get(bad)
        assert status == 404
        assert "示例·甲一" not in text
        assert (await visit.post(f"{bad}/acknowledge"))[0] == 404
    assert town.one("select state from alert") == "open"


async def test_the_secret_address_goes_nowhere(dashboard: Dashboard, town: Town, vault: Vault) -> None:
    mine = link(town, vault, town.alert())
    async with dashboard.http.get(dashboard.url + mine) as answer:
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
        assert answer.headers["Cache-Control"] == "no-store"
    async with dashboard.http.get(dashboard.url + "/metrics") as answer:
        assert mine.removeprefix("/a/") not in await answer.text()


async def test_who_cannot_go_says_so_and_may_still_go(dashboard: Dashboard, town: Town, vault: Vault) -> None:
    alert = town.alert()
    mine = link(town, vault, alert)
    visit = dashboard.visit()
    assert (await visit.post(f"{mine}/decline"))[0] == 303
    text = (await visit.get(mine))[1]
    assert "您已表示去不了" in text
    assert "我去" in text
    assert town.one("select state from alert") == "open"
    assert (await visit.post(f"{mine}/acknowledge"))[0] == 303
    text = (await visit.get(mine))[1]
    for said in ("我已到达", "我去不了了", "已处理完毕", "这是误报"):
        assert said in text
    assert (await visit.post(f"{mine}/arrive"))[0] == 303
    text = (await visit.get(mine))[1]
    assert "我已到达" not in text
    assert town.one("select arrived_by from alert") == "contact:C-11"
    assert (await visit.post(f"{mine}/resolve"))[0] == 303
    assert town.execute("select state, outcome, closed_by, closed_how from alert") == [
        ("resolved", "true", "contact:C-11", "link")
    ]


async def test_it_says_what_to_do_while_there_is_something_to_do(
    dashboard: Dashboard, town: Town, vault: Vault
) -> None:
    for kind, zh, en in (
        ("fall", "不要强行扶起", "Do not pull them up"),
        ("battery", "给设备充电", "charge the device"),
    ):
        alert = town.alert("H-1", kind)
        mine = link(town, vault, alert)
        visit = dashboard.visit()
        assert zh in (await visit.get(mine))[1]
        town.execute("update contact set language = 'en'")
        assert en in (await visit.get(mine))[1]
        town.execute("update contact set language = 'zh'")
        await visit.post(f"{mine}/acknowledge")
        assert zh in (await visit.get(mine))[1]
        await visit.post(f"{mine}/resolve")
        assert zh not in (await visit.get(mine))[1]


async def test_a_link_that_has_answered_for_good_only_shows(dashboard: Dashboard, town: Town, vault: Vault) -> None:
    alert = town.alert("H-1", "sos")
    mine = link(town, vault, alert)
    visit = dashboard.visit()
    await visit.post(f"{mine}/false-alarm")
    before = town.execute("select * from alert"), town.execute("select action from log where action <> 'alert.viewed'")
    for said in ("acknowledge", "decline", "arrive", "resolve", "false-alarm", "well", "not-well"):
        assert (await visit.post(f"{mine}/{said}"))[0] == 303
    assert (
        town.execute("select * from alert"),
        town.execute("select action from log where action <> 'alert.viewed'"),
    ) == before
    text = (await visit.get(mine))[1]
    assert "事情已经结束" in text
    assert "<button" not in text


async def test_a_false_alarm_is_closed_as_one(dashboard: Dashboard, town: Town, vault: Vault) -> None:
    mine = link(town, vault, town.alert())
    assert (await dashboard.visit().post(f"{mine}/false-alarm"))[0] == 303
    assert town.execute("select state, outcome from alert") == [("resolved", "false")]
    assert (await dashboard.visit().post(f"{mine}/erase-everything"))[0] == 404


async def test_an_sos_taken_back_asks_whether_they_are_well(dashboard: Dashboard, town: Town, vault: Vault) -> None:
    alert = town.alert("H-1", "sos")
    mine = link(town, vault, alert)
    visit = dashboard.visit()
    town.one("select alert_cancel(%s, 'device:H-1', 'event', '')", alert)
    text = (await visit.get(mine))[1]
    for said in ("本人已取消呼叫", "平安", "需要帮助"):
        assert said in text
    assert (await visit.post(f"{mine}/well"))[0] == 303
    assert "已确认平安" in (await visit.get(mine))[1]
    assert town.one("select confirmed_by from alert") == "contact:C-11"
    assert (await visit.post(f"{mine}/not-well"))[0] == 303
    assert town.one("select state from alert") == "open"

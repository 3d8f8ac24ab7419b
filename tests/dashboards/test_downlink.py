"""What operators and software ask of devices: checked, asked once, seen only by those whose it is, and in the log."""

import pytest
from playwright.async_api import Browser, expect

from dashboards.downlink import CommandName, check_args
from homecare.errors import InputError
from tests.dashboards.browsing import desk
from tests.dashboards.conftest import Dashboard, enter
from tests.dashboards.test_api import Caller, token_of
from tests.dashboards.town import Town

SHOWN = "select name, state, created_by from command_shown order by created_at"


@pytest.fixture
def caller(dashboard: Dashboard, town: Town) -> Caller:
    return Caller(dashboard, token_of(town, "wang"))


@pytest.mark.parametrize(
    ("name", "args", "wrong"),
    [
        ("set_interval", {}, "args.interval"),
        ("set_interval", {"interval": 5}, "args.interval"),
        ("set_interval", {"interval": True}, "args.interval"),
        ("locate", {"interval": 60}, "args.interval"),
        ("call", {"number": "ask me"}, "args.number"),
        ("call", {"number": "1" * 33}, "args.number"),
    ],
)
def test_arguments_no_device_can_use_are_refused(name: CommandName, args: dict[str, object], wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        check_args(name, args)


def test_arguments_go_to_the_device_as_they_are_and_empty_ones_not_at_all() -> None:
    assert check_args("set_interval", {"interval": 30}) == {"interval": 30}
    assert check_args("call", {"number": "010-0"}) == {"number": "010-0"}
    assert check_args("call", {"number": ""}) == check_args("locate", {}) == {}


async def test_the_same_request_again_is_the_same_command(dashboard: Dashboard, town: Town, caller: Caller) -> None:
    headers = caller._headers | {"Idempotency-Key": "one"}
    address = f"{dashboard.url}/api/v1/devices/H-1/commands"
    seen = []
    for body in ({"name": "locate"}, {"name": "locate"}, {"name": "ring"}):
        async with dashboard.http.post(address, json=body, headers=headers) as answer:
            said = await answer.json()
            seen.append((answer.status, said.get("id") or said["type"]))
    (first, ident), (again, same), (reused, problem) = seen
    assert (first, again, reused) == (202, 200, 409)
    assert ident == same
    assert problem == "/api/v1/docs#key_reused"
    assert town.execute(SHOWN) == [("locate", "waiting", "token:test")]
    assert town.one("select count(*) from log where action = 'command.asked' and actor = 'token:test'") == 1


async def test_the_history_comes_in_pages_with_what_became_of_each(town: Town, caller: Caller) -> None:
    for name in ("locate", "ring", "test"):
        assert (await caller.call("POST", "devices/H-1/commands", {"name": name}))[0] == 202
    town.execute("update command set sent_at = now() where name = 'ring'")
    town.execute("update command set sent_at = now() where name = 'locate'")
    town.one(
        "select name from command_reply((select id from command where name = 'locate'), (select device from command limit 1),"
        " true, '{\"lat\": 26.5}', null)"
    )
    town.execute("update command set expires_at = created_at where name = 'test'")
    first = await caller.get("devices/H-1/commands?most=2")
    assert [(one["name"], one["state"]) for one in first["items"]] == [("test", "expired"), ("ring", "sent")]
    (last,) = (await caller.get(f"devices/H-1/commands?most=2&after={first['next']}"))["items"]
    assert (last["name"], last["state"], last["result"]) == ("locate", "answered", {"lat": 26.5})
    assert await caller.get(f"devices/H-1/commands/{last['id']}") == last
    assert (await caller.call("GET", "devices/H-1/commands?after=bm90"))[0] == 422


async def test_a_device_of_another_area_is_not_there(town: Town, caller: Caller) -> None:
    town.execute("update device set revoked_at = now() where id = 'H-1'")
    for device in ("H-1", "H-2", "H-9"):
        assert (await caller.call("POST", f"devices/{device}/commands", {"name": "ring"}))[0] == 404
    assert (await caller.get("devices/H-2/commands"))["items"] == []
    status, problem = await caller.call(
        "POST", "devices/H-1/commands", {"name": "locate", "alert": str(town.alert("H-2"))}
    )
    assert (status, problem["type"]) == (422, "/api/v1/docs#no_such_alert")
    assert (await caller.call("POST", "devices/H-1/commands", {"name": "set_interval"}))[0] == 422
    assert town.execute(SHOWN) == []


async def test_operators_ask_on_the_persons_page_and_see_the_answer(dashboard: Dashboard, town: Town) -> None:
    visit = await dashboard.signed_in("wang")
    page = (await visit.get("/residents/R-1"))[1]
    for shown in ("定位", "响铃", "拨打电话", "设置上报间隔", "还没有下发过指令"):
        assert shown in page
    proof = await visit.proof("/residents/R-1")
    form = {"csrf": proof, "device": "H-1", "name": "locate"}
    assert (await visit.post("/residents/R-1/asked", form))[0] == 303
    assert town.execute(SHOWN) == [("locate", "waiting", "operator:wang")]
    waiting = (await visit.get("/residents/R-1/asked"))[1]
    assert "every 1s" in waiting
    town.one(
        "select name from command_reply((select id from command), (select device from command), true,"
        ' \'{"lat": 26.59, "lon": 104.83, "accuracy": 8}\', null)'
    )
    done = (await visit.get("/residents/R-1/asked"))[1]
    assert "every 1s" not in done
    assert "26.59000, 104.83000 · ± 8 m" in " ".join(done.split())
    for wrong in ({"device": "H-2"}, {"name": "set_interval", "interval": "1"}):
        assert (await visit.post("/residents/R-1/asked", form | wrong))[0] == 303
    assert (await visit.post("/residents/R-2/asked", form))[0] == 404
    assert len(town.execute(SHOWN)) == 1


async def test_who_may_only_read_asks_nothing_of_devices(dashboard: Dashboard, town: Town) -> None:
    visit = await dashboard.signed_in("audit")
    assert "call-H-1" not in (await visit.get("/residents/R-1"))[1]
    proof = await visit.proof("/residents/R-1")
    form = {"csrf": proof, "device": "H-1", "name": "ring"}
    assert (await visit.post("/residents/R-1/asked", form))[0] == 403
    assert town.execute(SHOWN) == []


async def test_the_answer_appears_while_one_looks_and_a_call_is_asked_about_first(
    browser: Browser, dashboard: Dashboard, town: Town
) -> None:
    async with desk(browser) as page:
        await enter(page, dashboard.url, "wang")
        await page.goto(f"{dashboard.url}/residents/R-1")
        await page.click("#locate-H-1")
        await expect(page.locator("#said")).to_contain_text("指令已下发")
        await expect(page.locator("#asked li")).to_contain_text("等待发送")
        town.execute("update command set sent_at = now()")
        await expect(page.locator("#asked li")).to_contain_text("尚未应答")
        town.one(
            "select name from command_reply((select id from command), (select device from command), true, '{}', null)"
        )
        await expect(page.locator("#asked li.answered")).to_contain_text("已完成")
        await page.click("#call-H-1")
        await expect(page.locator("dialog")).to_contain_text("能听到设备周围的声音")
        assert town.one("select count(*) from command") == 1
        await page.fill("dialog input[name=number]", "010-00000000")
        await page.click("dialog button.main")
        await expect(page.locator("#asked li")).to_have_count(2)
        await expect(page.locator("dialog")).to_be_hidden()
    assert town.execute("select name, args from command order by created_at desc limit 1") == [
        ("call", {"number": "010-00000000"})
    ]

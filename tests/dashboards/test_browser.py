"""The pages in a real Chromium: what an operator and a contact see and do, live, in both languages."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, Page, Route, expect

from homecare.secrets import Vault
from tests.dashboards.browsing import desk
from tests.dashboards.conftest import Dashboard, enter
from tests.dashboards.line import open_line
from tests.dashboards.town import PASSWORD, Town
from tests.services.browser import open_page


@pytest.fixture
async def queue(browser: Browser, dashboard: Dashboard) -> AsyncIterator[Page]:
    """The county's operator, signed in, looking at the queue."""
    async with desk(browser) as page:
        await enter(page, dashboard.url, "li")
        yield page


@pytest.fixture
async def second(browser: Browser, dashboard: Dashboard) -> AsyncIterator[Page]:
    """Another operator at another desk."""
    async with desk(browser) as page:
        await enter(page, dashboard.url, "wang")
        yield page


async def test_an_alert_appears_live_and_the_console_notification_is_delivered(queue: Page, town: Town) -> None:
    await expect(queue.locator("#waiting-count")).to_have_text("0")
    alert = town.alert()
    began = time.monotonic()
    row = queue.locator(f"#waiting #alert-{alert}")
    await expect(row).to_be_visible()
    assert time.monotonic() - began < 2
    for text in ("危急", "跌倒", "示例·甲一", "示例镇甲村", "设备检测到跌倒", "示例·甲女儿", "示例·甲邻居"):
        await expect(row).to_contain_text(text)
    await expect(queue).to_have_title(re.compile(r"^\(1\) "))
    first = await row.locator(".age time").text_content()
    await expect(row.locator(".age time")).not_to_have_text(first or "")
    await expect(row).to_contain_text("值班员: 已送达")
    sql = "select n.state, t.outcome from notification n join attempt t on t.notification = n.id where n.channel_kind = 'console'"
    assert town.execute(sql) == [("delivered", "delivered")]
    assert town.one("select actor from log where action = 'notification.delivered'") == "operator:li"


async def test_the_most_urgent_come_first_then_the_longest_waiting(queue: Page, town: Town) -> None:
    low = town.alert("H-1", "battery", "warning")
    old = town.alert("H-1", "fall")
    new = town.alert("H-2", "sos")
    await expect(queue.locator("#waiting-count")).to_have_text("3")
    ids = await queue.locator("#waiting > li").evaluate_all("rows => rows.map(row => row.id)")
    assert ids == [f"alert-{alert}" for alert in (old, new, low)]


async def test_taken_in_one_browser_shows_in_another_within_two_seconds(queue: Page, second: Page, town: Town) -> None:
    alert = town.alert()
    await expect(second.locator(f"#waiting #alert-{alert}")).to_be_visible()
    await queue.click(f"#take-{alert}")
    began = time.monotonic()
    row = second.locator(f"#answered #alert-{alert}")
    await expect(row).to_contain_text("示例值班员 li")
    assert time.monotonic() - began < 2
    await expect(queue.locator("#said")).to_contain_text("已接手")
    assert town.one("select acknowledged_by from alert where id = %s", alert) == "operator:li"
    assert town.one(
        "select next_at between answer_until - interval '1 s' and answer_until + interval '1 s' from escalation join alert on id = alert"
        " where alert = %s",
        alert,
    )


async def test_what_came_of_an_answer_is_said_even_where_the_event_is_faster(
    queue: Page, second: Page, town: Town
) -> None:
    alert = town.alert()

    async def slow(route: Route) -> None:
        answer = await route.fetch()
        await expect(second.locator(f"#answered #alert-{alert}")).to_be_visible()
        await route.fulfill(response=answer)

    await queue.route("**/acknowledge", slow)
    await queue.click(f"#take-{alert}")
    await expect(queue.locator("#said")).to_contain_text("已接手")
    await expect(queue.locator(f"#answered #alert-{alert}")).to_be_visible()


async def test_a_row_that_could_not_be_fetched_is_asked_for_again(
    browser: Browser, dashboard: Dashboard, town: Town
) -> None:
    async with open_page(browser) as page:  # here the browser may complain
        await enter(page, dashboard.url, "li")
        await page.route("**/queue/*", lambda route: route.abort())
        alert = town.alert()
        await expect(page.locator(f"#waiting #alert-{alert}")).to_be_visible()


async def armed(page: Page, element: str) -> None:
    """Until then a link is a plain link, which leads to the alert's own page."""
    await page.wait_for_function(
        "id => document.getElementById(id)?.['htmx-internal-data']?.initHash !== undefined", arg=element
    )


async def test_resolved_with_outcome_and_note_by_keyboard_alone(queue: Page, town: Town) -> None:
    alert = town.alert()
    await armed(queue, f"end-{alert}")
    await queue.focus(f"#end-{alert}")
    await queue.keyboard.press("Enter")
    await expect(queue.locator("#dialog")).to_be_visible()
    await expect(queue.locator("#dialog input[value=true]")).to_be_focused()
    await queue.keyboard.press("ArrowDown")
    await queue.keyboard.press("Tab")
    await queue.keyboard.type("按错了")
    await queue.keyboard.press("Tab")
    await queue.keyboard.press("Enter")
    row = queue.locator(f"#closed #alert-{alert}")
    await expect(row).to_contain_text("误报")
    await expect(row).to_contain_text("按错了")
    await expect(queue.locator("#dialog")).not_to_be_visible()
    assert town.execute("select state, outcome, closed_by, closed_note from alert") == [
        ("resolved", "false", "operator:li", "按错了")
    ]


async def test_escape_closes_the_dialogue_and_nothing_happens(queue: Page, town: Town) -> None:
    alert = town.alert()
    await armed(queue, f"end-{alert}")
    await queue.click(f"#end-{alert}")
    await expect(queue.locator("#dialog")).to_be_visible()
    await queue.keyboard.press("Escape")
    await expect(queue.locator("#dialog")).not_to_be_visible()
    assert town.one("select state from alert where id = %s", alert) == "open"


async def test_a_page_that_hears_nothing_says_so_within_five_seconds_and_recovers(
    browser: Browser, dashboard: Dashboard, town: Town
) -> None:
    async with open_line(dashboard.url) as line, open_page(browser) as page:  # here the browser may complain
        await enter(page, line.url, "li")
        line.freeze()  # connections stay open and silent, as when a cable is pulled
        began = time.monotonic()
        await page.wait_for_selector("body.is-stale", timeout=6000)
        assert time.monotonic() - began < 5
        await expect(page.locator("#stale")).to_be_visible()
        alert = town.alert()
        line.thaw()
        await expect(page.locator(f"#waiting #alert-{alert}")).to_be_visible(timeout=15_000)
        await expect(page.locator("#stale")).not_to_be_visible()


async def test_a_page_whose_scripts_never_came_says_that_it_is_not_live(browser: Browser, dashboard: Dashboard) -> None:
    async with open_page(browser, java_script_enabled=False) as page:
        await page.goto(f"{dashboard.url}/login")
        await page.fill("input[name=login]", "li")
        await page.fill("input[name=password]", PASSWORD)
        await page.click("button.main")
        await expect(page.locator("#waiting-title")).to_be_visible()
        await expect(page.locator("#stale")).to_be_visible(timeout=6000)


async def test_the_language_is_switched_on_the_page(queue: Page) -> None:
    await queue.click("text=English")
    await expect(queue.locator("#waiting-title")).to_contain_text("Waiting for an answer")
    await expect(queue.locator("html")).to_have_attribute("lang", "en")
    await queue.click("text=中文")
    await expect(queue.locator("#waiting-title")).to_contain_text("等待处理")


async def test_an_alerts_page_tells_why_and_what_happened_and_follows_live(
    queue: Page, dashboard: Dashboard, town: Town
) -> None:
    alert = town.alert()
    town.execute("update alert set lat = 26.59, lon = 104.83, accuracy = 30, position_at = now() where id = %s", alert)
    await queue.goto(f"{dashboard.url}/alerts/{alert}")
    await expect(queue.locator(".evidence")).to_contain_text("0.93")
    await expect(queue.locator("#map .leaflet-control-scale")).to_be_visible()
    await queue.fill("#note-text", "正在写")
    town.one("select alert_acknowledge(%s, 'contact:C-11', 'link', '')", alert)
    await expect(queue.locator("#case .state")).to_have_text("已接手")
    await expect(queue.locator(".story")).to_contain_text("示例·甲女儿")
    await expect(queue.locator("#note-text")).to_have_value("正在写")
    await queue.click("text=添加备注")
    await expect(queue.locator(".story .note")).to_have_text("正在写")
    assert town.one("select detail ->> 'note' from log where action = 'alert.noted'") == "正在写"


async def test_a_note_that_is_written_while_the_case_is_fetched_again_stays(
    queue: Page, dashboard: Dashboard, town: Town
) -> None:
    alert = town.alert()
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(route: Route) -> None:
        asked.set()
        await go_on.wait()
        await route.continue_()

    await queue.goto(f"{dashboard.url}/alerts/{alert}")
    await queue.route("**/case", slow)
    await expect(queue.locator("body.is-live")).to_be_visible()
    town.one("select alert_acknowledge(%s, 'contact:C-11', 'link', '')", alert)
    async with asyncio.timeout(10):
        await asked.wait()
    await queue.fill("#note-text", "正在写")
    go_on.set()
    await expect(queue.locator("#case .state")).to_have_text("已接手")
    await expect(queue.locator("#note-text")).to_have_value("正在写")


async def test_a_residents_day_is_drawn_with_its_gap_and_the_map_with_its_track(
    queue: Page, dashboard: Dashboard, town: Town
) -> None:
    town.day()
    await queue.goto(f"{dashboard.url}/residents/R-1")
    await expect(queue.locator("#day[data-ready]")).to_be_visible()
    for group in ("heart_rate", "spo2", "blood_pressure"):
        await expect(queue.locator(f"[data-group={group}] canvas")).to_be_visible()
    await expect(queue.locator("[data-group=glucose]")).not_to_be_visible()
    await expect(queue.locator("#map path.leaflet-interactive").first).to_be_visible()
    await expect(queue.locator("#map .leaflet-control-scale-line")).to_be_visible()
    await expect(queue.locator("#map")).to_contain_text("住址")
    # The line of the chart really is on the canvas, and not across the silence.
    columns = await queue.locator("[data-group=heart_rate] canvas").evaluate(
        """canvas => {
             const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
             const inked = new Set();
             for (let i = 0; i < data.length; i += 4) {
               if (data[i + 3] > 200 && data[i] === 11 && data[i + 1] === 90 && data[i + 2] === 107) inked.add((i / 4) % canvas.width);
             }
             const sorted = [...inked].sort((a, b) => a - b);
             return [sorted.length / canvas.width, Math.max(...sorted.slice(1).map((x, i) => x - sorted[i])) / canvas.width];
           }"""
    )
    assert columns[0] > 0.5
    assert 0.08 < columns[1] < 0.2
    assert town.one("select detail ->> 'resident' from log where action = 'resident.viewed' limit 1") == "R-1"


async def test_a_residents_month_is_drawn_from_the_roll_ups(queue: Page, dashboard: Dashboard, town: Town) -> None:
    now = datetime.now(UTC)
    for day in (2, 3, 4, 20):
        for minute, pulse in ((0, 61.0), (20, 75.0), (40, 95.0)):
            town.sample("H-1", now - timedelta(days=day, minutes=minute), heart_rate=pulse)
    town.roll_up()
    await queue.goto(f"{dashboard.url}/residents/R-1")
    for span, group in (("week", "heart_rate"), ("month", "heart_rate"), ("year", "heart_rate")):
        await queue.click(f"[data-span={span}]")
        await expect(queue.locator(f"#day[data-ready={span}]")).to_be_visible()
        await expect(queue.locator(f"[data-group={group}] canvas")).to_have_count(1)
        await expect(queue.locator("#rolled-up")).to_be_visible()
        await expect(queue.locator("[data-group=heart_rate] tr.edge").first).not_to_be_visible()
    await queue.click("[data-span=day]")
    await expect(queue.locator("#day[data-ready=day]")).to_be_visible()
    await expect(queue.locator("#day .empty")).to_be_visible()


async def test_residents_are_found_while_typing(queue: Page, dashboard: Dashboard) -> None:
    await queue.goto(f"{dashboard.url}/residents")
    await expect(queue.locator("#found tbody tr")).to_have_count(2)
    await queue.fill("input[type=search]", "乙")
    await expect(queue.locator("#found tbody tr")).to_have_count(1)
    await queue.click("#found a")
    await expect(queue.locator("h1")).to_have_text("示例·乙一")


async def test_a_contact_takes_it_by_the_link_and_the_queue_shows_it(
    queue: Page, browser: Browser, dashboard: Dashboard, town: Town, vault: Vault
) -> None:
    alert = town.alert()
    notification = town.one("select id from notification where alert = %s and contact = 'C-11'", alert)
    link = vault.sign_link({"a": str(alert), "c": "C-11", "n": str(notification)})
    async with desk(browser, viewport={"width": 390, "height": 844}) as phone:
        await phone.goto(f"{dashboard.url}/a/{link}")
        await expect(phone.locator("h1")).to_have_text("示例·甲一")
        await phone.click("text=我去")
        await expect(phone.locator("[role=status].good")).to_contain_text("已由您负责")
    await expect(queue.locator(f"#answered #alert-{alert}")).to_contain_text("示例·甲女儿")


async def test_an_unknown_device_is_adopted(queue: Page, dashboard: Dashboard, town: Town) -> None:
    town.execute("insert into unknown_device values ('X-7', '99010101', now(), now(), 3)")
    await queue.goto(f"{dashboard.url}/devices/unknown")
    await expect(queue.locator("main")).to_contain_text("3 条消息")
    await queue.fill("input[name=resident]", "R-1")
    await queue.click("text=登记 >> nth=-1")
    await expect(queue.locator("[role=alert]")).to_contain_text("已登记")
    assert town.execute(
        "select d.area, d.kind, r.id from device d join wearing w on w.device = d.key join resident r on r.key = w.resident"
        " where d.id = 'X-7'"
    ) == [("99010101", "handset", "R-1")]
    assert town.one("select count(*) from unknown_device") == 0
    assert town.one("select actor from log where action = 'device.adopted'") == "operator:li"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_has_the_contrast_of_wcag_aa(
    browser: Browser, dashboard: Dashboard, town: Town, scheme: str
) -> None:
    town.alert()
    town.alert("H-2", "battery", "warning")
    done = town.alert("H-2", "vital", "urgent")
    town.one("select alert_resolve(%s, 'operator:li', 'page', 'true', '')", done)
    town.execute("update notification set state = 'dead' where channel_kind = 'webhook' and state = 'pending'")
    async with open_page(browser, color_scheme=scheme) as page:
        await enter(page, dashboard.url, "li")
        low = await page.evaluate(CONTRAST)
        await page.goto(f"{dashboard.url}/residents/R-1")
        low += await page.evaluate(CONTRAST)
    assert low == []


async def test_no_page_scrolls_sideways_at_twice_the_size(browser: Browser, dashboard: Dashboard, town: Town) -> None:
    alert = town.alert()
    async with open_page(browser, viewport={"width": 640, "height": 450}) as page:
        await enter(page, dashboard.url, "li")
        for path in (
            "/",
            f"/alerts/{alert}",
            "/residents/R-1",
            "/residents",
            "/devices/unknown",
            "/quarantine",
            "/outbox",
        ):
            await page.goto(dashboard.url + path)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


CONTRAST = """() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m[3] ?? 1]; };
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
                         return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0.99) return c; }
                          return [255, 255, 255, 1]; };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !e.checkVisibility() || e.closest('.skip, .leaflet-container, script')) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${e.className || e.tagName} ${walker.currentNode.textContent.trim()} ${ratio.toFixed(2)}`);
  }
  return low;
}"""

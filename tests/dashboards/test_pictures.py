"""The pictures of the documentation: every page in both languages, light and dark, on a night with something going on.

They are written where HOMECARE_PICTURES says (`HOMECARE_PICTURES=docs/images` for the README's), and made in any case,
so that every page is drawn without a complaint of the browser.
"""

import os
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from homecare.secrets import Vault
from tests.dashboards.browsing import desk
from tests.dashboards.conftest import Dashboard, enter
from tests.dashboards.test_link import link
from tests.dashboards.town import VILLAGE_A, Town


def night(town: Town, language: str) -> tuple[str, str]:
    """A fall that nobody has answered yet, an SOS, and what was done before; (the fall's alert, the SOS's)."""
    if language == "en":
        town.execute(
            "update resident set name = 'Sample Resident 0' || right(id, 1), address = 'Sample Road ' || right(id, 1)"
        )
        town.execute("update contact set name = 'Sample Contact ' || right(id, 2)")
        town.execute("update operator set name = 'Sample Operator'")
    town.day()
    town.roll_up()
    fall = town.alert("H-1", "fall", ago_s=47)
    sos = town.alert("H-2", "sos", ago_s=21)
    vital = town.alert("H-2", "vital", "urgent", 55)
    battery = town.alert("H-1", "battery", "warning", 50)
    town.execute(
        "update alert set lat = 26.5921, lon = 104.8302, accuracy = 35, position_at = now() where id = %s", fall
    )
    town.execute(
        "update notification set state = 'dead', last_error = 'connection refused' where channel_kind = 'webhook' and alert = %s",
        fall,
    )
    town.execute(
        "update notification set state = 'delivered', delivered_at = now() where channel_kind = 'webhook' and alert = %s",
        sos,
    )
    town.one("select alert_acknowledge(%s, 'operator:li', 'page', '')", vital)
    town.one("select alert_resolve(%s, 'contact:C-11', 'link', 'technical', '')", battery)
    town.execute(
        "insert into command (device, name, expires_at, created_by, sent_at) select key, c.name, now() + c.lasts, 'operator:li', now()"
        " from device, (values ('ring', interval '2 minutes'), ('test', interval '-1 second')) c (name, lasts) where id = 'H-1'"
    )
    town.execute("insert into unknown_device values ('X-77', %s, now() - interval '1 hour', now(), 42)", VILLAGE_A)
    return str(fall), str(sos)


async def take(page: Page, name: str) -> None:
    folder = os.environ.get("HOMECARE_PICTURES")
    picture = await page.screenshot(full_page=True, path=Path(folder) / f"{name}.png" if folder else None)
    assert picture.startswith(b"\x89PNG")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["zh", "en"])
async def test_every_page_is_drawn_without_a_complaint(
    browser: Browser, dashboard: Dashboard, town: Town, vault: Vault, language: str, scheme: str
) -> None:
    fall, sos = night(town, language)
    town.execute("update operator set language = %s", language)
    town.execute("update contact set language = %s", language)
    ending = language if scheme == "light" else f"{language}-dark"
    async with desk(browser, color_scheme=scheme, viewport={"width": 1280, "height": 760}) as page:
        await enter(page, dashboard.url, "li")
        await page.wait_for_selector("#waiting > li >> nth=1")
        await take(page, f"queue-{ending}")
        for name, path, ready in (
            ("alert", f"/alerts/{fall}", "body.is-live #map .leaflet-control-scale-line"),
            ("resident", "/residents/R-1", "#day[data-ready]"),
            ("residents", "/residents", "#found tbody"),
            ("report", f"/alerts/{fall}/report", "#proof"),
            ("precision", "/rules/precision", "table.figures"),
            ("unknown", "/devices/unknown", "ul.cards"),
            ("quarantine", "/quarantine", "main"),
            ("link", link(town, vault, town.one("select id from alert where id = %s", sos), "C-21"), "button.big"),
        ):
            await page.goto(dashboard.url + path)
            await page.wait_for_selector(ready)
            await take(page, f"{name}-{ending}")
            if name == "link":
                await page.set_viewport_size({"width": 390, "height": 844})
                await take(page, f"link-phone-{ending}")
                assert await page.evaluate("document.documentElement.scrollWidth") <= 390
            if name == "resident":
                await page.click("[data-span=week]")
                await page.wait_for_selector("#day[data-ready=week]")
                await take(page, f"resident-week-{ending}")

"""A page of a real browser that must not complain."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page

from tests.services.browser import open_page


@asynccontextmanager
async def desk(browser: Browser, **options: object) -> AsyncIterator[Page]:
    """A page; at its end, nothing the browser complained of (scripts, the content policy) may be left unsaid."""
    complaints: list[str] = []
    async with open_page(browser, **{"locale": "zh-CN"} | options) as page:
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        yield page
    assert complaints == []

"""Chromium, driven by Playwright: no window, no profile, and no host but this machine."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page, async_playwright

from tests.services.errors import ServiceMissing

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def chromium() -> str:
    """The browser's program. Raises ServiceMissing."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise ServiceMissing("Chromium", "no chromium on this machine (make setup-tests installs it)")


def chromium_version() -> str:
    found = subprocess.run([chromium(), "--version"], capture_output=True, text=True, check=False)
    return next((word for word in found.stdout.split() if word[0].isdigit()), "unknown version")


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """One Chromium with an empty profile of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def open_page(browser: Browser, **options: object) -> AsyncIterator[Page]:
    """A page in a context of its own; `options` as of Playwright's new_context.

    AssertionError at its end where the page asked another host for anything, or a script of it failed.
    """
    context = await browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))  # type: ignore[arg-type]
    foreign: list[str] = []
    failures: list[str] = []
    context.on("request", lambda r: foreign.append(r.url) if not _is_local(r.url) else None)
    context.on("weberror", lambda e: failures.append(str(e.error)))
    try:
        yield await context.new_page()
    finally:
        await context.close()
    assert not foreign, f"the page asked other hosts: {foreign}"
    assert not failures, f"scripts of the page failed: {failures}"


def _is_local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1", "http://localhost", "data:", "blob:", "about:"))

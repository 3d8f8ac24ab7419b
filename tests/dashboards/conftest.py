"""A dashboard of the test's own: the real application on real HTTP and a real database, in a sample town."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import aiohttp
import psycopg
import pytest
from playwright.async_api import Page, expect
from pydantic import SecretStr

from homecare.commands.dashboard import serve_dashboard
from homecare.secrets import Vault
from homecare.settings import Settings
from tests.dashboards.town import PASSWORD, Town
from tests.services.ports import free_port

SECRET = "a secret of the tests, 32 characters at least"


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with psycopg.connect(database_url, autocommit=True) as db:
        built = Town(db, database_url)
        built.build()
        yield built


@dataclass
class Visit:
    """One browser without scripts: cookies, and the proof its forms carry."""

    http: aiohttp.ClientSession
    url: str

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.http.get(self.url + path, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def post(self, path: str, data: dict[str, str] | None = None, **headers: str) -> tuple[int, str]:
        async with self.http.post(self.url + path, data=data or {}, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def proof(self, path: str = "/") -> str:
        """The CSRF token of a page."""
        found = re.search(r'name="csrf" value="([^"]+)"', (await self.get(path))[1])
        assert found
        return found[1]

    async def sign_in(self, login: str, password: str = PASSWORD) -> int:
        proof = await self.proof("/login")
        status, _ = await self.post("/login", {"login": login, "password": password, "csrf": proof})
        return status


@dataclass
class Dashboard:
    """Where it runs; `visit()` is a new browser without scripts."""

    url: str
    http: aiohttp.ClientSession
    stop: asyncio.Event
    sessions: list[aiohttp.ClientSession]

    def visit(self) -> Visit:
        jar = aiohttp.CookieJar(unsafe=True)  # addresses instead of names
        session = aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=20))
        self.sessions.append(session)
        return Visit(session, self.url)

    async def signed_in(self, login: str) -> Visit:
        visit = self.visit()
        assert await visit.sign_in(login) == 303
        return visit


def settings_for(url: str, port: int, **more: object) -> Settings:
    return Settings.model_validate(
        {
            "database_url": SecretStr(url),
            "mqtt_url": SecretStr("mqtt://homecare:none@127.0.0.1:1"),
            "secret_key": SecretStr(SECRET),
            "public_url": f"http://127.0.0.1:{port}",
            "listen": f"127.0.0.1:{port}",
        }
        | more
    )


@pytest.fixture
async def dashboard(town: Town) -> AsyncIterator[Dashboard]:
    port = free_port()
    stop = asyncio.Event()
    running = asyncio.create_task(serve_dashboard(settings_for(town.url, port), stop), name="dashboard")
    async with aiohttp.ClientSession() as http:
        started = Dashboard(f"http://127.0.0.1:{port}", http, stop, [])
        await _answers(started, running)
        yield started
        for session in started.sessions:
            await session.close()
    stop.set()
    await asyncio.wait_for(running, 10)


async def _answers(dashboard: Dashboard, running: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(10):
        while not running.done():
            try:
                async with dashboard.http.get(dashboard.url + "/healthz"):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)
    running.result()


@pytest.fixture(scope="session")
def vault() -> Vault:
    return Vault(SECRET)


async def enter(page: Page, url: str, login: str) -> None:
    """Sign in with a real browser, by the form."""
    await page.goto(f"{url}/login")
    await page.fill("input[name=login]", login)
    await page.fill("input[name=password]", PASSWORD)
    await page.click("button.main")
    await expect(page.locator("body.is-live #waiting-title")).to_be_visible()

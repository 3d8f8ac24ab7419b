"""The families' side of the webhook: receives notifications, checks their signatures as the specification's own library
does, and answers some of them as a person would, by the page behind the link.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

MOST_KEPT = 10_000
"""Notifications that are remembered; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Received:
    """One attempt as it arrived, at `at` (monotonic seconds). `problem`: why its signature or content is no good."""

    contact: str
    at: float
    webhook_id: str
    type: str
    data: dict[str, Any]
    problem: str = ""


Answer = Callable[[Received], float | None]
"""After how many seconds the contact presses "I am going"; None: never."""


@dataclass(slots=True)
class Contacts:
    """An HTTP endpoint per contact, `http://127.0.0.1:port/contacts/{id}`.

    `secrets`: whsec_ secret by contact id. `tell` hears of everything that arrives, `answered` of every answer given:
    contact, alert id, and what went wrong, if anything.
    """

    secrets: Mapping[str, str]
    answer: Answer = lambda _: None
    tell: Callable[[Received], None] = lambda _: None
    answered: Callable[[str, str, str], None] = lambda _contact, _alert, _problem: None
    received: list[Received] = field(default_factory=list)
    port: int = 0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def address(self, contact: str) -> str:
        return f"http://127.0.0.1:{self.port}/contacts/{contact}"

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[None]:
        """Serve within the block, on `port` or any free one. OSError where it is taken."""
        app = web.Application(client_max_size=1 << 20)
        runner = web.AppRunner(app, access_log=None)
        pending: set[asyncio.Task[None]] = set()
        failure: Exception | None = None
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http, asyncio.TaskGroup() as tasks:

            async def receive(request: web.Request) -> web.Response:
                received = self._check(request.match_info["contact"], request.headers, await request.read())
                self.received = [*self.received[-MOST_KEPT:], received]
                self.tell(received)
                async with self._news:
                    self._news.notify_all()
                delay = None if received.problem else self.answer(received)
                if delay is not None:
                    task = tasks.create_task(self._press(http, received, delay), name=f"answer of {received.contact}")
                    pending.add(task)
                    task.add_done_callback(pending.discard)
                return web.Response(status=400 if received.problem else 204)

            app.router.add_post("/contacts/{contact}", receive)
            await runner.setup()
            try:
                site = web.TCPSite(runner, "127.0.0.1", port)
                await site.start()
                self.port = runner.addresses[0][1]
                yield
            except Exception as error:  # noqa: BLE001  # raised again below
                failure = error
            finally:
                await runner.cleanup()
                for task in pending:
                    task.cancel()
        if failure is not None:
            # Outside of the task group, which would wrap it.
            raise failure

    async def wait_for(self, wanted: Callable[[Received], bool], within_s: float) -> Received:
        """The first that is wanted, come or to come. TimeoutError."""
        async with asyncio.timeout(within_s), self._news:
            while not (found := [received for received in self.received if wanted(received)]):
                await self._news.wait()
            return found[0]

    def _check(self, contact: str, headers: Mapping[str, str], body: bytes) -> Received:
        at, webhook_id = time.monotonic(), headers.get("webhook-id", "")
        secret = self.secrets.get(contact)
        if secret is None:
            return Received(contact, at, webhook_id, "", {}, "no such contact")
        try:
            message = Webhook(secret).verify(body, dict(headers))
            return Received(contact, at, webhook_id, message["type"], message["data"])
        except (WebhookVerificationError, ValueError, KeyError, TypeError) as error:
            return Received(contact, at, webhook_id, "", {}, str(error) or type(error).__name__)

    async def _press(self, http: aiohttp.ClientSession, received: Received, delay: float) -> None:
        await asyncio.sleep(delay)
        problem = await press_acknowledge(http, received.data["acknowledge_url"])
        self.answered(received.contact, received.data["alert_id"], problem)


async def press_acknowledge(http: aiohttp.ClientSession, url: str) -> str:
    """Open the page behind the link and press its button, as a browser without scripts does; what went wrong, or ""."""
    try:
        async with http.get(url) as page:
            if page.status != 200:
                return f"the page answered {page.status}"
            form = _Form()
            form.feed(await page.text())
        if form.action is None:
            return "the page has no button"
        async with http.post(urljoin(url, form.action), data=form.fields) as answer:
            return "" if answer.status == 200 else f"the button answered {answer.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"no answer: {str(error) or type(error).__name__}"


class _Form(HTMLParser):
    """The first form that posts: its action and hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form" and self.action is None and (values.get("method") or "").lower() == "post":
            self.action, self._inside = values.get("action") or "", True
        elif tag == "input" and self._inside and values.get("name"):
            self.fields[str(values["name"])] = values.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False

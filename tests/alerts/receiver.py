"""A family's webhook endpoint: a real HTTP server that records posts, and answers as it is told."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import standardwebhooks
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Post:
    at: float
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        """The JSON, whoever signed it."""
        return json.loads(self.body)

    def verified(self, secret: str) -> Any:
        """The JSON, by the specification's own library."""
        return standardwebhooks.Webhook(secret).verify(self.body, self.headers)


async def ok(_: web.Request) -> web.StreamResponse:
    return web.Response(status=200)


def status(code: int, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers={name.replace("_", "-"): text for name, text in headers.items()})

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Each once, then the last for ever."""
    left = list(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return answer


@dataclass
class Receiver:
    """`posts` as they came; `answer` may be replaced at any time."""

    answer: Answer = ok
    posts: list[Post] = field(default_factory=list)
    url: str = ""
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        server = site._server
        assert server is not None
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"  # type: ignore[attr-defined]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.posts.append(Post(time.monotonic(), headers, await request.read()))
        self._came.set()
        return await self.answer(request)

    async def wait(self, number: int, within_s: float = 10.0) -> list[Post]:
        """The posts, once there are at least that many."""
        async with asyncio.timeout(within_s):
            while len(self.posts) < number:
                self._came.clear()
                await self._came.wait()
        return self.posts

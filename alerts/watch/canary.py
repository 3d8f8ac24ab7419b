"""The canary: a simulated SOS every minute through the real broker, timed from the button to the webhook.

Each that arrives is followed by a heartbeat to an outside address, whose absence alarms there, whatever here is dead; two
that do not arrive in a row are also told to the operators. It has an area, a device and a contact of its own, and its
cases are resolved as `technical` at once: nobody else is disturbed.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog
from aiohttp import web
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from alerts import meters
from alerts.channels.delivery import Delivery, Outcome, Send
from alerts.store import one, rows
from alerts.watch.troubles import Begin, Trouble, over, tell
from homecare.clock import Clock, to_datetime, to_rfc3339, wall_clock
from homecare.database import unavailable
from homecare.errors import BrokerUnavailable, DatabaseUnavailable, HomecareError
from homecare.tasks import raise_if_cancelled

log = structlog.get_logger()
NAME = "canary"
"""Of its area, its device and its contact."""
WITHIN_S = 10.0
IN_A_ROW = 2
HEARTBEAT_S = 10.0


class Press(Protocol):
    """Publishes the event `sos` of the canary's device; BrokerUnavailable where there is no broker."""

    async def __call__(self, boot: int, seq: int, ts: int) -> None: ...


class Canary:
    """`url`: where its own posts come, on this machine; `secret` what signs them, sealed. `heartbeat` "": none."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection],
        press: Press,
        begin: Begin,
        *,
        url: str,
        secret: bytes,
        holder: str,
        every_s: float,
        heartbeat: str = "",
        clock: Clock = wall_clock,
        within_s: float = WITHIN_S,
    ) -> None:
        self._pool, self._press, self._begin = pool, press, begin
        self._url, self._secret, self._holder, self._every_s = url, secret, holder, every_s
        self._heartbeat, self._clock, self._within_s = heartbeat, clock, within_s
        self._boot, self._seq, self._failures = clock() // 1000 & 0x7FFFFFFF, 0, 0
        self._heard: dict[str, asyncio.Future[None]] = {}
        """Presses that wait for their post, by `raised_at`."""

    async def run(self) -> None:
        """Until cancelled. Whatever goes wrong here is told, and never stops what the people's alerts are made of."""
        async with aiohttp.ClientSession(trust_env=False) as http:
            while True:
                try:
                    # The registry is to know its device before the first press.
                    if await self.prepare():
                        await asyncio.sleep(self._every_s)
                        await self._press_while_held(http)
                except Exception as error:  # noqa: BLE001 - see above
                    await self._failed(error)
                await asyncio.sleep(self._every_s)

    async def _press_while_held(self, http: aiohttp.ClientSession) -> None:
        if not await self._held():
            return
        async with self.listening():
            while await self._held():
                began = time.monotonic()
                if await self.beat() and self._heartbeat:
                    await self._tell_outside(http)
                await asyncio.sleep(max(0.0, self._every_s - (time.monotonic() - began)))

    async def prepare(self) -> bool:
        """Its area, device, contact and policy are in the directory; False: the directory has no root yet."""
        with unavailable():
            async with self._pool.connection() as db:
                return await one(db, "prepare_canary", {"address": self._url, "secret": self._secret}) is not None

    async def beat(self) -> bool:
        """One press; whether its post came in time."""
        self._seq += 1
        ts = self._clock()
        heard = self._heard[to_rfc3339(to_datetime(ts))] = asyncio.get_running_loop().create_future()
        began = time.monotonic()
        try:
            if not await self.prepare():
                log.warning("canary_rests", problem="the directory has no area yet")
                return False
            await self._end()
            began = time.monotonic()
            async with asyncio.timeout(self._within_s):
                await self._press(self._boot, self._seq, ts)
                await heard
            took_s = time.monotonic() - began
            meters.CANARY_SECONDS.observe(took_s)
            meters.CANARY_LAST_SUCCESS.set_to_current_time()
            self._failures = 0
            await self._end()
            await self._say(heard_again=True)
        except (TimeoutError, BrokerUnavailable, DatabaseUnavailable) as error:
            raise_if_cancelled()
            await self._failed(error)
            return False
        finally:
            self._heard.clear()
        return True

    async def _failed(self, error: Exception) -> None:
        self._failures += 1
        meters.CANARY_FAILURES.inc()
        log.error("canary_not_heard", times=self._failures, problem=str(error) or type(error).__name__)
        if self._failures >= IN_A_ROW:
            try:
                await self._say(heard_again=False)
            except Exception as problem:  # noqa: BLE001 - then the heartbeat's absence is what tells
                log.error("canary_not_told", problem=str(problem))

    async def _held(self) -> bool:
        with unavailable():
            async with self._pool.connection() as db:
                values = {"holder": self._holder, "every_s": self._every_s}
                return await one(db, "hold_canary", values) is not None

    async def _end(self) -> None:
        with unavailable():
            async with self._pool.connection() as db:
                await rows(db, "end_canary", {})

    async def _say(self, *, heard_again: bool) -> None:
        seconds = round(self._failures * self._every_s)
        trouble = Trouble(
            rule="service.canary",
            kind="outage",
            severity="critical",
            zh=f"系统自检：模拟求助约 {seconds} 秒未送达，真实求助也可能送不到。请立即电话值守并通知运维。",
            en=f"Self-test: for about {seconds} s no simulated SOS has arrived; real ones may not either. Watch by telephone, call technical support.",
            evidence={"failures": self._failures, "within_s": self._within_s},
        )
        with unavailable():
            async with self._pool.connection() as db, db.transaction():
                await (over(db, trouble) if heard_again else tell(db, trouble, self._begin))

    async def _tell_outside(self, http: aiohttp.ClientSession) -> None:
        problem = ""
        try:
            async with asyncio.timeout(HEARTBEAT_S), http.get(self._heartbeat, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    problem = f"status {answer.status}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise_if_cancelled()
            problem = type(error).__name__
        if problem:
            # Never the address: it is as good as a password.
            log.warning("heartbeat_not_taken", problem=problem)
            meters.HEARTBEAT_FAILURES.inc()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Takes the posts at `url` within the block."""
        at = urlsplit(self._url)
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_post(at.path, self._received)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, at.hostname, at.port).start()
            except OSError as error:
                raise HomecareError(
                    f"cannot listen on HOMECARE_CANARY_LISTEN, {at.netloc}: {error.strerror}"
                ) from error
            yield
        finally:
            await runner.cleanup()

    async def _received(self, request: web.Request) -> web.Response:
        try:
            data: dict[str, Any] = msgspec.json.decode(await request.read(), type=dict[str, Any])["data"]
            waiting = self._heard.get(data["raised_at"])
        except (msgspec.DecodeError, KeyError, TypeError):
            return web.Response(status=400)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        return web.Response(status=204)


def beside(send: Send, own: Send, url: str) -> Send:
    """The channel `webhook` where the canary's own address, and no other, is sent by `own`, which may reach this machine."""

    async def chosen(delivery: Delivery) -> Outcome:
        return await (own if delivery.address == url else send)(delivery)

    return chosen

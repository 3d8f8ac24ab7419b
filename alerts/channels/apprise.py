"""WeCom, DingTalk, Feishu, SMS gateways and a hundred others, by the library apprise; the address is its URL, tokens and all.

Only services that it reaches by HTTP: those are held to the webhook's rules (`guarded.py`). Mail, sockets and what
shows messages on this machine are left out.
"""

import asyncio
import contextvars
import json
import logging
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from apprise import Apprise, AppriseAsset, NotifyBase

from alerts.channels.addresses import Network
from alerts.channels.delivery import Delivery, Outcome
from alerts.channels.guarded import Guard, guarded
from alerts.channels.webhook import retry_after_s
from alerts.texts import Letter

TIMEOUT_S = 15.0
AT_ONCE = 16
_OTHER_WAYS = ("smtplib", "socket", "ssl", "select", "subprocess", "ctypes", "paho", "websocket")
"""A service's module that uses one of these does not go by HTTP alone."""
_ANSWERS_IN_THE_BODY = {"wecombot": "errcode", "dingtalk": "errcode", "feishu": "code", "lark": "code"}
"""Services that say 200 and mean no: the member that is 0 where they took it. The library looks at the status alone."""


class Services:
    """Sends letters to whatever an apprise URL names; `send` is the channel."""

    def __init__(
        self, *, allow_networks: Sequence[Network] = (), allow_http: bool = False, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._allow_networks, self._allow_http, self._timeout_s = allow_networks, allow_http, timeout_s
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="apprise")
        self._asset = AppriseAsset(app_id="homecare", app_desc="Home care", app_url="", http_redirects=False)
        # What it writes has tokens and names in it; what came of an attempt is in the outcome.
        logging.getLogger("apprise").disabled = True

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, delivery: Delivery) -> Outcome:
        """Delivered where the service took it; refused where it answered otherwise; failed where there was no answer."""
        if len(delivery.secrets) != 1:
            return Outcome("failed", error="bad_address")
        guard = Guard(self._allow_networks, self._allow_http)
        context = contextvars.copy_context()
        attempt = self._threads.submit(context.run, self._notify, guard, delivery.secrets[0], delivery.body)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(attempt)
        except TimeoutError:
            guard.end()
            return Outcome("failed", error="timeout")

    def _notify(self, guard: Guard, url: str, body: bytes) -> Outcome:
        letter = Letter.parse(body)
        with guarded(guard):
            service = Apprise.instantiate(url, asset=self._asset)
            if not isinstance(service, NotifyBase):
                return Outcome("failed", error="bad_address")
            if not _by_http_alone(service):
                return Outcome("failed", error="service_not_allowed")
            told = bool(service.notify(body=letter.text, title=letter.subject))
        scheme = url.partition("://")[0].lower()
        return _judge(guard, told=told, refused=_said_no(scheme, guard.answer))


def _judge(guard: Guard, *, told: bool, refused: bool) -> Outcome:
    if guard.status is None:
        return Outcome("failed", error=guard.problem or "nothing_sent")
    if not 200 <= guard.status < 300:
        wait_s = retry_after_s(guard.retry_after, time.time())
        return Outcome("refused", guard.status, f"status_{guard.status}", wait_s)
    if refused or not told:
        return Outcome("refused", guard.status, guard.problem or "service_refused")
    return Outcome("delivered", guard.status)


def _by_http_alone(service: NotifyBase) -> bool:
    uses = vars(sys.modules[type(service).__module__])
    return "requests" in uses and not any(way in uses for way in _OTHER_WAYS)


def _said_no(scheme: str, answer: bytes) -> bool:
    member = _ANSWERS_IN_THE_BODY.get(scheme)
    if member is None:
        return False
    try:
        said = json.loads(answer)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get(member, 0) != 0

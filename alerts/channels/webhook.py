"""The contract's webhook: Standard Webhooks 1.0, signed, to checked addresses only, no redirects, bounded in time and size."""

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
from standardwebhooks import Webhook

from alerts.channels.addresses import REFUSED, AddressRefused, Network, checked_sockets
from alerts.channels.delivery import Delivery, Outcome

TIMEOUT_S = 10.0
READ_S = 1.0
READ_BYTES = 16 * 1024
"""An answer is its status; this much of a body is read, this long, so that the connection can be used again."""


def secret_bytes(secret: str) -> bytes:
    """`whsec_` + base64 of 24..64 bytes -> those bytes. ValueError where it is not that."""
    if not secret.startswith("whsec_"):
        raise ValueError("a webhook secret begins with whsec_")
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    if not 24 <= len(key) <= 64:
        raise ValueError("a webhook secret is 24 to 64 bytes")
    return key


def signature(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one `v1,…` per secret, space-separated; by the specification's own library."""
    at, text = datetime.fromtimestamp(timestamp, UTC), body.decode()
    return " ".join(Webhook(secret_bytes(secret)).sign(message_id, at, text) for secret in secrets)


def retry_after_s(header: str | None, now: float) -> float | None:
    """Seconds a `Retry-After` asks for (a number, or a date against `now`, Unix seconds); None: nothing usable."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)


class Webhooks:
    """Posts to webhooks; `send` is the channel."""

    def __init__(
        self,
        *,
        allow_networks: Sequence[Network] = (),
        allow_http: bool = False,
        timeout_s: float = TIMEOUT_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._allow_http = allow_http
        self._now = now
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, socket_factory=checked_sockets(allow_networks)),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )

    async def close(self) -> None:
        await self._http.close()

    async def send(self, delivery: Delivery) -> Outcome:
        """One POST. 2xx is delivered, 410 is gone, everything else is refused; no answer is failed."""
        try:
            scheme, host = urlsplit(delivery.address).scheme, urlsplit(delivery.address).hostname
            headers = self._headers(delivery)
        except ValueError:
            return Outcome("failed", error="bad_address_or_secret")
        if not host or scheme not in ("https", "http") or not delivery.secrets:
            return Outcome("failed", error="bad_address_or_secret")
        if scheme == "http" and not self._allow_http:
            return Outcome("failed", error="http_not_allowed")
        try:
            async with self._http.post(
                delivery.address, data=delivery.body, headers=headers, allow_redirects=False
            ) as answer:
                await _drain(answer)
                return self._judge(answer)
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, AddressRefused) or REFUSED in str(error.os_error)
            return Outcome("failed", error=REFUSED if refused else type(error).__name__)
        except TimeoutError:
            return Outcome("failed", error="timeout")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome("failed", error=type(error).__name__)

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        message_id, timestamp = f"msg_{delivery.id.hex}", int(self._now())
        return {
            "content-type": "application/json",
            "user-agent": "homecare",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(delivery.secrets, message_id, timestamp, delivery.body),
        }

    def _judge(self, answer: aiohttp.ClientResponse) -> Outcome:
        if 200 <= answer.status < 300:
            return Outcome("delivered", answer.status)
        if answer.status == 410:
            return Outcome("gone", answer.status, "gone")
        wait_s = retry_after_s(answer.headers.get("Retry-After"), self._now())
        return Outcome("refused", answer.status, f"status_{answer.status}", wait_s)


async def _drain(answer: aiohttp.ClientResponse) -> None:
    """Read a small body to its end; a long or slow one is cut off with its connection. The status stands either way."""
    left = READ_BYTES
    try:
        async with asyncio.timeout(READ_S):
            while left > 0 and (chunk := await answer.content.read(left)):
                left -= len(chunk)
    except (TimeoutError, aiohttp.ClientError):
        left = 0
    if left <= 0:
        answer.close()

"""The webhook by itself: signatures, addresses, and what each kind of answer means."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest
from aiohttp import web

from alerts.channels.addresses import is_allowed
from alerts.channels.delivery import Delivery, Outcome
from alerts.channels.webhook import Webhooks, retry_after_s, secret_bytes
from alerts.messages import AlertMessage, Place, render_alert, render_test
from tests.alerts.places import new_secret
from tests.alerts.receiver import Receiver, status

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
SECRET, OLD = new_secret(), new_secret()


def delivery(address: str, *secrets: str) -> Delivery:
    return Delivery(uuid4(), address, secrets or (SECRET,), b'{"type":"test"}')


async def send(
    address: str, *secrets: str, networks: bool = True, http: bool = True, timeout_s: float = 1.0
) -> Outcome:
    webhooks = Webhooks(allow_networks=LOOPBACK if networks else (), allow_http=http, timeout_s=timeout_s)
    try:
        return await webhooks.send(delivery(address, *secrets))
    finally:
        await webhooks.close()


async def test_a_rotating_secret_gives_two_signatures_and_either_verifies(receiver: Receiver) -> None:
    assert await send(receiver.url, SECRET, OLD) == Outcome("delivered", 200)
    (post,) = receiver.posts
    assert post.headers["webhook-id"].startswith("msg_")
    assert len(post.headers["webhook-signature"].split(" ")) == 2
    assert post.verified(SECRET) == post.verified(OLD) == {"type": "test"}


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (204, Outcome("delivered", 204)),
        (302, Outcome("refused", 302, "status_302")),
        (410, Outcome("gone", 410, "gone")),
        (429, Outcome("refused", 429, "status_429", 7.0)),
        (500, Outcome("refused", 500, "status_500")),
    ],
)
async def test_what_an_answer_means(receiver: Receiver, code: int, outcome: Outcome) -> None:
    headers = {302: {"Location": receiver.url}, 429: {"Retry_After": "7"}}.get(code, {})
    receiver.answer = status(code, **headers)
    assert await send(receiver.url) == outcome
    assert len(receiver.posts) == 1


async def test_an_endpoint_that_never_answers_is_given_up(receiver: Receiver) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    receiver.answer = hang
    assert await send(receiver.url, timeout_s=0.3) == Outcome("failed", error="timeout")


async def test_an_endless_answer_is_cut_off_and_its_status_stands(receiver: Receiver) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 65_536)

    receiver.answer = endless
    assert await send(receiver.url) == Outcome("delivered", 200)


async def test_private_addresses_are_refused_as_literals_and_as_names(receiver: Receiver) -> None:
    refused = Outcome("failed", error="address_not_allowed")
    port = receiver.url.split(":")[2].split("/")[0]
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"):
        outcome = await send(f"http://{host}:{port}/hook", networks=False)
        assert outcome.result == "failed", host
        if host not in ("2130706433",):
            assert outcome == refused, host
    assert receiver.posts == []


async def test_a_name_is_checked_by_the_address_it_resolves_to_now(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def resolve(host: str, *args: object, **kwargs: object) -> object:
        return real("127.0.0.1" if host == "care.example.org" else host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    address = receiver.url.replace("127.0.0.1", "care.example.org")
    assert await send(address, networks=False) == Outcome("failed", error="address_not_allowed")
    assert await send(address) == Outcome("delivered", 200)


@pytest.mark.parametrize("address", ["ftp://example.org/", "https://", "no address", "http://[::1"])
async def test_what_is_no_address_fails_with_a_name(address: str) -> None:
    assert await send(address) == Outcome("failed", error="bad_address_or_secret")


async def test_plain_http_needs_the_setting(receiver: Receiver) -> None:
    assert await send(receiver.url, http=False) == Outcome("failed", error="http_not_allowed")
    assert await send("https://care.example.org", "whsec_short") == Outcome("failed", error="bad_address_or_secret")


@asynccontextmanager
async def not_tls() -> AsyncIterator[int]:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 400 no\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_broken_tls_handshake_is_a_failed_attempt() -> None:
    async with not_tls() as port:
        outcome = await send(f"https://127.0.0.1:{port}/")
    assert outcome.result == "failed"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::1", False),
        ("2001:db8::1", False),
        ("64:ff9b::808:808", True),
        ("::ffff:8.8.8.8", True),
    ],
)
def test_which_addresses_are_public(address: str, allowed: bool) -> None:
    assert is_allowed(address, ()) is allowed


def test_an_allowed_network_counts_for_mapped_addresses_too() -> None:
    networks = [ipaddress.ip_network("10.0.0.0/8")]
    assert is_allowed("10.1.2.3", networks)
    assert is_allowed("::ffff:10.1.2.3", networks)
    assert not is_allowed("192.168.1.1", networks)


def test_retry_after_is_a_number_or_a_date() -> None:
    now = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC).timestamp()
    assert retry_after_s("120", now) == 120
    assert retry_after_s("Sat, 21 Nov 2026 12:01:00 GMT", now) == 60
    assert retry_after_s("Sat, 21 Nov 2026 11:00:00 GMT", now) == 0
    assert retry_after_s("soon", now) is None
    assert retry_after_s(None, now) is None


@pytest.mark.parametrize("secret", ["", "secret", "whsec_", "whsec_!!!", "whsec_c2hvcnQ="])
def test_a_secret_is_whsec_and_24_to_64_bytes(secret: str) -> None:
    with pytest.raises(ValueError, match=r"whsec|bytes|base64|alphabet|padding"):
        secret_bytes(secret)


def test_the_body_has_exactly_the_contracts_shape() -> None:
    alert = UUID("12345678-1234-5678-1234-567812345678")
    at = datetime(2026, 11, 21, 19, 42, 37, 123_456, tzinfo=UTC)
    message = AlertMessage(
        type="alert.opened", timestamp=at, alert_id=alert, kind="sos", severity="critical", state="open",
        resident=("R-000123", "示例·甲一"), device="H-1", area="520201", raised_at=at, delayed_s=0.4,
        position=Place(26.5921, 104.8302, 8.0, at), reason_code="sos", reason_zh="紧急呼叫", reason_en="Emergency button",
        step=1, acknowledge_url="https://care.example.org/a/x",
    )  # fmt: skip
    text = render_alert(message)
    assert "示例·甲一" in text
    assert msgspec.json.decode(text) == {
        "type": "alert.opened",
        "timestamp": "2026-11-21T19:42:37.123Z",
        "data": {
            "alert_id": str(alert),
            "kind": "sos",
            "severity": "critical",
            "state": "open",
            "resident": {"id": "R-000123", "name": "示例·甲一"},
            "device": "H-1",
            "area": "520201",
            "raised_at": "2026-11-21T19:42:37.123Z",
            "delayed_s": 0,
            "position": {"lat": 26.5921, "lon": 104.8302, "accuracy": 8, "at": "2026-11-21T19:42:37.123Z"},
            "reason": {"code": "sos", "zh": "紧急呼叫", "en": "Emergency button"},
            "step": 1,
            "acknowledge_url": "https://care.example.org/a/x",
        },
    }
    bare = msgspec.structs.replace(message, position=None, resident=None)
    data = msgspec.json.decode(render_alert(bare))["data"]
    assert data["position"] is None
    assert data["resident"] is None
    assert msgspec.json.decode(render_test(at))["type"] == "test"

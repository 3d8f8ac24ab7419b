"""What apprise's services get, and what they may not reach: the webhook's rules, kept under a library that knows none of them."""

import asyncio
import base64
import ipaddress
import json
import threading
from collections.abc import Sequence
from uuid import uuid4

import pytest
from aiohttp import web

from alerts.channels.addresses import Network
from alerts.channels.apprise import Services, _said_no
from alerts.channels.delivery import Delivery, Outcome
from alerts.texts import Letter
from tests.alerts.receiver import Receiver, status

LOOPBACK: Sequence[Network] = [ipaddress.ip_network("127.0.0.0/8")]
BODY = str(Letter("【特急】示例·甲：紧急呼叫", "谁：示例·甲\n怎么办：请先打电话。")).encode()


async def send(url: str, *, networks: Sequence[Network] = LOOPBACK, http: bool = True) -> Outcome:
    services = Services(allow_networks=networks, allow_http=http)
    try:
        return await services.send(Delivery(uuid4(), "json://…", (url,), BODY))
    finally:
        services.close()


def as_json(receiver: Receiver, more: str = "") -> str:
    """The service that posts JSON to any address, here with a login."""
    return receiver.url.replace("http://", "json://care:word@") + more


async def test_a_letter_arrives_with_its_subject_and_text(receiver: Receiver) -> None:
    assert await send(as_json(receiver)) == Outcome("delivered", 200)
    (post,) = receiver.posts
    assert post.message["title"] == "【特急】示例·甲：紧急呼叫"
    assert post.message["message"] == "谁：示例·甲\n怎么办：请先打电话。"
    assert post.headers["authorization"] == "Basic " + base64.b64encode(b"care:word").decode()


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (302, Outcome("refused", 302, "status_302")),
        (429, Outcome("refused", 429, "status_429", 7.0)),
        (500, Outcome("refused", 500, "status_500")),
    ],
)
@pytest.mark.parametrize("more", ["", "?redirect=yes"])
async def test_what_an_answer_means_and_no_redirect_is_followed(
    receiver: Receiver, code: int, outcome: Outcome, more: str
) -> None:
    headers = {302: {"Location": receiver.url}, 429: {"Retry_After": "7"}}.get(code, {})
    receiver.answer = status(code, **headers)
    assert await send(as_json(receiver, more)) == outcome
    assert len(receiver.posts) == 1


async def test_private_addresses_and_plain_http_are_refused_unless_allowed(receiver: Receiver) -> None:
    port = receiver.url.split(":")[2].split("/")[0]
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        assert await send(f"json://{host}:{port}/", networks=()) == Outcome("failed", error="address_not_allowed"), host
    assert await send(as_json(receiver), http=False) == Outcome("failed", error="http_not_allowed")
    assert receiver.posts == []


async def test_a_certificate_is_checked_whatever_the_address_says(receiver: Receiver) -> None:
    # Plain http where TLS is expected: the handshake fails, and nothing is sent.
    outcome = await send(as_json(receiver, "?verify=no").replace("json://", "jsons://"))
    assert (outcome.result, outcome.status) == ("failed", None)
    assert receiver.posts == []


@pytest.mark.parametrize(
    "url",
    ["mailtos://a:b@example.org", "syslog://", "mqtt://127.0.0.1/topic", "rsyslog://127.0.0.1", "irc://127.0.0.1/room"],
)
async def test_services_that_go_by_other_ways_than_http_are_left_out(url: str) -> None:
    outcome = await send(url)
    assert outcome in (Outcome("failed", error="service_not_allowed"), Outcome("failed", error="bad_address"))


@pytest.mark.parametrize("url", ["nothing://example.org", "wecombot://", "json://…0123456789abcdef"])
async def test_what_is_no_service_fails_with_a_name(url: str) -> None:
    outcome = await send(url)
    assert outcome.result == "failed"


async def test_an_endless_answer_is_cut_off_and_its_status_stands(receiver: Receiver) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 65_536)

    receiver.answer = endless
    assert await send(as_json(receiver)) == Outcome("delivered", 200)


async def test_one_that_never_answers_is_given_up_and_leaves_no_thread_behind(receiver: Receiver) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    assert (await send(as_json(receiver))).result == "delivered"  # the library's services are loaded now
    receiver.answer = hang
    services = Services(allow_networks=LOOPBACK, allow_http=True, timeout_s=1.0)
    letter = Delivery(uuid4(), "json://…", (as_json(receiver),), BODY)
    assert await services.send(letter) == Outcome("failed", error="timeout")
    services.close()
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("apprise")]
    for thread in threads:
        await asyncio.to_thread(thread.join, 3)
    assert not any(thread.is_alive() for thread in threads)


async def test_without_its_url_there_is_nothing_to_send(receiver: Receiver) -> None:
    services = Services(allow_networks=LOOPBACK, allow_http=True)
    assert await services.send(Delivery(uuid4(), "json://…", (), BODY)) == Outcome("failed", error="bad_address")
    services.close()


def test_robots_that_say_200_and_mean_no_are_found_out() -> None:
    refused = json.dumps({"errcode": 310000, "errmsg": "keywords not in content"}).encode()
    assert _said_no("dingtalk", refused)
    assert _said_no("feishu", b'{"code":19001,"msg":"param invalid"}')
    assert not _said_no("wecombot", b'{"errcode":0,"errmsg":"ok"}')
    assert not _said_no("feishu", b'{"StatusCode":0}')
    assert not _said_no("json", refused)
    assert not _said_no("dingtalk", b"<html>")

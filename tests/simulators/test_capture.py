"""Captures: read line by line with an error that names the line, and played untouched and complete."""

import asyncio
import base64
import json
import time
from pathlib import Path

import aiomqtt
import msgspec
import pytest

from homecare.broker import Broker
from homecare.errors import BrokerRefused, BrokerUnavailable, InputError
from simulators import capture
from simulators.capture import Line

LINES = [
    Line(1000, "care/v1/990100/d-1/telemetry", {"boot": 1, "seq": 1, "ts": 5, "values": {"heart_rate": 70.5}}),
    Line(1200, "care/v1/990100/d-2/telemetry", base64.b64encode(b"\xff not json").decode()),
    Line(1400, "care/v1/990100/d-1/event", {"boot": 1, "seq": 2, "ts": None, "event": "sos"}),
]


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz"])
def test_what_was_written_is_read_again(tmp_path: Path, name: str) -> None:
    assert capture.write(tmp_path / name, LINES) == 3
    assert list(capture.read(tmp_path / name)) == LINES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"at":1,"topic":"a","payload":{}}\nnot json\n', "line 2"),
        (b'{"at":1,"topic":"a","payload":"not base64!"}\n', "line 1"),
        (b'{"at":"now","topic":"a","payload":{}}\n', "line 1: Expected `int`"),
    ],
)
def test_wrong_line_is_named(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(text)
    with pytest.raises(InputError, match=said):
        list(capture.read(path))


def test_truncated_gzip_is_said(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    capture.write(path, LINES * 1000)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="after line"):
        list(capture.read(path))


async def test_every_line_arrives_in_order_as_it_was(broker: Broker) -> None:
    lines = [Line(n, "care/v1/990100/d-1/telemetry", {"seq": n}) for n in range(3000)]
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, username="homecare", password=broker.users["homecare"], identifier="other"
    ) as client:
        await client.subscribe("care/v1/#", qos=1)
        played = await asyncio.to_thread(capture.play, broker.url(), [*LINES, *lines], speed=0)
        assert played.published == 3003
        assert not played.refused
        async with asyncio.timeout(20):
            got = [await anext(client.messages) for _ in range(3003)]
    assert [(m.topic.value, bytes(m.payload)) for m in got] == [(x.topic, x.content()) for x in [*LINES, *lines]]


async def test_speed_shortens_the_pauses(broker: Broker) -> None:
    began = time.monotonic()
    await asyncio.to_thread(capture.play, broker.url(), LINES, speed=2)
    assert 0.2 <= time.monotonic() - began < 0.4 + 1


async def test_refusal_and_absence_of_the_broker_are_told_apart(broker: Broker) -> None:
    with pytest.raises(BrokerRefused, match="not authorized"):
        await asyncio.to_thread(capture.play, f"mqtt://homecare:wrong@127.0.0.1:{broker.port}", LINES)
    broker.stop()
    with pytest.raises(BrokerUnavailable, match="cannot be reached"):
        await asyncio.to_thread(capture.play, broker.url(), LINES)


def test_numbers_keep_their_value_through_a_capture() -> None:
    payload = msgspec.json.decode(LINES[0].content())
    assert payload["values"]["heart_rate"] == 70.5


KEPT_AS_OBJECT = [
    b'{ "a" : 1.50, "b":[{}] }',
    b"{}",
    '{"a":"\u4e2d\\u4e2d"}'.encode(),
    b'{"a":-9223372036854775808,"b":1e300}',
]
KEPT_AS_BYTES = [
    b"",
    b"[1]",
    b"null",
    b'{"a":1',
    b'\xef\xbb\xbf{"a":1}',
    b'{"a":1,"a":1}',
    b'{"o":{"a":1,"a":2}}',
    b'{"a":NaN}',
    b'{"a":1e400}',
    b'{"a":18446744073709551616}',
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":"\\ud800"}',
    b'{"a":"\xff"}',
    b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    b'{"a":1' + b" " * 65_536 + b"}",
    b'{"a":[' + b",".join([b"1e15"] * 10_000) + b"]}",
]


@pytest.mark.parametrize("payload", KEPT_AS_OBJECT + KEPT_AS_BYTES, ids=lambda p: str(p[:30]))
def test_payload_is_an_object_only_where_nothing_of_it_is_lost(tmp_path: Path, payload: bytes) -> None:
    line = capture.captured(1, "t", payload)
    capture.write(tmp_path / "c.jsonl", [line])
    assert list(capture.read(tmp_path / "c.jsonl")) == [line]
    if payload in KEPT_AS_OBJECT:
        assert line.payload == json.loads(payload)
        assert json.loads(line.content()) == json.loads(payload)
    else:
        assert isinstance(line.payload, str)
        assert line.content() == payload

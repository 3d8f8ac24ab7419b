"""`homecare capture` beside a broker in use: what devices sent, to the letter, ready to be played again."""

import asyncio
import base64
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import msgspec
import pytest

from homecare.broker import Broker
from simulators import capture

PROGRAM = Path(sys.executable).with_name("homecare")
SENT = [
    ("care/v1/990101/H-1/telemetry", b'{"boot": 1, "seq": 1, "ts": 5, "values": {"heart_rate": 7.05e1}}'),
    ("care/v1/990101/H-1/event", '{"boot":1,"seq":2,"event":"sos","note":"示例"}'.encode()),
    ("care/v1/990101/H-2/telemetry", b'{"boot":1,"boot":2,"seq":1}'),
    ("care/v1/990101/H-2/telemetry/senml", b'[{"n":"heart_rate","v":70}]'),
    ("care/v1/990101/H-2/telemetry", b"\xff\x00"),
    ("traccar/positions", b'{"position":{"id":7}}'),
]


@contextlib.asynccontextmanager
async def capturing(broker: Broker, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`homecare capture`, subscribed."""
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "KILL", str(PROGRAM), "capture", *arguments),
        env={"HOMECARE_MQTT_URL": broker.url(), "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(20):
            assert await process.stderr.readline() == b"capturing\n", await process.stderr.read()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def publish(broker: Broker, messages: list[tuple[str, bytes]], *, retain: bool = False) -> None:
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, username="homecare", password=broker.users["homecare"]
    ) as client:
        for topic, payload in messages:
            await client.publish(topic, payload, qos=1, retain=retain)


async def test_everything_devices_send_is_a_line_each(broker: Broker) -> None:
    await publish(broker, [("care/v1/990101/H-9/status", b'{"state":"online"}')], retain=True)
    async with capturing(broker, "--count", str(len(SENT))) as process:
        await publish(broker, [("care/v1/990101/H-1/ack", b'{"boot":1,"seq":2}'), *SENT])
        async with asyncio.timeout(10):
            out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"6 messages\n")
    found = [msgspec.json.decode(line) for line in out.splitlines()]
    assert [list(line) for line in found] == [["at", "topic", "payload"]] * 6
    assert [line["topic"] for line in found] == [topic for topic, _ in SENT]
    assert [line["payload"] for line in found] == [
        {"boot": 1, "seq": 1, "ts": 5, "values": {"heart_rate": 70.5}},
        {"boot": 1, "seq": 2, "event": "sos", "note": "示例"},
        *(base64.b64encode(payload).decode() for _, payload in SENT[2:5]),
        {"position": {"id": 7}},
    ]
    times = [line["at"] for line in found]
    assert times == sorted(times)


@pytest.mark.parametrize("name", ["taken.jsonl", "taken.jsonl.gz"])
async def test_what_was_captured_can_be_played_and_captured_again(broker: Broker, tmp_path: Path, name: str) -> None:
    first, second = tmp_path / name, tmp_path / f"again-{name}"
    async with capturing(broker, "--output", str(first), "--count", str(len(SENT))) as process:
        await publish(broker, SENT)
        await ended(process)
    lines = list(capture.read(first))
    async with capturing(broker, "--output", str(second), "--count", str(len(SENT))) as process:
        await asyncio.to_thread(capture.play, broker.url(), lines, speed=0)
        await ended(process)
    again = list(capture.read(second))
    assert len(lines) == len(SENT)
    assert [(line.topic, line.payload) for line in again] == [(line.topic, line.payload) for line in lines]
    assert [base64.b64decode(line.payload) for line in lines if isinstance(line.payload, str)] == [
        payload for _, payload in SENT[2:5]
    ]


async def test_ends_when_asked_to_with_what_came_so_far(broker: Broker, tmp_path: Path) -> None:
    path = tmp_path / "taken.jsonl"
    async with capturing(broker, "--output", str(path), "--topic", "care/v1/+/H-1/#") as process:
        await publish(broker, SENT)
        async with asyncio.timeout(10):
            while path.read_bytes().count(b"\n") < 2:  # noqa: ASYNC110  # the file has no event for it
                await asyncio.sleep(0.02)
        process.terminate()
        await ended(process)
    assert [line.topic for line in capture.read(path)] == [topic for topic, _ in SENT[:2]]
    assert path.stat().st_mode & 0o077 == 0, "it is for its owner's eyes alone"


async def test_ends_after_its_time_or_when_nobody_reads(broker: Broker) -> None:
    async with capturing(broker, "--seconds", "0.2") as process:
        await ended(process)
    async with capturing(broker) as process:
        assert process.stdout is not None
        process.stdout._transport.close()  # type: ignore[attr-defined]  # as `| head` does
        await publish(broker, SENT)
        await ended(process)


async def test_file_that_cannot_be_written_is_wrong_use(broker: Broker, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(str(PROGRAM), "capture", "--output", str(tmp_path / "no" / "where.jsonl")),
        env={"HOMECARE_MQTT_URL": broker.url()},
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert process.returncode == 2
    assert err.decode().endswith("where.jsonl: No such file or directory\n")


async def ended(process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(10):
        await process.wait()
    assert process.returncode == 0

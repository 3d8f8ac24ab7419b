"""The private broker: who gets in, who may do what, what it keeps over a restart, how big a message may be."""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from homecare.broker import Broker, check_user, hash_password, verify_password
from homecare.errors import InputError
from tests.services.inventory import mosquitto


@contextlib.asynccontextmanager
async def connected(
    broker: Broker, user: str, password: str | None = None, *, client_id: str = "", keep: bool = False
) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client(
        "127.0.0.1",
        broker.port,
        username=user,
        password=broker.users[user] if password is None else password,
        identifier=client_id or f"{user}-{id(broker)}",
        clean_session=not keep,
        timeout=5,
    ) as client:
        yield client


async def next_payload(client: aiomqtt.Client) -> bytes:
    async with asyncio.timeout(5):
        return bytes((await anext(client.messages)).payload)


def test_hash_is_what_mosquittos_own_program_accepts_and_makes(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.touch(0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(file), "d-1", "a password"], check=True, capture_output=True)
    theirs = file.read_text().strip().partition(":")[2]
    assert verify_password("a password", theirs)
    assert not verify_password("another", theirs)
    ours = hash_password("a password")
    assert verify_password("a password", ours)
    assert [len(part) for part in ours.split("$")] == [len(part) for part in theirs.split("$")]


@pytest.mark.parametrize("user", ["a:b", "homecare", "traccar"])
def test_user_the_password_file_cannot_hold_is_refused(user: str) -> None:
    with pytest.raises(InputError, match=user):
        check_user(user)


async def test_device_uses_only_its_own_topics(broker: Broker) -> None:
    broker.set_users({"d-1": "one", "d-2": "two"})
    async with connected(broker, "homecare") as backend:
        await backend.subscribe("care/v1/#", qos=1)
        async with connected(broker, "d-1") as device:
            for leaf in ("telemetry", "telemetry/senml", "event", "status", "reply"):
                await device.publish(f"care/v1/990100/d-2/{leaf}", b"forged", qos=1)
                await device.publish(f"care/v1/990100/d-1/{leaf}", leaf.encode(), qos=1)
            await device.publish("care/v1/990100/d-1/ack", b"forged", qos=1)
            await device.publish("traccar/positions", b"forged", qos=1)
            for leaf in ("telemetry", "telemetry/senml", "event", "status", "reply"):
                assert await next_payload(backend) == leaf.encode()
            await device.subscribe("care/v1/#", qos=1)
            await backend.publish("care/v1/990100/d-2/ack", b"not yours", qos=1)
            await backend.publish("care/v1/990100/d-1/command", b"yours", qos=1)
            assert await next_payload(device) == b"yours"


@pytest.mark.parametrize(("user", "password"), [(None, None), ("d-1", "wrong"), ("d-9", "one"), ("d-1", "")])
async def test_nobody_without_the_right_password_gets_in(
    broker: Broker, user: str | None, password: str | None
) -> None:
    broker.set_users({"d-1": "one"})
    with pytest.raises(aiomqtt.MqttError, match=r"[Nn]ot authori[sz]ed|[Bb]ad user"):
        async with aiomqtt.Client("127.0.0.1", broker.port, username=user, password=password):
            pass


async def test_new_passwords_count_without_a_restart(broker: Broker) -> None:
    broker.set_users({"d-1": "old"})
    async with connected(broker, "d-1", "old"):
        pass
    pid = broker.pid
    broker.set_users({"d-1": hash_password("new")})

    async def gets_in(password: str) -> bool:
        try:
            async with connected(broker, "d-1", password):
                return True
        except aiomqtt.MqttError:
            return False

    async with asyncio.timeout(5):
        while not await gets_in("new"):  # noqa: ASYNC110  # nobody tells us
            await asyncio.sleep(0.02)
    assert not await gets_in("old")
    assert broker.pid == pid


async def test_message_a_little_too_large_reaches_the_backend_and_a_huge_one_does_not(broker: Broker) -> None:
    broker.set_users({"d-1": "one"})
    async with connected(broker, "homecare") as backend:
        await backend.subscribe("care/v1/#", qos=1)
        async with connected(broker, "d-1") as device:
            for size in (65_537, 1_000_000, 3_000_000, 1):
                await device.publish("care/v1/990100/d-1/telemetry", b"x" * size, qos=1)
        assert [len(await next_payload(backend)) for _ in range(3)] == [65_537, 1_000_000, 1]


async def test_queue_of_an_absent_backend_survives_a_restart(broker: Broker) -> None:
    broker.set_users({"d-1": "one"})
    async with connected(broker, "homecare", client_id="backend", keep=True) as backend:
        await backend.subscribe("care/v1/#", qos=1)
    async with connected(broker, "d-1") as device:
        # More than Mosquitto queues by default.
        for n in range(1500):
            await device.publish("care/v1/990100/d-1/telemetry", str(n), qos=1)
    port = broker.port
    broker.stop()
    broker.start()
    assert broker.port == port
    async with connected(broker, "homecare", client_id="backend", keep=True) as backend:
        assert [int(await next_payload(backend)) for _ in range(1500)] == list(range(1500))


async def test_what_was_saved_survives_a_kill(broker: Broker) -> None:
    broker.set_users({"d-1": "one"})
    async with connected(broker, "d-1") as device:
        await device.publish("care/v1/990100/d-1/status", b"{}", qos=1, retain=True)
    saved = broker.directory / "queues.db"
    before = saved.stat().st_mtime_ns if saved.exists() else 0
    async with asyncio.timeout(15):
        while not saved.exists() or saved.stat().st_mtime_ns == before:  # noqa: ASYNC110  # nobody tells us
            await asyncio.sleep(0.05)
    broker.kill()
    broker.start()
    async with connected(broker, "homecare") as backend:
        await backend.subscribe("care/v1/+/+/status", qos=1)
        assert await next_payload(backend) == b"{}"


def test_files_are_readable_by_the_broker_alone(broker: Broker) -> None:
    for name in ("mosquitto.conf", "acl", "passwords"):
        status = (broker.directory / name).stat()
        assert status.st_mode & 0o077 == 0
        assert status.st_uid == broker.directory.stat().st_uid
    if os.geteuid() == 0:
        assert broker.directory.stat().st_uid != 0
        assert Path(f"/proc/{broker.pid}").stat().st_uid == broker.directory.stat().st_uid


def test_broker_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    mosquitto()  # so that a machine without one is told here
    program = (
        "import sys, pathlib; from homecare.broker import Broker\n"
        "b = Broker(pathlib.Path(sys.argv[1])); b.start(); print(b.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "b")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    with parent:
        pid = int(parent.stdout.readline())
        waiting = os.pidfd_open(pid)
        os.kill(parent.pid, signal.SIGKILL)
        assert select.select([waiting], [], [], 5)[0], "the broker outlived its parent"
        os.close(waiting)

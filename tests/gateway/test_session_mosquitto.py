"""The session on a real broker with the project's own configuration."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt
import mqtt5
import pytest

from gateway.session import Session
from homecare.broker import Broker
from homecare.errors import BrokerRefused
from tests.gateway.sessions import WITHIN_S, new_session, next_batch, payloads, running

TELEMETRY = "care/v1/990101/H-1/telemetry"


@asynccontextmanager
async def connected(broker: Broker, client_id: str = "ingest-1", **arguments: object) -> AsyncIterator[Session]:
    session = new_session(broker.url(), client_id=client_id, **arguments)
    await session.connect()
    async with running(session):
        yield session


def device(broker: Broker, name: str = "H-1") -> aiomqtt.Client:
    """A device's own connection."""
    return aiomqtt.Client(
        "127.0.0.1", broker.port, username=name, password=broker.users[name], protocol=aiomqtt.ProtocolVersion.V311
    )


@pytest.fixture
def village(broker: Broker) -> Broker:
    """The broker, with one device let in."""
    broker.stop()
    broker.users["H-1"] = "the password of H-1"
    broker.start()
    return broker


async def test_what_is_not_acknowledged_comes_again_and_what_is_does_not(village: Broker) -> None:
    async with connected(village) as session, device(village) as sender:
        for n in range(5):
            await sender.publish(TELEMETRY, b"%d" % n, qos=1)
        batch = await next_batch(session, most=2)
        assert [message.payload for message in batch.messages] == [b"0", b"1"][: len(batch.messages)]
        batch.acknowledge()
        rest = 5 - len(batch.messages)
        await payloads(session, rest, acknowledge=False)
    async with connected(village) as session:
        again = await payloads(session, rest)
        assert again == [b"%d" % n for n in range(5 - rest, 5)]
        await session.publish(TELEMETRY, b"last")
        assert await payloads(session, 1) == [b"last"]


async def test_nobody_consuming_stops_the_broker_at_the_receive_maximum(village: Broker) -> None:
    async with connected(village, receive_maximum=10) as session:
        for n in range(35):
            await session.publish(TELEMETRY, b"%d" % n)
        # all 35 are at the broker; it has sent what it may, and its own acknowledgements came between and after those
        assert len(session._inbox) == 10
        assert await payloads(session, 35) == [b"%d" % n for n in range(35)]


async def test_the_session_outlives_the_broker(village: Broker) -> None:
    async with connected(village, pause=lambda *_: 0.05) as session:
        await session.publish(TELEMETRY, b"before")
        held = await next_batch(session)
        village.stop()
        village.start()
        held.acknowledge()
        assert await payloads(session, 1) == [b"before"]
        async with device(village) as sender:
            await sender.publish(TELEMETRY, b"after", qos=1)
        assert await payloads(session, 1) == [b"after"]


async def test_a_second_process_with_the_same_client_id_takes_the_session_over(village: Broker) -> None:
    first = new_session(village.url(), client_id="ingest-1")
    await first.connect()
    running_first = asyncio.ensure_future(first.run())
    async with connected(village) as second:
        with pytest.raises(BrokerRefused, match="another process uses the client id ingest-1"):
            async with asyncio.timeout(WITHIN_S):
                await running_first
        async with device(village) as sender:
            await sender.publish(TELEMETRY, b"one owner", qos=1)
        assert await payloads(second, 1) == [b"one owner"]
    await first.close()


async def test_a_wrong_password_ends_the_start(village: Broker) -> None:
    url = village.url().replace(village.users["homecare"], "wrong-word")
    with pytest.raises(BrokerRefused) as refused:
        await new_session(url).connect()
    assert "wrong-word" not in str(refused.value)


@pytest.mark.parametrize("size", [65_537, 1_000_000, 2 * 1024 * 1024])
async def test_a_message_too_large_for_the_contract_comes_in_and_holds_up_nobody(village: Broker, size: int) -> None:
    large = b"x" * size
    async with connected(village) as session, device(village) as sender:
        await sender.publish(TELEMETRY, large, qos=1)
        await sender.publish(TELEMETRY, b"behind", qos=1)
        assert await payloads(session, 2) == [large, b"behind"]


async def test_what_the_broker_itself_finds_too_large_holds_up_nobody_either(village: Broker) -> None:
    async with connected(village) as session, device(village) as sender:
        # an MQTT 3.1.1 device is told that all is well, and the message is gone: the broker's limit must be generous
        await sender.publish(TELEMETRY, b"x" * (2 * 1024 * 1024 + 1), qos=1)
        await sender.publish(TELEMETRY, b"behind", qos=1)
        assert await payloads(session, 1) == [b"behind"]


async def test_retained_status_is_marked_as_old_only_where_it_is(village: Broker) -> None:
    topic = "care/v1/990101/H-1/status"
    async with device(village) as sender:
        await sender.publish(topic, b"old", qos=1, retain=True)
        async with connected(village, filters=["care/v1/+/+/status"]) as session:
            (old,) = (await next_batch(session)).messages
            assert (old.payload, old.retained) == (b"old", True)
            await sender.publish(topic, b"news", qos=1, retain=True)
            (news,) = (await next_batch(session)).messages
            assert (news.payload, news.retained) == (b"news", False)


async def test_what_the_backend_publishes_reaches_the_device(village: Broker) -> None:
    async with connected(village) as session, device(village) as receiver:
        await receiver.subscribe("care/v1/+/H-1/ack", qos=1)
        await session.publish("care/v1/990101/H-1/ack", b"{}")
        async with asyncio.timeout(WITHIN_S):
            message = await anext(aiter(receiver.messages))
        assert (str(message.topic), message.payload, message.qos) == ("care/v1/990101/H-1/ack", b"{}", 1)
        with pytest.raises(BrokerRefused, match="not authorized"):
            await session.publish("outside/of/care", b"{}")


def raw_publish(topic: bytes, properties: bytes) -> bytes:
    """A PUBLISH of MQTT 5 with any bytes for a topic and for properties."""
    body = len(topic).to_bytes(2, "big") + topic + b"\0\1" + bytes([len(properties)]) + properties + b"{}"
    return bytes([0x32, len(body)]) + body


async def test_no_device_can_send_what_would_end_our_connection(village: Broker) -> None:
    """Whatever the broker lets through must be readable for us: else it would come again for ever."""
    good, text = TELEMETRY.encode(), b"\0\1\xff"
    tries = [
        raw_publish(f"care/v1/a/{name}/telemetry".encode("utf-8", "surrogatepass"), b"")
        for name in ("", "\ud800", "\1", "\uffff")
    ]
    tries += [raw_publish(b"care/v1/a/\xff/telemetry", b""), raw_publish(b"care/v1/a/\xc0\x80/telemetry", b"")]
    tries += [raw_publish(good, identifier + text) for identifier in (b"\x03", b"\x08", b"\x09", b"\x26\0\1k")]
    tries += [
        raw_publish(good, p) for p in (b"\x01\x02", b"\x0b\x01", b"\x23\0\1", b"\x02\0\0\0\0", b"\x03\0\0\x03\0\0")
    ]
    password = village.users["homecare"].encode()
    connect = mqtt5.ConnectPacket("careless", username="homecare", password=password, keep_alive=9).write()
    async with connected(village) as session:
        connection = session._connection
        for packet in tries:
            reader, writer = await asyncio.open_connection("127.0.0.1", village.port)
            writer.write(connect)
            await reader.read(100)
            writer.write(packet)
            await reader.read(100)  # a PUBACK, or the end
            writer.close()
            await writer.wait_closed()
        async with device(village) as sender:
            await sender.publish(TELEMETRY, b"behind all that", qos=1)
        found: list[bytes] = []
        while b"behind all that" not in found:
            found += await payloads(session, 1)
        assert session._connection is connection
        assert session.connected

"""What a session does with messages, on a broker that does as it is told."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import mqtt5
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import REGISTRY

from gateway.inbox import filter_pattern
from homecare.errors import BrokerRefused, BrokerUnavailable, SettingsError
from tests.gateway.scripted_broker import WITHIN_S, Peer, publish, scripted_broker
from tests.gateway.sessions import FILTERS, new_session, next_batch, payloads, running, welcomed


async def acknowledged(peer: Peer, count: int) -> list[int]:
    found = []
    for _ in range(count):
        packet = await peer.read()
        assert isinstance(packet, mqtt5.PubAckPacket)
        found.append(packet.packet_id)
    return found


async def test_the_session_introduces_itself_as_one_that_stays() -> None:
    async with scripted_broker() as broker:
        session = new_session(
            broker.url("back%40end:p%3A%2Fw@"), client_id="ingest-1", receive_maximum=123, session_expiry_s=77
        )
        connecting = asyncio.ensure_future(session.connect())
        peer = await broker.accept()
        connect = peer.connect
        assert (connect.client_id, connect.clean_start, connect.session_expiry_interval) == ("ingest-1", False, 77)
        assert (connect.username, connect.password, connect.receive_max) == ("back@end", b"p:/w", 123)
        await peer.welcome()
        await connecting
        assert peer.filters == list(FILTERS)
        assert session.connected
        ended = asyncio.ensure_future(peer.read_end())
        await session.close()
        assert await ended == mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION
        assert not session.connected


async def test_messages_are_acknowledged_when_the_batch_is_and_in_order() -> None:
    async with scripted_broker() as broker, welcomed(broker, clock=lambda: 1234567890123) as (session, peer, _):
        peer.send(*(publish(n, payload=b"%d" % n) for n in (7, 3, 9)))
        batch = await next_batch(session)
        assert [(message.topic, message.payload, message.received) for message in batch.messages] == [
            ("care/v1/990101/H-1/telemetry", b"%d" % n, 1234567890123) for n in (7, 3, 9)
        ]
        batch.acknowledge()
        batch.acknowledge()
        assert await acknowledged(peer, 3) == [7, 3, 9]
        peer.send(publish(10))
        (await next_batch(session)).acknowledge()
        assert await acknowledged(peer, 1) == [10]


async def test_batches_have_a_largest_size() -> None:
    async with scripted_broker() as broker, welcomed(broker) as (session, peer, _):
        peer.send(*(publish(n) for n in range(1, 8)))
        sizes: list[int] = []
        while sum(sizes) < 7:
            batch = await next_batch(session, most=3)
            sizes.append(len(batch.messages))
            batch.acknowledge()
        assert max(sizes) <= 3
        assert await acknowledged(peer, 7) == list(range(1, 8))


async def test_messages_that_come_with_the_connack_are_acknowledged_on_that_connection() -> None:
    async with scripted_broker() as broker, welcomed(broker, publish(5)) as (session, peer, _):
        assert len(await payloads(session, 1)) == 1
        assert await acknowledged(peer, 1) == [5]


async def test_acknowledging_on_a_connection_that_is_gone_does_nothing() -> None:
    async with scripted_broker() as broker, welcomed(broker) as (session, peer, _):
        peer.send(publish(1, payload=b"a"))
        old = await next_batch(session)
        peer.close()
        again = await broker.accept()
        await again.welcome(publish(1, payload=b"a", duplicate=True), present=True)
        new = await next_batch(session)
        old.acknowledge()
        new.acknowledge()
        again.send(publish(2))
        (await next_batch(session)).acknowledge()
        assert await acknowledged(again, 2) == [1, 2]


async def test_a_topic_nobody_asked_for_is_acknowledged_counted_and_ignored() -> None:
    async with scripted_broker() as broker, welcomed(broker, client_id="choosy") as (session, peer, _):
        peer.send(
            publish(1, topic="care/v1/990101/H-1/ack"), publish(2, topic="elsewhere"), publish(3, payload=b"asked")
        )
        assert await acknowledged(peer, 2) == [1, 2]
        assert await payloads(session, 1) == [b"asked"]
        assert await acknowledged(peer, 1) == [3]
    assert REGISTRY.get_sample_value("homecare_mqtt_ignored_total", {"client": "choosy"}) == 2
    assert REGISTRY.get_sample_value("homecare_mqtt_received_total", {"client": "choosy"}) == 1


async def test_qos_0_needs_no_acknowledgement() -> None:
    async with scripted_broker() as broker, welcomed(broker) as (session, peer, _):
        peer.send(publish(0, qos=0, payload=b"told once"), publish(9, payload=b"promised"))
        assert await payloads(session, 2) == [b"told once", b"promised"]
        assert await acknowledged(peer, 1) == [9]


@pytest.mark.parametrize("qos", [0, 1])
async def test_with_nobody_consuming_memory_stays_bounded_whatever_the_broker_sends(qos: int) -> None:
    count, size = 2000, 10_000
    async with scripted_broker() as broker, welcomed(broker, receive_maximum=3, keep_alive_s=1) as (session, peer, _):
        peer.send(*(publish(n, qos=qos, payload=b"%05d" % n + bytes(size)) for n in range(1, count + 1)))
        with pytest.raises(TimeoutError):
            # the pings of two seconds: we do not listen, and do not take the broker for dead
            async with asyncio.timeout(2):
                await peer.read()
        assert 6 <= len(session._inbox) < 100
        assert session.connected
        held = await next_batch(session)
        if qos:
            # what is taken and not acknowledged counts as well
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await session._inbox.changed.wait()
        held.acknowledge()
        found = [message.payload for message in held.messages]
        found += await payloads(session, count - len(found))
        assert [payload[:5] for payload in found] == [b"%05d" % n for n in range(1, count + 1)]


async def test_qos_2_is_taken_as_at_least_once() -> None:
    async with scripted_broker() as broker, welcomed(broker) as (session, peer, _):
        peer.send(publish(4, qos=2, payload=b"exactly"))
        assert await payloads(session, 1) == [b"exactly"]
        received = await peer.read()
        assert isinstance(received, mqtt5.PubRecPacket)
        assert received.packet_id == 4
        peer.send(mqtt5.PubRelPacket(4))
        complete = await peer.read()
        assert isinstance(complete, mqtt5.PubCompPacket)
        assert complete.packet_id == 4


async def test_packets_may_come_in_pieces() -> None:
    async with scripted_broker() as broker, welcomed(broker) as (session, peer, _):
        whole = b"".join(publish(n, payload=b"x" * 300).write() for n in range(1, 4))
        for at in range(0, len(whole), 97):
            peer.send(whole[at : at + 97])
            await asyncio.sleep(0)
        assert await payloads(session, 3) == [b"x" * 300] * 3


async def test_publishing_waits_for_the_acknowledgement_and_keeps_to_the_brokers_limit() -> None:
    async with scripted_broker() as broker:
        session = new_session(broker.url())
        connecting = asyncio.ensure_future(session.connect())
        peer = await broker.accept()
        await peer.welcome(receive_max=1)
        await connecting
        async with running(session), asyncio.TaskGroup() as group:
            tasks = [group.create_task(session.publish("care/v1/a/b/ack", b"%d" % n, retain=n == 1)) for n in range(2)]
            first = await peer.read()
            assert isinstance(first, mqtt5.PublishPacket)
            assert (first.payload, first.qos, first.retain) == (b"0", mqtt5.QoS.AT_LEAST_ONCE, False)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await peer.read()
            assert not tasks[0].done()
            assert first.packet_id is not None
            peer.send(mqtt5.PubAckPacket(first.packet_id))
            second = await peer.read()
            assert isinstance(second, mqtt5.PublishPacket)
            assert (second.payload, second.retain) == (b"1", True)
            assert second.packet_id is not None
            peer.send(mqtt5.PubAckPacket(second.packet_id, reason_code=mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS))


async def test_a_publication_the_broker_refuses_says_so() -> None:
    async with scripted_broker() as broker, welcomed(broker) as (session, peer, _):
        publishing = asyncio.ensure_future(session.publish("care/v1/a/b/ack", b"{}"))
        packet = await peer.read()
        assert isinstance(packet, mqtt5.PublishPacket)
        assert packet.packet_id is not None
        peer.send(mqtt5.PubAckPacket(packet.packet_id, reason_code=mqtt5.PubAckReasonCode.QUOTA_EXCEEDED))
        with pytest.raises(BrokerRefused) as refused:
            await publishing
        assert refused.value.reason == "quota_exceeded"


async def test_publications_fail_with_their_connection() -> None:
    async with scripted_broker() as broker:
        session = new_session(broker.url())
        connecting = asyncio.ensure_future(session.connect())
        peer = await broker.accept()
        await peer.welcome(receive_max=2)
        await connecting
        publishing = [asyncio.ensure_future(session.publish("care/v1/a/b/ack", b"{}")) for _ in range(5)]
        await peer.read()
        peer.close()
        async with asyncio.timeout(WITHIN_S):
            results = await asyncio.gather(*publishing, return_exceptions=True)
        assert [type(result) for result in results] == [BrokerUnavailable] * 5
        with pytest.raises(BrokerUnavailable):
            await session.publish("care/v1/a/b/ack", b"{}")
        await session.close()


async def test_batches_end_when_the_session_is_closed() -> None:
    async with scripted_broker() as broker, welcomed(broker) as (session, _, _task):

        async def consume() -> int:
            return sum([len(batch.messages) async for batch in session.batches()])

        consuming = asyncio.ensure_future(consume())
        await session.close()
        async with asyncio.timeout(WITHIN_S):
            assert await consuming == 0


@pytest.mark.parametrize(
    ("topic_filter", "topic", "matches"),
    [
        ("care/v1/+/+/event", "care/v1/a/b/event", True),
        ("care/v1/+/+/event", "care/v1/a/b/c/event", False),
        ("care/v1/+/+/event", "care/v1/a/b/eventful", False),
        ("care/v1/+/+/event", "care/v1//b/event", True),
        ("care/v1/a.b/+/event", "care/v1/axb/b/event", False),
        ("care/v1/#", "care/v1/a/b", True),
        ("care/v1/#", "care/v1", True),
        ("care/v1/#", "care/v10", False),
        ("$share/alerts/care/v1/+/+/event", "care/v1/a/b/event", True),
        ("#", "anything/at all\n", True),
        ("+", "one", True),
        ("+", "one/two", False),
    ],
)
def test_topic_filters(topic_filter: str, topic: str, matches: bool) -> None:
    import re

    assert bool(re.fullmatch(filter_pattern(topic_filter), topic)) is matches


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "mqtt://h:port", "mqtt://[::1"])
def test_a_wrong_url_is_named_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="HOMECARE_MQTT_URL: must look like"):
        new_session(url)


def certificate(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that nobody signed but itself, as a file and as a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker of the tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_file = directory / "broker.pem", directory / "broker.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key_file)
    return pem, context


async def test_mqtts_with_a_certificate_we_were_given(tmp_path: Path) -> None:
    pem, context = certificate(tmp_path)
    async with scripted_broker(context) as broker:
        session = new_session(broker.url(scheme="mqtts"), ca_file=str(pem))
        connecting = asyncio.ensure_future(session.connect())
        peer = await broker.accept()
        await peer.welcome(publish(1))
        await connecting
        assert len(await payloads(session, 1)) == 1
        assert await acknowledged(peer, 1) == [1]
        await session.close()


async def test_mqtts_with_a_certificate_nobody_knows_is_refused(tmp_path: Path) -> None:
    _, context = certificate(tmp_path)
    async with scripted_broker(context) as broker:
        with pytest.raises(BrokerUnavailable, match="certificate verify failed"):
            await new_session(broker.url(scheme="mqtts")).connect()
    with pytest.raises(SettingsError, match="HOMECARE_MQTT_CA_FILE"):
        new_session("mqtts://127.0.0.1", ca_file=str(tmp_path / "nothing.pem"))

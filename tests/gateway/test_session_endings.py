"""What a session does when the broker, or the way to it, fails: each row of the table in `gateway/endings.py`."""

import asyncio
import re
from typing import Any

import mqtt5
import pytest
from prometheus_client import REGISTRY

from gateway.connection import MOST_PACKET_BYTES
from gateway.endings import AT_ONCE_S, MOST_S, SLOW_S, STEADY_S, WORDLESS, Ending, History, pause_after
from gateway.inbox import MOST_BYTES, Inbox
from homecare.broker import CONFIGURATION
from homecare.errors import BrokerRefused, BrokerUnavailable
from tests.gateway.scripted_broker import WITHIN_S, publish, scripted_broker
from tests.gateway.sessions import new_session, next_batch, payloads, running, welcomed

Refused = mqtt5.ConnAckReasonCode
Told = mqtt5.DisconnectReasonCode


class Pauses:
    """Remembers what the session was to wait for, and waits for nothing."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.three = asyncio.Event()

    def __call__(self, reason: str, failures: int, chance: float) -> float:  # noqa: ARG002
        self.reasons.append(reason)
        if len(self.reasons) == 3:
            self.three.set()
        return 0.0


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    "code", [Refused.BAD_USER_NAME_OR_PASSWORD, Refused.NOT_AUTHORIZED, Refused.CLIENT_ID_NOT_VALID]
)
async def test_a_refusal_at_the_start_is_final(code: mqtt5.ConnAckReasonCode) -> None:
    async with scripted_broker() as broker:
        connecting = asyncio.ensure_future(new_session(broker.url("somebody:s3cret-word@")).connect())
        (await broker.accept()).send(mqtt5.ConnAckPacket(reason_code=code, reason_str="go away"))
        with pytest.raises(BrokerRefused, match="go away") as refused:
            await connecting
    assert refused.value.reason == code.name.lower()
    assert "s3cret" not in str(refused.value)


async def test_a_refusal_later_is_tried_again_slowly() -> None:
    pauses = Pauses()
    async with scripted_broker() as broker, welcomed(broker, pause=pauses) as (session, first, _):
        first.close()
        for _ in range(2):
            (await broker.accept()).send(mqtt5.ConnAckPacket(reason_code=Refused.BAD_USER_NAME_OR_PASSWORD))
        peer = await broker.accept()
        await peer.welcome(publish(1), present=True)
        assert len(await payloads(session, 1)) == 1
    assert pauses.reasons == ["connection_lost", "bad_user_name_or_password", "bad_user_name_or_password"]


async def test_a_session_taken_over_is_left_to_the_other_process() -> None:
    async with scripted_broker() as broker, welcomed(broker, client_id="ingest-1") as (session, peer, task):
        peer.send(mqtt5.DisconnectPacket(reason_code=Told.SESSION_TAKEN_OVER))
        with pytest.raises(BrokerRefused, match="another process uses the client id ingest-1") as refused:
            async with asyncio.timeout(WITHIN_S):
                await task
        assert refused.value.reason == "session_taken_over"
        assert not session.connected


async def test_closed_again_and_again_without_a_word_counts_as_taken_over() -> None:
    async with scripted_broker() as broker, welcomed(broker) as (_, first, task):
        first.close()
        for _ in range(WORDLESS - 1):
            peer = await broker.accept()
            await peer.welcome(present=True)
            peer.close()
        with pytest.raises(BrokerRefused, match="session taken over"):
            async with asyncio.timeout(WITHIN_S):
                await task


def test_only_a_row_of_short_wordless_connections_is_taken_for_a_fight() -> None:
    lost, told = Ending("connection_lost"), Ending("server_shutting_down", said=True)
    history = History()
    for _ in range(3):
        assert [history.judge(lost, 0.1).reason for _ in range(WORDLESS - 1)] == ["connection_lost"] * (WORDLESS - 1)
        assert history.judge(told, 0.1).reason == "server_shutting_down"
    assert history.failures == 3 * WORDLESS
    for _ in range(2 * WORDLESS):
        assert history.judge(lost, STEADY_S).reason == "connection_lost"
    assert history.failures == 0
    assert [history.judge(lost, 0.1).reason for _ in range(WORDLESS - 1)][-1] == "session_taken_over"


def test_a_broker_that_dies_again_and_again_is_not_taken_for_a_fight() -> None:
    history = History()
    for _ in range(3 * WORDLESS):
        assert history.judge(Ending("connection_lost"), AT_ONCE_S).reason == "connection_lost"
    assert pause_after("connection_lost", WORDLESS - 1, 1.0) < AT_ONCE_S  # so long the other one waits in a fight


@pytest.mark.parametrize(
    "code",
    [
        Told.QUOTA_EXCEEDED,
        Told.SERVER_BUSY,
        Told.SERVER_SHUTTING_DOWN,
        Told.ADMINISTRATIVE_ACTION,
        Told.UNSPECIFIED_ERROR,
    ],
)
async def test_told_to_go_it_comes_back_and_the_session_goes_on(code: mqtt5.DisconnectReasonCode) -> None:
    pauses = Pauses()
    async with scripted_broker() as broker, welcomed(broker, pause=pauses) as (session, peer, _):
        peer.send(publish(1, payload=b"before"), mqtt5.DisconnectPacket(reason_code=code))
        again = await broker.accept()
        assert again.connect.clean_start is False
        await again.welcome(publish(1, payload=b"before", duplicate=True), publish(2, payload=b"after"), present=True)
        batch = await next_batch(session)
        assert [message.payload for message in batch.messages] == [b"before", b"after"]
        assert [message.duplicate for message in batch.messages] == [True, False]
    assert pauses.reasons == [code.name.lower()]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x00",
        # the codec's panic leaves its cause behind
        pytest.param(
            b"\x30\x06\x00\x02\xff\xfe\x00a",
            marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
        ),
        b"\x36\x06\x00\x02ab\x00a",
        b"\x32\x04\x00\x64ab" + b"z" * 200,
        b"\x30\xff\xff\xff\xff\xff",
        b"\x30\xff\xff\xff\x7f",
    ],
    ids=["no such packet", "topic not UTF-8", "QoS 3", "length beyond the end", "endless length", "256 MiB"],
)
async def test_a_malformed_packet_ends_the_connection_and_not_the_session(garbage: bytes) -> None:
    pauses = Pauses()
    async with scripted_broker() as broker, welcomed(broker, pause=pauses) as (session, peer, _):
        peer.send(publish(1, payload=b"good"), garbage)
        assert await peer.read_end() == Told.MALFORMED_PACKET
        again = await broker.accept()
        await again.welcome(publish(1, payload=b"good", duplicate=True), present=True)
        assert await payloads(session, 1) == [b"good"]
        acknowledged = await again.read()
        assert isinstance(acknowledged, mqtt5.PubAckPacket)
    assert pauses.reasons == ["malformed_packet"]


async def test_what_the_broker_sends_out_of_turn_ends_the_connection() -> None:
    packets: list[Any] = [mqtt5.ConnAckPacket(), mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("x")]), mqtt5.AuthPacket()]
    for packet in packets:
        async with scripted_broker() as broker, welcomed(broker) as (_, peer, _task):
            peer.send(packet)
            assert await peer.read_end() == Told.PROTOCOL_ERROR


@pytest.mark.parametrize("nth", [0, 1])
async def test_a_refused_subscription_is_final_and_named(nth: int) -> None:
    async with scripted_broker() as broker:
        connecting = asyncio.ensure_future(new_session(broker.url()).connect())
        peer = await broker.accept()
        peer.send(mqtt5.ConnAckPacket())
        subscribe = await peer.read()
        assert isinstance(subscribe, mqtt5.SubscribePacket)
        codes = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE] * 2
        codes[nth] = mqtt5.SubAckReasonCode.NOT_AUTHORIZED
        peer.send(mqtt5.SubAckPacket(subscribe.packet_id, codes))
        with pytest.raises(
            BrokerRefused, match=r"subscription refused \(care/v1/\+/\+/(telemetry|event): not authorized"
        ):
            await connecting


async def test_a_subscription_refused_later_ends_the_session_too() -> None:
    async with scripted_broker() as broker, welcomed(broker) as (_, first, task):
        first.close()
        peer = await broker.accept()
        peer.send(mqtt5.ConnAckPacket(session_present=True))
        subscribe = await peer.read()
        assert isinstance(subscribe, mqtt5.SubscribePacket)
        peer.send(mqtt5.SubAckPacket(subscribe.packet_id, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED] * 2))
        with pytest.raises(BrokerRefused, match="subscription refused"):
            async with asyncio.timeout(WITHIN_S):
                await task


async def test_a_broker_without_qos_1_is_of_no_use() -> None:
    async with scripted_broker() as broker:
        connecting = asyncio.ensure_future(new_session(broker.url()).connect())
        (await broker.accept()).send(mqtt5.ConnAckPacket(max_qos=mqtt5.QoS.AT_MOST_ONCE))
        with pytest.raises(BrokerRefused, match="QoS 0 only"):
            await connecting


async def test_a_lost_session_is_counted_and_what_it_had_sent_is_kept() -> None:
    async with scripted_broker() as broker, welcomed(broker, client_id="forgotten") as (session, peer, _):
        peer.send(publish(1, payload=b"only copy"))
        held = await next_batch(session)
        peer.send(publish(2, payload=b"another"))
        peer.close()
        again = await broker.accept()
        await again.welcome(publish(1, payload=b"new"), present=False)
        assert await payloads(session, 2) == [b"another", b"new"]
        held.acknowledge()
        acknowledged = await again.read()
        assert isinstance(acknowledged, mqtt5.PubAckPacket)
        assert acknowledged.packet_id == 1
        session_ended = asyncio.ensure_future(again.read_end())
        await session.close()
        assert await session_ended == Told.NORMAL_DISCONNECTION
    assert counted("homecare_mqtt_sessions_lost_total", client="forgotten") == 1
    assert counted("homecare_mqtt_acknowledged_total", client="forgotten") == 1


async def test_a_peer_that_falls_silent_is_given_up() -> None:
    pauses = Pauses()
    async with scripted_broker() as broker, welcomed(broker, pause=pauses, keep_alive_s=1) as (session, first, _):
        # nobody reads, so nobody answers the pings
        again = await broker.accept()
        await again.welcome(present=True)
        again.send(publish(1))
        assert len(await payloads(session, 1)) == 1
        assert first.connect.keep_alive == 1
    assert pauses.reasons == ["peer_silent"]


async def test_pings_keep_a_quiet_connection_open() -> None:
    pauses = Pauses()
    async with scripted_broker() as broker, welcomed(broker, pause=pauses, keep_alive_s=1) as (session, peer, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.2):
                await peer.read()
        assert session.connected
    assert not pauses.reasons


async def test_nobody_at_the_address_is_one_line(unused_tcp_port: int) -> None:
    with pytest.raises(BrokerUnavailable, match=r"cannot be reached") as error:
        await new_session(f"mqtt://127.0.0.1:{unused_tcp_port}").connect()
    assert "\n" not in str(error.value)


async def test_it_goes_on_trying_where_nobody_answers(unused_tcp_port: int) -> None:
    pauses = Pauses()
    session = new_session(f"mqtt://127.0.0.1:{unused_tcp_port}", pause=pauses)
    async with running(session):
        async with asyncio.timeout(WITHIN_S):
            await pauses.three.wait()
    assert set(pauses.reasons) == {"unreachable"}


def test_pauses_double_with_jitter_and_have_a_bound() -> None:
    assert [pause_after("connection_lost", n, 1.0) for n in (0, 1, 2)] == [0.2, 0.4, 0.8]
    assert pause_after("connection_lost", 0, 0.0) == 0.1
    assert pause_after("malformed_packet", 10_000, 1.0) == MOST_S
    assert pause_after("quota_exceeded", 0, 0.0) == SLOW_S / 2
    assert pause_after("bad_user_name_or_password", 7, 1.0) == SLOW_S * 1.5


def test_whatever_the_broker_lets_through_is_below_our_packet_limit() -> None:
    configured = (CONFIGURATION / "mosquitto.conf").read_text("utf-8")
    found = re.search(r"^message_size_limit (\d+)$", configured, re.MULTILINE)
    assert found is not None
    topic_and_properties = 65_535 + 60_000
    assert int(found[1]) + topic_and_properties <= MOST_PACKET_BYTES


def test_large_messages_fill_the_inbox_before_there_are_many() -> None:
    inbox = Inbox(["a"], limit=1000)
    large = mqtt5.PublishPacket("a", b"x" * 1_000_000, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=1)
    full = []
    for _ in range(1 + MOST_BYTES // 1_000_000):
        full.append(inbox.full)
        inbox.put(large, "a", 0, b"")
    assert (any(full), inbox.full) == (False, True)
    inbox.take(1)
    left = inbox.full
    inbox.put(large, "a", 0, b"")
    assert (left, inbox.full) == (False, True)
    inbox.take(1000)
    assert (len(inbox), inbox.full) == (0, False)


async def test_what_was_acknowledged_last_arrives_even_if_more_was_on_its_way() -> None:
    async with scripted_broker() as broker, welcomed(broker) as (session, peer, _):
        peer.send(publish(1))
        batch = await next_batch(session)
        peer.send(*(publish(n, payload=b"x" * 100) for n in range(2, 2000)))  # nobody reads these
        batch.acknowledge()
        await session.close()
        packets = [await peer.read(), await peer.read()]
        assert isinstance(packets[0], mqtt5.PubAckPacket)
        assert isinstance(packets[1], mqtt5.DisconnectPacket)
        with pytest.raises(EOFError):  # and no reset, at which a broker may leave unread what came before
            await peer.read()

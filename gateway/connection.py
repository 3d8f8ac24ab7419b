"""One network connection to the broker, from CONNECT to its end; the session (`session.py`) outlives it.

Nothing in here waits for the consumer: messages go to the inbox, acknowledgements are written when they are asked for.
At twice the receive maximum nothing more is read: a broker may send more than it was allowed (Mosquitto 2.0.11 does once
the first acknowledgements have come), and the memory of those who consume must not depend on its manners.
"""

import asyncio
from collections.abc import Sequence

import mqtt5
import structlog

from gateway import session_metrics as metrics
from gateway.endings import Ending
from gateway.framing import Framing, MalformedPacket
from gateway.inbox import Inbox
from gateway.publishing import Publishing
from homecare.clock import Clock

CLOSE_WITHIN_S = 2.0
log = structlog.get_logger()
MOST_PACKET_BYTES = 2 * 1024 * 1024 + 128 * 1024
"""The broker's limit on a payload (`message_size_limit`), and room for topic and properties: what the broker takes is refused
here by name; a smaller limit would make it drop such a message without a word.
"""
"""What the broker may send us. Well above the contract's 64 KiB, so that a message that is too large comes in and
is put into the quarantine; beyond this the broker drops it (Mosquitto: silently), so it should be refused there."""


class Connection(asyncio.Protocol):
    """Owned by a Session, in one event loop."""

    def __init__(self, connect: mqtt5.ConnectPacket, inbox: Inbox, clock: Clock) -> None:
        self._connect = connect
        self._client = connect.client_id
        self._inbox = inbox
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._framing = Framing(MOST_PACKET_BYTES)
        self._keep_alive: float = connect.keep_alive
        self._heard = self._loop.time()
        self._beat: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._connack: asyncio.Future[mqtt5.ConnAckPacket] = self._loop.create_future()
        self._suback: asyncio.Future[mqtt5.SubAckPacket] = self._loop.create_future()
        self.publishing = Publishing(self.write)
        self.in_flight = 0
        self.ending: Ending | None = None
        self.ended = asyncio.Event()
        """Set as soon as the connection is of no more use."""
        self.lost = asyncio.Event()
        """Set when the transport is closed too."""

    async def open(self, filters: Sequence[str]) -> bool:
        """CONNECT and SUBSCRIBE; returns whether the broker still had the session. Raises BrokerUnavailable, BrokerRefused."""
        self.write(self._connect.write())
        connack = await self._connack
        self._keep_alive = connack.server_keep_alive or self._connect.keep_alive
        self._beat = self._loop.call_later(self._keep_alive / 2, self._keep_up)
        if connack.max_qos == mqtt5.QoS.AT_MOST_ONCE:
            raise self.end(Ending("quality_not_supported", "the broker gives QoS 0 only", said=True)).error()
        self.publishing.start(connack.receive_max, connack.max_packet_size)
        asked = [
            mqtt5.TopicFilter(
                pattern,
                max_qos=mqtt5.QoS.AT_LEAST_ONCE,
                retain_as_published=False,
                retain_handling=mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
            )
            for pattern in filters
        ]
        if asked:
            self.write(mqtt5.SubscribePacket(1, asked).write())
            suback = await self._suback
            for pattern, code in zip(filters, suback.reason_codes, strict=False):
                if code.value >= 128:
                    refused = Ending("subscription_refused", f"{pattern}: {code.name.lower().replace('_', ' ')}")
                    raise self.end(refused, mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION).error()
        return connack.session_present

    def acknowledge(self, answers: Sequence[bytes]) -> bool:
        """Write all of them at once; False where the connection is gone and they mean nothing any more."""
        if self.ending is not None:
            return False
        counted = len(answers) - answers.count(b"")
        self.write(b"".join(answers))
        self.in_flight -= counted
        metrics.ACKNOWLEDGED.labels(self._client).inc(counted)
        metrics.IN_FLIGHT.labels(self._client).set(self.in_flight)
        self.read_on()
        return True

    def write(self, data: bytes) -> None:
        if self._transport is not None and self.ending is None:
            self._transport.write(data)

    def end(self, ending: Ending, say: mqtt5.DisconnectReasonCode | None = None) -> Ending:
        """End it for this reason (the first one counts), telling the broker `say`."""
        if self.ending is not None:
            return self.ending
        if say is not None:
            self.write(mqtt5.DisconnectPacket(reason_code=say).write())
        self.ending = ending
        if self._beat is not None:
            self._beat.cancel()
        error = ending.error()
        for waiting in (self._connack, self._suback):
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # whoever waits is told; nobody has to
        self.publishing.fail(error)
        self.in_flight = 0
        metrics.IN_FLIGHT.labels(self._client).set(0)
        if self._transport is not None:
            if say is None:
                self._transport.abort()
            else:
                # Not closed yet: with messages unread, the kernel would reset the connection, and the broker lose the
                # acknowledgements it has not read. It closes when it has read our last word.
                if self._transport.can_write_eof():
                    self._transport.write_eof()
                self._transport.resume_reading()
                self._loop.call_later(CLOSE_WITHIN_S, self._transport.abort)
        self.ended.set()
        return ending

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(Ending("connection_lost", str(exc) if exc else "closed by the broker"))
        self.lost.set()

    def pause_writing(self) -> None:
        self.publishing.writable.clear()

    def resume_writing(self) -> None:
        self.publishing.writable.set()

    def data_received(self, data: bytes) -> None:
        if self.ending is not None:
            return
        self._heard = self._loop.time()
        received, before = self._clock(), self._inbox.received
        try:
            for packet in self._framing.packets(data):
                if isinstance(packet, mqtt5.PublishPacket):
                    self._take(packet, received)
                else:
                    self._handle(packet)
                if self.ended.is_set():
                    break
        except MalformedPacket as malformed:
            self.end(Ending("malformed_packet", str(malformed)), mqtt5.DisconnectReasonCode.MALFORMED_PACKET)
        arrived = self._inbox.received - before
        if arrived:
            metrics.RECEIVED.labels(self._client).inc(arrived)
            metrics.IN_FLIGHT.labels(self._client).set(self.in_flight)
            self._inbox.changed.set()
        if self._crowded() and self._transport is not None:
            self._transport.pause_reading()

    def _crowded(self) -> bool:
        """Too much is waiting to be taken or acknowledged. A broker that keeps to our limit never brings it so far,
        so that what it answers to our publications is always read.
        """
        return self._inbox.full or self.in_flight >= 2 * self._connect.receive_max

    def read_on(self) -> None:
        """Something was taken or acknowledged: read again, where we had stopped."""
        if self._transport is None or self.ending is not None or self._transport.is_reading() or self._crowded():
            return
        self._heard = self._loop.time()
        self._transport.resume_reading()

    def _take(self, packet: mqtt5.PublishPacket, received: int) -> None:
        if not self._connack.done() or packet.topic_alias is not None:
            self.end(Ending("protocol_error", "an unexpected PUBLISH"), mqtt5.DisconnectReasonCode.PROTOCOL_ERROR)
            return
        topic = self._inbox.asked(packet.topic)
        answer = _answer(packet)
        if answer:
            self.in_flight += 1
        if topic is not None:
            self._inbox.put(packet, topic, received, answer)
            return
        # not for us: acknowledged, so that it does not come again
        metrics.IGNORED.labels(self._client).inc()
        log.debug("message_ignored", topic=packet.topic)
        if answer:
            self.write(answer)
            self.in_flight -= 1

    def _handle(self, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.PubAckPacket():
                self.publishing.acknowledged(packet.packet_id, packet.reason_code, packet.reason_str)
            case mqtt5.PubRelPacket():
                self.write(mqtt5.PubCompPacket(packet.packet_id).write())
            case mqtt5.PingRespPacket():
                pass
            case mqtt5.ConnAckPacket() if not self._connack.done():
                if packet.reason_code.value >= 128:
                    self.end(_said(packet))
                else:
                    # at once, for messages may follow in the same piece of data
                    self._inbox.begin(self, packet.session_present)
                    self._connack.set_result(packet)
            case mqtt5.SubAckPacket() if not self._suback.done():
                self._suback.set_result(packet)
            case mqtt5.DisconnectPacket():
                self.end(_said(packet))
            case _:
                what = f"an unexpected {type(packet).__name__}"
                self.end(Ending("protocol_error", what), mqtt5.DisconnectReasonCode.PROTOCOL_ERROR)

    def _keep_up(self) -> None:
        """Every half keep-alive: ask for a sign of life; give up after one and a half without any."""
        listening = self._transport is not None and self._transport.is_reading()
        if listening and self._loop.time() - self._heard > self._keep_alive * 1.5:
            self.end(Ending("peer_silent", f"nothing heard for {self._keep_alive * 1.5:g} s"))
            return
        self.write(mqtt5.PingReqPacket().write())
        self._beat = self._loop.call_later(self._keep_alive / 2, self._keep_up)


def _answer(packet: mqtt5.PublishPacket) -> bytes:
    """What acknowledges it once it is committed. We ask for QoS 1; a QoS 2 message that comes all the same is
    taken as at least once: PUBREC then, PUBCOMP on the broker's PUBREL, and the second copy is known by its name.
    """
    if packet.packet_id is None:
        return b""
    if packet.qos == mqtt5.QoS.AT_LEAST_ONCE:
        return mqtt5.PubAckPacket(packet.packet_id).write()
    return mqtt5.PubRecPacket(packet.packet_id).write()


def _said(packet: mqtt5.ConnAckPacket | mqtt5.DisconnectPacket) -> Ending:
    return Ending(packet.reason_code.name.lower(), packet.reason_str or "", said=True)

"""A broker that does what a test tells it to, packet by packet: for what a real one will not do on demand."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import mqtt5

WITHIN_S = 30.0
"""Nothing takes that long; a machine with much else to do takes longer than one would think."""


class Peer:
    """The broker's side of one connection; its CONNECT has been read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._rest = b""
        self.connect: mqtt5.ConnectPacket
        self.filters: list[str] = []

    async def read(self) -> mqtt5.Packet:
        """The next packet that is no PINGREQ (those are answered). EOFError where the connection has ended."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    packet, size = mqtt5.read(memoryview(self._rest))
                except IndexError:
                    data = await self._reader.read(65536)
                    if not data:
                        raise EOFError from None
                    self._rest += data
                    continue
                self._rest = self._rest[size:]
                if not isinstance(packet, mqtt5.PingReqPacket):
                    return packet
                self.send(mqtt5.PingRespPacket())

    async def read_end(self) -> mqtt5.DisconnectReasonCode | None:
        """Read to the end; the reason of the DISCONNECT that came before it, if one came."""
        reason = None
        try:
            while True:
                packet = await self.read()
                if isinstance(packet, mqtt5.DisconnectPacket):
                    reason = packet.reason_code
        except (EOFError, ConnectionError):
            return reason

    def send(self, *packets: mqtt5.Packet | bytes) -> None:
        """In one write."""
        self._writer.write(b"".join(packet if isinstance(packet, bytes) else packet.write() for packet in packets))

    async def welcome(self, *at_once: mqtt5.Packet, present: bool = False, receive_max: int = 65535) -> None:
        """CONNACK (and with it `at_once`), then SUBSCRIBE granted."""
        self.send(mqtt5.ConnAckPacket(session_present=present, receive_max=receive_max), *at_once)
        subscribe = await self.read()
        assert isinstance(subscribe, mqtt5.SubscribePacket)
        self.filters = [topic_filter.pattern for topic_filter in subscribe.topic_filters]
        granted = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE] * len(self.filters)
        self.send(mqtt5.SubAckPacket(subscribe.packet_id, granted))

    def close(self) -> None:
        self._writer.close()


class ScriptedBroker:
    """Listens on the loopback interface; each `accept` is the next client connection."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0

    def url(self, user: str = "", scheme: str = "mqtt", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{user}{host}:{self.port}"

    async def arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self._arrived.put_nowait((reader, writer))

    async def accept(self) -> Peer:
        """The next connection, its CONNECT read."""
        async with asyncio.timeout(WITHIN_S):
            peer = Peer(*await self._arrived.get())
        connect = await peer.read()
        assert isinstance(connect, mqtt5.ConnectPacket)
        peer.connect = connect
        return peer


class _Closing(asyncio.StreamReaderProtocol):
    """Closes a connection when the client has said its last word, as brokers do."""

    def eof_received(self) -> bool:
        super().eof_received()
        return False


@asynccontextmanager
async def scripted_broker(tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedBroker]:
    broker = ScriptedBroker()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Closing(asyncio.StreamReader(), broker.arrive), "127.0.0.1", 0, ssl=tls
    )
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        for writer in broker.writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await server.wait_closed()


def publish(
    packet_id: int,
    topic: str = "care/v1/990101/H-1/telemetry",
    payload: bytes = b"{}",
    qos: int = 1,
    duplicate: bool = False,
) -> mqtt5.PublishPacket:
    return mqtt5.PublishPacket(
        topic, payload, qos=mqtt5.QoS(qos), packet_id=packet_id if qos else None, duplicate=duplicate
    )

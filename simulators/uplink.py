"""A device's way to the broker at its cheapest: MQTT 3.1.1, publishing at QoS 1 and nothing else. A fleet has thousands."""

import asyncio
import contextlib
from collections.abc import Callable

from homecare.errors import BrokerRefused, BrokerUnavailable
from simulators.link import Credentials, Will

CONNACK, PUBACK = 0x20, 0x40
PUBLISH_QOS_1, RETAINED = 0x32, 0x01
DISCONNECT = b"\xe0\x00"
OPEN_WITHIN_S = 10.0
CLOSES_WITHIN_S = 1.0
MOST_UNANSWERED = 60_000
"""Below the number of packet identifiers there are."""
REFUSALS = {1: "protocol version", 2: "client id", 3: "server unavailable", 4: "bad credentials", 5: "not authorized"}


class Uplink(asyncio.Protocol):
    """One connection, opened by `connect`. `answered(tag)` is called at each PUBACK."""

    def __init__(self, to: Credentials, will: Will, answered: Callable[[int], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._to = to
        self._hello = _connect_packet(to, will)
        self._answered = answered
        self._transport: asyncio.Transport | None = None
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._tags: dict[int, int] = {}
        self._last_id = 0
        self._rest = b""
        self._since = 0.0
        self.lost = asyncio.Event()

    async def connect(self) -> None:
        """Raises BrokerUnavailable, BrokerRefused."""
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                await self._loop.create_connection(lambda: self, self._to.host, self._to.port)
                await self._accepted
        except BaseException as error:
            self.cut()
            if isinstance(error, OSError):  # TimeoutError is one
                raise BrokerUnavailable(f"{self._to.user}: {str(error) or 'no answer'}") from None
            raise

    def publish(self, topic: bytes, payload: bytes, tag: int, *, retain: bool = False) -> bool:
        """Whether it could be handed over; `tag` comes back with its PUBACK."""
        transport = self._transport
        if transport is None or len(self._tags) >= MOST_UNANSWERED:
            return False
        ident = self._last_id % 65_535 + 1
        while ident in self._tags:
            ident = ident % 65_535 + 1
        self._last_id = ident
        if not self._tags:
            self._since = self._loop.time()
        self._tags[ident] = tag
        size = _size(4 + len(topic) + len(payload))
        kind = PUBLISH_QOS_1 | retain
        transport.write(
            b"%c%b%b%b%b%b" % (kind, size, len(topic).to_bytes(2, "big"), topic, ident.to_bytes(2, "big"), payload)
        )
        return True

    @property
    def unanswered(self) -> int:
        """How many messages have no PUBACK yet, repetitions counted."""
        return len(self._tags)

    @property
    def silent_for(self) -> float:
        """Seconds for which the broker owes an answer and has given none."""
        return self._loop.time() - self._since if self._tags else 0.0

    async def close(self) -> None:
        """End it in order: the broker forgets the will."""
        if self._transport is not None:
            self._transport.write(DISCONNECT)
            self._transport.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSES_WITHIN_S):
                    await self.lost.wait()

    def cut(self) -> None:
        """Break it without a word."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._hello)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None
        if not self._accepted.done():
            self._accepted.set_exception(BrokerUnavailable(f"{self._to.user}: the connection was closed"))
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        data, at = self._rest + data, 0
        # All that a broker says to one who only publishes has four bytes: CONNACK once, then PUBACKs.
        while at + 4 <= len(data):
            kind, first, second = data[at], data[at + 2], data[at + 3]
            at += 4
            if kind == PUBACK:
                tag = self._tags.pop(first << 8 | second, None)
                if tag is not None:
                    self._answered(tag)
            elif kind == CONNACK and not self._accepted.done():
                self._open(second)
        self._rest = data[at:]
        self._since = self._loop.time()

    def _open(self, code: int) -> None:
        if code == 0:
            self._accepted.set_result(None)
        else:
            self._accepted.set_exception(BrokerRefused(REFUSALS.get(code, str(code)), self._to.user))
            self.cut()


def _connect_packet(to: Credentials, will: Will) -> bytes:
    # Clean session, will at QoS 1 and retained, user and password; no keep-alive: `silent_for` finds what is dead.
    body = b"\x00\x04MQTT\x04\xee\x00\x00"
    for field in (to.client_id.encode(), will.topic.encode(), will.payload, to.user.encode(), to.password.encode()):
        body += len(field).to_bytes(2, "big") + field
    return b"\x10" + _size(len(body)) + body


def _size(number: int) -> bytes:
    """MQTT's variable byte integer."""
    if number < 128:
        return bytes((number,))
    if number < 16_384:
        return bytes((number & 127 | 128, number >> 7))
    return bytes((number & 127 | 128, number >> 7 & 127 | 128, number >> 14))

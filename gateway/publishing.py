"""Publishing at QoS 1 on one connection: bounded by what the broker allows in flight, done when it has acknowledged.

What is unacknowledged when the connection ends has failed (BrokerUnavailable): the caller, who knows whether it
still matters, publishes it again; nothing is resent behind its back.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import mqtt5

from homecare.errors import BrokerRefused, BrokerUnavailable

MOST_IN_FLIGHT: Final = 1000
ACKNOWLEDGED_WITHIN_S: Final = 30.0


class Publishing:
    """Owned by a Connection."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._places = asyncio.Semaphore(0)
        self._most_bytes: int | None = None
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._failed: BrokerUnavailable | None = None
        self.writable = asyncio.Event()
        """Cleared while the transport's buffer is full."""
        self.writable.set()

    def start(self, receive_max: int, most_bytes: int | None) -> None:
        """The broker is there and takes so many messages in flight, of so many bytes each."""
        self._most_bytes = most_bytes
        for _ in range(min(receive_max, MOST_IN_FLIGHT)):
            self._places.release()

    async def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        """Returns when the broker has acknowledged it.

        Raises:
            BrokerRefused: it said no (`not_authorized`, `quota_exceeded`, `packet_too_large`, …).
            BrokerUnavailable: the connection ended first, or no acknowledgement came in time.
        """
        try:
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN_S):
                await self._places.acquire()
                acknowledged = await self._send(topic, payload, retain)
                await acknowledged
        except TimeoutError:
            raise BrokerUnavailable(f"no acknowledgement from the MQTT broker in {ACKNOWLEDGED_WITHIN_S:g} s") from None

    async def _send(self, topic: str, payload: bytes, retain: bool) -> "asyncio.Future[None]":
        """Give the place away to the packet: it is free again when the acknowledgement comes, whoever still waits."""
        try:
            await self.writable.wait()
            if self._failed is not None:
                raise self._failed
            packet_id = self._free_id()
            packet = mqtt5.PublishPacket(
                topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, retain=retain, packet_id=packet_id
            ).write()
            if self._most_bytes is not None and len(packet) > self._most_bytes:
                raise BrokerRefused("packet_too_large", f"{len(packet)} bytes; {self._most_bytes} at most")
        except BaseException:
            self._places.release()
            raise
        waiting = self._waiting[packet_id] = asyncio.get_running_loop().create_future()
        self._write(packet)
        return waiting

    def acknowledged(self, packet_id: int, code: mqtt5.PubAckReasonCode, detail: str | None) -> None:
        """The broker's PUBACK."""
        waiting = self._waiting.pop(packet_id, None)
        if waiting is None:
            return
        self._places.release()
        if waiting.done():
            return
        if code.value >= 128:
            waiting.set_exception(BrokerRefused(code.name.lower(), detail or ""))
        else:
            waiting.set_result(None)

    def fail(self, error: BrokerUnavailable) -> None:
        """The connection is gone: everyone who waits, or comes later, is told."""
        self._failed = error
        self.writable.set()
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(error)
            self._places.release()
        self._places.release()  # wakes the first of those without a place, who wakes the next

    def _free_id(self) -> int:
        while True:
            self._last_id = self._last_id % 65535 + 1
            if self._last_id not in self._waiting:
                return self._last_id

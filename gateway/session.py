"""Our session with the MQTT broker: batches of messages, each with its acknowledgement, across any number of connections.

The broker keeps the session under our client id, so nothing unacknowledged is lost while we are away; the receive
maximum bounds how many messages wait here, and stops the broker when nobody consumes. What happens at each kind
of ending is in `endings.py`.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import mqtt5
import structlog

from gateway import session_metrics as metrics
from gateway.broker_url import parse_broker_url
from gateway.connection import MOST_PACKET_BYTES, Connection
from gateway.endings import FATAL, Ending, History, Pause, pause_after
from gateway.inbox import Answerable, Inbox
from homecare.clock import Clock, wall_clock
from homecare.errors import BrokerRefused, BrokerUnavailable
from homecare.messages import Inbound

log = structlog.get_logger()
OPEN_WITHIN_S = 10.0


class Batch:
    """Messages in the order of arrival."""

    __slots__ = ("_answers", "_connection", "messages")

    def __init__(self, messages: list[Inbound], answers: list[bytes], connection: Answerable | None) -> None:
        self.messages = messages
        self._answers = answers
        self._connection = connection

    def acknowledge(self) -> None:
        """After the commit: tell the broker that it may forget them, in one write.

        Does nothing the second time, and nothing where the connection they came on is gone: they will come again.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.acknowledge(self._answers)


class Session:
    """One client id, used by one process at a time. `connect()`, then `run()` beside `batches()` and `publish()`."""

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        filters: Sequence[str],
        receive_maximum: int = 20_000,
        ca_file: str = "",
        clock: Clock = wall_clock,
        session_expiry_s: int = 7 * 86400,
        keep_alive_s: int = 30,
        pause: Pause = pause_after,
    ) -> None:
        """SettingsError where `url` or `ca_file` cannot be used. `receive_maximum`: messages, 1..65535."""
        self._address = parse_broker_url(url, ca_file)
        self._filters = tuple(filters)
        self._clock = clock
        self._client = client_id
        self._inbox = Inbox(self._filters, receive_maximum)
        self._connect_packet = mqtt5.ConnectPacket(
            client_id,
            username=self._address.user,
            password=self._address.password,
            clean_start=False,
            keep_alive=keep_alive_s,
            session_expiry_interval=session_expiry_s,
            receive_max=receive_maximum,
            max_packet_size=MOST_PACKET_BYTES,
        )
        self._connection: Connection | None = None
        self._pause = pause
        self._known = False
        """The broker has had a session of ours in this process's life."""
        self._closed = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Connected and subscribed, now."""
        return self._connection is not None and self._connection.ending is None

    async def connect(self) -> None:
        """The first connection.

        Raises:
            BrokerRefused: the broker said no: credentials, a subscription, …
            BrokerUnavailable: it cannot be reached, or does not answer.
        """
        self._connection = await self._open()

    async def run(self) -> None:
        """Keep connected until cancelled or closed.

        Raises:
            BrokerRefused: another process has taken the session over, or a subscription is refused.
        """
        loop, history = asyncio.get_running_loop(), History()
        while not self._closed.is_set():
            started = loop.time()
            ending = history.judge(await self._live(), loop.time() - started)
            if self._closed.is_set():
                return
            metrics.ENDINGS.labels(self._client, ending.reason).inc()
            if ending.reason in FATAL:
                log.error("session_ended", client=self._client, reason=ending.reason, detail=ending.detail)
                raise BrokerRefused(ending.reason, f"another process uses the client id {self._client}")
            pause = self._pause(ending.reason, history.failures, random.random())
            log.warning("broker_lost", reason=ending.reason, detail=ending.detail, pause_s=round(pause, 2))
            await asyncio.sleep(pause)

    async def _live(self) -> Ending:
        """One connection's life, or the failed try at one; why it ended."""
        try:
            if self._connection is None:
                self._connection = await self._open()
            connection = self._connection
            await connection.ended.wait()
        except BrokerRefused as refused:
            if refused.reason in FATAL:
                raise
            return Ending(refused.reason, "at CONNECT", said=True)
        except BrokerUnavailable as error:
            return Ending("unreachable", str(error))
        finally:
            metrics.CONNECTED.labels(self._client).set(0)
        self._connection = None
        assert connection.ending is not None
        return connection.ending

    async def _open(self) -> Connection:
        connection = Connection(self._connect_packet, self._inbox, self._clock)
        address = self._address
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    address.host,
                    address.port,
                    ssl=address.tls,
                    server_hostname=address.host if address.tls else None,
                )
                present = await connection.open(self._filters)
        except TimeoutError:
            connection.end(Ending("no_answer"))
            raise BrokerUnavailable(f"the MQTT broker at {address} does not answer") from None
        except OSError as error:
            raise BrokerUnavailable(f"the MQTT broker at {address} cannot be reached: {error}") from None
        except BaseException:
            connection.end(Ending("cancelled"))
            raise
        metrics.CONNECTED.labels(self._client).set(1)
        log.info("broker_connected", broker=str(address), client=self._client, session_resumed=present)
        if self._known and not present:
            metrics.SESSIONS_LOST.labels(self._client).inc()
            log.warning("session_lost", client=self._client)
        self._known = True
        return connection

    async def batches(self, most: int = 5000) -> AsyncIterator[Batch]:
        """Whatever has arrived, as soon as anything has; ends when the session is closed. For one consumer."""
        while True:
            await self._inbox.changed.wait()
            if self._closed.is_set():
                return
            messages, answers = self._inbox.take(most)
            if messages:
                yield Batch(messages, answers, self._inbox.owner)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """At QoS 1; returns when the broker has acknowledged it.

        Raises:
            BrokerRefused: the broker refused this message.
            BrokerUnavailable: not connected, or the connection ended before the acknowledgement.
        """
        if self._connection is None:
            raise BrokerUnavailable("not connected to the MQTT broker")
        await self._connection.publishing.publish(topic, payload, retain)

    async def close(self) -> None:
        """DISCONNECT; the broker keeps the session. Batches end; what is not acknowledged comes again."""
        self._closed.set()
        self._inbox.changed.set()
        if self._connection is not None:
            self._connection.end(Ending("closed"), mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION)
            await self._connection.lost.wait()
        metrics.CONNECTED.labels(self._client).set(0)

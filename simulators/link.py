"""A device's connection to the broker, by two client libraries and both versions of MQTT the contract knows.

`open` connects once and returns when the connection is over; whoever owns the device calls it again.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from homecare.errors import BrokerUnavailable

KEEP_ALIVE_S = 30
SESSION_EXPIRY_S = 86_400
ANSWER_WITHIN_S = 10.0
OnOpen = Callable[[], Awaitable[None]]
OnMessage = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the broker is and who connects; the user name is the device's id.

    `role` tells two simulators of one device apart: two connections with one client id would throw each other out.
    """

    host: str
    port: int
    user: str
    password: str
    role: str = ""

    @property
    def client_id(self) -> str:
        return self.user + self.role


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when the device is gone without a word."""

    topic: str
    payload: bytes


class Link(Protocol):
    """One device's way to the broker."""

    async def open(self, topics: list[str], will: Will, on_open: OnOpen, on_message: OnMessage) -> None:
        """Connect, subscribe to `topics` at QoS 1, call `on_open`, hand over messages until the connection breaks.

        Raises:
            BrokerUnavailable: it could not connect, or the connection broke.
        """
        ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at QoS 1; returns with the broker's PUBACK. Raises BrokerUnavailable."""
        ...

    def cut(self) -> None:
        """Break the connection without a word, as a power cut does."""
        ...


class Mqtt5Link:
    """MQTT 5 by aiomqtt."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._client: aiomqtt.Client | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def open(self, topics: list[str], will: Will, on_open: OnOpen, on_message: OnMessage) -> None:
        to = self._credentials
        expiry = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        expiry.SessionExpiryInterval = SESSION_EXPIRY_S
        try:
            async with aiomqtt.Client(
                to.host,
                to.port,
                username=to.user,
                password=to.password,
                identifier=to.client_id,
                protocol=aiomqtt.ProtocolVersion.V5,
                clean_start=False,
                properties=expiry,
                keepalive=KEEP_ALIVE_S,
                will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True),
                timeout=ANSWER_WITHIN_S,
            ) as client:
                self._client = client
                for topic in topics:
                    await client.subscribe(topic, qos=1)
                async with asyncio.TaskGroup() as tasks:
                    opened = tasks.create_task(_await(on_open), name=f"opened {to.user}")
                    async for message in client.messages:
                        on_message(message.topic.value, bytes(message.payload))
                    opened.cancel()
        except* (aiomqtt.MqttError, OSError) as group:
            raise BrokerUnavailable(f"{to.user}: {group.exceptions[0]}") from None
        finally:
            self._client = None
            for sending in self._sending:
                sending.cancel()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if self._client is None:
            raise BrokerUnavailable(f"{self._credentials.user}: not connected")
        # aiomqtt goes on waiting for a PUBACK that cannot come any more; the end of the connection cancels it.
        sending = asyncio.create_task(
            self._client.publish(topic, payload, qos=1, retain=retain), name=f"publish {topic}"
        )
        self._sending.add(sending)
        try:
            await sending
        except (aiomqtt.MqttError, ValueError) as error:
            raise BrokerUnavailable(f"{self._credentials.user}: {error}") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise BrokerUnavailable(f"{self._credentials.user}: disconnected") from None
        finally:
            self._sending.discard(sending)

    def cut(self) -> None:
        # aiomqtt has no way to leave without a DISCONNECT; the socket is paho's below it.
        if self._client is not None:
            _cut(self._client._client)


class Mqtt311Link:
    """MQTT 3.1.1 by paho with its own thread."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._client: paho.Client | None = None
        self._sent: dict[int, asyncio.Future[None]] = {}

    async def open(self, topics: list[str], will: Will, on_open: OnOpen, on_message: OnMessage) -> None:
        to = self._credentials
        loop = asyncio.get_running_loop()
        over: asyncio.Future[str] = loop.create_future()
        accepted: asyncio.Future[None] = loop.create_future()
        subscribed: asyncio.Future[None] = loop.create_future()

        def tell(what: Callable[..., object], *args: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(what, *args)

        def end(reason: object) -> None:
            self._client = None
            problem = BrokerUnavailable(f"{to.user}: {reason}")
            for future in (accepted, subscribed, *self._sent.values()):
                if not future.done():
                    future.set_exception(problem)
                    future.exception()  # whoever waits gets it; nobody waiting is no error
            if not over.done():
                over.set_result(str(reason))

        def connected(_c: Any, _u: Any, _f: Any, code: Any, _p: Any) -> None:
            tell(end, code) if code.is_failure else tell(_done, accepted)

        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=to.client_id,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.username_pw_set(to.user, to.password)
        client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = connected
        client.on_disconnect = lambda _c, _u, _f, code, _p: tell(end, code)
        client.on_subscribe = lambda _c, _u, _mid, _codes, _p: tell(_done, subscribed)
        client.on_publish = lambda _c, _u, mid, _code, _p: tell(self._published, mid)
        client.on_message = lambda _c, _u, message: tell(on_message, message.topic, message.payload)
        try:
            await asyncio.to_thread(client.connect, to.host, to.port, KEEP_ALIVE_S)
            client.loop_start()
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await accepted
                client.subscribe([(topic, 1) for topic in topics])
                await subscribed
            self._client = client
            async with asyncio.TaskGroup() as tasks:
                opened = tasks.create_task(_await(on_open), name=f"opened {to.user}")
                reason = await over
                opened.cancel()
            raise BrokerUnavailable(f"{to.user}: {reason}")
        except OSError as error:  # TimeoutError is one
            raise BrokerUnavailable(f"{to.user}: {error if str(error) else 'no answer'}") from None
        finally:
            self._client = None
            client.disconnect()
            # Its thread ends with the connection; waiting for it must not hold up all the other devices.
            threading.Thread(target=client.loop_stop, name=f"ending {to.user}", daemon=True).start()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if self._client is None:
            raise BrokerUnavailable(f"{self._credentials.user}: not connected")
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise BrokerUnavailable(f"{self._credentials.user}: {paho.error_string(sent.rc)}")
        # paho's thread tells the loop, which is busy here: the future is in place before it hears of it.
        future = self._sent[sent.mid] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await future
        except TimeoutError:
            raise BrokerUnavailable(f"{self._credentials.user}: no PUBACK") from None
        finally:
            self._sent.pop(sent.mid, None)

    def cut(self) -> None:
        if self._client is not None:
            _cut(self._client)

    def _published(self, mid: int) -> None:
        if (future := self._sent.get(mid)) is not None:
            _done(future)


def _cut(client: paho.Client) -> None:
    sock: Any = client.socket()
    if sock is not None:
        sock.shutdown(socket.SHUT_RDWR)


async def _await(call: OnOpen) -> None:
    await call()


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

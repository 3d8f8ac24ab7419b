"""Captures (contract section 4): reading and writing them, and playing one to a broker as it was."""

import base64
import binascii
import gzip
import io
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from urllib.parse import unquote, urlsplit

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from homecare.errors import BrokerRefused, BrokerUnavailable, InputError

MOST_IN_FLIGHT = 1000
"""Messages without their PUBACK: the bound on what playing holds in memory."""
ANSWER_WITHIN_S = 30.0
GZIP = b"\x1f\x8b"
MOST_BYTES = 65_536
"""The contract's limit for a payload."""
INT64 = 1 << 63


class Line(msgspec.Struct, frozen=True):
    """One captured message; `payload` is a JSON object, or base64 of whatever else it was."""

    at: int
    topic: str
    payload: dict[str, Any] | str

    def content(self) -> bytes:
        """The bytes as published. ValueError where the base64 is none."""
        if isinstance(self.payload, str):
            return base64.b64decode(self.payload, validate=True)
        return msgspec.json.encode(self.payload)


@dataclass(frozen=True, slots=True)
class Played:
    """How many were published, how many the broker refused by reason, and how long it took (seconds)."""

    published: int
    refused: Counter[str]
    took_s: float


def read(path: Path) -> Iterator[Line]:
    """The lines of a capture, plain or gzip, one at a time. InputError names the line that is wrong."""
    decoder = msgspec.json.Decoder(Line)
    number = 0
    try:
        with _open(path) as file:
            for text in file:
                number += 1
                if text.strip():
                    line = decoder.decode(text)
                    line.content()
                    yield line
    except (msgspec.DecodeError, binascii.Error) as error:
        raise InputError(f"{path}, line {number}: {error}") from None
    except (EOFError, gzip.BadGzipFile) as error:
        raise InputError(f"{path}, after line {number}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def write(path: Path, lines: Iterable[Line]) -> int:
    """Write a capture, gzip where the name ends in .gz; how many lines."""
    count = 0
    with recording(path) as file:
        for line in lines:
            file.write(encode(line))
            count += 1
    return count


@contextmanager
def recording(path: Path | None) -> Iterator[BinaryIO]:
    """A new file to write lines to, gzip where the name ends in .gz; None: standard output. InputError.

    It is for its owner's eyes alone: a capture holds what people's bodies and homes say.
    """
    if path is None:
        yield sys.stdout.buffer
        return
    try:
        plain = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    with plain:
        if path.suffix != ".gz":
            yield plain
            return
        with gzip.open(plain, "wb") as packed:
            yield packed  # type: ignore[misc]  # a GzipFile writes and flushes like any other


def encode(line: Line) -> bytes:
    """The line as it stands in the file, with its end."""
    return msgspec.json.encode(line) + b"\n"


def captured(at: int, topic: str, payload: bytes) -> Line:
    """The line of a message that was received at `at` (Unix ms)."""
    as_object = _lossless(payload)
    return Line(at, topic, base64.b64encode(payload).decode() if as_object is None else as_object)


def _lossless(payload: bytes) -> dict[str, Any] | None:
    """The JSON object in `payload` where nobody could tell it from the same object written again; else None.

    Only spaces, escapes and the notation of numbers may change. A name that comes twice, NaN, a number too large for
    64 bits, half a surrogate pair, or a length at which the contract's limit is crossed would not survive.
    """
    if len(payload) > MOST_BYTES:
        return None
    try:
        found = json.loads(
            payload.decode(),
            object_pairs_hook=_once_each,
            parse_int=_int64,
            parse_float=_finite,
            parse_constant=_refuse,
        )
        if not isinstance(found, dict) or len(msgspec.json.encode(found)) > MOST_BYTES:
            return None
    except (ValueError, RecursionError):  # what is no UTF-8, and what cannot be written as such, are ValueErrors
        return None
    return found


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _refuse("twice")


def _int64(text: str) -> int:
    number = int(text)
    return number if -INT64 <= number < INT64 else _refuse(text)


def _finite(text: str) -> float:
    number = float(text)
    return number if abs(number) != float("inf") else _refuse(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


def play(
    url: str, lines: Iterable[Line], *, speed: float = 1.0, progress: Callable[[int], None] = lambda _: None
) -> Played:
    """Publish every line at QoS 1, topic and payload untouched, in order; returns when the broker has acknowledged all.

    `speed` 2 is twice as fast as it was, 0 as fast as the broker takes it. `progress` is told the number sent.

    Raises:
        BrokerUnavailable: no connection, or no acknowledgement for `ANSWER_WITHIN_S`.
    """
    room = threading.BoundedSemaphore(MOST_IN_FLIGHT)
    refused: Counter[str] = Counter()

    def published(_client: object, _userdata: object, _mid: int, code: Any, _properties: object) -> None:
        if code.is_failure:
            refused[str(code)] += 1
        room.release()

    count, first, began = 0, None, time.monotonic()
    with _connected(url, published) as client:
        for line in lines:
            first = line.at if first is None else first
            if speed > 0:
                pause = began + (line.at - first) / 1000 / speed - time.monotonic()
                if pause > 0:
                    time.sleep(pause)
            _take(room)
            client.publish(line.topic, line.content(), qos=1)
            count += 1
            progress(count)
        for _ in range(MOST_IN_FLIGHT):
            _take(room)
    return Played(count, refused, time.monotonic() - began)


def _take(room: threading.BoundedSemaphore) -> None:
    if not room.acquire(timeout=ANSWER_WITHIN_S):
        raise BrokerUnavailable(f"the MQTT broker has acknowledged nothing for {ANSWER_WITHIN_S:.0f} s")


@contextmanager
def _connected(url: str, published: Callable[..., None]) -> Iterator[paho.Client]:
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or (8883 if parts.scheme == "mqtts" else 1883)
    accepted = threading.Event()
    answer: list[Any] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    if parts.scheme == "mqtts":
        client.tls_set()
    if parts.username:
        client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
    client.max_inflight_messages_set(MOST_IN_FLIGHT)

    def connected(_client: object, _userdata: object, _flags: object, code: Any, _properties: object) -> None:
        answer.append(code)
        accepted.set()

    client.on_connect = connected
    client.on_publish = published
    # The session outlives a broken connection, so that what is in flight is sent again by paho.
    expiry = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    expiry.SessionExpiryInterval = 300
    try:
        client.connect(host, port, keepalive=30, properties=expiry)
    except OSError as error:
        raise BrokerUnavailable(f"the MQTT broker at {host}:{port} cannot be reached: {error}") from None
    client.loop_start()
    try:
        if not accepted.wait(ANSWER_WITHIN_S):
            raise BrokerUnavailable(f"the MQTT broker at {host}:{port} does not answer")
        if answer[0].is_failure:
            raise BrokerRefused(str(answer[0]).lower())
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def _open(path: Path) -> Iterator[io.BufferedIOBase]:
    with path.open("rb") as file:
        if file.peek(2)[:2] == GZIP:
            with gzip.open(file) as unpacked:
                yield unpacked
        else:
            yield file

"""What the broker has handed over and nobody has taken yet; bounded: when it is full, the connection is not read."""

import asyncio
import re
from collections.abc import Sequence
from typing import Protocol

import mqtt5

from homecare.messages import Inbound

MOST_TOPICS = 100_000
"""How many topics are remembered as asked for; at the bound all are forgotten and matched again (0.6 us each)."""


MOST_BYTES = 64 * 1024 * 1024
"""Of payloads: 20,000 messages of the contract's usual size are a twentieth of that; of the largest, 64."""


class Answerable(Protocol):
    """The connection that messages came on."""

    def acknowledge(self, answers: Sequence[bytes]) -> bool:
        """Write the answers, if it is still there."""

    def read_on(self) -> None:
        """Read again, where it stopped because the inbox was full."""


class Inbox:
    """Messages and, beside each, the bytes that acknowledge it (none for QoS 0)."""

    def __init__(self, filters: Sequence[str], limit: int) -> None:
        self._asked = re.compile("|".join(map(filter_pattern, filters)))
        self._topics: dict[str, str | None] = {}
        self._limit = limit
        self.owner: Answerable | None = None
        self.received = 0
        """How many messages were ever put in."""
        self._bytes = 0
        self._messages: list[Inbound] = []
        self._answers: list[bytes] = []
        self.changed = asyncio.Event()
        """Set while there is something to take, or nothing will ever come again."""

    def __len__(self) -> int:
        return len(self._messages)

    def asked(self, topic: str) -> str | None:
        """The topic (always the same object, so that it is hashed once) if a filter of ours matches it."""
        try:
            return self._topics[topic]
        except KeyError:
            if len(self._topics) >= MOST_TOPICS:
                self._topics.clear()
            known = self._topics[topic] = topic if self._asked.fullmatch(topic) else None
            return known

    @property
    def full(self) -> bool:
        """Nothing more is to be read from the connection: a broker that keeps to the limit never comes here, so
        that what it answers to our publications is always read. Large messages fill it sooner, until they are taken.
        """
        return len(self._messages) >= 2 * self._limit or self._bytes >= MOST_BYTES

    def put(self, packet: mqtt5.PublishPacket, topic: str, received: int, answer: bytes) -> None:
        """Take a message in; `answer` acknowledges it."""
        self.received += 1
        self._bytes += len(packet.payload)
        self._messages.append(Inbound(topic, packet.payload, received, packet.retain, packet.duplicate))
        self._answers.append(answer)

    def take(self, most: int) -> tuple[list[Inbound], list[bytes]]:
        """The oldest `most` messages and their answers, which are for `owner`; they are out of the inbox then."""
        if len(self._messages) <= most:
            taken = self._messages, self._answers
            self._empty()
        else:
            taken = self._messages[:most], self._answers[:most]
            del self._messages[:most], self._answers[:most]
            self._bytes -= sum(len(message.payload) for message in taken[0])
        if self.owner is not None:
            self.owner.read_on()
        return taken

    def begin(self, owner: Answerable, resumed: bool) -> None:
        """A new connection will put messages in. Where the broker still has the session it sends again what is in
        here; where it has not, we hold the only copy, and keep it, `limit` messages at most.
        """
        self.owner = owner
        if resumed:
            self._empty()
        else:
            del self._messages[self._limit :]
            self._answers = [b""] * len(self._messages)
            self._bytes = sum(len(message.payload) for message in self._messages)

    def _empty(self) -> None:
        self._messages, self._answers, self._bytes = [], [], 0
        self.changed.clear()


def filter_pattern(topic_filter: str) -> str:
    """A regular expression for an MQTT topic filter (`$share/group/` in front is taken off)."""
    if topic_filter.startswith("$share/"):
        topic_filter = topic_filter.split("/", 2)[2]
    *levels, last = topic_filter.split("/")
    pattern = "".join("[^/]*/" if level == "+" else re.escape(level) + "/" for level in levels)
    if last == "#":
        return f"(?:{pattern.removesuffix('/')}(?:/.*)?)" if levels else "(?s:.*)"
    return f"(?:{pattern}{'[^/]*' if last == '+' else re.escape(last)})"

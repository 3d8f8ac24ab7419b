"""What passes between the broker and `ingest`, read off the wire: which messages were delivered, when, and which the
backend acknowledged. It shares no code with what it watches.
"""

import re
import time
from collections.abc import Callable

from tests.faults.relay import Watch

PUBLISH, PUBACK = 3, 4
NAMED = re.compile(rb'\{"boot":(\d+),"seq":(\d+),"ts":(\d+|null)')
"""Telemetry; an event has another member before its `ts`."""
Key = tuple[str, int, int]
"""(device, boot, seq)."""
InFlight = dict[int, tuple[Key, int] | None]
"""By packet identifier: the message and its `ts` (0: none); None where it has no such name."""


class Recorder:
    """Of one `ingest` after another, whose connections go through one relay."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin again with nothing."""
        self.delivered: dict[Key, float] = {}
        """When it was first delivered (Unix time, seconds)."""
        self.again: dict[Key, float] = {}
        """When it was delivered another time, the last one."""
        self.acknowledged: dict[Key, float] = {}
        """When its first PUBACK was seen."""
        self.acknowledgements = 0
        self.messages = 0
        """PUBLISH packets, whatever is in them."""
        self.last = time.time()
        """When anything was last seen."""
        self._in_flight: InFlight = {}
        self.lag_ms = 0.0
        """Of the last message that was acknowledged: from measured to acknowledged."""

    @property
    def outstanding(self) -> int:
        """Delivered on the present connection, and not acknowledged."""
        return len(self._in_flight)

    def watch(self) -> tuple[Watch, Watch]:
        """For a new connection: what the backend says, what the broker says."""
        in_flight: InFlight = {}
        return (
            Frames(lambda kind, _flags, body: self._backend_says(kind, body, in_flight)).feed,
            Frames(lambda kind, flags, body: self._broker_says(kind, flags, body, in_flight)).feed,
        )

    def _broker_says(self, kind: int, flags: int, body: bytes, in_flight: InFlight) -> None:
        if kind != PUBLISH or not flags & 6:
            return
        end = 2 + int.from_bytes(body[:2], "big")
        if body.startswith(b"$", 2):  # the broker's word on itself
            return
        self.last = time.time()
        self.messages += 1
        self._in_flight = in_flight
        ident = int.from_bytes(body[end : end + 2], "big")
        named = NAMED.search(body, end + 2, end + 200)
        if named is None or not body.startswith(b"care/", 2):
            in_flight[ident] = None
            return
        key = body[2:end].split(b"/")[3].decode(), int(named[1]), int(named[2])
        if key in self.delivered:
            self.again[key] = self.last
        else:
            self.delivered[key] = self.last
        in_flight[ident] = key, 0 if named[3] == b"null" else int(named[3])

    def _backend_says(self, kind: int, body: bytes, in_flight: InFlight) -> None:
        ident = int.from_bytes(body[:2], "big")
        if kind != PUBACK or ident not in in_flight:
            return
        self.last = time.time()
        self.acknowledgements += 1
        found = in_flight.pop(ident)
        if found is not None:
            self.acknowledged.setdefault(found[0], self.last)
            self.lag_ms = self.last * 1000 - found[1]


class Frames:
    """Cuts a stream of bytes into MQTT control packets."""

    def __init__(self, tell: Callable[[int, int, bytes], None]) -> None:
        self._tell = tell
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Tell (type, flags, everything after the fixed header) of each packet that is complete."""
        data, at = self._rest + data, 0
        while (header := _header(data, at)) is not None:
            start, length = header
            if start + length > len(data):
                break
            self._tell(data[at] >> 4, data[at] & 15, data[start : start + length])
            at = start + length
        self._rest = data[at:]


def _header(data: bytes, at: int) -> tuple[int, int] | None:
    """(where the packet at `at` goes on after its fixed header, how many bytes it has from there); None: not yet."""
    length = shift = 0
    for index in range(at + 1, min(at + 5, len(data))):
        length |= (data[index] & 127) << shift
        shift += 7
        if data[index] < 128:
            return index + 1, length
    return None

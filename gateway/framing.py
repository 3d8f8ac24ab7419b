"""From the bytes of a connection to MQTT packets, whatever the broker sends."""

from collections.abc import Iterator

import mqtt5


class MalformedPacket(Exception):
    """What came is no MQTT 5; nothing behind it on this connection can be trusted."""


class Framing:
    """Cuts a byte stream into packets of at most `most` bytes; keeps what is incomplete."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rest = b""

    def packets(self, data: bytes) -> Iterator[mqtt5.Packet]:
        """All packets complete by now. Raises MalformedPacket after the good ones before it."""
        whole = self._rest + data if self._rest else data
        self._rest = b""
        view = memoryview(whole)
        at, end = 0, len(view)
        while at < end:
            try:
                packet, size = mqtt5.read(view[at:])
            except IndexError:
                self._rest = self._incomplete(whole[at:])
                return
            except ValueError as error:
                raise MalformedPacket(str(error)) from None
            except BaseException as error:
                # the codec panics on a topic that is not UTF-8, and its panic is no Exception
                if type(error).__name__ != "PanicException":
                    raise
                raise MalformedPacket("the codec gave up") from None
            at += size
            yield packet

    def _incomplete(self, rest: bytes) -> bytes:
        """`rest`, if it can still become a packet."""
        length, shift = 0, 0
        for n, byte in enumerate(rest[1:5], start=2):
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if n + length > self._most:
                    raise MalformedPacket(f"a packet of {n + length} bytes; {self._most} at most")
                if n + length <= len(rest):
                    raise MalformedPacket("a length inside the packet points beyond its end")
                break
        return rest

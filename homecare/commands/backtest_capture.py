"""Reading a capture fast: blocks of lines at once, payloads as the bytes they were; wrong lines are named and left out."""

import base64
import binascii
import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from gateway.bulk import Plain
from homecare.errors import InputError
from homecare.messages import Inbound

BLOCK = 1 << 22
"""Bytes that are read at once."""
GZIP = b"\x1f\x8b"
MOST_NAMED = 20
"""Wrong lines that are told one by one; the others are counted."""


class _Line(msgspec.Struct, gc=False):
    at: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    topic: str
    payload: msgspec.Raw


_decoder = msgspec.json.Decoder(_Line)


@dataclass(slots=True)
class Capture:
    """The file at `path`, plain or gzip; what was wrong in it once it has been read."""

    path: Path
    plain: Callable[[Sequence[bytes]], Sequence[Plain | None]]
    """Reads the lines that are plain telemetry."""
    lines: int = 0
    wrong: int = 0
    named: list[str] = field(default_factory=list)
    """The first wrong lines: number and problem."""

    def blocks(self) -> Iterator[list[Plain | Inbound]]:
        """Its messages in the order of the file. InputError where it cannot be read or none of its lines is one."""
        good = False
        for text in self._texts():
            messages = self._decode(text)
            good = good or bool(messages)
            yield messages
        if self.wrong and not good:
            raise InputError(f"{self.path}: not a capture; {self.named[0]}")

    def _texts(self) -> Iterator[bytes]:
        """Whole lines, about a block at a time. What follows where the file breaks off is named and left out."""
        rest = b""
        try:
            with self.path.open("rb") as plain:
                packed = plain.read(len(GZIP)) == GZIP
                plain.seek(0)
                file = gzip.open(plain) if packed else plain  # noqa: SIM115  # its inner file is closed here
                for block in chain(self._read(file), (b"\n",)):
                    end = block.rfind(b"\n") + 1
                    if not end:
                        rest += block
                        continue
                    yield rest + block[:end]
                    rest = block[end:]
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror or error}") from None

    def _read(self, file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
        """Blocks of what there is; what a file that breaks off holds before its end as well."""
        pieces, size = list[bytes](), 0
        try:
            while piece := file.read1(BLOCK):  # type: ignore[union-attr]  # as buffered files have it
                pieces.append(piece)
                size += len(piece)
                if size >= BLOCK:
                    yield b"".join(pieces)
                    pieces, size = [], 0
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            yield b"".join(pieces)
            self._name(f"after line {self.lines}: {error}")
            return
        yield b"".join(pieces)

    def _decode(self, text: bytes) -> list[Plain | Inbound]:
        lines = text.split(b"\n")[:-1]
        found: list[Plain | Inbound | None] = list(self.plain(lines))
        for index, message in enumerate(found):
            if message is None:
                found[index] = self._decode_any(lines[index], self.lines + index + 1)
        self.lines += len(lines)
        return [message for message in found if message is not None]

    def _decode_any(self, text: bytes, number: int) -> Inbound | None:
        if not text.strip():
            return None
        try:
            line = _decoder.decode(text)
            return Inbound(line.topic, _content(line.payload), line.at)
        except (msgspec.DecodeError, binascii.Error, UnicodeError) as error:
            self._name(f"line {number}: {error}")
            return None

    def _name(self, problem: str) -> None:
        self.wrong += 1
        if len(self.named) < MOST_NAMED:
            self.named.append(problem)


def _content(payload: msgspec.Raw) -> bytes:
    """The bytes as they were published: the JSON as it stands, or base64 of whatever else it was."""
    raw = bytes(payload)
    if raw[:1] != b'"':
        return raw
    return base64.b64decode(msgspec.json.decode(raw, type=str), validate=True)

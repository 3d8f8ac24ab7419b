"""Contacts' endpoints in a process of their own, each on its own port: what is posted is written down, and answered as the path says.

`python -m tests.alerts.endpoints COUNT FILE` prints the ports; every post is a line of FILE. It shares no code with what
posts to it, and is written on a bare protocol so that it is never what one waits for.
"""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
NAME = re.compile(rb"(?i)\r\nwebhook-id: *([^\r]+)")
SLOW_S = 3.0
ANSWERS = {
    "ok": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "slow": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "error": b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n",
    "busy": b"HTTP/1.1 429 Later\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n",
    "gone": b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n",
    "redirect": b"HTTP/1.1 302 There\r\nlocation: /trap\r\ncontent-length: 0\r\n\r\n",
    "endless": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    "hang": b"",
    "trap": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
}
"""By the first part of the path."""


class Resident(msgspec.Struct):
    """Of a post."""

    id: str


class Data(msgspec.Struct):
    """Of a post."""

    alert_id: str = ""
    step: int = 0
    resident: Resident | None = None


class Message(msgspec.Struct):
    """What is read of a post's body."""

    type: str
    data: Data


class Post(msgspec.Struct):
    """One request as it came in; `at`: Unix time, seconds."""

    at: float
    port: int
    path: str
    id: str
    type: str
    alert: str
    step: int
    resident: str

    @property
    def pages(self) -> bool:
        """Does it call somebody, rather than tell what became of it?"""
        return self.type in ("alert.opened", "alert.escalated")


class Connection(asyncio.Protocol):
    """One client's."""

    def __init__(self, port: int, record: IO[bytes]) -> None:
        self._port, self._record, self._rest = port, record, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if self._rest[0] == 0x16:  # a TLS handshake: what comes back is none
            self._transport.write(b"\x15\x03\x01 no\r\n")
            self._transport.close()
            return
        while (end := self._rest.find(b"\r\n\r\n") + 4) > 3:
            head = self._rest[:end]
            length = LENGTH.search(head)
            size = int(length[1]) if length else 0
            if len(self._rest) < end + size:
                return
            body, self._rest = self._rest[end : end + size], self._rest[end + size :]
            self._take(head, body)

    def _take(self, head: bytes, body: bytes) -> None:
        path, name = head.split(b" ", 2)[1].decode(), NAME.search(head)
        said = msgspec.json.decode(body, type=Message) if body else Message("", Data())
        person = said.data.resident.id if said.data.resident else ""
        post = Post(
            time.time(),
            self._port,
            path,
            name[1].decode() if name else "",
            said.type,
            said.data.alert_id,
            said.data.step,
            person,
        )
        self._record.write(msgspec.json.encode(post) + b"\n")
        way = path.split("/")[1]
        if way == "slow":
            asyncio.get_running_loop().call_later(SLOW_S, self._answer, way)
        else:
            self._answer(way)

    def _answer(self, way: str) -> None:
        self._transport.write(ANSWERS[way])
        if way == "endless":
            self._go_on()

    def _go_on(self) -> None:
        if not self._transport.is_closing():
            if self._transport.get_write_buffer_size() < 1 << 16:
                self._transport.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            asyncio.get_running_loop().call_later(0.001, self._go_on)


async def serve(count: int, file: Path) -> None:
    """Until killed."""
    loop = asyncio.get_running_loop()
    with file.open("ab", buffering=0) as record:
        ports = []
        for _ in range(count):
            # The port is only known after the bind, and the connection must know it.
            server = await loop.create_server(lambda: Connection(0, record), "127.0.0.1", 0, start_serving=False)
            port = server.sockets[0].getsockname()[1]
            server.close()
            await loop.create_server(lambda port=port: Connection(port, record), "127.0.0.1", port)  # type: ignore[misc]
            ports.append(port)
        sys.stdout.write(" ".join(map(str, ports)) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


class Endpoints:
    """The process as seen from the test; `posts` reads on in its record."""

    def __init__(self, ports: list[int], file: Path) -> None:
        self.ports = ports
        self.posts: list[Post] = []
        self._file, self._read = file, 0

    def url(self, number: int, way: str = "ok") -> str:
        """Of the endpoint of this number (any; they go round), answering `way`."""
        return f"http://127.0.0.1:{self.ports[number % len(self.ports)]}/{way}/{number}"

    def look(self) -> list[Post]:
        """All posts so far."""
        with self._file.open("rb") as record:
            record.seek(self._read)
            text = record.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        self.posts += [msgspec.json.decode(line, type=Post) for line in whole.splitlines()]
        return self.posts


@contextmanager
def open_endpoints(count: int, file: Path) -> Iterator[Endpoints]:
    """Started, and ended with the block. `file` is where posts are written down."""
    file.touch()
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.alerts.endpoints", str(count), str(file)],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        ports = [int(port) for port in process.stdout.readline().split()]
        yield Endpoints(ports, file)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))

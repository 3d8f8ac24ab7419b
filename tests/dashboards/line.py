"""A network line between a browser and the dashboard that can be made to carry nothing, its connections staying open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Line:
    """Forwards to one address; frozen, it takes connections and delivers nothing until it thaws."""

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname, target.port)
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = ""

    def freeze(self) -> None:
        self._open.clear()

    def thaw(self) -> None:
        self._open.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        self._writers.add(there_writer)
        async with asyncio.TaskGroup() as directions:
            directions.create_task(self._carry(reader, there_writer))
            directions.create_task(self._carry(there_reader, writer))
        self._writers -= {writer, there_writer}

    def cut(self) -> None:
        self.thaw()
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def open_line(url: str) -> AsyncIterator[Line]:
    """A line to `url`, at an address of its own."""
    line = Line(url)
    server = await asyncio.start_server(line.connected, "127.0.0.1", 0)
    line.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        line.cut()
        server.close()
        await server.wait_closed()

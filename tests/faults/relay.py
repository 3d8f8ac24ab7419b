"""A TCP connection's middle: everything goes through here, can be watched, and can be held up as a broken network does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Watch = Callable[[bytes], None]
Watcher = Callable[[], tuple[Watch, Watch]]
"""Makes, for each new connection, what is shown (what the client says, what the server says)."""
CHUNK = 1 << 16


def ignore() -> tuple[Watch, Watch]:
    return (lambda _: None), (lambda _: None)


class Relay:
    """Listens on `port` of the loopback interface and hands everything on to `target`."""

    def __init__(self, target: int, watcher: Watcher = ignore) -> None:
        self.target = target
        self.port = 0
        self._watcher = watcher
        self._open = asyncio.Event()
        self._open.set()
        self._serving: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """From now on nothing passes; connections stay open, as they do when a cable is out."""
        self._open.clear()

    def mend(self) -> None:
        """Everything passes again, what was held up first."""
        self._open.set()

    def accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """A new connection."""
        task = asyncio.create_task(self._serve(client, to_client), name=f"relay to {self.target}")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def close(self) -> None:
        """Break all connections."""
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            to_client.transport.abort()
            return
        said_by_client, said_by_server = self._watcher()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(client, to_server, said_by_client))
                tasks.create_task(self._pump(server, to_client, said_by_server))
        except* OSError:
            pass
        finally:
            to_client.transport.abort()
            to_server.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, watch: Watch) -> None:
        while data := await source.read(CHUNK):
            await self._open.wait()
            watch(data)
            sink.write(data)
            await sink.drain()
        await self._open.wait()
        sink.write_eof()  # what was said before the end still arrives, and the other side may have more to say


@asynccontextmanager
async def relaying(target: int, watcher: Watcher = ignore) -> AsyncIterator[Relay]:
    """A relay to a port of this machine, for as long as the block."""
    relay = Relay(target, watcher)
    server = await asyncio.start_server(relay.accept, "127.0.0.1", 0, limit=CHUNK)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await relay.close()

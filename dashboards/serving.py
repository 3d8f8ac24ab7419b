"""The HTTP server: uvicorn, told when to stop by the process instead of by signals, open streams included."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from dashboards.announcements import Announcements
from homecare.errors import HomecareError

GRACE_S = 4
"""For answers under way; streams are asked to end and do so at once."""
BACKLOG = 2048


class Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the process has its own."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A bound socket (port 0: any free one); HomecareError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise HomecareError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listening


async def serve(app: ASGIApp, listening: socket.socket, announcements: Announcements) -> None:
    """Serve until cancelled, then end streams, finish what is under way and close."""
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",  # failures are logged where they are answered, with their route
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve([listening]), name="uvicorn")
    try:
        await asyncio.shield(serving)
    finally:
        announcements.close()
        server.should_exit = True
        await serving

"""The load generator as a process: publish.c, compiled at run time."""

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from homecare.broker import BACKEND_USER, Broker
from tests.services.errors import ServiceMissing

SOURCE = Path(__file__).with_name("publish.c")
MOST_S = 300.0


def compile_publisher(directory: Path) -> Path:
    """The program. Raises ServiceMissing where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise ServiceMissing("load generator", "no C compiler (cc) on this machine")
    program = directory / "publish"
    made = subprocess.run(
        [compiler, "-O2", "-o", str(program), str(SOURCE)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise ServiceMissing("load generator", made.stderr.strip().splitlines()[0])
    return program


class Load:
    """A running load generator."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def consumed(self, messages: int) -> None:
        """Say how many messages the consumer has dealt with (for `backlog`)."""
        assert self._process.stdin is not None
        if self._process.returncode is None:
            with contextlib.suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(f"{messages}\n".encode())

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def published(self) -> int:
        """Wait for its end; how many messages the broker has acknowledged. RuntimeError where it failed."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        async with asyncio.timeout(MOST_S):
            output = await self._process.stdout.read()
            problem = await self._process.stderr.read()
            status = await self._process.wait()
        if status != 0:
            raise RuntimeError(problem.decode().strip() or f"the load generator ended with status {status}")
        return int(output.split()[1])


@asynccontextmanager
async def publishing(program: Path, broker: Broker, **options: float) -> AsyncIterator[Load]:
    """A load generator on `broker`; `options` are publish.c's. It ends with the block."""
    access = {"port": broker.port, "user": BACKEND_USER, "password": broker.users[BACKEND_USER]}
    process = await asyncio.create_subprocess_exec(
        str(program),
        *(f"{name}={value}" for name, value in (access | options).items()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Load(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

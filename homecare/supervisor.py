"""Several programs as one: started in order, each when those before it are ready; what dies is started again and said;
at the end all of them, and nothing else, are ended. If we are killed ourselves, the kernel ends them for us.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiohttp

from homecare.errors import HomecareError

READY_WITHIN_S = 30.0
STOPS_WITHIN_S = 6.0
"""The contract gives all of it 10 s from SIGTERM; what is left is for the servers below the programs."""
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
WELL_AFTER_S = 60.0
"""A program that has run this long starts again from the shortest pause."""
POLL_S = 0.05
Say = Callable[[str], None]


class Server(Protocol):
    """Something with a `start` that returns when it is ready: the broker, the database."""

    @property
    def running(self) -> bool: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Program:
    """A program to keep running. `ready_url` answers 200 when it is ready; empty: it is ready when it runs."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    ready_url: str = ""


class ProgramFailed(HomecareError):
    """A program ended, or was not ready in time, while the whole was starting."""


@dataclass(slots=True)
class Supervisor:
    """Starts and keeps servers and programs; `say` gets a line for a person whenever something changes.

    Servers and programs die with the thread that starts them: use it from the main thread.
    """

    say: Say
    _servers: dict[str, Server] = field(default_factory=dict)
    _programs: dict[str, Program] = field(default_factory=dict)
    _running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _stopping: bool = False

    def start_server(self, name: str, server: Server) -> None:
        """Start a server and keep it running. Raises what its `start` raises."""
        self._servers[name] = server
        server.start()

    async def start(self, program: Program) -> float:
        """Start a program and wait until it is ready; the seconds it took. Raises ProgramFailed."""
        began = time.monotonic()
        self._programs[program.name] = program
        await self._spawn(program)
        await self._ready(program)
        return time.monotonic() - began

    def pid(self, name: str) -> int | None:
        """The process id of a program that runs."""
        process = self._running.get(name)
        return process.pid if process is not None and process.returncode is None else None

    async def watch(self) -> None:
        """Start again whatever dies, with growing pauses, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name, server in self._servers.items():
                tasks.create_task(self._watch_server(name, server), name=f"watch {name}")
            for program in self._programs.values():
                tasks.create_task(self._watch_program(program), name=f"watch {program.name}")

    async def stop(self) -> None:
        """End the programs, last first, then the servers; kill what takes longer than `STOPS_WITHIN_S`."""
        self._stopping = True
        for process in reversed(self._running.values()):
            _signal(process, signal.SIGTERM)
        ends = [process.wait() for process in self._running.values()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOPS_WITHIN_S):
                await asyncio.gather(*ends)
        for name, process in self._running.items():
            if process.returncode is None:
                self.say(f"{name} did not end within {STOPS_WITHIN_S:g} s: killed")
                _signal(process, signal.SIGKILL)
                await process.wait()
        for server in reversed(self._servers.values()):
            server.stop()

    async def _spawn(self, program: Program) -> asyncio.subprocess.Process:
        with program.log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal reaches us alone, and the order of ending is ours.
            process = await asyncio.create_subprocess_exec(
                "setpriv",
                "--pdeathsig",
                "TERM",
                *program.command,
                env=dict(program.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running[program.name] = process
        return process

    async def _ready(self, program: Program) -> None:
        process = self._running[program.name]
        deadline = time.monotonic() + READY_WITHIN_S
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
            while time.monotonic() < deadline:
                if process.returncode is not None:
                    raise ProgramFailed(f"{program.name} ended with status {process.returncode}: {tail(program.log)}")
                if not program.ready_url:
                    return
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.get(program.ready_url) as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(POLL_S)
        raise ProgramFailed(f"{program.name} was not ready within {READY_WITHIN_S:.0f} s: {tail(program.log)}")

    async def _watch_program(self, program: Program) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            status = await self._running[program.name].wait()
            if self._stopping:
                return
            failures = 0 if time.monotonic() - began > WELL_AFTER_S else failures + 1
            pause = BACKOFF_S[min(failures, len(BACKOFF_S)) - 1] if failures else BACKOFF_S[0]
            self.say(f"{program.name} ended ({_how(status)}); starting it again in {pause:g} s; log: {program.log}")
            await asyncio.sleep(pause)
            await self._spawn(program)
            try:
                await self._ready(program)
            except ProgramFailed as problem:
                self.say(str(problem))
            else:
                self.say(f"{program.name} runs again")

    async def _watch_server(self, name: str, server: Server) -> None:
        failures = 0
        while True:
            await asyncio.sleep(BACKOFF_S[0])
            if server.running or self._stopping:
                continue
            self.say(f"{name} ended; starting it again")
            try:
                server.start()
            except HomecareError as problem:
                failures += 1
                self.say(str(problem))
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S)) - 1])
            else:
                failures = 0
                self.say(f"{name} runs again")


def tail(log: Path, lines: int = 3) -> str:
    """The last lines of a log, as one."""
    try:
        return " | ".join(log.read_text(errors="replace").strip().splitlines()[-lines:]) or "it said nothing"
    except OSError:
        return "no log"


def inherited_environment(**settings: str) -> dict[str, str]:
    """Our environment without its HOMECARE_ variables, with `settings` as HOMECARE_ variables (x="1": HOMECARE_X)."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOMECARE_")}
    return inherited | {f"HOMECARE_{name.upper()}": value for name, value in settings.items()}


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)


def _how(status: int) -> str:
    return f"status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"

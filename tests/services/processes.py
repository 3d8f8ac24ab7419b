"""Real `homecare …` processes, each with its own environment, HTTP port and log; none outlives the test."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from tests.services.ports import free_port

READY_WITHIN = 30.0
STOPS_WITHIN = 10.0
"""Seconds; the contract's word on SIGTERM."""


class ProcessFailed(AssertionError):
    """A process ended, or was not ready, or did not stop when it should have."""


class HomecareProcess:
    """One running command; `url` is where its /healthz, /readyz, /metrics (and pages) are."""

    def __init__(self, name: str, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.url = "http://" + environment["HOMECARE_LISTEN"]
        program = Path(sys.executable).with_name("homecare")
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", str(program), *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status; None while it runs, negative where a signal ended it."""
        return self._process.poll()

    async def ready(self, within: float = READY_WITHIN) -> None:
        """Wait until /readyz says 200. Raises ProcessFailed where it ends first or takes longer (seconds)."""
        deadline = time.monotonic() + within
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            while time.monotonic() < deadline:
                if self.returncode is not None:
                    raise ProcessFailed(f"{self.name} ended with status {self.returncode}:\n{self.tail()}")
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.get(self.url + "/readyz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.02)
        raise ProcessFailed(f"{self.name} was not ready within {within} s:\n{self.tail()}")

    async def ended(self, within: float = STOPS_WITHIN) -> int:
        """Wait for its end; its exit status. Raises ProcessFailed where it takes longer (seconds)."""
        deadline = time.monotonic() + within
        while self.returncode is None:
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} had not ended after {within} s:\n{self.tail()}")
            await asyncio.sleep(0.02)
        return self.returncode

    async def stop(self) -> int:
        """SIGTERM, and its exit status; the contract gives it 10 s."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, SIGSTOP and SIGCONT too."""
        if self.returncode is None:
            self._process.send_signal(number)

    def tail(self, characters: int = 4000) -> str:
        """The end of what it wrote."""
        return self.log.read_text(errors="replace")[-characters:]


class Processes:
    """Starts processes with a common environment; ends all of them at the test's end."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = environment
        self.started: list[HomecareProcess] = []

    async def start(self, *arguments: str, ready: bool = True, **settings: str) -> HomecareProcess:
        """Run `homecare *arguments`; `settings` override the environment (database_url="…" is HOMECARE_DATABASE_URL).

        With `ready` it has answered /readyz when this returns.
        """
        environment = self.environment_of(**settings)
        name = f"{len(self.started) + 1}-{arguments[0]}"
        process = HomecareProcess(name, arguments, environment, self.directory / f"{name}.log")
        self.started.append(process)
        if ready:
            await process.ready()
        return process

    def environment_of(self, **settings: str) -> dict[str, str]:
        """The environment a process started with these settings has."""
        own = {f"HOMECARE_{name.upper()}": value for name, value in settings.items()}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOMECARE_")}
        listen = {"HOMECARE_LISTEN": f"127.0.0.1:{free_port()}"}
        return inherited | listen | dict(self.environment) | own

    async def close(self) -> None:
        """SIGTERM to all, 10 s for all together, then kill; ProcessFailed if one had to be killed."""
        for process in self.started:
            process.signal(signal.SIGTERM)
            process.signal(signal.SIGCONT)
        deadline = time.monotonic() + STOPS_WITHIN
        late = []
        for process in self.started:
            try:
                await process.ended(max(0.0, deadline - time.monotonic()))
            except ProcessFailed as failed:
                process.kill()
                late.append(str(failed))
        if late:
            raise ProcessFailed("\n".join(late))

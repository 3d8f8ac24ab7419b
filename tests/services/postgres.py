"""A PostgreSQL cluster of the tests' own, which a test may stop, kill and start again; and databases within it."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Protocol

import psycopg

from tests.services.databases import Databases
from tests.services.errors import ServiceMissing
from tests.services.ports import free_port

STARTS_WITHIN = 20.0
OPTIONS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=/srv",
    "fsync=on",
    "max_connections=200",
    "max_worker_processes=32",
    "shared_buffers=128MB",
    "log_min_messages=warning",
)


class Programs(Protocol):
    """Where `initdb` and `postgres` come from. `data` is the data directory's name as they see it."""

    name: str
    data: str
    options: tuple[str, ...]

    def command(self, directory: Path, program: str, *arguments: str) -> list[str]: ...


class PostgresServer(Databases):
    """One cluster in `directory`, on a free port of 127.0.0.1, superuser `postgres` without a password."""

    def __init__(self, programs: Programs, directory: Path) -> None:
        self.programs = programs
        self.directory = directory
        self.log = directory.with_suffix(".log")
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, or start again after `stop` or `kill`, and wait until it answers. Raises ServiceMissing."""
        self.directory.mkdir(exist_ok=True)
        if not any(self.directory.iterdir()):
            made = self._run("initdb", "-D", self.programs.data, "-U", "postgres", "-A", "trust", "-E", "UTF8")
            self.log.write_text(made.stdout)
            if made.returncode != 0:
                raise ServiceMissing(self.programs.name, made.stdout.strip().splitlines()[-1])
        options = [f"-c{option}" for option in (*OPTIONS, f"port={self.port}", *self.programs.options)]
        command = self.programs.command(self.directory, "postgres", "-D", self.programs.data, *options)
        deadline = time.monotonic() + STARTS_WITHIN
        while not self._started(command, deadline):
            pass  # killed a moment ago, its last children may still hold the shared memory

    def stop(self) -> None:
        """End it in order, connections or not (fast shutdown)."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """kill -9: what a power cut does to it."""
        self._end(signal.SIGKILL)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        arguments = (*arguments, "--locale-provider=builtin", "--locale=C.UTF-8")
        command = self.programs.command(self.directory, program, *arguments)
        return subprocess.run(
            command,
            cwd="/",
            env=_environment(),
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def _started(self, command: list[str], deadline: float) -> bool:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd="/", env=_environment(), stdout=log, stderr=log)
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self._process = None
                time.sleep(0.1)
                return False
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=5):
                return True
            time.sleep(0.02)
        self.kill()
        tail = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        raise ServiceMissing(self.programs.name, "did not start: " + " | ".join(tail))

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None


class TimescaleServer(PostgresServer):
    """PostgreSQL with TimescaleDB from the Debian folder."""


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

"""A PostgreSQL cluster of the tests' own, which a test may stop, kill and start again; and databases within it."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg

from tests.services.databases import Databases
from tests.services.errors import ServiceMissing
from tests.services.ports import free_port
from tests.services.postgres_programs import Programs

STARTS_WITHIN = 20.0
OPTIONS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=on",
    "max_connections=200",
    "max_worker_processes=32",
    "shared_buffers=128MB",
    "log_min_messages=warning",
)


class PostgresServer(Databases):
    """One cluster, on a free port of 127.0.0.1, superuser `postgres` without a password."""

    def __init__(self, programs: Programs) -> None:
        self.programs = programs
        self.log = programs.directory.with_suffix(".log")
        self._data = f"{programs.inside}/data"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of its first process; it must be running."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, or start again after `stop` or `kill`, and wait until it answers. Raises ServiceMissing."""
        self.programs.directory.mkdir(exist_ok=True)
        if not any(self.programs.directory.iterdir()):
            self._create()
        options = [f"-c{option}" for option in (*OPTIONS, f"port={self.port}", *self.programs.options)]
        command = self.programs.command("postgres", "-D", self._data, *options)
        deadline = time.monotonic() + STARTS_WITHIN
        while not self._started(command, deadline):
            pass  # killed a moment ago, its last children may still hold the shared memory

    def stop(self) -> None:
        """End it in order, connections or not (fast shutdown)."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """kill -9 of every process it has, at once: what a power cut does to it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGSTOP)  # it starts no more of them now
        family = _children(self._process.pid)
        for pid in (self._process.pid, *family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        while any(_alive(pid) for pid in family):
            time.sleep(0.005)

    def ensure_running(self) -> None:
        """Start it where a test left it stopped."""
        if not self.running:
            self._process = None
            self.start()

    def remove(self) -> None:
        """Stop it and forget its data."""
        self.stop()
        shutil.rmtree(self.programs.directory, ignore_errors=True)
        self.log.unlink(missing_ok=True)

    def _create(self) -> None:
        locale = ("-E", "UTF8", "--locale-provider=builtin", "--locale=C.UTF-8")
        command = self.programs.command("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", *locale)
        with self.log.open("wb") as log:
            made = subprocess.run(command, cwd="/", env=_environment(), check=False, stdout=log, stderr=log)
        if made.returncode != 0:
            raise ServiceMissing(self.programs.name, f"initdb: {self._tail()}")

    def _tail(self) -> str:
        return " | ".join(self.log.read_text(errors="replace").strip().splitlines()[-5:])

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
        raise ServiceMissing(self.programs.name, f"did not start: {self._tail()}")

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None


class TimescaleServer(PostgresServer):
    """PostgreSQL with TimescaleDB from the Debian folder."""


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

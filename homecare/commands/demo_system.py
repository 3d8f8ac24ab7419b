"""Everything that runs out of a demo's folder: database, broker, ingest, alerts, dashboard."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from homecare.broker import Broker
from homecare.commands.demo_folder import BROKER_FILE, Folder
from homecare.database import migrate
from homecare.directory import credentials, files, store
from homecare.directory.entries import Directory, Source
from homecare.embedded import EmbeddedPostgres
from homecare.errors import HomecareError, InputError, NotMigrated
from homecare.secrets import Vault
from homecare.supervisor import Program, Supervisor, inherited_environment

DASHBOARD_PORT = 8000
FOLLOW_S = 1.0
Step = Callable[[str, float], None]
"""Told of each thing that is ready, and how many seconds it took."""


class System:
    """The running system; `supervisor` keeps it so."""

    def __init__(self, folder: Folder, supervisor: Supervisor, step: Step) -> None:
        self.folder = folder
        self.supervisor = supervisor
        self.database = EmbeddedPostgres(folder.path / "postgres")
        self.broker: Broker | None = None
        self.url = ""
        self._step = step

    async def start(self, directory: Directory, *, import_it: bool) -> None:
        """Start all in order, each when what it needs is ready. HomecareError where one does not start."""
        began = time.monotonic()
        self.supervisor.start_server("database", self.database)
        began = self._done("database", began)
        try:
            migrate(self.database.url)
        except NotMigrated as error:
            raise InputError(
                f"{self.folder.path} was made by another version ({error}); move it away or use --data"
            ) from None
        began = self._done("schema", began)
        if import_it:
            source = Source(directory)
            store.import_directory(self.database.url, source, Vault(self.folder.kept.secret_key))
            files.write(self.folder.directory_file, directory)
            began = self._done("sample directory", began)
        users = {"homecare": self.folder.kept.backend_password, **credentials.mqtt_passwords(self.database.url)}
        self.broker = Broker(self.folder.path / "broker", users=users)
        self.supervisor.start_server("broker", self.broker)
        (self.folder.path / BROKER_FILE).write_text(f"mqtt://127.0.0.1:{self.broker.port}\n")
        self._done("broker", began)
        port = _next_free_port(DASHBOARD_PORT)
        self.url = f"http://127.0.0.1:{port}/"
        settings = {f"HOMECARE_{name.upper()}": value for name, value in self._settings(self.broker).items()}
        self.folder.write_environment({**settings, "BROKER_PORT": str(self.broker.port)})
        for name in ("ingest", "alerts", "dashboard"):
            program = self.program(name, name, port=port if name == "dashboard" else _free_port())
            self._step(name, await self.supervisor.start(program))

    async def follow_directory(self) -> None:
        """Let the broker know the devices that are registered while it runs. Until cancelled."""
        assert self.broker is not None
        known = await asyncio.to_thread(credentials.mqtt_passwords, self.database.url)
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                found = await asyncio.to_thread(credentials.mqtt_passwords, self.database.url)
            except HomecareError:
                continue  # it is being started again, or upgraded
            if found != known:
                self.broker.set_users(found)
                known = found

    def program(self, name: str, *arguments: str, port: int = 0) -> Program:
        """`homecare ARGUMENTS` in this system's environment; with a port it is ready when /readyz says so."""
        assert self.broker is not None, "programs start after the broker"
        environment = inherited_environment(**self._settings(self.broker), listen=f"127.0.0.1:{port}")
        command = [sys.executable, "-c", "from homecare.commands.main import main; main()", *arguments]
        ready = f"http://127.0.0.1:{port}/readyz" if port else ""
        return Program(name, command, environment, self.folder.log(name), ready)

    def _settings(self, broker: Broker) -> dict[str, str]:
        return {
            "database_url": self.database.url,
            "mqtt_url": broker.url(),
            "public_url": self.url.rstrip("/"),
            "secret_key": self.folder.kept.secret_key,
            "webhook_allow_networks": "127.0.0.0/8",
            "webhook_allow_http": "true",
        }

    def _done(self, name: str, began: float) -> float:
        now = time.monotonic()
        self._step(name, now - began)
        return now


@asynccontextmanager
async def running(
    folder: Folder, directory: Directory, *, import_it: bool, say: Callable[[str], None], step: Step
) -> AsyncIterator[System]:
    """The whole system within the block; ended at its end, however it ends."""
    supervisor = Supervisor(say)
    system = System(folder, supervisor, step)
    try:
        await system.start(directory, import_it=import_it)
        yield system
    finally:
        await supervisor.stop()


def port_is_free(port: int) -> bool:
    """Whether somebody could listen on this port of the loopback interface now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _next_free_port(preferred: int) -> int:
    """`preferred` or the next one above it that is free."""
    for port in range(preferred, preferred + 100):
        if port_is_free(port):
            return port
    raise InputError(f"no free port from {preferred} to {preferred + 99}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""Where everything runs: TimescaleDB with fsync, a fresh broker and a fresh database for every contender's every turn."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import psycopg

from homecare.broker import Broker
from homecare.database import migrate
from tests.bench.load import compile_publisher
from tests.services.databases import Databases, GivenServer
from tests.services.inventory import given_database_url
from tests.services.postgres import TimescaleServer
from tests.services.postgres_programs import TimescalePrograms, timescale_folder
from tests.services.processes import Processes

AREA, OTHER_AREA = "990101", "990104"
"""Of two shards each has one."""
SECRET_KEY = "a secret of the bench, 32 characters at least"
FILL = """
    insert into area (code, level, name_zh, name_en)
        select code, 'village', '示例村', 'Sample Village' from unnest(array['990101', '{other}']) code on conflict do nothing;
    insert into resident (id, area, name)
        select 'R-' || lpad(n::text, 7, '0'), '990101', '示例·甲' || n from generate_series(0, {people} - 1) n;
    insert into device (id, area, kind, interval_s)
        select 'bench-' || lpad(n::text, 7, '0'), case n % 2 when 1 then '{other}' else '990101' end, 'handset', 60 from generate_series(0, {devices} - 1) n;
    insert into wearing (device, resident, since)
        select device.key, resident.key, '2020-01-01'
        from device join resident on right(device.id, 7) = right(resident.id, 7);
    analyze;
"""


class Site:
    """The machine's services for one run of the bench."""

    def __init__(self, directory: Path, databases: Databases, *, anyway: bool = False) -> None:
        """`anyway`: measure even what this machine is too small for."""
        self.directory = directory
        self.databases = databases
        self.anyway = anyway
        self.publisher = compile_publisher(directory)
        self._numbers = count(1)

    def make_directory(self, name: str, *, devices: int, people: int | None = None, other: str = AREA) -> str:
        """A migrated database with so many devices, the first `people` of them worn, every second one in the area `other`;
        its name, for `database`.
        """
        url = self.databases.create_database(name)
        migrate(url)
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(FILL.format(devices=devices, people=devices if people is None else people, other=other).encode())
        self.databases.seal_database(name)
        return name

    def make_migrated(self, name: str) -> str:
        """A migrated database without anything in it; its name, for `database`."""
        migrate(self.databases.create_database(name))
        self.databases.seal_database(name)
        return name

    def make_empty(self, name: str) -> str:
        """A database with TimescaleDB and nothing else; its name, for `database`."""
        with psycopg.connect(self.databases.create_database(name), autocommit=True) as db:
            db.execute("create extension timescaledb")
        self.databases.seal_database(name)
        return name

    @contextlib.contextmanager
    def database(self, template: str) -> Iterator[str]:
        """A copy of the database `template`, gone after the block; its URL. The disk is quiet when it is handed over."""
        name = f"bench_{next(self._numbers)}"
        url = self.databases.create_database(name, template=template)
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("checkpoint")
        try:
            yield url
        finally:
            self.databases.drop_database(name)

    @contextlib.contextmanager
    def broker(self) -> Iterator[Broker]:
        """A Mosquitto with the project's own configuration."""
        broker = Broker(self.directory / f"broker-{next(self._numbers)}")
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()

    @asynccontextmanager
    async def processes(self, url: str, broker: Broker) -> AsyncIterator[Processes]:
        """Starts real `homecare …` processes on them; ends them with the block."""
        logs = self.directory / f"logs-{next(self._numbers)}"
        logs.mkdir()
        environment = {
            "HOMECARE_DATABASE_URL": url,
            "HOMECARE_MQTT_URL": broker.url(),
            "HOMECARE_SECRET_KEY": SECRET_KEY,
            "HOMECARE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
            "HOMECARE_WEBHOOK_ALLOW_HTTP": "true",
        }
        started = Processes(logs, environment)
        try:
            yield started
        finally:
            await asyncio.shield(started.close())


@contextlib.contextmanager
def open_site(*, anyway: bool = False) -> Iterator[Site]:
    """All that is needed, started; `anyway` as in `Site`. Raises ServiceMissing with the reason where something cannot be had."""
    with tempfile.TemporaryDirectory(prefix="homecare-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        if given_database_url():
            yield Site(directory, GivenServer(given_database_url()), anyway=anyway)
            return
        programs = TimescalePrograms(timescale_folder(), directory / "timescale")
        programs.options += ("track_commit_timestamp=on", "track_wal_io_timing=on", "max_wal_size=4GB")
        server = TimescaleServer(programs)
        try:
            server.start()
            yield Site(directory, server, anyway=anyway)
        finally:
            server.remove()

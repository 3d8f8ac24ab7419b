"""`homecare ingest`: measurements from MQTT through the checks and the rules into the database, for one shard of the areas."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import msgspec
import structlog

from alerts.rules.engine import Engine
from alerts.rules.pack import load_pack
from alerts.rules.variants import Variants, variants
from gateway import broker_watch
from gateway.edge import Edge
from gateway.native import NATIVE
from gateway.registry import Registry
from gateway.registry_store import CHANNEL, follow, load
from gateway.senml import SENML
from gateway.session import Session
from gateway.traccar import measurements
from homecare.clock import wall_clock
from homecare.database import as_service, check_database, open_pool, unavailable
from homecare.devices import RegisteredDevice
from homecare.errors import HomecareError
from homecare.health import start_health
from homecare.logs import configure_logs
from homecare.memory import return_free_pages, return_large_blocks
from homecare.secrets import private_name
from homecare.settings import Settings, load_settings
from homecare.tasks import raise_if_cancelled, run, run_tasks
from homecare.wakeups import Wakeups
from ingest.connection import LiveConnection, WriterConnection
from ingest.counting import Counting
from ingest.occurrences import CHANNEL as EVENTS_CHANNEL
from ingest.occurrences import Occurrences
from ingest.pipeline import Lane
from ingest.residents import CHANNEL as RULES_CHANNEL
from ingest.residents import Residents
from ingest.restore import restore
from ingest.rollups import RollUps
from ingest.shards import Shard
from ingest.snapshots import Snapshots
from ingest.store import Store
from ingest.upkeep import Upkeep

log = structlog.get_logger()
PORT = 8001


def command(shard: str = "1/1") -> int:
    """Run until SIGTERM. One line and status 1 where there is no database, no schema or no broker at the start."""
    return_large_blocks()
    share = Shard.parse(shard)
    settings = load_settings()
    configure_logs(settings.log_format, settings.log_level, "ingest" if share.count == 1 else f"ingest {share}")
    check_database(settings.database_url.get_secret_value())

    async def main(stop: asyncio.Event) -> None:
        process = Ingest(settings, share, as_service(settings.database_url.get_secret_value()))
        try:
            await run_tasks(stop, {"ingest": process.run()})
        finally:
            await process.close()

    return run(main)


@dataclass(slots=True)
class Ingest:
    """One process: its parts, in the order in which they come to life."""

    settings: Settings
    shard: Shard
    _url: str
    registry: Registry = field(default_factory=Registry)
    engine: Engine = field(default_factory=lambda: Engine(load_pack()))
    writer: WriterConnection = field(init=False)
    reader: LiveConnection = field(init=False)
    session: Session | None = None
    _counting: Counting | None = None
    _others: set[int] = field(default_factory=set)
    """Keys of devices that were another shard's when last heard of."""
    _filters: list[str] = field(default_factory=list)
    _idle: bool = False
    _filters_changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.writer = WriterConnection(self._url, self.shard)
        self.reader = LiveConnection(self._url, f"homecare-ingest {self.shard} reads")

    async def run(self) -> None:
        """Until cancelled; then what was taken is committed and acknowledged."""
        await self._start_health()
        await self.writer.stand_by()
        async with open_pool(self._url, name=f"homecare-ingest {self.shard}", max_size=2) as pool:
            residents: Residents[Variants] = Residents(
                pool, self.shard, self.engine, partial(variants, load_pack()), self._rules_changed
            )
            await residents.look()
            devices, horizon = await load(pool, self.registry)
            ours = [device for device in devices if self.shard.has(device.area)]
            self.engine.register(ours)
            self._others = {device.key for device in devices if not self.shard.has(device.area)}
            store = Store(self.writer, self.reader)
            await store.load()
            self._counting = store.counting
            db = await self.reader.get()
            with unavailable():
                found = await (await db.execute("select from pg_extension where extname = 'timescaledb'")).fetchone()
            if found is None:
                log.warning("plain_postgresql", meaning="no TimescaleDB: samples go to one plain table")
            occurrences = Occurrences(LiveConnection(self._url, f"homecare-ingest {self.shard} events"), self.shard)
            unsaid = await restore(db, self.engine, ours, wall_clock(), shard=self.shard, occurrences=occurrences)
            raise_if_cancelled()
            dialects = (NATIVE, SENML, measurements(self.shard.has))
            wakeups = Wakeups(self._url, [CHANNEL, RULES_CHANNEL, EVENTS_CHANNEL])
            edge = Edge(self.registry, dialects)
            lane = Lane(edge, self.engine, store, events=lambda: occurrences.follow(wakeups))
            lane.owe(unsaid)
            keeping = LiveConnection(self._url, f"homecare-ingest {self.shard} keeps rules")
            snapshots = Snapshots(keeping, self.shard, self.engine.dump, lane.all_written)
            upkeep = Upkeep(
                LiveConnection(self._url, f"homecare-ingest {self.shard} upkeep"),
                store.counting,
                str(self.shard),
                first=self.shard.index == 1,
            )
            tasks = {
                "wakeups": wakeups.listen(),
                "directory": follow(pool, self.registry, wakeups, horizon, self._directory_changed),
                "residents": residents.follow(wakeups),
                "listen": self._listen(lane),
                "upkeep": upkeep.run(),
                "snapshots": snapshots.run(),
            }
            if self.shard.index == 1:
                connection = LiveConnection(self._url, f"homecare-ingest {self.shard} rollups")
                tasks["rollups"] = RollUps(connection, self.settings.retention_days).run()
                tasks["watch"] = self._watch()
            del devices, ours  # a million of them; what is needed of each is in the registry and the engine
            return_free_pages()
            await run_tasks(asyncio.Event(), tasks)

    async def close(self) -> None:
        """Give the shard to whoever stands by."""
        await self.writer.close()
        await self.reader.close()

    async def _listen(self, lane: Lane) -> None:
        """A session for the topics of the shard's areas, and a new one whenever those change."""
        while True:
            self._filters = self.shard.filters(self.registry.areas)
            self._filters_changed.clear()
            if self._filters:
                session = self._open_session()
                if self.session is None:
                    await session.connect()  # at the start somebody looks on: no broker ends it
                self.session = session
                await self._listen_with(session, lane)
            else:
                log.warning("nothing_to_do", reason=f"no area is in shard {self.shard}")
                self._idle = True
                await self._filters_changed.wait()
                self._idle = False

    async def _listen_with(self, session: Session, lane: Lane) -> None:
        """Returns when the areas change. However it ends, the session outlives the lane, which acknowledges by it."""
        connecting = asyncio.create_task(session.run(), name="session")
        working = asyncio.create_task(lane.run(session), name="lane")
        changing = asyncio.create_task(self._filters_changed.wait(), name="filters")
        try:
            done, _ = await asyncio.wait({connecting, working, changing}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            changing.cancel()
            working.cancel()
            await asyncio.wait({working})
            await session.close()
            connecting.cancel()
            await asyncio.wait({connecting})

    async def _watch(self) -> None:
        """What the broker says of itself; measurements do not depend on it."""
        settings = self.settings
        session = Session(
            settings.mqtt_url.get_secret_value(),
            client_id=private_name(settings.secret_key.get_secret_value(), f"homecare-watch-{settings.instance}"),
            filters=broker_watch.FILTERS,
            ca_file=settings.mqtt_ca_file,
            session_expiry_s=0,
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(broker_watch.keep_connected(session), name="watch session")
                group.create_task(broker_watch.follow(session), name="watch")
            await asyncio.Event().wait()
        finally:
            await session.close()

    def _open_session(self) -> Session:
        settings = self.settings
        name = f"homecare-ingest-{settings.instance}-{self.shard.index}-{self.shard.count}"
        return Session(
            settings.mqtt_url.get_secret_value(),
            client_id=private_name(settings.secret_key.get_secret_value(), name),
            filters=self._filters,
            receive_maximum=settings.mqtt_receive_maximum,
            ca_file=settings.mqtt_ca_file,
        )

    def _directory_changed(self, devices: Iterable[RegisteredDevice]) -> None:
        """Intervals, wearers, new ones; a device that moved to another shard's area is no longer watched here."""
        devices = list(devices)
        came = [device.key for device in devices if self.shard.has(device.area) and device.key in self._others]
        if came and self._counting is not None:
            self._counting.sequences.forget(came)
            self._others.difference_update(came)
        self._others.update(device.key for device in devices if not self.shard.has(device.area))
        self.engine.register(
            device if self.shard.has(device.area) else msgspec.structs.replace(device, revoked=True)
            for device in devices
        )
        if self.shard.filters(self.registry.areas) != self._filters:
            self._filters_changed.set()

    def _rules_changed(self, areas: frozenset[str]) -> None:
        """Other rules hold for the devices of these areas."""
        self.engine.register(d for d in self.registry.devices() if d.area in areas and self.shard.has(d.area))

    async def _start_health(self) -> None:
        async def database() -> bool:
            await asyncio.to_thread(check_database, self._url)
            return True

        async def broker() -> bool:
            return self._idle or (self.session is not None and self.session.connected)

        host, port = self.settings.address(PORT)
        try:
            await start_health(host, port, {"database": database, "broker": broker})
        except OSError as error:
            raise HomecareError(f"cannot listen on {host}:{port}: {error.strerror}") from error

"""Where a fault happens: database, broker, relays, the real `ingest` between them, and a fleet that keeps an account."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random

import psycopg

from homecare.broker import Broker
from homecare.database import migrate
from homecare.directory import files, store
from homecare.secrets import Vault
from simulators import ledger
from tests.faults.recorder import Key, Recorder
from tests.faults.relay import Relay, relaying
from tests.services.postgres import TimescaleServer
from tests.services.postgres_programs import TimescalePrograms, timescale_folder
from tests.services.processes import HomecareProcess, Processes

PROGRAM = Path(sys.executable).with_name("homecare")
TEMPLATE = "faults_template"
SECRET_KEY = "a secret of the fault runs, 32 characters at least"
DEVICES, BUTTONS = 100, 5
"""The first ones measure; the last ones are for emergencies."""
SETTLES_WITHIN_S = 90.0
LOOK_S = 0.05
CAUGHT_UP_S = 0.5


class Impossible(Exception):
    """This machine cannot play that; the text says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of it: `rate` messages/s for `seconds`, `outage_s` for what is away for a while, `alerts_outage_s` where steps are due meanwhile."""

    rate: float = 5000
    seconds: float = 6.0
    outage_s: float = 60.0
    cut_s: float = 30.0
    alerts_outage_s: float = 300.0
    points: int = 100
    """At how many of the points at which a process can be killed it is, at most."""


@dataclass(slots=True)
class Verdict:
    """Of one repetition. What is missing had been acknowledged; twice: more than once in the database."""

    sent: int = 0
    acknowledged: int = 0
    missing: int = 0
    twice: int = 0
    unknown: int = 0
    """Stored, and never sent so."""
    notes: dict[str, float] = field(default_factory=dict)


class Machine:
    """What all scenarios share: one database server, and the directory of the fleet."""

    def __init__(self, directory: Path, server: TimescaleServer) -> None:
        self.directory = directory
        self.server = server
        self.fleet_file = directory / "fleet.json"
        self._numbers = count(1)

    def prepare(self) -> None:
        """The template database and the fleet's directory."""
        from homecare.commands.simulate_fleet import write_fleet

        write_fleet(self.fleet_file, DEVICES + BUTTONS)
        self.server.drop_database(TEMPLATE)
        url = self.server.create_database(TEMPLATE)
        migrate(url)
        store.import_directory(url, files.read(self.fleet_file), Vault("unused"))
        self.server.seal_database(TEMPLATE)

    def users(self) -> dict[str, str]:
        return {device.id: device.password or "" for device in files.read(self.fleet_file).directory.devices}

    @asynccontextmanager
    async def stage(self, plan: Plan, random: Random, *, tablespace: str = "") -> AsyncIterator["Stage"]:
        """Everything fresh, `ingest` not started."""
        number = next(self._numbers)
        name = f"faults_{number}"
        folder = self.directory / f"stage-{number}"
        folder.mkdir()
        self.server.ensure_running()
        self._create(name, tablespace)
        broker = Broker(folder / "broker", users=self.users())
        async with AsyncExitStack() as stack:
            stack.callback(self.server.drop_database, name)
            stack.callback(self.server.ensure_running)
            broker.start()
            stack.callback(broker.stop)
            recorder = Recorder()
            to_broker = await stack.enter_async_context(relaying(broker.port, recorder.watch))
            to_database = await stack.enter_async_context(relaying(self.server.port))
            url = self.server.url(name)
            environment = {
                "HOMECARE_DATABASE_URL": url.replace(f":{self.server.port}/", f":{to_database.port}/"),
                "HOMECARE_MQTT_URL": broker.url().replace(f":{broker.port}", f":{to_broker.port}"),
                "HOMECARE_SECRET_KEY": SECRET_KEY,
            }
            processes = Processes(folder, environment)
            stack.push_async_callback(processes.close)
            yield Stage(self, plan, random, folder, url, broker, recorder, to_broker, to_database, processes)

    def _create(self, name: str, tablespace: str) -> None:
        where = f" tablespace {tablespace}" if tablespace else ""
        with psycopg.connect(self.server.url(), autocommit=True) as db:
            db.execute(f"create database {name} template {TEMPLATE}{where}".encode())


@dataclass(slots=True)
class Stage:
    """One scenario's own services. `play` is one repetition."""

    machine: Machine
    plan: Plan
    random: Random
    folder: Path
    url: str
    broker: Broker
    recorder: Recorder
    to_broker: Relay
    to_database: Relay
    processes: Processes
    ingest: HomecareProcess | None = None
    boot: int = 0

    @property
    def server(self) -> TimescaleServer:
        return self.machine.server

    def log(self) -> str:
        """The end of what `ingest` said."""
        return self.ingest.tail(2000) if self.ingest is not None else ""

    async def start_ingest(self, *, ready: bool = True) -> None:
        self.ingest = await self.processes.start("ingest", ready=ready)

    @property
    def running(self) -> HomecareProcess:
        assert self.ingest is not None
        return self.ingest

    async def play(
        self,
        fault: Callable[["Stage", Verdict], Awaitable[None]],
        *,
        faults: str = "",
        rate: float = 0,
        seconds: float = 0,
        broker_may_lose: bool = False,
    ) -> Verdict:
        """A fleet's run with `fault` in the midst of it, and what is in the database at the end.

        `broker_may_lose`: the broker dies, so only what the backend itself acknowledged is held against it.
        """
        verdict = Verdict()
        self.recorder.forget()
        if self.ingest is None:
            await self.start_ingest()
        async with self.fleet(faults, rate or self.plan.rate, seconds or self.plan.seconds) as fleet:
            await self.until(lambda: self.recorder.messages > 0, 20, "the fleet's first message")
            await fault(self, verdict)
            await fleet.ended()
        records = list(ledger.read(fleet.ledger))
        sent, acknowledged = keys_of(records, "sent"), keys_of(records, "acknowledged")
        by_backend = set(self.recorder.acknowledged)
        if broker_may_lose:
            await self.settle(lambda: self.recorder.outstanding == 0 and time.time() - self.recorder.last > 2)
            verdict.notes["lost_in_broker"] = len(acknowledged - self.stored().keys())
            acknowledged = set(self.recorder.acknowledged)
        else:
            await self.settle(lambda: acknowledged <= self.recorder.acknowledged.keys())
        rows = self.stored()
        verdict.sent, verdict.acknowledged = len(sent), len(acknowledged)
        verdict.missing = len((acknowledged | by_backend) - rows.keys())
        verdict.twice = sum(times - 1 for times in rows.values())
        verdict.unknown = len(rows.keys() - sent)
        return verdict

    @contextlib.asynccontextmanager
    async def fleet(self, faults: str, rate: float, seconds: float) -> AsyncIterator["RunningFleet"]:
        """The product's own simulator of devices, as a process; straight to the broker."""
        self.boot += 1
        file = self.folder / f"ledger-{self.boot}.jsonl"
        process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL", str(PROGRAM), "simulate", "fleet"),
            *("--devices", str(DEVICES), "--rate", str(rate), "--seconds", str(seconds), "--faults", faults),
            *("--seed", str(self.random.randrange(1 << 30)), "--ledger", str(file)),
            *("--directory", str(self.machine.fleet_file), "--state", str(self.folder / "state")),
            *("--broker", f"mqtt://127.0.0.1:{self.broker.port}"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield RunningFleet(process, file)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def stored(self) -> dict[Key, int]:
        """How often each message of this repetition is in the database; a reading that is not what was sent counts as another."""
        with psycopg.connect(self.url) as db:
            rows = db.execute(
                "select device.id, sample.boot, seq, count(*), bool_and(heart_rate = 60 + seq %% 40 and spo2 = 94 + seq %% 6)"
                " from sample join device on device.key = sample.device where sample.boot = %s group by 1, 2, 3",
                [self.boot],
            ).fetchall()
        return {(device, boot, seq if right else -1 - seq): times for device, boot, seq, times, right in rows}

    async def settle(self, done: Callable[[], bool]) -> None:
        """Wait until `done`, or until nothing has moved for so long that it never will be."""
        deadline = time.monotonic() + SETTLES_WITHIN_S
        while not done() and time.monotonic() < deadline and time.time() - self.recorder.last < 15:  # noqa: ASYNC110  # what moves is seen on the wire
            await asyncio.sleep(LOOK_S)

    async def until(self, done: Callable[[], bool], within_s: float, what: str) -> None:
        """AssertionError where it takes longer."""
        deadline = time.monotonic() + within_s
        while not done():
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
            await asyncio.sleep(0.005)

    async def a_moment(self) -> None:
        """Somewhere in the first half of the run, with messages in `ingest`'s hands."""
        await asyncio.sleep(self.random.uniform(0.1, 0.5) * self.plan.seconds)
        with contextlib.suppress(AssertionError):
            await self.until(lambda: self.recorder.outstanding > 0, 1, "messages on their way")

    async def catch_up(self, verdict: Verdict) -> None:
        """From now on, when everything is back, until what is acknowledged was measured half a second ago at most."""
        began, recorder = time.time(), self.recorder
        before = recorder.acknowledgements

        def caught_up() -> bool:
            over = recorder.outstanding == 0 and time.time() - recorder.last > CAUGHT_UP_S
            return recorder.acknowledgements > before and (over or recorder.lag_ms < CAUGHT_UP_S * 1000)

        await self.until(caught_up, SETTLES_WITHIN_S, "to catch up")
        verdict.notes["catch_up_s"] = max(0.0, recorder.last - began)


@dataclass(slots=True)
class RunningFleet:
    process: asyncio.subprocess.Process
    ledger: Path

    async def ended(self) -> None:
        """Wait for its end, and its ledger."""
        async with asyncio.timeout(SETTLES_WITHIN_S * 2):
            out, _ = await self.process.communicate()
        assert self.ledger.exists(), out.decode()


def keys_of(records: list[ledger.Record], what: str) -> set[Key]:
    """The messages that were `sent`, or `acknowledged`."""
    return {
        (record.device, record.boot, seq)
        for record in records
        for first, last in getattr(record, what)
        for seq in range(first, last + 1)
    }


@contextlib.contextmanager
def open_machine(directory: Path) -> Iterator[Machine]:
    """The server, started. Raises ServiceMissing."""
    server = TimescaleServer(TimescalePrograms(timescale_folder(), directory / "timescale"))
    try:
        server.start()
        machine = Machine(directory, server)
        machine.prepare()
        yield machine
    finally:
        server.remove()

"""Where faults of the alerts' side happen: a town, its contacts' endpoints, real `alerts` processes, and an account of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from homecare.broker import Broker
from homecare.database import migrate
from tests.alerts.endpoints import Endpoints, open_endpoints
from tests.alerts.town import Town
from tests.faults.stage import SECRET_KEY, Machine, Plan
from tests.services.postgres import PostgresServer
from tests.services.processes import HomecareProcess, Processes

SETTLES_WITHIN_S = 150.0
"""A lease of a dead sender and the waits between attempts, on a machine that does other work."""
WAITING = """
    select (select count(*) from trigger where handled_at is null)
        + (select count(*) from notification where state = 'pending' and channel_kind = 'webhook'
           and next_at < clock_timestamp() + interval '1 second')
        + (select count(*) from escalation where next_at < clock_timestamp() + interval '0.5 second')
"""


@dataclass(slots=True)
class Account:
    """What the test itself did, and when (Unix time, seconds)."""

    triggers: dict[str, float] = field(default_factory=dict)
    """By key, when it was committed."""
    answered: dict[UUID, float] = field(default_factory=dict)
    """By alert, when an acknowledgement was committed."""
    started: list[float] = field(default_factory=list)
    """When an `alerts` process was started."""
    killed: int = 0


class AlertsStage:
    """One scenario's own services. A repetition begins with `begin`."""

    def __init__(
        self,
        server: PostgresServer,
        directory: Path,
        url: str,
        plan: Plan,
        random: Random,
        endpoints: Endpoints,
        processes: Processes,
    ) -> None:
        self.server, self.directory, self.url, self.plan, self.random = server, directory, url, plan, random
        self.endpoints, self.processes = endpoints, processes
        self.account = Account()
        self.running: list[HomecareProcess] = []
        self._people = 0

    def log(self) -> str:
        """The end of what the processes said."""
        return "\n".join(process.tail(1500) for process in self.processes.started[-2:])

    @asynccontextmanager
    async def town(self) -> AsyncIterator[Town]:
        """On a connection of its own: the server may be away at other times."""
        async with await AsyncConnection.connect(self.url, autocommit=True) as db:
            town = Town(db, SECRET_KEY, people=self._people, triggers=len(self.account.triggers))
            try:
                yield town
            finally:
                self._people = town.people

    async def begin(self, *delays_s: float, ranks: int = 1) -> None:
        """Nothing open from before, and this policy."""
        async with self.town() as town:
            await town.db.execute(
                "select alert_resolve(id, 'operator:li', 'page', 'drill', '') from alert where state in ('open', 'acknowledged')"
            )
            await town.agree(*delays_s, ranks=ranks)

    async def start(self, *, stop_at: str = "", ready: bool = True) -> HomecareProcess:
        """One more `alerts`, to die at `stop_at`."""
        hooks = {"test_hooks": "1", "test_stop_at": stop_at} if stop_at else {}
        self.account.started.append(time.time())
        process = await self.processes.start("alerts", ready=ready, instance=str(len(self.processes.started)), **hooks)
        self.running.append(process)
        return process

    async def have(self, instances: int) -> None:
        """So many run now."""
        self.running = [process for process in self.running if process.returncode is None]
        while len(self.running) > instances:
            await self.running.pop().stop()
        while len(self.running) < instances:
            await self.start()

    def kill(self, process: HomecareProcess) -> None:
        """kill -9."""
        process.kill()
        self.running.remove(process)
        self.account.killed += 1

    async def trigger(self, town: Town, *people: str) -> None:
        """As a batch of the rules' triggers, committed when this returns."""
        keys = await town.trigger(*people)
        self.account.triggers.update(dict.fromkeys(keys, time.time()))

    async def acknowledge(self, db: AsyncConnection, alert: UUID) -> str:
        """As a contact does; what came of it."""
        row = await (await db.execute("select alert_acknowledge(%s, 'operator:li', 'page', '')", [alert])).fetchone()
        assert row is not None
        if row[0] == "acknowledged":
            self.account.answered[alert] = time.time()
        return str(row[0])

    async def settle(self) -> None:
        """Until nothing is waiting that will not wait for long."""
        await self.until(WAITING + " = 0", SETTLES_WITHIN_S, "to have nothing waiting")

    async def until(self, condition: str, within_s: float, what: str) -> None:
        """A query that selects a truth. AssertionError where it takes longer."""
        deadline = time.monotonic() + within_s
        while True:
            with suppress(psycopg.OperationalError):
                async with await AsyncConnection.connect(self.url, autocommit=True) as db:
                    while True:
                        row = await (await db.execute(f"select ({condition})".encode())).fetchone()
                        if row is not None and row[0]:
                            return
                        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
                        await asyncio.sleep(0.05)
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def on_machine(machine: Machine, plan: Plan, random: Random) -> AsyncIterator[AlertsStage]:
    """On the server that all scenarios share."""
    async with on_server(machine.server, machine.directory, plan, random, {}) as stage:
        yield stage


@asynccontextmanager
async def on_server(
    server: PostgresServer, directory: Path, plan: Plan, random: Random, environment: Mapping[str, str]
) -> AsyncIterator[AlertsStage]:
    """Everything fresh, no `alerts` started. `environment`: of the processes, beside the usual."""
    name = f"faults_alerts_{random.randrange(1 << 30)}"
    folder = directory / name
    folder.mkdir()
    server.ensure_running()
    url = server.create_database(name)
    migrate(url)
    broker = Broker(folder / "broker")
    async with AsyncExitStack() as stack:
        stack.callback(server.drop_database, name)
        stack.callback(server.ensure_running)
        broker.start()
        stack.callback(broker.stop)
        endpoints = stack.enter_context(open_endpoints(10, folder / "posts.jsonl"))
        settings = {
            "HOMECARE_DATABASE_URL": url,
            "HOMECARE_MQTT_URL": broker.url(),
            "HOMECARE_SECRET_KEY": SECRET_KEY,
            "HOMECARE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
            "HOMECARE_WEBHOOK_ALLOW_HTTP": "true",
        }
        processes = Processes(folder, settings | dict(environment))
        stack.push_async_callback(processes.close)
        async with await AsyncConnection.connect(url, autocommit=True) as db:
            await Town(db, SECRET_KEY).found()
        yield AlertsStage(server, directory, url, plan, random, endpoints, processes)

"""The machine's clock is set an hour on and back, and passes a change to and from summer time: steps come when they are due.

PostgreSQL and `alerts` run under libfaketime, which reads the clock's offset from a file. The plain PostgreSQL, because the
other one lives in a Debian folder of its own.
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from psycopg import AsyncConnection

from tests.faults.alerts import settle, until_taken
from tests.faults.alerts_check import judge
from tests.faults.alerts_stage import AlertsStage, on_server
from tests.faults.stage import Impossible, Machine, Plan, Verdict
from tests.services.postgres import PostgresServer
from tests.services.postgres_programs import WheelPrograms

LIBRARY = "usr/lib/*/faketime/libfaketime.so.1"
"""Below the root; or in the folder that HOMECARE_TEST_LIBFAKETIME names."""
DELAY_S, BEFORE_S = 4.0, 3.0
JUMPS_S = (3600, 0, -3600, 0)
CHANGES = (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
"""When Europe/Berlin, as one zone that has it, goes to summer time and back."""
ZONE = "Europe/Berlin"


class FakedPrograms(WheelPrograms):
    """The server with the clock of a file."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        super().__init__(directory)
        self.options = (f"timezone={ZONE}", f"log_timezone={ZONE}")
        self._environment = environment

    def command(self, program: str, *arguments: str) -> list[str]:
        line = super().command(program, *arguments)
        at = len(line) - len(arguments) - 1
        faked = [f"{name}={value}" for name, value in self._environment.items()] if program == "postgres" else []
        return [*line[:at], "env", *faked, *line[at:]]


def find_library() -> Path:
    """libfaketime's. Raises Impossible."""
    found = list(Path(os.environ.get("HOMECARE_TEST_LIBFAKETIME", "/")).glob(LIBRARY))
    if not found:
        raise Impossible("libfaketime is not installed (Debian: apt-get install libfaketime)")
    return found[0]


def set_clock(file: Path, offset_s: float) -> None:
    """Seconds ahead of the true time."""
    new = file.with_suffix(".new")
    new.write_text(f"{offset_s:+.3f}\n")
    new.chmod(0o644)
    new.replace(file)


@asynccontextmanager
async def on_faked_clock(machine: Machine, plan: Plan, random: Random) -> AsyncIterator[AlertsStage]:
    """A server and processes whose clock `set_clock` sets. Raises Impossible."""
    library = find_library()
    clock = clock_file(machine.directory)
    set_clock(clock, 0)
    environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "TZ": ZONE,
    }
    server = PostgresServer(FakedPrograms(machine.directory / "plain", environment))
    try:
        server.start()
        async with on_server(server, machine.directory, plan, random, environment) as stage:
            yield stage
    finally:
        server.remove()


def clock_file(directory: Path) -> Path:
    return directory / "clock"


async def clock_set(stage: AlertsStage) -> Verdict:
    """An hour on, right again, an hour back, right again: the alerts that are open then take their next step when it is due."""
    triggers, late = len(stage.account.triggers), []
    for offset_s in JUMPS_S:
        await _open_alerts(stage)
        began = time.monotonic()
        set_clock(clock_file(stage.directory), offset_s)
        late.append(await _next_step(stage, began))
    # Set on, the database knows no more than that time has passed: the step comes at once, and one only.
    verdict = await _judged(stage, triggers, late)
    async with await AsyncConnection.connect(stage.url, autocommit=True) as db:
        row = await (await db.execute("select count(*) >= 2 from log where action = 'clock.set_back'")).fetchone()
    verdict.notes["set_back_unseen"] = float(row != (True,))
    return verdict


async def summer_time(stage: AlertsStage) -> Verdict:
    """The first step is taken a few seconds before each change; the next is due after it."""
    triggers, late, early = len(stage.account.triggers), [], []
    for change in CHANGES:
        await stage.have(1)
        set_clock(clock_file(stage.directory), change.timestamp() - BEFORE_S - time.time())
        await _open_alerts(stage)
        began = time.monotonic()
        late.append(await _next_step(stage, began))
        early.append(await _before(stage, change))
    verdict = await _judged(stage, triggers, late)
    verdict.notes["step_early_s"] = -min(late)
    verdict.notes["change_not_passed"] = sum(not passed for passed in early)
    return verdict


async def _open_alerts(stage: AlertsStage) -> None:
    """Five, whose second step is due DELAY_S from now."""
    await stage.have(1)
    await stage.begin(0, DELAY_S, 600, ranks=2)
    async with stage.town() as town:
        people = await settle(stage, town, 5, ranks=2)
        await stage.trigger(town, *people)
    await until_taken(stage, 1)


async def _next_step(stage: AlertsStage, began: float) -> float:
    """Seconds that it came too late, by a clock that nobody set."""
    await until_taken(stage, 2)
    late_s = time.monotonic() - began - DELAY_S
    await stage.settle()
    return late_s


async def _before(stage: AlertsStage, change: datetime) -> bool:
    """Was a first step taken before the change, and the one after it after?"""
    async with await AsyncConnection.connect(stage.url, autocommit=True) as db:
        row = await (
            await db.execute(
                "select bool_or(at < %(change)s and detail ->> 'step' = '1'), bool_or(at > %(change)s and detail ->> 'step' = '2')"
                " from log where action = 'escalation.step' and abs(extract(epoch from at - %(change)s)) < 60",
                {"change": change},
            )
        ).fetchone()
    return row == (True, True)


async def _judged(stage: AlertsStage, triggers: int, late: list[float]) -> Verdict:
    verdict = await judge(stage, triggers)
    verdict.notes["step_late_s"] = max(late)
    set_clock(clock_file(stage.directory), 0)
    return verdict

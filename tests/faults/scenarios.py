"""What goes wrong, one function each: it happens in the midst of a fleet's run."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, TypeVar

import psycopg

from tests.bench.numbers import resident_bytes
from tests.faults import alerts, alerts_clock, alerts_endpoints
from tests.faults.alerts_stage import AlertsStage, on_machine
from tests.faults.buttons import with_buttons
from tests.faults.full_disk import fill_disk, on_small_disk
from tests.faults.poison import with_poison
from tests.faults.stage import Machine, Plan, Stage, Verdict

Fault = Callable[[Stage, Verdict], Awaitable[None]]
On = TypeVar("On", Stage, AlertsStage)
Setting = Callable[[Machine, Plan, Random], AbstractAsyncContextManager[On]]


def usual(machine: Machine, plan: Plan, random: Random) -> AbstractAsyncContextManager[Stage]:
    return machine.stage(plan, random)


@dataclass(frozen=True, slots=True)
class Scenario(Generic[On]):
    """`long`: one run takes more than 30 s, so it is repeated 3 times and not 20."""

    play: Callable[[On], Awaitable[Verdict]]
    stage: Setting[On]
    long: bool = False


async def nothing(_stage: Stage, _verdict: Verdict) -> None:
    """The fault is in what the devices send."""


async def kill_ingest(stage: Stage, verdict: Verdict) -> None:
    await stage.a_moment()
    stage.running.kill()
    await stage.start_ingest(ready=False)
    await stage.catch_up(verdict)


async def stop_ingest(stage: Stage, verdict: Verdict) -> None:
    """SIGTERM: it ends within 10 s, and what it had committed does not come again."""
    await stage.a_moment()
    began = time.monotonic()
    stage.running.signal(signal.SIGTERM)
    status = await stage.running.ended()
    verdict.notes["ended_within_s"] = time.monotonic() - began
    verdict.notes["wrong_exit_status"] = float(status != 0)
    await stage.start_ingest(ready=False)
    await stage.catch_up(verdict)
    verdict.notes["redelivered_though_committed"] = _committed_before_redelivery(stage)


async def kill_postgres(stage: Stage, verdict: Verdict) -> None:
    await stage.a_moment()
    stage.server.kill()
    stage.server.start()
    await stage.catch_up(verdict)


async def stop_postgres(stage: Stage, verdict: Verdict) -> None:
    """Nothing is acknowledged meanwhile, and what waits in memory has its bound."""
    await stage.a_moment()
    stage.server.stop()
    await asyncio.sleep(0.3)  # what was committed before may still be on its way
    before = stage.recorder.acknowledgements
    await asyncio.sleep(stage.plan.outage_s)
    verdict.notes["acknowledged_while_stopped"] = stage.recorder.acknowledgements - before
    verdict.notes["outstanding_at_most"] = stage.recorder.outstanding
    verdict.notes["memory_mb"] = resident_bytes(stage.running.pid, "VmHWM") / 2**20
    stage.server.start()
    began, before = time.monotonic(), stage.recorder.acknowledgements
    await stage.until(lambda: stage.recorder.acknowledgements > before, 60, "the first acknowledgement")
    verdict.notes["recovered_within_s"] = time.monotonic() - began
    await stage.catch_up(verdict)


async def kill_broker(stage: Stage, verdict: Verdict) -> None:
    """Its disk has what it saved last: every five seconds, and once when `ingest` had subscribed."""
    assert stage.broker.pid is not None
    os.kill(stage.broker.pid, signal.SIGUSR1)
    await stage.a_moment()
    stage.broker.kill()
    stage.broker.start()
    await stage.catch_up(verdict)


async def wipe_broker(stage: Stage, verdict: Verdict) -> None:
    await stage.a_moment()
    stage.broker.kill()
    (stage.broker.directory / "queues.db").unlink(missing_ok=True)
    stage.broker.start()
    await stage.catch_up(verdict)


async def cut_broker(stage: Stage, verdict: Verdict) -> None:
    await stage.a_moment()
    stage.to_broker.cut()
    await asyncio.sleep(stage.plan.cut_s)
    stage.to_broker.mend()
    await stage.catch_up(verdict)


async def cut_database(stage: Stage, verdict: Verdict) -> None:
    await stage.a_moment()
    stage.to_database.cut()
    await asyncio.sleep(0.3)
    before = stage.recorder.acknowledgements
    await asyncio.sleep(stage.plan.cut_s)
    verdict.notes["acknowledged_while_cut"] = stage.recorder.acknowledgements - before
    stage.to_database.mend()
    await stage.catch_up(verdict)


def _committed_before_redelivery(stage: Stage) -> int:
    """How many messages came again though they were in the database already."""
    with psycopg.connect(stage.url) as db:
        rows = db.execute(
            "select device.id, sample.boot, seq, extract(epoch from committed)::float8"
            " from sample join device on device.key = sample.device where sample.boot = %s",
            [stage.boot],
        ).fetchall()
    return sum(committed < stage.recorder.again.get((device, boot, seq), 0) for device, boot, seq, committed in rows)


def _in_the_midst(
    fault: Fault, *, longer_s: Callable[[Stage], float] = lambda _: 0.0
) -> Callable[[Stage], Awaitable[Verdict]]:
    return lambda stage: stage.play(fault, seconds=stage.plan.seconds + longer_s(stage))


def _sent_so(faults: str, *, slower: float = 1) -> Callable[[Stage], Awaitable[Verdict]]:
    return lambda stage: stage.play(nothing, faults=faults, rate=stage.plan.rate / slower)


def _without_broker(fault: Fault) -> Callable[[Stage], Awaitable[Verdict]]:
    return lambda stage: with_buttons(stage, lambda: stage.play(fault, broker_may_lose=True))


SCENARIOS: Mapping[str, Scenario[Any]] = {
    "kill_ingest": Scenario(_in_the_midst(kill_ingest), usual),
    "stop_ingest": Scenario(_in_the_midst(stop_ingest), usual),
    "kill_postgres": Scenario(_in_the_midst(kill_postgres), usual),
    "stop_postgres": Scenario(_in_the_midst(stop_postgres, longer_s=lambda s: s.plan.outage_s), usual, long=True),
    "full_disk": Scenario(_in_the_midst(fill_disk, longer_s=lambda _: 4.0), on_small_disk),
    "kill_broker": Scenario(_without_broker(kill_broker), usual),
    "wipe_broker": Scenario(_without_broker(wipe_broker), usual),
    "cut_broker": Scenario(_in_the_midst(cut_broker, longer_s=lambda s: s.plan.cut_s), usual, long=True),
    "cut_database": Scenario(_in_the_midst(cut_database, longer_s=lambda s: s.plan.cut_s), usual, long=True),
    "delivered_100_times": Scenario(_sent_so("duplicates=100", slower=100), usual),
    "reversed": Scenario(_sent_so("reorder=50,duplicates"), usual),
    "clocks_ahead": Scenario(_sent_so("skew=3600,duplicates"), usual),
    "clocks_behind": Scenario(_sent_so("skew=-86400,duplicates"), usual),
    "poison": Scenario(with_poison, usual, long=True),
    "alerts_kill_points": Scenario(alerts.kill_points, on_machine, long=True),
    "alerts_instances": Scenario(alerts.instances, on_machine),
    "alerts_random_kills": Scenario(alerts.random_kills, on_machine, long=True),
    "alerts_database_stopped": Scenario(alerts.database_stopped, on_machine, long=True),
    "alerts_clock_set": Scenario(alerts_clock.clock_set, alerts_clock.on_faked_clock),
    "alerts_summer_time": Scenario(alerts_clock.summer_time, alerts_clock.on_faked_clock),
    "alerts_answer_races": Scenario(alerts.answer_races, on_machine),
    "alerts_endpoints": Scenario(alerts_endpoints.endpoints, on_machine),
    "alerts_flood": Scenario(alerts.flood, on_machine),
}
"""In the order in which they run."""

"""A million devices, each worn by somebody: how soon a process is ready, and what it holds in memory for each."""

import asyncio
import time

from homecare.broker import Broker
from tests.bench.goals import Results
from tests.bench.load import publishing
from tests.bench.numbers import resident_bytes
from tests.bench.pace import BACKLOG, LOOK_S, arrived, watched
from tests.bench.say import Say
from tests.bench.site import Site
from tests.services.processes import HomecareProcess

DEVICES = 1_000_000
READY_WITHIN_S = 180.0


async def measure(site: Site, results: Results, say: Say) -> None:
    """mem_bytes_per_device (all have been heard), cold_start_s."""
    few, _ = await _hold(site, 1_000, say)
    held, started = await _hold(site, DEVICES, say)
    results.add("mem_bytes_per_device", (held - few) / (DEVICES - 1_000))
    results.add("cold_start_s", started)


async def _hold(site: Site, devices: int, say: Say) -> tuple[int, float]:
    """(bytes of memory once every device has been heard, seconds from the process's start until it was ready)."""
    directory = site.make_directory(f"bench_{devices}", devices=devices)
    say(f"{devices:,} devices and residents are in the directory")
    with site.database(directory) as url, site.broker() as broker:
        async with site.processes(url, broker) as processes:
            began = time.monotonic()
            process = await processes.start("ingest", ready=False)
            await process.ready(READY_WITHIN_S)
            started = time.monotonic() - began
            at_first = resident_bytes(process.pid)
            await _hear_all(site, broker, process, devices)
            held, most = resident_bytes(process.pid), resident_bytes(process.pid, "VmHWM")
    site.databases.drop_database(directory)
    mib = f"{at_first >> 20} MiB, {held >> 20} MiB once all were heard, {most >> 20} MiB at most"
    say(f"{devices:,} devices: ready after {started:.1f} s with {mib}")
    return held, started


async def _hear_all(site: Site, broker: Broker, process: HomecareProcess, devices: int) -> None:
    options = {"devices": devices, "messages": devices, "backlog": BACKLOG}
    async with watched(process) as consumer, publishing(site.publisher, broker, **options) as load:
        while load.running:
            load.consumed(await consumer.progress())
            await asyncio.sleep(LOOK_S)
        await arrived(consumer, await load.published())

"""`homecare simulate fleet`: a directory of devices for it, and the run with its progress, summary and ledger."""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from homecare.broker import new_password
from homecare.directory import files
from homecare.directory.entries import Area, Device, Directory
from homecare.errors import InputError
from homecare.tasks import run
from simulators import ledger
from simulators.faults import Faults
from simulators.fleet import Fleet, build_fleet
from simulators.memory import Memory

AREA = Area(code="990199", level="village", name_zh="示例机群", name_en="Sample Fleet")
DRAIN_S = 30.0
STOPS_WITHIN_S = 7.0
"""Asked to stop, it waits for PUBACKs no longer than this."""
PROGRESS_EVERY_S = 1.0


def write_fleet(path: Path, count: int) -> None:
    """A directory file of `count` devices in an area of their own, with plain passwords."""
    if path.suffix != ".json":
        raise InputError(f"{path}: expected a name ending in .json")
    devices = [
        Device(id=f"fleet-{n:06d}", area=AREA.code, kind="handset", model="SIM-F", password=new_password())
        for n in range(count)
    ]
    files.write(path, Directory(areas=[AREA], devices=devices))


def run_fleet(
    entries: Sequence[Device],
    count: int,
    host: str,
    port: int,
    memory: Memory,
    rate: float,
    seconds: float,
    faults: Faults,
    seed: int,
    ledger_file: str,
) -> int:
    """Status 0 where every message of a living device was acknowledged."""
    if len(entries) < count:
        raise InputError(f"--devices {count}: the directory has {len(entries)}")
    fleet = build_fleet(list(entries[:count]), host, port, memory, rate=rate, seconds=seconds, faults=faults, seed=seed)
    took = 0.0

    async def main(stop: asyncio.Event) -> None:
        nonlocal took
        showing = asyncio.create_task(_show(fleet), name="progress")
        began = time.monotonic()
        try:
            await fleet.run(stop, DRAIN_S, STOPS_WITHIN_S)
        finally:
            took = time.monotonic() - began
            showing.cancel()
            if ledger_file:
                ledger.write(Path(ledger_file), [device.account for device in fleet.devices])

    status = run(main)
    print(summary(fleet, took))
    return status or int(fleet.waiting > 0)


def summary(fleet: Fleet, took_s: float) -> str:
    """What was sent and what came of it, a line each."""
    accounts = [device.account for device in fleet.devices]
    sent = sum(len(account.states) - account.states.count(ledger.MADE) for account in accounts)
    acknowledged = sum(account.states.count(ledger.ACKNOWLEDGED) for account in accounts)
    deliveries = sum(account.deliveries for account in accounts)
    lines = [
        f"{sent} messages sent by {len(accounts)} devices in {took_s:.1f} s",
        f"{acknowledged} acknowledged by the broker, {sent - acknowledged} not",
        f"{deliveries - sent} repetitions",
        f"{fleet.connections_lost} connections lost",
    ]
    dead = sum(device.dead for device in fleet.devices)
    if dead:
        lines.append(f"{dead} devices with a dead battery")
    if fleet.withheld:
        lines.append(f"{fleet.withheld} measurements not taken: dead, or too much waiting to be acknowledged")
    return "\n".join(lines)


async def _show(fleet: Fleet) -> None:
    while sys.stderr.isatty():
        print(f"\r{fleet.made} sent, {fleet.waiting} waiting  ", end="", file=sys.stderr, flush=True)
        await asyncio.sleep(PROGRESS_EVERY_S)

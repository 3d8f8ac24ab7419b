"""Emergencies while the broker dies: each button is pressed once, and its device repeats the message until the `ack`."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg

from homecare.directory import files
from simulators.device import Device
from simulators.home import Plan, build_device, switched_on
from simulators.memory import Memory
from tests.faults.stage import BUTTONS, Stage, Verdict

ANSWERED_WITHIN_S = 60.0


async def with_buttons(stage: Stage, play: Callable[[], Awaitable[Verdict]]) -> Verdict:
    """`play`, and meanwhile every button is pressed: `sos_lost`, `sos_twice` and how long the slowest `ack` took."""
    if not any(process.name.endswith("alerts") for process in stage.processes.started):
        await stage.processes.start("alerts")
    entries = files.read(stage.machine.fleet_file).directory.devices[-BUTTONS:]
    plan = Plan("127.0.0.1", stage.broker.port, Memory(stage.folder / "buttons"))
    devices = [build_device(entry, plan) for entry in entries]
    pressed: list[asyncio.Task[float]] = []
    async with switched_on(devices, within_s=10), asyncio.TaskGroup() as tasks:
        pressed = [tasks.create_task(_press(stage, device), name=device.id) for device in devices]
        verdict = await play()
    answers = [task.result() for task in pressed]
    with psycopg.connect(stage.url) as db:
        rows = db.execute(
            "select count(*), count(distinct (device_id, boot, seq)) from event where event = 'sos' and boot = %s",
            [devices[0].boot],
        ).fetchone()
    assert rows is not None
    verdict.notes["sos_lost"] = len(devices) - rows[1]
    verdict.notes["sos_twice"] = rows[0] - rows[1]
    verdict.notes["sos_answered_within_s"] = max(answers)
    return verdict


async def _press(stage: Stage, device: Device) -> float:
    """Seconds from the button to the `ack`."""
    await asyncio.sleep(stage.random.uniform(0, 0.6) * stage.plan.seconds)
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        return (await device.signal("sos")).after_s

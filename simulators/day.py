"""Homes living a day: the last 24 hours as history, played fast with their true times, then on as time goes; and now and
then something happens.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from homecare.errors import InputError
from simulators.device import Device
from simulators.home import Home, switched_on
from simulators.payloads import Sample
from simulators.scenarios import HOUR_MS, SCENARIOS, Scenario, usual_sample

HISTORY_STEP_S: Final = 600
"""Between two samples of the past day."""
KIOSK_HOURS: Final = (8, 15)
"""How many hours ago people of a village went to their kiosk."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Happening:
    """A scenario that begins so many seconds after the live day began, in the n-th of the homes that have what it needs."""

    after_s: float
    scenario: str
    home: int


HAPPENINGS: Final = (
    Happening(6, "night_fall", 4),
    Happening(75, "hypertensive_kiosk_visit", 11),
    Happening(120, "sos_then_cancel", 20),
    Happening(180, "flat_battery", 6),
    Happening(300, "sos_without_fix", 41),
)


async def live(
    homes: Sequence[Home],
    happenings: Sequence[Happening],
    *,
    turn: int = 0,
    hour_s: float = 0.5,
    say: Say = lambda _: None,
) -> None:
    """Play the past day at `hour_s` seconds an hour, then live on until cancelled.

    `turn` moves what happens on by so many homes, so that it is not always the same ones.
    """
    owners = {device: home for home in homes for device in _all_devices(home)}
    devices = list(owners)
    async with switched_on(devices):
        say(f"{len(homes)} homes, {len(devices)} devices connected")
        await _past_day(homes, hour_s)
        say("the past day has been sent; now live")
        async with asyncio.TaskGroup() as tasks:
            for device in devices:
                tasks.create_task(_live_on(owners[device], device), name=f"life of {device.id}")
            for happening in happenings:
                home, scenario = _find(homes, happening, turn)
                tasks.create_task(_happen(home, scenario, happening.after_s, say), name=f"scenario {scenario.name}")


def _find(homes: Sequence[Home], happening: Happening, turn: int) -> tuple[Home, Scenario]:
    scenario = SCENARIOS[happening.scenario]
    fitting = [home for home in homes if all(getattr(home, need) is not None for need in scenario.needs)]
    if not fitting:
        raise InputError(f"no home has {', '.join(scenario.needs)}, which {scenario.name} needs")
    return fitting[(happening.home + turn) % len(fitting)], scenario


async def _happen(home: Home, scenario: Scenario, after_s: float, say: Say) -> None:
    await asyncio.sleep(after_s)
    say(f"{scenario.name} in the home of {home.resident}")
    played = await scenario.play(home)
    for ack in played.acks:
        say(f"{scenario.name}: acknowledged as {ack.state} after {ack.after_s * 1000:.0f} ms")


async def _past_day(homes: Sequence[Home], hour_s: float) -> None:
    for hour in range(24, 0, -1):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(hour_s), name="pace")
            for home in homes:
                for device in home.devices():
                    begin = device.clock() - hour * HOUR_MS
                    samples = list(_hour_of(home, device, begin))
                    tasks.create_task(_measure(device, samples), name=f"history of {device.id}")
            if hour in KIOSK_HOURS:
                for n, home in enumerate(homes):
                    if n % 3 == 0 and home.kiosk is not None:
                        visit = _visit(home, home.kiosk.clock() - hour * HOUR_MS + n * 40_000)
                        tasks.create_task(
                            _measure(home.kiosk, [visit], home.resident), name=f"visit of {home.resident}"
                        )


def _hour_of(home: Home, device: Device, begin: int) -> Iterator[Sample]:
    for n in range(3600 // HISTORY_STEP_S):
        yield _sample(home, device, begin + n * HISTORY_STEP_S * 1000, HISTORY_STEP_S)


def _sample(home: Home, device: Device, ts: int, seconds: float) -> Sample:
    if device.kind == "handset":
        return usual_sample(home, ts, seconds)
    if device.kind == "kiosk":
        # Nobody is measured: it says that it is there.
        return Sample(ts, {"room_temperature": 21.0, "signal": -60.0})
    values = {
        "heart_rate": home.person.heart_rate(ts),
        "activity": home.person.activity(ts, seconds),
        "presence": 1.0,
        "battery": 77.0,
    }
    return Sample(ts, values)


def _visit(home: Home, ts: int) -> Sample:
    person = home.person
    systolic, diastolic = person.pressure(ts)
    values = {
        "systolic": systolic,
        "diastolic": diastolic,
        "heart_rate": person.heart_rate(ts),
        "spo2": person.spo2(ts),
        "temperature": person.temperature(ts),
    }
    return Sample(ts, values)


async def _measure(device: Device, samples: list[Sample], subject: str | None = None) -> None:
    await device.measure(samples, subject=subject)


async def _live_on(home: Home, device: Device) -> None:
    # Devices were not all switched on in the same second.
    await asyncio.sleep(device.interval_s * (hash_of(device.id) % 100) / 100)
    while True:
        await device.measure([_sample(home, device, device.clock(), device.interval_s)])
        if home.person.awake(device.clock()):
            device.position = home.person.position(device.clock())
        await asyncio.sleep(device.interval_s)


def hash_of(text: str) -> int:
    """The same number in every process, other than `hash`."""
    return sum((n + 1) * ord(letter) for n, letter in enumerate(text))


def _all_devices(home: Home) -> list[Device]:
    return [*home.devices(), *([home.kiosk] if home.kiosk else [])]

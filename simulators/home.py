"""A home: one resident with the devices around them, and the connection of each to the broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from homecare.clock import Clock, wall_clock
from homecare.devices import DeviceKind
from homecare.directory.entries import Device as Entry
from homecare.directory.entries import Directory, Resident
from homecare.errors import BrokerUnavailable, InputError
from simulators.device import Device
from simulators.link import Credentials, Link, Mqtt5Link, Mqtt311Link
from simulators.memory import Memory
from simulators.person import Person

Linking = Callable[[DeviceKind, Credentials], Link]


@dataclass(frozen=True, slots=True)
class Home:
    """A resident, their body, and the devices that are theirs; the kiosk is their village's."""

    resident: str
    person: Person
    handset: Device | None
    fall_sensor: Device | None
    kiosk: Device | None

    def devices(self) -> list[Device]:
        """Those that are this home's own."""
        return [device for device in (self.handset, self.fall_sensor) if device is not None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What simulated devices need besides the directory file: the broker, and where they keep their counters."""

    host: str
    port: int
    memory: Memory
    clock: Clock = wall_clock
    role: str = ""
    """As of `Credentials`."""


def link_for(kind: DeviceKind, credentials: Credentials) -> Link:
    """Fall sensors speak MQTT 3.1.1, the others MQTT 5: both kinds of client are out there."""
    return Mqtt311Link(credentials) if kind == "fall_sensor" else Mqtt5Link(credentials)


def build_device(entry: Entry, plan: Plan) -> Device:
    """A device as the directory has it. InputError where its password is not in the file."""
    if entry.password is None or entry.password.startswith("$7$"):
        raise InputError(f"device {entry.id}: to simulate it, its password must stand in the file in plain text")
    credentials = Credentials(plan.host, plan.port, entry.id, entry.password, plan.role)
    return Device(
        id=entry.id,
        area=entry.area,
        kind=entry.kind,
        link=link_for(entry.kind, credentials),
        boot=plan.memory.next_boot(entry.id),
        interval_s=entry.interval_s,
        clock=plan.clock,
        model=entry.model or "SIM-1",
    )


def build_homes(directory: Directory, plan: Plan) -> list[Home]:
    """Every resident of the directory who wears something; each kiosk is one device, shared by its area's homes."""
    entries = {entry.id: entry for entry in directory.devices}
    kiosks = {entry.area: build_device(entry, plan) for entry in entries.values() if entry.kind == "kiosk"}
    worn: dict[str, dict[str, Entry]] = {}
    for entry in entries.values():
        if isinstance(entry.wearer, str):
            worn.setdefault(entry.wearer, {})[entry.kind] = entry
    homes = []
    for index, resident in enumerate(directory.residents):
        if resident.id not in worn:
            continue
        own = {kind: build_device(entry, plan) for kind, entry in worn[resident.id].items()}
        homes.append(
            Home(
                resident=resident.id,
                person=person_of(resident, index),
                handset=own.get("handset"),
                fall_sensor=own.get("fall_sensor"),
                kiosk=kiosks.get(resident.area),
            )
        )
    return homes


def person_of(resident: Resident, seed: int) -> Person:
    """The body of a resident; at 0, 0 where the directory does not say where they live."""
    return Person(seed, resident.lat or 0.0, resident.lon or 0.0)


@asynccontextmanager
async def switched_on(devices: list[Device], *, within_s: float | None = None) -> AsyncIterator[None]:
    """The devices are connected within the block, and disconnected in order at its end.

    Raises:
        BrokerUnavailable: one could not connect within `within_s`; without that they try for ever.
    """
    failure: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(device.run(), name=f"device {device.id}") for device in devices]
        try:
            for device in devices:
                await _connected(device, within_s)
            yield
        except Exception as error:  # noqa: BLE001  # raised again below
            failure = error
        finally:
            for task in running:
                task.cancel()
    if failure is not None:
        # Outside of the task group, which would wrap it.
        raise failure


async def _connected(device: Device, within_s: float | None) -> None:
    try:
        async with asyncio.timeout(within_s):
            await device.online()
    except TimeoutError:
        raise BrokerUnavailable(f"no connection to the MQTT broker: {device.problem or device.id}") from None


def memory_folder(data: Path) -> Memory:
    """Where devices count their starts below a data folder."""
    return Memory(data / "devices")

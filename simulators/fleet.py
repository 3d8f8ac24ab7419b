"""A fleet: thousands of devices at one rate, with what goes wrong in the field, and an account of every message.

A device keeps what is not acknowledged and sends it again, unchanged, after each new connection.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from random import Random

from homecare.clock import Clock, wall_clock
from homecare.directory.entries import Device as Entry
from homecare.errors import BrokerRefused, BrokerUnavailable, InputError
from simulators import payloads
from simulators.faults import NEVER_SET, NO_CLOCK, Faults
from simulators.ledger import Account
from simulators.link import Credentials, Will
from simulators.memory import Memory
from simulators.uplink import Uplink

MOST_WAITING = 200_000
"""Messages without their PUBACK in the whole fleet; a device that has its share measures nothing more until one comes."""
MOST_OPENING = 200
TICK_S = 0.005
CONNECT_WITHIN_S = 30.0
SILENT_S = 20.0
"""After so long without an answer a device gives its connection up."""
RECONNECT_S = (0.2, 0.5, 1.0, 2.0)
STATUS = -1


@dataclass(slots=True)
class _Held:
    """A message, or one more copy of it, that waits until `left` later ones are sent."""

    left: int
    seq: int
    payload: bytes
    copy: bool


class FleetDevice:
    """One of many. Its battery is full but for `dead_at`: a share of the run, after which it is silent for ever."""

    def __init__(self, to: Credentials, account: Account, number: int, faults: Faults, random: Random) -> None:
        self.account = account
        self.up: Uplink | None = None
        self.waiting: dict[int, bytes] = {}
        """Payloads without their PUBACK, by seq."""
        self.dead_at = random.uniform(0.2, 0.8) if faults.dies(number) else None
        self.dead = False
        self._to = to
        self._number = number
        self._faults = faults
        self._random = random
        self._topic = payloads.topic(account.area, account.device, "telemetry").encode()
        self._will = Will(payloads.topic(account.area, account.device, "status"), payloads.OFFLINE)
        self._error = faults.clock_error(number)
        self._held: list[_Held] = []

    async def open(self, interval_s: float) -> None:
        """Connect, say so, and send again what is not acknowledged. BrokerUnavailable, BrokerRefused."""
        up = Uplink(self._to, self._will, self._answered)
        await up.connect()
        status = payloads.online(self.account.boot, "SIM-F", "1.0.0", interval_s)
        up.publish(self._will.topic.encode(), status, STATUS, retain=True)
        self.up = up
        held = {one.seq for one in self._held if not one.copy}
        for seq, payload in self.waiting.items():
            if seq not in held:
                self._send(seq, payload)

    def measure(self, now: int, battery: float) -> None:
        """One message, by the device's own clock where `now` is the true time (Unix ms)."""
        seq, d = self.account.add(), self._number
        ts = (
            b"null"
            if self._error == NO_CLOCK
            else b"%d" % (now % 86_400_000 if self._error == NEVER_SET else now + self._error)
        )
        values = (*readings(seq), battery * (70 + d % 30))
        payload = self.waiting[seq] = (
            b'{"boot":%d,"seq":%d,"ts":%b,"values":{"heart_rate":%d,"spo2":%d,"battery":%d}}'
            % (self.account.boot, seq, ts, *values)
        )
        if delay := self._faults.delay(seq, self._random):
            self._held.append(_Held(delay, seq, payload, copy=False))
        else:
            self._send(seq, payload)
        for n in range(self._faults.copies(self._random)):
            if n % 2:
                self._held.append(_Held(self._random.randint(1, 5), seq, payload, copy=True))
            else:
                self._send(seq, payload)
        if self._held:
            self._let_go()

    def let_all_go(self) -> None:
        """Send what is held back."""
        for one in self._held:
            one.left = 0
        self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, []
        for one in held:
            one.left -= 1
            if one.left < 0:
                self._send(one.seq, one.payload)
            else:
                self._held.append(one)

    def _send(self, seq: int, payload: bytes) -> None:
        if self.up is not None and self.up.publish(self._topic, payload, seq):
            self.account.sent(seq)

    def _answered(self, tag: int) -> None:
        if tag != STATUS and self.waiting.pop(tag, None) is not None:
            self.account.acknowledged(tag)


def readings(seq: int) -> tuple[int, int]:
    """(heart rate, oxygen saturation) in message `seq`: whoever reads the database can tell whether it is the one sent."""
    return 60 + seq % 40, 94 + seq % 6


@dataclass(slots=True)
class Fleet:
    """`run` it once. `rate`: messages/s of all devices together, repetitions not counted."""

    devices: list[FleetDevice]
    rate: float
    seconds: float
    faults: Faults
    random: Random
    clock: Clock = wall_clock
    withheld: int = 0
    """Measurements not taken, because a device had too much waiting or was dead."""
    connections_lost: int = 0
    problem: str = ""
    """Why a device could not connect, the last time."""
    _over: bool = False
    """Nothing more is measured, and no storm comes."""
    _opening: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_OPENING))

    @property
    def made(self) -> int:
        return sum(len(device.account.states) for device in self.devices)

    @property
    def waiting(self) -> int:
        """Messages without their PUBACK, of devices that still live."""
        return sum(len(device.waiting) for device in self.devices if not device.dead)

    async def run(self, stop: asyncio.Event, drain_s: float, drain_stopped_s: float) -> None:
        """Connect all, measure for `seconds`, wait up to `drain_s` for the last PUBACK, disconnect.

        With `stop` it measures no longer, and waits no more than `drain_stopped_s`.

        Raises:
            BrokerRefused, BrokerUnavailable: they could not all connect at the start.
        """
        refused: list[BrokerRefused] = []
        async with asyncio.TaskGroup() as tasks:
            own = [tasks.create_task(self._stay_connected(d, refused), name=d.account.device) for d in self.devices]
            try:
                if await self._all_connected(stop, refused):
                    own.append(tasks.create_task(self._disturb(), name="disturb"))
                    await self._measure(stop)
                    await self._drain(drain_stopped_s if stop.is_set() else drain_s)
            finally:
                for task in own:
                    task.cancel()
        if refused:
            raise refused[0]
        if not self.made and not stop.is_set():
            raise BrokerUnavailable(f"no connection to the MQTT broker: {self.problem}")

    async def _all_connected(self, stop: asyncio.Event, refused: list[BrokerRefused]) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_WITHIN_S):
                while not stop.is_set() and not refused:
                    if all(device.up is not None for device in self.devices):
                        return True
                    await asyncio.sleep(TICK_S)
        return False

    async def _drain(self, within_s: float) -> None:
        for device in self.devices:
            device.let_all_go()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.waiting or any(d.up is not None and d.up.unanswered for d in self.devices):  # noqa: ASYNC110  # thousands of devices would set such an event
                    await asyncio.sleep(TICK_S)

    async def _measure(self, stop: asyncio.Event) -> None:
        loop, count = asyncio.get_running_loop(), len(self.devices)
        share = max(10, MOST_WAITING // count)
        began, taken = loop.time(), 0
        while not stop.is_set() and (passed := loop.time() - began) < self.seconds:
            now = self.clock()
            due = int(passed * self.rate)
            for number in range(taken, due):
                device = self.devices[number % count]
                self._age(device, passed / self.seconds)
                if device.dead or len(device.waiting) >= share:
                    self.withheld += 1
                else:
                    device.measure(
                        now, 1.0 if device.dead_at is None else max(0.0, 1 - passed / self.seconds / device.dead_at)
                    )
            taken = due
            await asyncio.sleep(TICK_S)
        self._over = True

    def _age(self, device: FleetDevice, passed: float) -> None:
        if device.dead_at is not None and passed > device.dead_at and not device.dead:
            device.dead = True
            if device.up is not None:
                device.up.cut()

    async def _stay_connected(self, device: FleetDevice, refused: list[BrokerRefused]) -> None:
        failures, interval_s = 0, max(1.0, len(self.devices) / self.rate)
        while not device.dead:
            try:
                async with self._opening:
                    await device.open(interval_s)
            except BrokerUnavailable as problem:
                if isinstance(problem, BrokerRefused) and not self.made:
                    refused.append(problem)
                    return
                self.problem = str(problem)
                await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)] * self.random.uniform(0.5, 1.5))
                failures += 1
                continue
            assert device.up is not None
            failures = 0
            try:
                await device.up.lost.wait()
            finally:
                up, device.up = device.up, None
                await up.close()
            self.connections_lost += 1

    async def _disturb(self) -> None:
        """Storms, and the end of connections on which nothing is answered."""
        loop = asyncio.get_running_loop()
        every, last = self.faults.storm_every_s, loop.time()
        while True:
            await asyncio.sleep(0.1)
            stormy = every is not None and not self._over and loop.time() - last >= every
            last = loop.time() if stormy else last
            for device in self.devices:
                if device.up is not None and (
                    device.up.silent_for > SILENT_S or (stormy and self.random.random() < 0.5)
                ):
                    device.up.cut()


def build_fleet(
    entries: list[Entry],
    host: str,
    port: int,
    memory: Memory,
    *,
    rate: float,
    seconds: float,
    faults: Faults,
    seed: int,
) -> Fleet:
    """Of the devices of a directory. InputError where a password is missing."""
    random = Random(seed)
    devices = []
    for number, entry in enumerate(entries):
        if entry.password is None or entry.password.startswith("$7$"):
            raise InputError(f"device {entry.id}: to simulate it, its password must stand in the file in plain text")
        to = Credentials(host, port, entry.id, entry.password, role="-fleet")
        account = Account(entry.id, entry.area, memory.next_boot(entry.id))
        devices.append(FleetDevice(to, account, number, faults, random))
    return Fleet(devices, rate, seconds, faults, random)

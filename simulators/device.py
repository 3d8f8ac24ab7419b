"""A device as the contract describes it, seen from its own side of the broker: counts its messages, repeats an event
until the backend's own acknowledgement, says that it is online, answers commands.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import structlog

from homecare.clock import Clock, wall_clock
from homecare.devices import DeviceKind
from homecare.errors import BrokerUnavailable
from homecare.messages import Position
from simulators import payloads
from simulators.link import Link, Will
from simulators.payloads import Sample

log = structlog.get_logger()
REMEMBERED = 32
"""Commands whose answer it keeps, for when it is asked again."""
REPEAT_S = (5.0, 5.0, 5.0, 15.0, 30.0, 60.0)
"""Seconds between the tries of an event; the last goes on for ever."""
RECONNECT_S = (0.2, 0.5, 1.0, 2.0, 5.0)
State = Literal["opened", "merged", "duplicate", "recorded"]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the backend answered to an event, and how long after the button (seconds, monotonic)."""

    seq: int
    alert: str | None
    state: str
    after_s: float
    tries: int


@dataclass(slots=True, eq=False)
class Device:
    """One simulated device. `run` keeps it connected; everything else may be called meanwhile.

    `boot` is how often it has started; `clock` its own idea of the time (Unix ms), which may be wrong on purpose.
    """

    id: str
    area: str
    kind: DeviceKind
    link: Link
    boot: int
    interval_s: float = 60.0
    clock: Clock = wall_clock
    model: str = "SIM-1"
    firmware: str = "1.0.0"
    position: Position | None = None
    """Where it is, for `locate`."""
    problem: str = ""
    """Why it is not connected, or was not the last time."""
    rang: int = 0
    """How often it was asked to ring."""
    _seq: int = 0
    _waiting: dict[int, "asyncio.Future[dict[str, Any]]"] = field(default_factory=dict)
    _online: asyncio.Event = field(default_factory=asyncio.Event)
    _answers: dict[str, bytes] = field(default_factory=dict)
    _commands: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(16))

    async def run(self) -> None:
        """Stay connected until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stay_connected(), name=f"connection {self.id}")
            tasks.create_task(self._answer_commands(), name=f"commands {self.id}")

    async def online(self) -> None:
        """Wait until it is connected and has said so."""
        await self._online.wait()

    async def measure(self, samples: Sequence[Sample], *, subject: str | None = None) -> int:
        """Send samples as one message, again and again until the broker has it; returns its `seq`."""
        seq = self._next()
        payload = payloads.telemetry(self.boot, seq, samples, subject=subject)
        await self._send("telemetry", payload)
        return seq

    async def signal(
        self,
        event: str,
        *,
        values: dict[str, float] | None = None,
        position: Position | None = None,
        clockless: bool = False,
        **members: object,
    ) -> Acknowledged:
        """Send an event and repeat it until the backend's ack; `members`: `of`, `service`."""
        seq = self._next()
        sample = Sample(None if clockless else self.clock(), values or {}, position)
        payload = payloads.event(self.boot, seq, event, sample, **members)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[dict[str, Any]] = loop.create_future()
        self._waiting[seq] = answer
        began, tries = loop.time(), 0
        try:
            while not answer.done():
                pause = REPEAT_S[min(tries, len(REPEAT_S) - 1)]
                tries += 1
                with contextlib.suppress(BrokerUnavailable):
                    await self.link.publish(self._topic("event"), payload)
                await asyncio.wait([answer], timeout=pause)
        finally:
            del self._waiting[seq]
        ack = answer.result()
        return Acknowledged(seq, ack.get("alert"), str(ack.get("state")), loop.time() - began, tries)

    def cut(self) -> None:
        """Lose the connection without a word; `run` connects again unless it is cancelled."""
        self.link.cut()

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _topic(self, leaf: str) -> str:
        return payloads.topic(self.area, self.id, leaf)

    async def _send(self, leaf: str, payload: bytes, *, retain: bool = False) -> None:
        while True:
            await self._online.wait()
            try:
                await self.link.publish(self._topic(leaf), payload, retain=retain)
            except BrokerUnavailable:
                await asyncio.sleep(RECONNECT_S[0])
            else:
                return

    async def _stay_connected(self) -> None:
        failures = 0
        will = Will(self._topic("status"), payloads.OFFLINE)
        while True:
            try:
                await self.link.open([self._topic("ack"), self._topic("command")], will, self._opened, self._received)
            except BrokerUnavailable as problem:
                failures = 0 if self._online.is_set() else failures + 1
                self.problem = str(problem)
                log.info("device_disconnected", device=self.id, problem=str(problem))
            finally:
                self._online.clear()
            await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])

    async def _opened(self) -> None:
        with contextlib.suppress(BrokerUnavailable):
            status = payloads.online(self.boot, self.model, self.firmware, self.interval_s)
            await self.link.publish(self._topic("status"), status, retain=True)
            self._online.set()

    def _received(self, topic: str, payload: bytes) -> None:
        if topic == self._topic("command"):
            # A device that is asked too much at once forgets what does not fit; the backend sees no reply.
            with contextlib.suppress(asyncio.QueueFull):
                self._commands.put_nowait(payload)
            return
        with contextlib.suppress(msgspec.DecodeError):
            ack = msgspec.json.decode(payload, type=dict[str, Any])
            waiting = self._waiting.get(ack.get("seq", -1))
            if ack.get("boot") == self.boot and waiting is not None and not waiting.done():
                waiting.set_result(ack)

    async def _answer_commands(self) -> None:
        while True:
            payload = await self._commands.get()
            with contextlib.suppress(msgspec.DecodeError):
                command = msgspec.json.decode(payload, type=dict[str, Any])
                if (command.get("expires") or 0) >= self.clock():
                    await self._send("reply", self._answer(command))

    def _answer(self, command: dict[str, Any]) -> bytes:
        """Obeyed once; who asks again has not heard the answer."""
        ident = str(command.get("id"))
        if ident not in self._answers:
            self._answers[ident] = self._obey(command)
            while len(self._answers) > REMEMBERED:
                del self._answers[next(iter(self._answers))]
        return self._answers[ident]

    def _obey(self, command: dict[str, Any]) -> bytes:
        ident, args = str(command.get("id")), command.get("args") or {}
        match command.get("name"):
            case "locate" if self.position is not None:
                return payloads.reply(ident, result=msgspec.to_builtins(self.position))
            case "locate":
                return payloads.reply(ident, error="no fix")
            case "ring":
                self.rang += 1
            case "set_interval" if isinstance(args.get("interval"), int | float) and args["interval"] > 0:
                self.interval_s = float(args["interval"])
            case "set_interval":
                return payloads.reply(ident, error="args.interval: expected seconds above 0")
            case "call" | "test":
                pass
            case name:
                return payloads.reply(ident, error=f"unknown command {name}")
        return payloads.reply(ident)

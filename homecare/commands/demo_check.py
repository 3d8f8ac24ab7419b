"""`homecare demo --check`: the night fall once, on a fresh folder, verified from the device to the database.

One line per step with its latency; exit status 0 only if all of it was right.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psycopg
from psycopg.rows import dict_row

from homecare.commands.demo_folder import Folder
from homecare.commands.demo_system import System, running
from homecare.database import load_queries
from homecare.directory.entries import Directory
from homecare.errors import HomecareError
from homecare.tasks import run, run_tasks
from simulators.contacts import Contacts, Received, press_acknowledge
from simulators.county import fall_sensor_id, resident_id, village_of
from simulators.device import Acknowledged, Device
from simulators.home import Home, Plan, build_homes, memory_folder, switched_on
from simulators.scenarios import SCENARIOS

PERSON = 35
"""Resident 35 has both a handset and a fall sensor."""
ESCALATES_AFTER_S = 3.0
WITHIN_S = 20.0
"""For each step; the whole has 90 s."""
WHOLE_WITHIN_S = 85.0


class StepFailed(HomecareError):
    """A step of the check was not right."""


def check_demo(path: Path) -> int:
    """Run the check on a fresh folder; the exit status."""

    async def main(stop: asyncio.Event) -> None:
        check = _Check(Folder(path))
        try:
            async with asyncio.timeout(WHOLE_WITHIN_S):
                # A check that has ended is the end of the demo, so it stops the rest itself.
                await run_tasks(stop, {"check": check.run(stop)})
        except TimeoutError:
            raise StepFailed(f"not done within {WHOLE_WITHIN_S:.0f} s; last was: {check.last}") from None
        if not check.done:
            raise StepFailed(f"interrupted; last was: {check.last}")

    return run(main)


class _Check:
    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.last = "nothing"
        self.done = False

    async def run(self, stop: asyncio.Event) -> None:
        began = time.monotonic()
        contacts = Contacts(self._folder.kept.webhook_secrets)
        async with contacts.listening():
            county = self._folder.county(contacts.address, ESCALATES_AFTER_S)
            self._folder.keep()
            async with running(self._folder, county, import_it=True, say=self._say, step=self._step) as system:
                await self._night_fall(system, county, contacts)
                ending = time.monotonic()
        self._step("all ended", time.monotonic() - ending)
        self.done = True
        self._say(f"all is right, in {time.monotonic() - began:.1f} s")
        stop.set()

    async def _night_fall(self, system: System, county: Directory, contacts: Contacts) -> None:
        home = self._home(system, county)
        sensor = home.fall_sensor
        assert sensor is not None, "resident 35 has a fall sensor"
        first, second = f"C-{PERSON:04d}", f"N-{village_of(PERSON):02d}"
        async with switched_on([sensor], within_s=WITHIN_S):
            began = time.monotonic()
            played = await SCENARIOS["night_fall"].play(home)
            ack = played.acks[0]
            self._step("fall: acknowledged by the backend after its commit", ack.after_s)
            _right("the ack says opened, with an alert", ack.state == "opened" and bool(ack.alert))
            told = await self._heard(contacts, first, "alert.opened", ack)
            self._step(f"first contact {first} told, signature right", told.at - began)
            escalated = await self._heard(contacts, second, "alert.escalated", ack)
            waited = escalated.at - told.at
            self._step(f"nobody answered: second contact {second} told, signature right", waited)
            _right(
                f"escalated after about {ESCALATES_AFTER_S} s", ESCALATES_AFTER_S - 1 < waited < ESCALATES_AFTER_S + 3
            )
            pressed = time.monotonic()
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WITHIN_S)) as http:
                problem = await press_acknowledge(http, escalated.data["acknowledge_url"])
            _right(f"{second} acknowledges by the link: {problem}", not problem)
            self._step(f"{second} acknowledged by the page behind the link", time.monotonic() - pressed)
            for contact in (first, second):
                heard = await self._heard(contacts, contact, "alert.acknowledged", ack)
                self._step(f"{contact} hears that somebody has it, signature right", heard.at - pressed)
            began = time.monotonic()
            await self._stored(system, sensor, ack, second)
            self._step("database: event, alert, steps, notifications, samples, log, all once", time.monotonic() - began)
        problems = [received for received in contacts.received if received.problem]
        _right(f"every notification's signature is right: {problems}", not problems)
        ids: dict[tuple[str, str], set[str]] = {}
        for received in contacts.received:
            ids.setdefault((received.contact, received.type), set()).add(received.webhook_id)
        _right(f"each was told each thing once: {ids}", all(len(own) == 1 for own in ids.values()))

    def _home(self, system: System, county: Directory) -> Home:
        assert system.broker is not None
        mine = {fall_sensor_id(PERSON)}
        part = msgspec.structs.replace(
            county,
            residents=[r for r in county.residents if r.id == resident_id(PERSON)],
            devices=[d for d in county.devices if d.id in mine],
        )
        return build_homes(part, Plan("127.0.0.1", system.broker.port, memory_folder(self._folder.path)))[0]

    async def _heard(self, contacts: Contacts, contact: str, kind: str, ack: Acknowledged) -> Received:
        def wanted(received: Received) -> bool:
            return (received.contact, received.type, received.data.get("alert_id")) == (contact, kind, ack.alert)

        try:
            return await contacts.wait_for(wanted, WITHIN_S)
        except TimeoutError:
            heard = [(received.contact, received.type, received.problem) for received in contacts.received]
            raise StepFailed(f"{contact} was not told {kind} within {WITHIN_S:.0f} s; heard: {heard}") from None

    async def _stored(self, system: System, sensor: Device, ack: Acknowledged, second: str) -> None:
        """What the database must hold; waits for what is committed a moment after the webhook's answer."""
        deadline = time.monotonic() + WITHIN_S
        facts = await asyncio.to_thread(read_facts, system.database.url, sensor.id, ack)
        while (wrong := _wrong(facts, second)) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            facts = await asyncio.to_thread(read_facts, system.database.url, sensor.id, ack)
        if wrong:
            raise StepFailed(f"database: {', '.join(wrong)}; it holds {facts}")

    def _step(self, name: str, seconds: float) -> None:
        self.last = name
        self._say(f"{name:72} {seconds * 1000:8.0f} ms")

    def _say(self, text: str) -> None:
        print(text, flush=True)


def _right(what: str, holds: bool) -> None:
    if not holds:
        raise StepFailed(f"not so: {what}")


def read_facts(url: str, device: str, ack: Acknowledged) -> dict[str, Any]:
    """What is stored about one event of one device, as counts and states."""
    sql = load_queries("homecare.commands")["demo_facts"]
    with psycopg.connect(url, row_factory=dict_row) as db:
        row = db.execute(sql, {"device": device, "seq": ack.seq, "alert": ack.alert}).fetchone()
    assert row is not None
    return row


def _wrong(facts: dict[str, Any], second: str) -> list[str]:
    expected: dict[str, Callable[[Any], bool]] = {
        "events": lambda n: n == 1,
        "triggers": lambda n: n == 1,
        "alerts": lambda every: len(every) == 1,
        "kind": lambda kind: kind == "fall",
        "state": lambda state: state == "acknowledged",
        "acknowledged_by": lambda actor: actor == f"contact:{second}",
        "step": lambda step: step == 2,
        "held": lambda held: held is True,
        "opened": lambda n: n == 1,
        "escalated": lambda n: n == 1,
        "acknowledged": lambda n: n == 2,
        "undelivered": lambda n: n == 0,
        "attempts": lambda n: n == 4,
        "telemetry_samples": lambda n: n == 3,
        "doubled_samples": lambda n: n == 0,
        "log_lines": lambda n: n >= 3,
        "quarantined": lambda n: n == 0,
    }
    return [f"{name} is {facts[name]}" for name, right in expected.items() if not right(facts[name])]

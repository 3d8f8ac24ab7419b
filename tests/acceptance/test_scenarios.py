"""Every named scenario against the real system: the alerts it must raise come, the ones it must not do not.

All are played at once, each in a home of its own, because a silence is none before a minute has passed.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from homecare.broker import Broker
from homecare.directory.entries import Directory, Source
from homecare.directory.store import import_directory
from homecare.secrets import Vault
from simulators.contacts import Contacts, Received
from simulators.county import Secrets, sample_county
from simulators.home import Home, Plan, build_homes, switched_on
from simulators.memory import Memory
from simulators.scenarios import SCENARIOS, Played, Scenario
from tests.acceptance.waiting import fetch, until
from tests.services.databases import Databases
from tests.services.processes import Processes

KEY = "a secret of the tests, 32 characters at least"
WEBHOOK_SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
PEOPLE = dict(zip(SCENARIOS, range(31, 51), strict=False))
"""Scenario -> resident; 31 to 50 have every device, and each a village's kiosk is only asked for once."""
SILENT_INTERVAL_S = 1.0

pytestmark = pytest.mark.slow


@dataclass(slots=True)
class Evening:
    """All scenarios, played, and what came of them."""

    url: str
    contacts: Contacts
    homes: dict[str, Home] = field(default_factory=dict)
    played: dict[str, Played] = field(default_factory=dict)

    def alerts(self, scenario: str) -> list[dict[str, Any]]:
        """The alerts of this scenario's person or their own devices, oldest first."""
        home = self.homes[scenario]
        rows = fetch(
            self.url,
            "select kind, metric, device_id, state, alert.lat is not null, severity, alert.id::text from alert"
            " left join resident on resident.key = alert.resident"
            " where resident.id = %s or device_id = any(%s) order by opened_at",
            home.resident,
            [device.id for device in home.devices()],
        )
        names = ("kind", "metric", "device", "state", "positioned", "severity", "id")
        return [dict(zip(names, row, strict=True)) for row in rows]


def directory_of(contacts: Contacts) -> Directory:
    """The sample county, in which the handset that falls silent should report every second."""
    secrets = Secrets(lambda d: f"of {d}", lambda c: (contacts.address(c), WEBHOOK_SECRET), "ten letters", 1.0)
    county = sample_county(secrets)
    contacts.secrets = {contact.id: WEBHOOK_SECRET for contact in county.contacts}
    silent = f"HS-{PEOPLE['handset_gone_silent']:04d}"
    return msgspec.structs.replace(
        county,
        devices=[
            msgspec.structs.replace(device, interval_s=SILENT_INTERVAL_S) if device.id == silent else device
            for device in county.devices
        ],
    )


@pytest.fixture(scope="module")
async def evening(
    timescale_databases: Databases,
    template_database: str,
    service_directory: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Evening]:
    folder = tmp_path_factory.mktemp("scenarios")
    name = f"test_{uuid4().hex[:12]}"
    url = timescale_databases.create_database(name, template=template_database)
    contacts = Contacts({})
    broker = Broker(service_directory / f"broker-{name}")
    async with contacts.listening():
        county = directory_of(contacts)
        import_directory(url, Source(county), Vault(KEY))
        broker.users |= {device.id: f"of {device.id}" for device in county.devices}
        broker.start()
        processes = Processes(
            folder,
            {
                "HOMECARE_DATABASE_URL": url,
                "HOMECARE_MQTT_URL": broker.url(),
                "HOMECARE_SECRET_KEY": KEY,
                "HOMECARE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
                "HOMECARE_WEBHOOK_ALLOW_HTTP": "true",
            },
        )
        try:
            await processes.start("ingest")
            await processes.start("alerts")
            result = Evening(url, contacts)
            homes = {
                home.resident: home for home in build_homes(county, Plan("127.0.0.1", broker.port, Memory(folder)))
            }
            async with asyncio.TaskGroup() as tasks:
                for scenario in SCENARIOS.values():
                    home = homes[f"R-{PEOPLE[scenario.name]:06d}"]
                    result.homes[scenario.name] = home
                    tasks.create_task(play(scenario, home, result), name=scenario.name)
            yield result
        finally:
            await processes.close()
            broker.stop()
            timescale_databases.drop_database(name)


async def play(scenario: Scenario, home: Home, evening: Evening) -> None:
    """Play it and wait for the alerts it must raise."""
    async with switched_on([getattr(home, need) for need in scenario.needs]):
        evening.played[scenario.name] = await scenario.play(home)
    for must in scenario.must:
        device = getattr(home, must.device)
        await until(
            evening.url,
            "select count(*) from alert where kind = %s and device_id = %s and state = %s",
            [(1,)],
            must.kind,
            device.id,
            must.state,
            within=90,
        )


def about(contact: str, kind: str, alert: str) -> Callable[[Received], bool]:
    """Whether a notification is this one."""
    return lambda received: (received.contact, received.type, received.data.get("alert_id")) == (contact, kind, alert)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_scenario_raises_what_it_must_and_nothing_else(evening: Evening, name: str) -> None:
    scenario, alerts = SCENARIOS[name], evening.alerts(name)
    home = evening.homes[name]
    assert not [alert for alert in alerts if alert["kind"] in scenario.must_not]
    assert Counter(alert["kind"] for alert in alerts) == Counter(must.kind for must in scenario.must)
    for must, alert in zip(scenario.must, alerts, strict=True):
        assert (alert["device"], alert["state"]) == (getattr(home, must.device).id, must.state)
        assert must.metric is None or alert["metric"] == must.metric
        assert must.positioned is None or alert["positioned"] == must.positioned


@pytest.mark.parametrize("name", ["night_fall", "sos_without_fix", "sos_then_cancel"])
async def test_device_learns_of_its_alert(evening: Evening, name: str) -> None:
    first = evening.played[name].acks[0]
    assert (first.state, first.tries) == ("opened", 1)
    assert [first.alert] == [alert["id"] for alert in evening.alerts(name)]


async def test_unanswered_fall_goes_from_contact_to_contact(evening: Evening) -> None:
    person = PEOPLE["night_fall"]
    village = (person - 1) // 6 + 1
    (alert,) = evening.alerts("night_fall")
    for contact, kind in ((f"C-{person:04d}", "alert.opened"), (f"N-{village:02d}", "alert.escalated")):
        told = await evening.contacts.wait_for(about(contact, kind, alert["id"]), 10)
        assert not told.problem


async def test_every_notification_arrives_once_and_signed(evening: Evening) -> None:
    assert [received for received in evening.contacts.received if received.problem] == []
    times = Counter(received.webhook_id for received in evening.contacts.received)
    assert [webhook_id for webhook_id, n in times.items() if n > 1] == []
    # What was sent while we looked may not be counted yet; never the other way round.
    ((delivered,),) = fetch(
        evening.url, "select count(*) from notification where channel_kind = 'webhook' and state = 'delivered'"
    )
    assert 0 < delivered <= len({received.webhook_id for received in evening.contacts.received})


async def test_taken_back_alert_is_told_as_such(evening: Evening) -> None:
    (alert,) = evening.alerts("sos_then_cancel")
    contact = f"C-{PEOPLE['sos_then_cancel']:04d}"
    told = [r.type for r in evening.contacts.received if r.data.get("alert_id") == alert["id"]]
    if "alert.opened" in told:
        await evening.contacts.wait_for(about(contact, "alert.cancelled", alert["id"]), 10)


async def test_quiet_day_is_stored_whole(evening: Evening) -> None:
    home = evening.homes["quiet_day"]
    stored = fetch(
        evening.url,
        "select count(*), count(distinct ts), sum(steps) > 0, count(sample.lat) from sample join resident on key = resident"
        " where resident.id = %s and flags & 40 = 0",
        home.resident,
    )
    assert stored == [(144, 144, True, 144)]
    assert fetch(evening.url, "select count(*) from quarantine") == [(0,)]

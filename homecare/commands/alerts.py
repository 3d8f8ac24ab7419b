"""`homecare alerts`: events from MQTT, triggers from the rules, escalation, notification. Run as many as you like."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from alerts import stops
from alerts.audit import keep_sealed, sealing_key
from alerts.channels.apprise import Services
from alerts.channels.delivery import Send
from alerts.channels.device import REPLY, Devices
from alerts.channels.mail import Mail, MailServer
from alerts.channels.webhook import Webhooks
from alerts.commands import Command, Commands
from alerts.escalation import Escalation
from alerts.event_lane import EventLane
from alerts.first import begin
from alerts.intake import Intake
from alerts.letters import Letters
from alerts.outbox import Outbox
from alerts.rules.events import event_trigger
from alerts.rules.pack import load_pack
from alerts.store import State
from alerts.watch.auditor import Auditor
from alerts.watch.drills import Drills
from gateway.downlink import CommandName, ack_payload, ack_topic, command_payload, command_topic
from gateway.edge import Edge
from gateway.native import NATIVE
from gateway.registry import Registry
from gateway.registry_store import CHANNEL, follow, load
from gateway.session import Session
from gateway.traccar import TOPIC as TRACCAR_TOPIC
from gateway.traccar import TRACCAR_ALARMS
from homecare.clock import to_ms
from homecare.commands.alerts_canary import canary_of
from homecare.database import as_service, check_database, open_pool
from homecare.errors import HomecareError, SettingsError
from homecare.health import start_health
from homecare.logs import configure_logs
from homecare.messages import Event
from homecare.secrets import Vault, private_name
from homecare.settings import Settings, load_settings
from homecare.tasks import run, run_tasks
from homecare.wakeups import Wakeups

PORT = 8002
FILTERS = ("care/v1/+/+/event", "care/v1/+/+/reply", TRACCAR_TOPIC)
WAKE_UPS = (CHANNEL, "homecare_trigger", "homecare_escalation", "homecare_outbox", "homecare_command", REPLY)
EVENT_CONNECTIONS = 6
"""Of their own, so that an SOS never waits for a connection that an endpoint's answer holds."""
CONNECTIONS = 12


def command() -> int:
    """Run until SIGTERM. One line and status 1 where there is no database, no schema or no broker at the start."""
    settings = load_settings()
    stops.arm(os.environ)
    configure_logs(settings.log_format, settings.log_level, "alerts")
    check_database(settings.database_url.get_secret_value())
    return run(lambda stop: _main(settings, stop))


async def _main(settings: Settings, stop: asyncio.Event) -> None:
    url = as_service(settings.database_url.get_secret_value())
    session = _session(settings)
    async with AsyncExitStack() as stack:
        event_pool = await stack.enter_async_context(
            open_pool(url, name="homecare-alerts-events", max_size=EVENT_CONNECTIONS, plan_once=True)
        )
        pool = await stack.enter_async_context(open_pool(url, name="homecare-alerts", max_size=CONNECTIONS))
        registry = Registry()
        horizon = (await load(pool, registry))[1]  # the devices themselves are in the registry now
        await stack.enter_async_context(_health(settings, url, session))
        await session.connect()
        stack.push_async_callback(session.close)

        wakeups = Wakeups(url, WAKE_UPS)
        pack = load_pack()
        channels = _channels(settings, stack, pool, wakeups)
        letters = Letters(Vault(settings.secret_key.get_secret_value()), settings.public_url)
        escalation = Escalation(pool, wakeups, tuple(channels))
        canary = canary_of(settings, stack, pool, session, channels, escalation.begin)
        outbox = Outbox(pool, wakeups, channels, letters)
        first_step = partial(begin, escalation, outbox)
        lane = EventLane(
            session,
            event_pool,
            check=Edge(registry, (NATIVE, TRACCAR_ALARMS)).check,
            event_trigger=lambda event: event_trigger(event, pack),
            begin=first_step,
            ack=_ack_message,
            post=outbox.post,
            woke=wakeups.wake,
        )
        tasks = {
            "wakeups": wakeups.listen(),
            "directory": follow(pool, registry, wakeups, horizon, lambda _: None),
            "session": session.run(),
            "events": lane.run(),
            "intake": Intake(pool, wakeups, first_step, outbox.post).run(),
            "escalation": escalation.run(),
            "outbox": outbox.run(),
            "seals": keep_sealed(pool, sealing_key(settings.secret_key.get_secret_value())),
            "commands": Commands(pool, wakeups, session.publish, _command_message).run(),
            "drills": Drills(pool, tuple(channels), wakeups.wake).run(),
            "auditor": Auditor(pool, escalation.begin, wakeups.wake).run(),
        }
        if canary is not None:
            tasks["canary"] = canary.run()
        await run_tasks(stop, tasks)


def _channels(
    settings: Settings, stack: AsyncExitStack, pool: AsyncConnectionPool[AsyncConnection], wakeups: Wakeups
) -> dict[str, Send]:
    """How to send each kind of channel; `stack` closes what they hold. Kinds that are not here are passed over."""
    reach: dict[str, Any] = {
        "allow_networks": settings.webhook_allow_networks,
        "allow_http": settings.webhook_allow_http,
    }
    webhooks, services = Webhooks(**reach), Services(**reach)
    stack.push_async_callback(webhooks.close)
    stack.callback(services.close)
    channels: dict[str, Send] = {
        "webhook": webhooks.send,
        "apprise": services.send,
        "device": Devices(pool, wakeups).send,
    }
    if smtp_url := settings.smtp_url.get_secret_value():
        try:
            mail = Mail(MailServer.of(smtp_url), settings.smtp_sender, ca_file=settings.smtp_ca_file)
        except OSError as error:
            raise SettingsError("HOMECARE_SMTP_CA_FILE", error.strerror or "holds no certificate") from None
        channels["email"] = mail.send
    return channels


def _session(settings: Settings) -> Session:
    return Session(
        settings.mqtt_url.get_secret_value(),
        client_id=private_name(settings.secret_key.get_secret_value(), f"homecare-alerts-{settings.instance}"),
        filters=FILTERS,
        receive_maximum=settings.mqtt_receive_maximum,
        ca_file=settings.mqtt_ca_file,
    )


def _ack_message(event: Event, alert: UUID | None, state: State) -> tuple[str, bytes]:
    assert event.boot is not None
    assert event.seq is not None
    topic = ack_topic(event.origin.area, event.origin.device)
    return topic, ack_payload(event.boot, event.seq, alert, state)


def _command_message(wanted: Command) -> tuple[str, bytes]:
    name: CommandName = wanted.name
    payload = command_payload(wanted.id, name, wanted.args, to_ms(wanted.expires_at))
    return command_topic(wanted.area, wanted.device_id), payload


@asynccontextmanager
async def _health(settings: Settings, url: str, session: Session) -> AsyncIterator[None]:
    async def database() -> bool:
        await asyncio.to_thread(check_database, url)
        return True

    async def broker() -> bool:
        return session.connected

    host, port = settings.address(PORT)
    try:
        runner = await start_health(host, port, {"database": database, "broker": broker})
    except OSError as error:
        raise HomecareError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    try:
        yield
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await runner.cleanup()

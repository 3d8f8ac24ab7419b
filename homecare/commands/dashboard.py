"""`homecare dashboard`: the operators' and contacts' pages and the API, on one port."""

import asyncio
from urllib.parse import urlsplit

from dashboards.announcements import CHANNEL, Announcements
from dashboards.app import create_app
from dashboards.services import Services
from dashboards.serving import listen, serve
from dashboards.store import Store
from homecare.database import as_service, check_database, open_pool
from homecare.health import Check
from homecare.logs import configure_logs
from homecare.secrets import Vault
from homecare.settings import Settings, load_settings
from homecare.tasks import run, run_tasks
from homecare.wakeups import Wakeups

PORT = 8000
POOL = 12
PROBE_S = 2.0


def command() -> int:
    """Serve until SIGTERM; DatabaseUnavailable, NotMigrated, SettingsError end it at the start with one line."""
    settings = load_settings()
    configure_logs(settings.log_format, settings.log_level, process="dashboard")
    check_database(settings.database_url.get_secret_value())

    async def main(stop: asyncio.Event) -> None:
        await serve_dashboard(settings, stop)

    return run(main)


async def serve_dashboard(settings: Settings, stop: asyncio.Event) -> None:
    """The whole process but for signals and logs, until `stop`."""
    url = as_service(settings.database_url.get_secret_value())
    with listen(*settings.address(PORT)) as listening:
        async with open_pool(url, name="dashboard", max_size=POOL) as pool:
            store = Store(pool)
            wakeups = Wakeups(url, [CHANNEL])
            announcements = Announcements(store, wakeups)
            app = create_app(
                Services(
                    store=store,
                    announcements=announcements,
                    vault=Vault(settings.secret_key.get_secret_value()),
                    checks={"database": _database_check(store, url), "broker": _broker_check(settings)},
                    secure=settings.public_url.startswith("https:"),
                    tile_url=settings.tile_url,
                )
            )
            await run_tasks(
                stop,
                {
                    "http": serve(app, listening, announcements),
                    "wakeups": wakeups.listen(),
                    "announcements": announcements.run(),
                },
            )


def _database_check(store: Store, url: str) -> Check:
    """Reachable now, and with exactly our migrations; those are looked at once, when it is first reachable."""
    migrated = False

    async def check() -> bool:
        nonlocal migrated
        if not migrated:
            await asyncio.to_thread(check_database, url)
            migrated = True
        async with store.connection() as db:
            await db.execute("select")
        return True

    return check


def _broker_check(settings: Settings) -> Check:
    """The broker takes connections. These pages work without it, but what they show would grow old."""
    url = urlsplit(settings.mqtt_url.get_secret_value())
    port = url.port or (8883 if url.scheme == "mqtts" else 1883)

    async def check() -> bool:
        async with asyncio.timeout(PROBE_S):
            _, writer = await asyncio.open_connection(url.hostname, port)
        writer.close()
        return True

    return check

"""The real services every test may ask for by name: databases, broker, browser, the product's own processes.

Each starts once per session, or per test where a test may break it, and ends with it. One that is not on this
machine skips the test with its reason; under `make test` (HOMECARE_REQUIRE_SERVICES=1) nothing runs without it.
"""

import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import pytest
from playwright.async_api import Browser, Page

from homecare.broker import Broker
from homecare.database import migrate
from homecare.errors import BrokerUnavailable
from tests.services.browser import open_browser, open_page
from tests.services.databases import Databases, GivenServer
from tests.services.errors import ServiceMissing
from tests.services.inventory import given_database_url, inventory, services_required
from tests.services.postgres import PostgresServer, TimescaleServer
from tests.services.postgres_programs import TimescalePrograms, WheelPrograms, timescale_folder
from tests.services.processes import Processes

TEMPLATE = "homecare_template"
PROCESSES = pytest.StashKey[Processes]()


def pytest_sessionstart() -> None:
    absent = inventory()[1] if services_required() else []
    if absent:
        pytest.exit("services are missing: " + "; ".join(map(str, absent)), returncode=1)


def pytest_report_header() -> list[str]:
    present, absent = inventory()
    return [f"service: {line}" for line in present] + [f"service MISSING: {error}" for error in absent]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    processes = item.stash.get(PROCESSES, None)
    if report.failed and processes is not None:
        report.sections += [(f"log of {process.name}", process.tail()) for process in processes.started]
    return report


def missing(error: ServiceMissing) -> NoReturn:
    """End the test: skipped, or failed where the service must be there."""
    if services_required():
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def service_directory() -> Iterator[Path]:
    """Where the services keep their data; PostgreSQL's own user can reach it, other than pytest's tmp_path."""
    with tempfile.TemporaryDirectory(prefix="homecare-tests-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture(scope="session")
def timescale_databases(service_directory: Path) -> Iterator[Databases]:
    """The session's TimescaleDB: the tests' own server, or the one that was given to them."""
    try:
        if given_database_url():
            yield GivenServer(given_database_url())
            return
        server = TimescaleServer(TimescalePrograms(timescale_folder(), service_directory / "timescale"))
        server.start()
    except ServiceMissing as error:
        missing(error)
    yield server
    server.remove()


@pytest.fixture
def timescale(timescale_databases: Databases) -> Iterator[TimescaleServer]:
    """The server itself, for tests that stop, kill and start it; it runs again afterwards."""
    if not isinstance(timescale_databases, TimescaleServer):
        pytest.skip("the given database server is not the tests' to stop")
    yield timescale_databases
    timescale_databases.ensure_running()


@pytest.fixture(scope="session")
def template_database(timescale_databases: Databases) -> Iterator[str]:
    """The name of a migrated database that every test's own is a copy of."""
    timescale_databases.drop_database(TEMPLATE)
    migrate(timescale_databases.create_database(TEMPLATE))
    timescale_databases.seal_database(TEMPLATE)
    yield TEMPLATE
    timescale_databases.drop_database(TEMPLATE)


@pytest.fixture
def database_url(timescale_databases: Databases, template_database: str) -> Iterator[str]:
    """A migrated TimescaleDB database of the test's own."""
    yield from _database(timescale_databases, template_database)


@pytest.fixture
def empty_database_url(timescale_databases: Databases) -> Iterator[str]:
    """A TimescaleDB database of the test's own that nobody migrated."""
    yield from _database(timescale_databases, "template0")


@pytest.fixture(scope="session")
def plain_server(service_directory: Path) -> Iterator[PostgresServer]:
    """PostgreSQL without any extension, as the demo embeds it; migrated once."""
    try:
        server = PostgresServer(WheelPrograms(service_directory / "plain"))
        server.start()
    except ServiceMissing as error:
        missing(error)
    migrate(server.create_database(TEMPLATE))
    server.seal_database(TEMPLATE)
    yield server
    server.remove()


@pytest.fixture
def plain_database_url(plain_server: PostgresServer) -> Iterator[str]:
    """A migrated database of the test's own on plain PostgreSQL."""
    yield from _database(plain_server, TEMPLATE)


def _database(server: Databases, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    yield server.create_database(name, template=template)
    server.ensure_running()
    server.drop_database(name)


@pytest.fixture
def broker(service_directory: Path) -> Iterator[Broker]:
    """A Mosquitto of the test's own, with the project's configuration; `set_users` lets devices in."""
    started = Broker(service_directory / f"broker-{uuid4().hex[:8]}")
    try:
        started.start()
    except BrokerUnavailable as error:
        missing(ServiceMissing("Mosquitto", str(error)))
    yield started
    started.stop()


@pytest.fixture
async def processes(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str, broker: Broker
) -> AsyncIterator[Processes]:
    """Starts real processes on the test's own database and broker; webhooks may go to this machine, over http."""
    environment = {
        "HOMECARE_DATABASE_URL": database_url,
        "HOMECARE_MQTT_URL": broker.url(),
        "HOMECARE_SECRET_KEY": "a secret of the tests, 32 characters at least",
        "HOMECARE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
        "HOMECARE_WEBHOOK_ALLOW_HTTP": "true",
    }
    own = Processes(tmp_path, environment)
    request.node.stash[PROCESSES] = own
    yield own
    await own.close()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests; pages of different tests share nothing."""
    try:
        async with open_browser() as opened:
            yield opened
    except ServiceMissing as error:
        missing(error)


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page with cookies and storage of its own, Chinese by preference as its readers are."""
    async with open_page(browser, locale="zh-CN") as opened:
        yield opened

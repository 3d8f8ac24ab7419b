"""Both kinds of database, a small directory in it, and the store on it."""

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from ingest.store import Store
from tests.ingest.home import Home, open_store, register


@pytest.fixture(params=["database_url", "plain_database_url"])
def url(request: pytest.FixtureRequest) -> str:
    """A migrated database of the test's own: on TimescaleDB, and on plain PostgreSQL."""
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def home(url: str) -> Home:
    return register(url)


@pytest.fixture
def db(url: str) -> Iterator[psycopg.Connection]:
    """To look at what is stored."""
    with psycopg.connect(url, autocommit=True) as opened:
        yield opened


@pytest.fixture
async def store(url: str, home: Home) -> AsyncIterator[Store]:
    async with open_store(url) as opened:
        yield opened

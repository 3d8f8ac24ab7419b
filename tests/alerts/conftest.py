"""A migrated database with a small directory, and endpoints that record what they get."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from psycopg import AsyncConnection

from tests.alerts.places import Directory
from tests.alerts.receiver import Receiver


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[AsyncConnection]:
    async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def directory(db: AsyncConnection) -> Directory:
    """The sample county, without people."""
    directory = Directory(db)
    await directory.add_areas()
    return directory


@pytest.fixture
async def receivers() -> AsyncIterator[Callable[[], Awaitable[Receiver]]]:
    """Starts as many endpoints as a test needs."""
    started: list[Receiver] = []

    async def start() -> Receiver:
        receiver = Receiver()
        await receiver.start()
        started.append(receiver)
        return receiver

    yield start
    for receiver in started:
        await receiver.close()


@pytest.fixture
async def receiver(receivers: Callable[[], Awaitable[Receiver]]) -> Receiver:
    return await receivers()

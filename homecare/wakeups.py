"""NOTIFY as a way to wake early: loops wait for a name or a timeout, and never rely on the wake-up alone."""

import asyncio
from collections.abc import Iterable

import psycopg
import structlog
from psycopg import AsyncConnection, sql

from homecare.tasks import raise_if_cancelled

log = structlog.get_logger()


class Wakeups:
    """One listening connection for a whole process; any number of loops wait on its channels."""

    def __init__(self, url: str, channels: Iterable[str]) -> None:
        self._url = url
        self._events = {channel: asyncio.Event() for channel in channels}

    async def listen(self) -> None:
        """Runs until cancelled; reconnects for ever, and after each reconnect wakes everyone, for they may have missed something."""
        while True:
            try:
                async with await AsyncConnection.connect(self._url, autocommit=True) as db:
                    for channel in self._events:
                        await db.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
                    raise_if_cancelled()
                    self.wake_all()
                    async for notify in db.notifies():
                        raise_if_cancelled()
                        self._events[notify.channel].set()
            except psycopg.OperationalError as error:
                log.warning("wakeups_lost", problem=str(error).strip().splitlines()[:1])
            await asyncio.sleep(1)

    def wake(self, channel: str) -> None:
        """Wake the loop of this process that waits for `channel`, sooner than NOTIFY would."""
        self._events[channel].set()

    def wake_all(self) -> None:
        """Wake every waiting loop."""
        for event in self._events.values():
            event.set()

    async def wait(self, channel: str, timeout_s: float) -> None:
        """Returns when `channel` was notified since the last call, or after `timeout_s`."""
        event = self._events[channel]
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            pass
        event.clear()

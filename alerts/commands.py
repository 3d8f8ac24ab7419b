"""Commands to devices: published again and again until the device answers or their time is over; each end is in the log.

The broker's PUBACK says nothing about the device, which may be asleep or out of reach: only its reply ends the asking.
A device takes a command it has carried out already as asked once, and answers it again.
"""

import asyncio
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from alerts import meters
from alerts.store import one, rows, run, write_log
from homecare.database import unavailable
from homecare.errors import BrokerUnavailable, DatabaseUnavailable
from homecare.tasks import retry
from homecare.wakeups import Wakeups

log = structlog.get_logger()
POLL_S = 1.0
PUBLISH_S = 5.0
AGAIN_S = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds from one publication to the next; the last goes on until the command expires."""


class Command(msgspec.Struct, frozen=True):
    """One command of the contract to `device_id` in `area`."""

    id: UUID
    device_id: str
    area: str
    name: Literal["locate", "ring", "call", "set_interval", "test"]
    args: dict[str, Any]
    expires_at: datetime


class Publish(Protocol):
    """Returns when the broker has it; BrokerUnavailable where it is not there."""

    async def __call__(self, topic: str, payload: bytes) -> None: ...


class CommandMessage(Protocol):
    """(topic, payload) of a command."""

    def __call__(self, command: Command, /) -> tuple[str, bytes]: ...


class Commands:
    """Any number of processes may run one: each command is leased."""

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection], wakeups: Wakeups, publish: Publish, message: CommandMessage
    ) -> None:
        self._pool, self._wakeups, self._publish, self._message = pool, wakeups, publish, message

    async def run(self) -> None:
        """Until cancelled. NOTIFY wakes it early."""
        while True:
            await retry(self.send, what="commands", on=DatabaseUnavailable)
            await self._wakeups.wait("homecare_command", POLL_S)

    async def send(self) -> None:
        """All commands that are due; and an end to those whose time is over."""
        with unavailable():
            async with self._pool.connection() as db:
                for row in await rows(db, "claim_commands", {}):
                    await self._send(db, row)
                for row in await rows(db, "expired_commands", {}):
                    await self._expire(db, row)

    async def _send(self, db: AsyncConnection, row: Any) -> None:
        """`row` of the query `claim_commands`."""
        command = Command(row.id, row.device_id, row.area, row.name, row.args, row.expires_at)
        topic, payload = self._message(command)
        try:
            async with asyncio.timeout(PUBLISH_S):
                await self._publish(topic, payload)
        except (TimeoutError, BrokerUnavailable) as error:
            log.warning("command_not_sent", device=command.device_id, problem=type(error).__name__)
            meters.COMMANDS.labels("not_sent").inc()
            await run(db, "command_not_sent", {"id": command.id})
            return
        async with db.transaction():
            await run(db, "hold_alert", {"alert": row.alert})
            again_s = AGAIN_S[min(row.attempts, len(AGAIN_S)) - 1]
            await run(db, "command_sent", {"id": command.id, "again_s": again_s})
            if row.first:
                await write_log(db, row.alert, "command.sent", _detail(row))
        meters.COMMANDS.labels("sent" if row.first else "sent_again").inc()

    async def _expire(self, db: AsyncConnection, row: Any) -> None:
        """`row` of the query `expired_commands`."""
        async with db.transaction():
            await run(db, "hold_alert", {"alert": row.alert})
            if await one(db, "expire_command", {"id": row.id}) is None:
                return
            await write_log(db, row.alert, "command.expired", {**_detail(row), "attempts": row.attempts})
        meters.COMMANDS.labels("expired").inc()


def _detail(row: Any) -> dict[str, Any]:
    return {"command": str(row.id), "name": row.name, "device": row.device_id}

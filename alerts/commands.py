"""Commands to devices: published when written, and again until the broker has them or they expire; the reply is an event's matter."""

import asyncio
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from alerts import meters
from alerts.store import rows, run, write_log
from homecare.database import unavailable
from homecare.errors import BrokerUnavailable, DatabaseUnavailable
from homecare.tasks import retry
from homecare.wakeups import Wakeups

log = structlog.get_logger()
POLL_S = 1.0
PUBLISH_S = 5.0


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
        """All commands that wait and have not expired."""
        with unavailable():
            async with self._pool.connection() as db:
                for row in await rows(db, "claim_commands", {}):
                    command = Command(row.id, row.device_id, row.area, row.name, row.args, row.expires_at)
                    await self._send(db, command, row.alert)

    async def _send(self, db: AsyncConnection, command: Command, alert: UUID | None) -> None:
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
            await run(db, "command_sent", {"id": command.id})
            detail = {"command": str(command.id), "name": command.name, "device": command.device_id}
            await write_log(db, alert, "command.sent", detail)
        meters.COMMANDS.labels("sent").inc()

"""The contact's own device: it rings, or calls, when the broker has the command, and is delivered when the device says it did."""

import asyncio
from typing import Any
from urllib.parse import parse_qs

import msgspec
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from alerts.channels.delivery import Delivery, Outcome
from alerts.store import one
from homecare.database import unavailable
from homecare.errors import DatabaseUnavailable
from homecare.wakeups import Wakeups

ANSWER_S = 10.0
POLL_S = 1.0
REPLY = "homecare_reply"
"""NOTIFY when a device has answered."""


class Devices:
    """Writes the command, which `alerts.commands` publishes, and waits for its reply; `send` is the channel."""

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection], wakeups: Wakeups, *, answer_s: float = ANSWER_S
    ) -> None:
        self._pool, self._wakeups, self._answer_s = pool, wakeups, answer_s

    async def send(self, delivery: Delivery) -> Outcome:
        """Refused where the device says no; failed where it is not there or says nothing in time."""
        device, _, asked = delivery.address.partition("?")
        command = {
            "notification": delivery.id,
            "device": device,
            "name": parse_qs(asked).get("do", ["ring"])[0],
            "args": Jsonb(msgspec.json.decode(delivery.body)),
            "expires_s": self._answer_s,
        }
        try:
            written = await self._one("ring_device", command)
            if written is None:
                return Outcome("failed", error="device_not_there")
            async with asyncio.timeout(self._answer_s):
                while (answer := await self._one("device_answer", {"id": written.id})) is None:
                    await self._wakeups.wait(REPLY, POLL_S)
        except TimeoutError:
            return Outcome("failed", error="no_reply")
        except DatabaseUnavailable:
            return Outcome("failed", error="database_unavailable")
        return Outcome("delivered") if answer.ok else Outcome("refused", error="device_refused")

    async def _one(self, query: str, values: dict[str, Any]) -> Any:
        with unavailable():
            async with self._pool.connection() as db:
                return await one(db, query, values)

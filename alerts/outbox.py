"""The outbox: claims notifications that are due, sends them, writes down what became of each.

A claim is a lease in the database, taken only when there is room to send at once, so that nothing is posted long after
its alert was answered. A sender that dies loses its lease, and another sends the same bytes under the same id.
The first notifications of an alert are leased by the transaction that writes them, and posted right after its commit.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from alerts import meters, schedule, stops
from alerts.channels.delivery import Delivery, Outcome, Send
from alerts.letters import Letters
from alerts.store import one, rows, run, write_log
from homecare.database import unavailable
from homecare.errors import DatabaseUnavailable
from homecare.tasks import retry
from homecare.wakeups import Wakeups

log = structlog.get_logger()
POLL_S = 1.0
LEASE_S = 30.0
"""Longer than any attempt takes; a dead sender's notifications wait this long."""
AT_ONCE = 256
PER_ENDPOINT = 8
DRAIN_S = 5.0


class Leased(NamedTuple):
    """A notification that this process has to send: `row` of the query `claim_notifications`."""

    endpoint: str
    row: Any
    delivery: Delivery


class Outbox:
    """`channels`: how to send each kind."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection],
        wakeups: Wakeups,
        channels: Mapping[str, Send],
        letters: Letters,
        *,
        jitter: random.Random | None = None,
    ) -> None:
        self._pool, self._wakeups, self._channels, self._letters = pool, wakeups, channels, letters
        self._jitter = jitter or random.Random()
        self._sending: dict[UUID, tuple[str, asyncio.Task[None]]] = {}
        """In flight: (endpoint, task) by notification."""
        self._group: asyncio.TaskGroup | None = None
        """While it runs."""

    async def run(self) -> None:
        """Until cancelled; what is on its way then has DRAIN_S to end."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                while True:
                    wait_s = await retry(self._claim, what="outbox", on=DatabaseUnavailable)
                    if wait_s > 0:
                        await self._wakeups.wait("homecare_outbox", wait_s)
            except asyncio.CancelledError:
                self._group = None
                if self._sending:
                    await asyncio.wait([task for _, task in self._sending.values()], timeout=DRAIN_S)
                raise

    async def lease_first(self, db: AsyncConnection, alert: UUID) -> Sequence[Leased]:
        """Lease what this alert's first step wrote, in the same transaction; give it to `post` after the commit.

        Whatever goes wrong here is nobody's loss: what is not leased is claimed like everything else.
        """
        if self._group is None or len(self._sending) >= AT_ONCE:
            return ()
        try:
            async with db.transaction():
                written = await rows(db, "first_notifications", {"alert": alert, "kinds": list(self._channels)})
                return await self._lease(db, written, self._busy())
        except psycopg.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            log.error("first_lease_failed", alert=str(alert), kind=type(error).__name__)
            return ()

    def post(self, leased: Iterable[Leased]) -> None:
        """Send what `lease_first` leased. An endpoint's share may be exceeded by what was leased at one time for several alerts."""
        for one_leased in leased:
            self._start(one_leased)

    def _start(self, leased: Leased) -> None:
        if self._group is not None:
            task = self._group.create_task(self._deliver(leased.row, leased.delivery), name=f"send-{leased.row.id}")
            self._sending[leased.row.id] = leased.endpoint, task

    def _busy(self) -> Counter[str]:
        return Counter(endpoint for endpoint, _ in self._sending.values())

    async def _lease(self, db: AsyncConnection, claimed: Iterable[Any], busy: Counter[str]) -> list[Leased]:
        """Those of the claimed that are to be sent and have room, with their bodies fixed."""
        ready = []
        for row in claimed:
            endpoint = endpoint_of(row.address or "")
            if obsolete(row) is None and busy[endpoint] < PER_ENDPOINT:
                busy[endpoint] += 1
                ready.append(Leased(endpoint, row, self._letters.delivery(row)))
        if ready:
            bodies = [leased.delivery.body.decode() for leased in ready]
            await run(db, "lease", {"ids": [leased.row.id for leased in ready], "bodies": bodies, "lease_s": LEASE_S})
        return ready

    async def _claim(self) -> float:
        """Lease what may go now and start it; seconds until there may be more."""
        room = AT_ONCE - len(self._sending)
        if room <= 0:
            return POLL_S
        busy = self._busy()
        seen = {
            "kinds": list(self._channels),
            "mine": list(self._sending),
            "full": [endpoint for endpoint, n in busy.items() if n >= PER_ENDPOINT],
            "per_endpoint": PER_ENDPOINT,
            "most": room,
        }
        with unavailable():
            async with self._pool.connection() as db:
                async with db.pipeline(), db.transaction():
                    claimed = await rows(db, "claim_notifications", seen)
                    ready = await self._lease(db, claimed, busy)
                if ready:
                    stops.reached("after", "lease_commit")
                for leased in ready:
                    self._start(leased)
                for row in claimed:
                    if verdict := obsolete(row):
                        await self._give_up(db, row, *verdict)
                if claimed:
                    return 0.0
                soon = await one(db, "next_due_in", {"kinds": list(self._channels), "mine": list(self._sending)})
                return POLL_S if soon[0] is None else min(POLL_S, max(0.01, soon[0]))

    async def _deliver(self, row: Any, delivery: Delivery) -> None:
        started = time.monotonic()
        if row.attempts == 0:
            meters.FIRST_POST_SECONDS.observe(max(0.0, time.time() - row.created_at.timestamp()))
        try:
            outcome = await self._channels[row.channel_kind](delivery)
        except Exception as error:  # noqa: BLE001 - a channel's fault is an attempt that failed
            outcome = Outcome("failed", error=type(error).__name__)
        took_ms = int((time.monotonic() - started) * 1000)
        stops.reached("after", "post")
        try:
            await retry(lambda: self._write(row, outcome, took_ms), what="outcome", on=DatabaseUnavailable)
        except psycopg.Error as error:
            # The lease ends by itself, and it is tried again.
            log.error("outcome_not_stored", notification=str(row.id), problem=error.diag.message_primary)
            meters.FAILURES.labels("outbox").inc()
        finally:
            del self._sending[row.id]
            self._wakeups.wake("homecare_outbox")

    async def _write(self, row: Any, outcome: Outcome, took_ms: int) -> None:
        """The attempt, what it means for the notification and its channel, and who takes over: one transaction."""
        detail = {
            "notification": str(row.id),
            "contact": row.contact,
            "channel": row.channel,
            "attempt": row.attempts + 1,
            "status": outcome.status,
            "error": outcome.error,
            "took_ms": took_ms,
        }
        values = {"id": row.id, "outcome": outcome.result, "status": outcome.status, "error": outcome.error}
        with unavailable():
            async with self._pool.connection() as db, db.pipeline(), db.transaction():
                await run(db, "hold_alert", {"alert": row.alert})
                await run(db, "insert_attempt", {**values, "took_ms": took_ms})
                await write_log(db, row.alert, f"notification.{outcome.result}", detail)
                if outcome.result == "delivered":
                    await run(db, "delivered", values)
                else:
                    await self._write_failure(db, row, outcome)
        stops.reached("after", "outcome_commit")
        meters.ATTEMPTS.labels(row.channel_kind, outcome.result).inc()

    async def _write_failure(self, db: AsyncConnection, row: Any, outcome: Outcome) -> None:
        gone = outcome.result == "gone"
        later = {
            "id": row.id,
            "error": outcome.error,
            "retry_after_s": schedule.bounded_retry_after_s(outcome.retry_after_s),
            "delay_s": schedule.delay_s(row.attempts + 1, self._jitter),
            "for_good": gone,
        }
        state = await one(db, "not_delivered", later)
        if gone and await one(db, "disable_channel", {"channel": row.channel, "reason": "gone"}):
            await write_log(
                db, row.alert, "channel.disabled", {"channel": row.channel, "contact": row.contact, "reason": "gone"}
            )
        if state is not None and state.state == "dead":
            await self._write_dead(db, row, outcome.error or "")
        await run(db, "next_channel", {"id": row.id, "kinds": list(self._channels)})

    async def _give_up(self, db: AsyncConnection, row: Any, state: str, error: str) -> None:
        async with db.transaction():
            await run(db, "hold_alert", {"alert": row.alert})
            await run(db, "give_up", {"id": row.id, "state": state, "error": error})
            if state == "dead":
                await self._write_dead(db, row, error)
                await run(db, "next_channel", {"id": row.id, "kinds": list(self._channels)})

    async def _write_dead(self, db: AsyncConnection, row: Any, error: str) -> None:
        meters.DEAD.labels(row.channel_kind).inc()
        await write_log(
            db, row.alert, "notification.dead", {"notification": str(row.id), "contact": row.contact, "error": error}
        )


def obsolete(row: Any) -> tuple[str, str] | None:
    """(state, why) where a claimed notification must not be sent: somebody has answered, or its channel is no more."""
    if row.type in ("alert.opened", "alert.escalated") and row.alert_state != "open":
        return "dropped", f"alert.{row.alert_state}"
    if row.channel is None:
        return "dead", "channel_deleted"
    if row.disabled_reason is not None:
        return "dead", "channel_disabled"
    if row.channel_kind == "device" and row.type in ("alert.acknowledged", "alert.resolved", "alert.cancelled"):
        return "dropped", "nothing_to_ring_for"
    return None


def endpoint_of(address: str) -> str:
    """Scheme, host and port: what a cap on concurrency is about. As in the query `claim_notifications`."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address  # the channel says what is wrong with it
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else address

"""What happens at once when an event opens an alert: the first step, and the leases of what it wrote, in the event's transaction."""

from collections.abc import Sequence
from uuid import UUID

from psycopg import AsyncConnection

from alerts.escalation import Escalation
from alerts.outbox import Leased, Outbox


async def begin(escalation: Escalation, outbox: Outbox, db: AsyncConnection, alert: UUID) -> Sequence[Leased]:
    """The first step, and what `outbox` may post as soon as it is committed: nobody waits for another."""
    await escalation.begin(db, alert)
    return await outbox.lease_first(db, alert)

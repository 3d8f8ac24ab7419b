"""What the broker says of itself, for Prometheus: above all whether it dropped anything, which it tells nobody else.

Mosquitto's own topics (`$SYS`); a broker that has none is not watched.
"""

from typing import Final

import structlog
from prometheus_client import Gauge

from gateway.session import Session
from homecare.errors import BrokerRefused

log = structlog.get_logger()

FIGURES: Final = {
    "$SYS/broker/publish/messages/dropped": Gauge(
        "homecare_broker_dropped_messages", "Messages the broker dropped since it started: a queue was full"
    ),
    "$SYS/broker/store/messages/count": Gauge(
        "homecare_broker_stored_messages", "Messages the broker holds, retained ones included"
    ),
    "$SYS/broker/store/messages/bytes": Gauge("homecare_broker_stored_bytes", "Bytes of payload the broker holds"),
    "$SYS/broker/clients/connected": Gauge("homecare_broker_connected_clients", "Clients connected to the broker"),
    "$SYS/broker/clients/disconnected": Gauge(
        "homecare_broker_disconnected_clients", "Clients whose session the broker keeps while they are away"
    ),
}
"""Topic -> figure."""
FILTERS: Final = tuple(FIGURES)


async def follow(session: Session) -> None:
    """Takes what `session` (on `FILTERS`) brings, until it is closed."""
    async for batch in session.batches():
        for message in batch.messages:
            figure = FIGURES.get(message.topic)
            text = message.payload[:20]
            if figure is not None and text.isdigit():
                figure.set(int(text))
        batch.acknowledge()


async def keep_connected(session: Session) -> None:
    """`session.run()`, except that a broker which refuses this is left alone."""
    try:
        await session.run()
    except BrokerRefused as refused:
        log.warning("broker_not_watched", reason=refused.reason, problem=str(refused))
        await session.close()

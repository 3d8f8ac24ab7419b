"""What was not kept, as rows: the same bytes once, however often they came in a batch."""

from collections.abc import Iterable
from typing import Any

from homecare.checked import Stranger
from homecare.clock import to_datetime
from homecare.messages import Inbound, Rejection

COLUMNS = ("received", "last_received", "times", "topic", "payload", "reason", "detail", "device", "area")
MOST_DETAIL = 500
MOST_TOPIC = 1000
"""Of a topic that the database refused; a replay of it would be refused as well."""


def merge_rejections(rejections: Iterable[Rejection]) -> dict[str, list[Any]]:
    """Columns of `quarantine`, one row for each topic, payload and reason, sorted; `times` counts messages."""
    found: dict[tuple[str, bytes, str], list[Rejection]] = {}
    for rejection in rejections:
        found.setdefault((rejection.message.topic, rejection.message.payload, rejection.reason), []).append(rejection)
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for (topic, payload, reason), same in sorted(found.items()):
        messages = {id(rejection.message): rejection.message.received for rejection in same}
        details = dict.fromkeys(rejection.detail for rejection in same)
        row = (
            to_datetime(min(messages.values())),
            to_datetime(max(messages.values())),
            len(messages),
            topic,
            payload,
            reason,
            _storable("; ".join(details))[:MOST_DETAIL],
            same[0].device,
            same[0].area,
        )
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return columns


def merge_strangers(strangers: Iterable[Stranger]) -> dict[str, list[Any]]:
    """Columns of `unknown_device`, one row for each device and area."""
    found: dict[tuple[str, str], list[int]] = {}
    for stranger in strangers:
        found.setdefault((stranger.origin.device, stranger.origin.area), []).append(stranger.message.received)
    return {
        "device": [device for device, _ in found],
        "area": [area for _, area in found],
        "first": [to_datetime(min(received)) for received in found.values()],
        "last": [to_datetime(max(received)) for received in found.values()],
        "messages": [len(received) for received in found.values()],
    }


def refused_by_database(message: Inbound, problem: str) -> Rejection:
    """The rejection of a message that passed the checks and was then refused; nothing in it can be refused again."""
    topic = _storable(message.topic)
    kept = message if topic == message.topic and len(topic) <= MOST_TOPIC else _with_topic(message, topic[:MOST_TOPIC])
    return Rejection(kept, "bad_schema", f"the database refused it: {problem}")


def _with_topic(message: Inbound, topic: str) -> Inbound:
    return Inbound(topic, message.payload, message.received, message.retained, message.duplicate)


def _storable(text: str) -> str:
    """PostgreSQL's text has no NUL, and UTF-8 no lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()

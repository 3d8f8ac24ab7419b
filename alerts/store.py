"""Events and triggers into the database, and the alerts they open: every function runs within its caller's transaction."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb

from alerts import stops
from homecare.checked import Stranger
from homecare.clock import to_datetime
from homecare.database import load_queries
from homecare.messages import FIXES, Event, Rejection, Reply
from homecare.metrics import METRICS
from homecare.samples import Flag
from homecare.triggers import Trigger

Q = load_queries("alerts") | load_queries("alerts.watch")
State = Literal["opened", "merged", "duplicate", "recorded"]
"""What became of an event, as the device is told."""
Begin = Callable[[AsyncConnection, UUID], Awaitable[Sequence[Any]]]
URGENT = frozenset({"sos", "fall"})
OTHER_EVENT = timedelta(hours=1)
"""A device may put a new time on each repeat, but it repeats until it is told."""


class Recorded(NamedTuple):
    """`alert`: the one it opened, joined or cancelled."""

    alert: UUID | None
    state: State
    command: bool = False
    """Was a command to the device written?"""
    posts: Sequence[Any] = ()
    """What `begin` returned: to be posted after the commit."""


async def run(db: AsyncConnection, name: str, values: Mapping[str, Any]) -> None:
    """The named statement. In a pipeline it is only sent with the next one that is waited for."""
    stops.reached("before", name)
    await db.execute(Q[name].encode(), values)
    stops.reached("after", name)


async def one(db: AsyncConnection, name: str, values: Mapping[str, Any]) -> Any:
    """The first row of the named query as a named tuple, or None."""
    stops.reached("before", name)
    async with db.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(Q[name].encode(), values)
        found = await cursor.fetchone()
    stops.reached("after", name)
    return found


async def rows(db: AsyncConnection, name: str, values: Mapping[str, Any]) -> list[Any]:
    """All rows of the named query as named tuples."""
    stops.reached("before", name)
    async with db.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(Q[name].encode(), values)
        found = list(await cursor.fetchall())
    stops.reached("after", name)
    return found


async def record_event(db: AsyncConnection, event: Event, trigger: Trigger | None, begin: Begin) -> Recorded:
    """Store the event once; raise what it raises; take back what it takes back, in whatever order the two come.

    `begin` takes the first step of an alert that this event opened, in the same transaction, and says what to post after it.
    """
    origin = event.origin
    await run(db, "lock_device", {"device_id": origin.device})
    inserted = await one(db, "insert_event", _event_values(event))
    if inserted is None:
        known = await one(db, "known_event", _name(event))
        if event.event in URGENT and _is_another(event, known):
            nameless = msgspec.structs.replace(event, boot=None, seq=None, flags=event.flags | Flag.SALVAGED)
            return await record_event(db, nameless, trigger, begin)
        return Recorded(known.alert, "duplicate")
    if origin.device_key is not None and not event.forwarded and (event.values or event.position):
        await run(db, "insert_sample", _sample_values(event))
    if event.event == "cancel":
        return Recorded(await _cancel(db, event, inserted.id), "recorded")
    if trigger is None:
        return Recorded(None, "recorded")
    stored = await one(db, "insert_trigger", _trigger_values(trigger, event, inserted.id))
    if stored is None:
        return Recorded(None, "recorded")
    if trigger.state == "cleared":
        return Recorded(None, "recorded")  # the intake finds what it clears, in order with the rules' own triggers
    raised = await one(db, "raise_alert", {"trigger": stored.id})
    cancelled = False
    if event.boot is not None:
        for cancel in await rows(db, "cancels_of_event", _name(event)):
            cancelled |= await _take_back(db, raised.alert_id, event, cancel.seq)
            await _set_alert(db, cancel.id, raised.alert_id)
    posts: Sequence[Any] = ()
    if raised.outcome == "opened" and not cancelled:
        posts = await begin(db, raised.alert_id)
    asks = event.event == "sos" and event.position is None and origin.device_key is not None and not event.forwarded
    if asks:
        await run(db, "ask_position", {"device": origin.device_key, "alert": raised.alert_id})
    return Recorded(raised.alert_id, raised.outcome, asks, posts)


def _is_another(event: Event, known: Any) -> bool:
    """Whether a device that lost its count gave a new event the name of the `known` one: then it is no repeat of that."""
    told = not (event.flags | known.flags) & Flag.WRONG_CLOCK
    return bool(known.event != event.event or (told and abs(to_datetime(event.ts) - known.ts) >= OTHER_EVENT))


async def write_log(
    db: AsyncConnection, alert: UUID | None, action: str, detail: Mapping[str, Any], actor: str = "system"
) -> None:
    """One row of the append-only log."""
    await run(db, "log", {"alert": alert, "actor": actor, "action": action, "detail": Jsonb(dict(detail))})


async def record_rejection(db: AsyncConnection, rejection: Rejection) -> None:
    """Into the quarantine, raw bytes and all; the same bytes again are counted."""
    message = rejection.message
    values = {
        "received": to_datetime(message.received),
        "topic": _text(message.topic),
        "payload": message.payload,
        "reason": rejection.reason,
        "detail": _text(rejection.detail),
        "device": rejection.device,
        "area": rejection.area,
    }
    await run(db, "insert_rejection", values)


async def record_stranger(db: AsyncConnection, stranger: Stranger) -> None:
    """A device nobody registered, kept for an operator to adopt."""
    origin, received = stranger.origin, to_datetime(stranger.message.received)
    await run(db, "insert_stranger", {"device": origin.device, "area": origin.area, "received": received})


async def record_reply(db: AsyncConnection, reply: Reply) -> Literal["stored", "unknown"]:
    """The answer to a command, from the device that was asked; `unknown`: not asked, or answered before."""
    try:
        command = UUID(reply.id)
    except ValueError:
        return "unknown"
    values = {
        "id": command,
        "device": reply.origin.device_key,
        "ok": reply.ok,
        "result": None if reply.result is None else Jsonb(reply.result),
        "error": None if reply.error is None else _text(reply.error),
    }
    stored = await one(db, "store_reply", values)
    if stored is None:
        return "unknown"
    detail = {"command": str(command), "name": stored.name, "ok": reply.ok}
    await write_log(db, stored.alert, "command.replied", detail, f"device:{reply.origin.device}")
    return "stored"


async def _cancel(db: AsyncConnection, event: Event, event_id: int) -> UUID | None:
    """Cancel the alert of the event that is taken back. It may not have come yet: then its coming does it."""
    found = await one(db, "event_to_cancel", {**_name(event), "of": event.of})
    if found is None or found.alert is None:
        return None
    alert: UUID = found.alert
    await _set_alert(db, event_id, alert)
    await _take_back(db, alert, event, event.seq)
    return alert


async def _take_back(db: AsyncConnection, alert: UUID, event: Event, cancel_seq: int | None) -> bool:
    """Cancel the alert, unless the button was pressed again after the cancel, or something else joined it.

    Whether it is cancelled.
    """
    actor = f"device:{event.origin.device}"
    other = await one(db, "not_taken_back", {**_name(event), "alert": alert, "cancel_seq": cancel_seq})
    if other.exists:
        await write_log(db, alert, "alert.cancel_kept", {"cancel": cancel_seq, "reason": "pressed_again"}, actor)
        return False
    await run(db, "cancel_alert", {"alert": alert, "actor": actor})
    return True


async def _set_alert(db: AsyncConnection, event_id: int, alert: UUID) -> None:
    await run(db, "set_event_alert", {"event": event_id, "alert": alert})


def _name(event: Event) -> dict[str, Any]:
    return {"device_id": event.origin.device, "boot": event.boot, "seq": event.seq}


def _event_values(event: Event) -> dict[str, Any]:
    return {
        **_name(event),
        "device": event.origin.device_key,
        "resident": event.origin.resident_key,
        "area": event.origin.area,
        "event": event.event,
        "of": event.of,
        "service": event.service,
        "ts": to_datetime(event.ts),
        "claimed": event.claimed,
        "received": to_datetime(event.received),
        "flags": event.flags,
        "values": Jsonb(event.values),
        "position": Jsonb(msgspec.to_builtins(event.position)) if event.position else None,
    }


def _sample_values(event: Event) -> dict[str, Any]:
    position = msgspec.to_builtins(event.position) if event.position else {}
    fix = position.get("fix")
    return {
        **_event_values(event),
        **{metric.name: event.values.get(metric.name) for metric in METRICS},
        **{name: position.get(name) for name in ("lat", "lon", "accuracy", "speed", "heading", "altitude")},
        "boot": event.boot or 0,
        "seq": event.seq or 0,
        "fix": None if fix is None else FIXES.index(fix),
        "flags": event.flags | Flag.EVENT,
    }


def _trigger_values(trigger: Trigger, event: Event, event_id: int) -> dict[str, Any]:
    key = trigger.key
    if event.boot is None:
        # A salvaged event has no name of its own: each stands for itself, and joins what is open.
        key = f"event:{event.origin.device}:salvaged:{event_id}"
    return {
        **msgspec.structs.asdict(trigger),
        "key": key,
        "at": to_datetime(trigger.at),
        "device": trigger.device or None,
        "device_id": event.origin.device,
        "resident": trigger.resident or None,
        "area": event.origin.area,
        "event": event_id,
        "evidence": Jsonb(trigger.evidence),
    }


def _text(text: str) -> str:
    """PostgreSQL's text cannot hold U+0000."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")

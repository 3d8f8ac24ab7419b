"""The contract's events, status and replies.

An SOS or fall always leaves here as an event, whoever sent it and whatever is wrong with it: first of all it is
searched for, then the message is judged.
"""

import math
import re
import uuid
from typing import Any, Final, cast

from gateway.checks import (
    INT31,
    Problems,
    check_integer,
    check_number,
    check_position,
    check_readings,
    check_ts,
    read_clock,
)
from gateway.draft import Draft
from gateway.lenient_json import SAFETY_EVENTS, Unreadable, clean, clean_value, decode_text, parse
from gateway.source import Source
from homecare.messages import FIXES, Event, Inbound, Origin, Position, Reply, Status
from homecare.samples import NO_TIME, Flag

MOST_BYTES: Final = 64 * 1024
EVENTS: Final = SAFETY_EVENTS | {
    *("cancel", "assist", "check_in", "taken_off", "put_on", "low_battery", "power_lost", "power_restored", "tamper"),
    *("smoke", "gas", "water", "door", "bed_exit"),
}
SERVICES: Final = ("health", "housekeeping", "shopping", "other")
INTERVAL_LIMITS: Final = (1.0, 7 * 86400.0)
"""Seconds between two telemetry messages."""
_SAYS_SAFETY: Final = re.compile(r'"event"\s*:\s*"\s*(sos|fall)\s*"', re.IGNORECASE)


def read_event(message: Inbound, source: Source, draft: Draft) -> None:
    """What a person's safety may hang on."""
    problems = Problems()
    text, body = _understand(message.payload, problems)
    safety = _safety_event(text, body)
    if source.refusal == "unknown_device":
        draft.meet(message, source)
    if safety is not None:
        _take_event(message, source, draft, problems, safety, body or {})
    elif source.refusal is not None:
        draft.refuse(message, source, source.refusal, source.why_not)
        return
    elif body is not None and not problems:
        name = body.get("event")
        if isinstance(name, str) and name in EVENTS:
            _take_event(message, source, draft, problems, name, body)
        else:
            problems.add("bad_schema", "event: is missing" if name is None else "event: is none of the contract's")
    draft.reject(message, source, problems)


def _understand(payload: bytes, problems: Problems) -> tuple[str, dict[str, Any] | None]:
    """(text, object or None), as far as the bytes can be understood at all."""
    if len(payload) > MOST_BYTES:
        problems.add("too_large", f"{len(payload)} bytes; {MOST_BYTES} at most")
    try:
        text = decode_text(payload)
    except Unreadable as unreadable:
        problems.add(unreadable.reason, unreadable.detail)
        text = payload.decode("utf-8", "replace")
    try:
        body = parse(text)
    except Unreadable as unreadable:
        problems.add(unreadable.reason, unreadable.detail)
        return text, None
    if not isinstance(body, dict):
        problems.add("bad_schema", "must be an object")
        return text, None
    return text, body


def _safety_event(text: str, body: dict[str, Any] | None) -> str | None:
    """`sos` or `fall` where the message says so; one that is no JSON object is searched for the words."""
    if body is not None:
        name = body.get("event")
        said = name.strip().lower() if isinstance(name, str) else ""
        return said if said in SAFETY_EVENTS else None
    match = _SAYS_SAFETY.search(text)
    return match[1].lower() if match else None


def _take_event(
    message: Inbound, source: Source, draft: Draft, problems: Problems, name: str, body: dict[str, Any]
) -> None:
    """The event to the draft. Where a member it cannot do without is bad, it goes to the quarantine whole,
    unless it is an SOS or fall: that one is salvaged.
    """
    boot, seq = (check_integer(body.get(member), 0, INT31) for member in ("boot", "seq"))
    if boot is None or seq is None:
        boot = seq = None
        problems.add("bad_schema", f"boot, seq: must be integers 0..{INT31}")
    subject, _ = source.find_subject(body, problems)
    _, claimed_ts = check_ts(body.get("ts"), "", problems)
    of = check_integer(body.get("of"), 0, INT31)
    if name == "cancel" and of is None:
        problems.add("bad_schema", "of: must be the seq of the event that is taken back")
    flags = Flag(0)
    if problems:
        if name not in SAFETY_EVENTS:
            return
        flags |= Flag.SALVAGED
    spoilt = len(problems)
    readings = check_readings(body.get("values"), "", problems, confidence=name == "fall")
    place = check_position(body.get("position"), "", problems)
    service = body.get("service") if name == "assist" else None
    if service is not None and service not in SERVICES:
        problems.add("bad_schema", f"service: must be one of {', '.join(SERVICES)}")
        service = None
    if len(problems) > spoilt:
        flags |= Flag.PARTIAL
    ts, claimed, clock_flags = read_clock(claimed_ts, message.received)
    flags |= Flag(clock_flags) | (Flag.SUBJECT if subject else Flag(0))
    resident = subject or source.worn_by(ts)
    draft.checked.events.append(
        Event(
            origin=Origin(source.origin.device, source.origin.area, source.origin.device_key, resident or None),
            event=name,
            boot=boot,
            seq=seq,
            ts=ts,
            claimed=None if claimed == NO_TIME else claimed,
            received=message.received,
            flags=int(flags),
            of=of if name == "cancel" else None,
            service=service,
            values=readings,
            position=position_of(place),
        )
    )


def position_of(place: tuple[tuple[float, ...], int] | None) -> Position | None:
    if place is None or math.isnan(place[0][0]):
        return None
    numbers = (None if math.isnan(number) else number for number in place[0])
    lat, lon, accuracy, speed, heading, altitude = numbers
    return Position(
        cast("float", lat),
        cast("float", lon),
        accuracy,
        speed,
        heading,
        altitude,
        FIXES[place[1]] if place[1] >= 0 else None,
    )


def read_status(message: Inbound, source: Source, draft: Draft) -> None:
    """The device's own word on itself. An empty payload only clears what the broker retained."""
    if not message.payload:
        return
    problems = Problems()
    _, body = _understand(message.payload, problems)
    state = body.get("state") if body else None
    if body is not None and not problems and state not in ("online", "offline"):
        problems.add("bad_schema", "state: must be online or offline")
    if body is not None and not problems:
        boot = body.get("boot")
        if boot is not None and (boot := check_integer(boot, 0, INT31)) is None:
            problems.add("bad_schema", f"boot: must be an integer 0..{INT31}")
        interval = body.get("interval")
        if interval is not None:
            interval = check_number(interval, *INTERVAL_LIMITS, "interval", problems)
        draft.checked.statuses.append(
            Status(
                origin=source.origin,
                state=cast("Any", state),
                received=message.received,
                boot=boot,
                model=_short_text(body, "model", problems),
                firmware=_short_text(body, "firmware", problems),
                interval=interval,
                retained=message.retained,
            )
        )
    draft.reject(message, source, problems)


def read_reply(message: Inbound, source: Source, draft: Draft) -> None:
    """The answer to a command: whole, or not at all."""
    problems = Problems()
    _, body = _understand(message.payload, problems)
    if body is not None and not problems:
        identity, ok, result, error = (body.get(name) for name in ("id", "ok", "result", "error"))
        if not _is_uuid(identity):
            problems.add("bad_schema", "id: must be the command's UUID")
        if not isinstance(ok, bool):
            problems.add("bad_schema", "ok: must be true or false")
        if result is not None and not isinstance(result, dict):
            problems.add("bad_schema", "result: must be an object")
        if error is not None and not isinstance(error, str):
            problems.add("bad_schema", "error: must be text")
        if not problems:
            draft.checked.replies.append(
                Reply(
                    origin=source.origin,
                    id=str(uuid.UUID(identity)),
                    ok=cast("bool", ok),
                    received=message.received,
                    result=clean_value(result),
                    error=None if error is None else clean(error),
                )
            )
    draft.reject(message, source, problems)


def _short_text(body: dict[str, Any], name: str, problems: Problems) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        problems.add("bad_schema", f"{name}: must be text")
        return None
    return clean(value, most=100)


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(uuid.UUID(value))
    except ValueError:
        return False

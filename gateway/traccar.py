"""Traccar's forward (`forward.type=mqtt`): one position of one device, and the alarms that came with it.

All devices share one topic, so the payload says whose it is. What is measured is a matter of `ingest`, the alarms one of
`alerts`: each reads its own part of the same message. Whatever cannot be kept is put aside by the first of them alone.
"""

from collections.abc import Callable
from typing import Final

from gateway.checks import Problems, as_row, read_clock
from gateway.draft import Draft, Reader
from gateway.lenient_json import SAFETY_EVENTS
from gateway.native_events import position_of
from gateway.source import Source
from gateway.traccar_message import Forward
from homecare.messages import Event, Inbound, Origin
from homecare.samples import NO_TIME, Flag

TOPIC: Final = "traccar/positions"


def read_forward(message: Inbound, source: Source, draft: Draft) -> None:
    """Both parts, for one who reads everything (a backtest)."""
    forward = Forward(message, source)
    _take_position(forward, draft)
    _take_alarms(forward, draft)


def read_alarms(message: Inbound, source: Source, draft: Draft) -> None:
    """An event for each alarm: an SOS or fall whoever sent it and whatever is wrong with it."""
    _take_alarms(Forward(message, source), draft)


def measurements(has_area: Callable[[str], bool]) -> dict[str, Reader]:
    """Readers of what was measured, and where, by the devices of some areas; "" stands for those that are not registered."""

    def read_position(message: Inbound, source: Source, draft: Draft) -> None:
        forward = Forward(message, source)
        if has_area(forward.source.origin.area):
            _take_position(forward, draft)

    return {TOPIC: read_position}


def _take_position(forward: Forward, draft: Draft) -> None:
    message, source, problems = forward.message, forward.source, forward.problems
    if source.refusal is not None and not forward.damaged:
        draft.meet(message, source)
        draft.refuse(message, source, source.refusal, source.why_not)
        return
    if not forward.damaged:
        readings, place = forward.readings(problems), forward.place(problems)
        partial = Flag.PARTIAL if problems else 0
        usable, claimed_ts = forward.time(problems)
        if usable:
            ts, claimed, flags = read_clock(claimed_ts, message.received)
            row = (source.key, source.worn_by(ts), ts, claimed, message.received)
            flags |= int(Flag.UNCOUNTED | partial)
            draft.add_sample((*row, *forward.sample_name(), 0, flags), as_row(readings), place)
    draft.reject(message, source, problems)


def _take_alarms(forward: Forward, draft: Draft) -> None:
    message, source = forward.message, forward.source
    damaged = forward.damaged
    # what is wrong here is put aside with the measurements
    unsaid = Problems()
    readings, place = forward.readings(unsaid), forward.place(unsaid)
    flags = Flag.PARTIAL if unsaid else Flag(0)
    usable, claimed_ts = forward.time(unsaid)
    ts, claimed, clock_flags = read_clock(claimed_ts, message.received)
    flags |= Flag(clock_flags) | (Flag.SALVAGED if damaged or not usable else Flag(0)) | Flag.UNCOUNTED
    origin = source.origin
    for event in forward.events():
        if event not in SAFETY_EVENTS and (damaged or not usable or source.refusal is not None):
            continue
        boot, seq = (None, None) if not forward.position else forward.event_name(event)
        draft.checked.events.append(
            Event(
                origin=Origin(origin.device, origin.area, origin.device_key, source.worn_by(ts) or None),
                event=event,
                boot=boot,
                seq=seq,
                ts=ts,
                claimed=None if claimed == NO_TIME else claimed,
                received=message.received,
                flags=int(flags),
                values=readings,
                position=position_of(place),
                forwarded=True,
            )
        )


TRACCAR: Final[dict[str, Reader]] = {TOPIC: read_forward}
TRACCAR_ALARMS: Final[dict[str, Reader]] = {TOPIC: read_alarms}
"""Topic -> reader."""

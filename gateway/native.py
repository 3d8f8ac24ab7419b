"""The contract's own payloads: telemetry here, what people say and answer in `native_events.py`.

Telemetry is read quickly where nothing is wrong with it, else carefully, keeping what can be kept.
"""

from collections.abc import Sequence
from typing import Any, Final

from gateway.checks import (
    INT31,
    NO_READINGS,
    Problems,
    as_row,
    check_acceleration,
    check_integer,
    check_position,
    check_readings,
    check_ts,
    read_clock,
)
from gateway.draft import Draft, Reader
from gateway.lenient_json import Unreadable, decode_text, parse
from gateway.native_events import MOST_BYTES, read_event, read_reply, read_status
from gateway.quick import MOST_SAMPLES, QuickSample, QuickTelemetry, place_of, read_quickly, readings_of
from gateway.source import Source
from homecare.messages import AccelerationWindow, Inbound
from homecare.samples import NO_TIME, Flag


def read_telemetry(message: Inbound, source: Source, draft: Draft) -> None:
    """One sample inline, or up to 512."""
    if len(message.payload) > MOST_BYTES:
        draft.refuse(message, source, "too_large", f"{len(message.payload)} bytes; {MOST_BYTES} at most")
        return
    plain = read_quickly(message.payload)
    if plain is None:
        read_carefully(message, source, draft)
    else:
        take_plain(plain, message, source, draft)


def take_plain(plain: QuickTelemetry, message: Inbound, source: Source, draft: Draft) -> None:
    """The samples of a message with nothing wrong in it, save perhaps its subject."""
    subject, named = 0, 0
    if plain.subject is not None:
        problems = Problems()
        found, _ = source.find_subject({"subject": plain.subject}, problems)
        if found is None:
            draft.reject(message, source, problems)
            return
        subject, named = found, int(Flag.SUBJECT)
    received = message.received
    samples: Sequence[QuickSample | QuickTelemetry] = plain.samples or (plain,)
    for part, sample in enumerate(samples):
        ts, claimed, flags = read_clock(sample.ts, received)
        draft.add_sample(
            (
                source.key,
                subject or source.worn_by(ts),
                ts,
                claimed,
                received,
                plain.boot,
                plain.seq,
                part,
                flags | named,
            ),
            NO_READINGS if sample.values is None else readings_of(sample.values),
            place_of(sample.position),
        )


def read_carefully(message: Inbound, source: Source, draft: Draft) -> None:
    """Any bytes at all: the good parts to the draft, the rest to the quarantine by name."""
    try:
        body = parse(decode_text(message.payload))
    except Unreadable as unreadable:
        draft.refuse(message, source, unreadable.reason, unreadable.detail)
        return
    problems = Problems()
    _CarefulTelemetry(message, source, draft, problems).read(body)
    draft.reject(message, source, problems)


class _CarefulTelemetry:
    """One message on its way through the checks."""

    def __init__(self, message: Inbound, source: Source, draft: Draft, problems: Problems) -> None:
        self.message, self.source, self.draft, self.problems = message, source, draft, problems
        self.boot = self.seq = self.subject = self.named = 0

    def read(self, body: Any) -> None:
        if not isinstance(body, dict):
            self.problems.add("bad_schema", "must be an object")
        elif self._names_itself(body) and self._names_its_subject(body):
            samples = body.get("samples")
            if samples is None:
                self._sample(body, 0, "")
            elif not isinstance(samples, list) or not 1 <= len(samples) <= MOST_SAMPLES:
                self.problems.add("bad_schema", f"samples: must be an array of 1..{MOST_SAMPLES}")
            else:
                self._samples(body, samples)

    def _names_itself(self, body: dict[str, Any]) -> bool:
        boot, seq = (check_integer(body.get(name), 0, INT31) for name in ("boot", "seq"))
        if boot is None or seq is None:
            missing = [name for name, value in (("boot", boot), ("seq", seq)) if value is None]
            self.problems.add("bad_schema", f"{' and '.join(missing)}: must be an integer 0..{INT31}")
            return False
        self.boot, self.seq = boot, seq
        return True

    def _names_its_subject(self, body: dict[str, Any]) -> bool:
        subject, usable = self.source.find_subject(body, self.problems)
        if subject is not None:
            self.subject, self.named = subject, int(Flag.SUBJECT)
        return usable

    def _samples(self, body: dict[str, Any], samples: list[Any]) -> None:
        for name in ("values", "position", "acceleration"):
            if body.get(name) is not None:
                self.problems.add("bad_schema", f"{name}: cannot stand beside samples")
        for part, sample in enumerate(samples):
            if isinstance(sample, dict):
                self._sample(sample, part, f"samples[{part}].")
            else:
                self.problems.add("bad_schema", f"samples[{part}]: must be an object")

    def _sample(self, body: dict[str, Any], part: int, path: str) -> None:
        """A sample whose readings are all bad is kept as an empty row: that the device spoke is worth one."""
        if all(body.get(name) is None for name in ("values", "position", "acceleration")):
            self.problems.add(
                "bad_schema", f"{path.rstrip('.') or 'message'}: has neither values nor position nor acceleration"
            )
            return
        usable, claimed_ts = check_ts(body.get("ts"), path, self.problems)
        if not usable:
            return
        before = len(self.problems)
        readings = check_readings(body.get("values"), path, self.problems)
        place = check_position(body.get("position"), path, self.problems)
        window = check_acceleration(body.get("acceleration"), path, self.problems)
        received = self.message.received
        ts, claimed, flags = read_clock(claimed_ts, received)
        flags |= self.named
        if len(self.problems) > before:
            flags |= Flag.PARTIAL
        resident = self.subject or self.source.worn_by(ts)
        if isinstance(body.get("values"), dict) or isinstance(body.get("position"), dict):
            row = (self.source.key, resident, ts, claimed, received, self.boot, self.seq, part, int(flags))
            self.draft.add_sample(row, as_row(readings), place)
        if window is not None:
            hz, unit, scale, xyz = window
            self.draft.checked.windows.append(
                AccelerationWindow(
                    device_key=self.source.key,
                    resident_key=resident or None,
                    ts=ts,
                    claimed=None if claimed == NO_TIME else claimed,
                    received=received,
                    boot=self.boot,
                    seq=self.seq,
                    part=part,
                    flags=int(flags),
                    hz=hz,
                    unit=unit,
                    scale=scale,
                    xyz=xyz,
                )
            )


NATIVE: Final[dict[str, Reader]] = {
    "telemetry": read_telemetry,
    "event": read_event,
    "status": read_status,
    "reply": read_reply,
}
"""Route (the topic after the device) -> decoder."""

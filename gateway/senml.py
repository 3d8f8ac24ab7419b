"""SenML (RFC 8428, JSON): a pack of records becomes samples, the records of one time together in one.

Who measured is decided by the topic; of a record's name only the metric counts. A pack carries no `boot` and `seq`:
its bytes name it, see `_Pack.name`. The contract's `boot`, `seq` and `subject` are taken from its first record, as
extension fields, where a device that has them gives them.
"""

import math
import re
from collections import Counter
from typing import Any, Final

from gateway.checks import (
    INT31,
    INT64,
    Place,
    Problems,
    as_row,
    check_integer,
    check_number,
    check_position,
    read_clock,
)
from gateway.draft import Draft, Reader
from gateway.lenient_json import Unreadable, decode_text, parse
from gateway.names import number_of, split
from gateway.native_events import MOST_BYTES
from gateway.quick import MOST_SAMPLES
from gateway.senml_units import CONVERSIONS, POSITION_NAMES
from gateway.source import Source
from homecare.messages import Inbound
from homecare.metrics import BY_NAME
from homecare.samples import Flag

VERSIONS: Final = (10, 26)
"""`bver`: RFC 8428, and with the secondary units of RFC 8798 as RFC 9100 numbers them."""
ABSOLUTE_S: Final = 2**28
"""A time below it is relative to now (RFC 8428, section 4.5.3), seconds."""
SAME_MOMENT_MS: Final = 10_000
"""A pack without an absolute time that comes again within the same such span of receipt is a repeat."""
BASES: Final = {"bn": str, "bt": float, "bu": str, "bv": float, "bs": float, "bver": float}
VALUES: Final = ("v", "vs", "vb", "vd")
_SEPARATORS: Final = re.compile("[^A-Za-z0-9]+")


class _Unresolvable(Exception):
    """Neither the record nor those after it have a meaning; the text says why."""


class _Sample:
    """What was measured at one time."""

    __slots__ = ("position", "relative", "spoilt", "time", "values")

    def __init__(self, time: int, relative: bool) -> None:
        self.time, self.relative = time, relative
        self.values: dict[str, float] = {}
        self.position: dict[str, float] = {}
        self.spoilt = False


def read_senml(message: Inbound, source: Source, draft: Draft) -> None:
    """A pack; its good records to the draft, the rest to the quarantine by name."""
    if len(message.payload) > MOST_BYTES:
        draft.refuse(message, source, "too_large", f"{len(message.payload)} bytes; {MOST_BYTES} at most")
        return
    try:
        body = parse(decode_text(message.payload))
    except Unreadable as unreadable:
        draft.refuse(message, source, unreadable.reason, unreadable.detail)
        return
    problems = Problems()
    if isinstance(body, list) and body:
        _Pack(message, source, draft, problems).read(body)
    else:
        problems.add("bad_schema", "must be an array of records")
    draft.reject(message, source, problems)


class _Pack:
    """One message on its way through the checks."""

    def __init__(self, message: Inbound, source: Source, draft: Draft, problems: Problems) -> None:
        self.message, self.source, self.draft, self.problems = message, source, draft, problems
        self.base: dict[str, Any] = {"bn": "", "bt": 0, "bu": "", "bv": 0, "bs": 0, "bver": VERSIONS[0]}
        self.samples: dict[tuple[int, bool, int], _Sample] = {}
        self.seen: Counter[tuple[int, bool, str]] = Counter()
        """How often a name has occurred at a time: two sensors of a kind make two samples."""

    def read(self, records: list[Any]) -> None:
        first = records[0] if isinstance(records[0], dict) else {}
        subject, usable = self.source.find_subject(first, self.problems)
        if not usable:
            return
        try:
            for n, record in enumerate(records):
                self._record(record, f"[{n}].")
        except _Unresolvable as unresolvable:
            self.problems.add("bad_schema", f"{unresolvable}; what follows cannot be resolved")
        if not self.samples and not self.problems:
            self.problems.add("bad_schema", "no record has a value")
        if len(self.samples) > MOST_SAMPLES:
            self.problems.add("bad_schema", f"{len(self.samples)} times; {MOST_SAMPLES} at most")
            return
        for part, sample in enumerate(self.samples.values()):
            self._keep(sample, part, first, subject)

    def _record(self, record: Any, path: str) -> None:
        """Resolve one record and put what it says where it belongs."""
        if not isinstance(record, dict):
            self.problems.add("bad_schema", f"{path.rstrip('.')}: must be an object")
            return
        self._take_bases(record, path)
        found = [name for name in VALUES if record.get(name) is not None]
        if not found and all(record.get(name) is None for name in ("n", "t", "u", "s")):
            return  # only base fields: for those that follow
        time = self._time(record.get("t"), path)
        if time is None:
            return
        name = record.get("n")
        full = self.base["bn"] + name if isinstance(name, str) else self.base["bn"]
        metric = metric_of(name if isinstance(name, str) else "", full, record.get("u"))
        place = (*time, self.seen[*time, metric or ""])
        if metric is not None:
            self.seen[*time, metric] += 1
        sample = self.samples.setdefault(place, _Sample(*time))
        value = self._value(record, found, metric, full, path)
        if value is None or metric is None:
            sample.spoilt = True
        elif metric in POSITION_NAMES:
            sample.position[metric] = value
        else:
            sample.values[metric] = value

    def _take_bases(self, record: dict[str, Any], path: str) -> None:
        """They hold for this record and all that follow, so one that is wrong leaves nothing to be resolved."""
        for name, value in record.items():
            if name.endswith("_"):
                raise _Unresolvable(f"{path}{name[:64]}: must be understood, and is not")
            kind = BASES.get(name)
            if kind is None or value is None:
                continue
            if not (isinstance(value, str) if kind is str else _is_number(value)):
                raise _Unresolvable(f"{path}{name}: must be {'text' if kind is str else 'a number'}")
            self.base[name] = value
        if self.base["bver"] not in VERSIONS:
            raise _Unresolvable(f"{path}bver: must be one of {', '.join(map(str, VERSIONS))}")

    def _time(self, t: Any, path: str) -> tuple[int, bool] | None:
        """(Unix ms, or ms before the receipt where it is relative; is it relative)."""
        if t is not None and not _is_number(t):
            self.problems.add("bad_schema", f"{path}t: must be a number, seconds")
            return None
        seconds = self.base["bt"] + (t or 0)
        if not abs(seconds) <= 1e15:  # infinite, or infinities that leave nothing
            return (INT64 + 1 if seconds > 0 else -INT64 - 1), False
        return round(seconds * 1000), seconds < ABSOLUTE_S

    def _value(
        self, record: dict[str, Any], found: list[str], metric: str | None, full: str, path: str
    ) -> float | None:
        """The reading in the metric's own unit; None and a problem where it is none."""
        if metric is None:
            self.problems.add("unknown_metric", f"{path}{full[:64]}")
            return None
        unit = self.base["bu"] if record.get("u") is None else record["u"]
        known = CONVERSIONS[metric]
        if not isinstance(unit, str) or (unit and unit not in known):
            self.problems.add("bad_schema", f"{path}u: {metric} is in {', '.join(known)}, not {str(unit)[:32]}")
            return None
        if found and found != ["v"]:
            if found == ["vb"] and metric == "presence" and isinstance(record["vb"], bool):
                return float(record["vb"])
            self.problems.add("not_a_number", f"{path}{metric}: {' and '.join(found)} is not a number v")
            return None
        v = record.get("v")
        if v is None and self.base["bv"] and record.get("s") is None:
            v = 0  # the base value is one
        if not _is_number(v):
            self.problems.add("not_a_number", f"{path}{metric}: has no number")
            return None
        factor, offset = known.get(unit, (1.0, 0.0))
        number = (self.base["bv"] + v) * factor + offset
        if metric in POSITION_NAMES:
            return float(number)
        return check_number(number, BY_NAME[metric].low, BY_NAME[metric].high, f"{path}{metric}", self.problems)

    def _keep(self, sample: _Sample, part: int, first: dict[str, Any], subject: int | None) -> None:
        """One row. Where all of it is bad it is kept empty: that the device spoke is worth one."""
        received = self.message.received
        if sample.relative:
            # Nobody measures in the future: that is a clock that counts from the device's start.
            ts, claimed, clock = read_clock(received + min(0, sample.time), received)
            clock |= Flag.WRONG_CLOCK
        else:
            ts, claimed, clock = read_clock(sample.time, received)
        boot, seq, named = self.name(first, sample.relative)
        before = len(self.problems)
        place: tuple[Place, int] | None = None
        if sample.position:
            place = check_position(sample.position, f"at {ts}: ", self.problems)
        flags = clock | named | (Flag.SUBJECT if subject else 0)
        if sample.spoilt or len(self.problems) > before:
            flags |= Flag.PARTIAL
        resident = subject or self.source.worn_by(ts)
        row = (self.source.key, resident, ts, claimed, received, boot, seq, part, int(flags))
        self.draft.add_sample(row, as_row(sample.values), place)

    def name(self, first: dict[str, Any], relative: bool) -> tuple[int, int, int]:
        """(boot, seq, flags) that name the message for ever.

        Its own, where its first record has them; else they are made of its bytes. Bytes without an absolute time may
        well be measured again: so theirs are made of the time of receipt, too, in steps of `SAME_MOMENT_MS`.
        """
        boot, seq = (check_integer(first.get(member), 0, INT31) for member in ("boot", "seq"))
        if boot is not None and seq is not None:
            return boot, seq, 0
        moment = b"%d:" % (self.message.received // SAME_MOMENT_MS) if relative else b""
        return *split(number_of(moment + self.message.payload)), int(Flag.UNCOUNTED)


def metric_of(name: str, full: str, unit: Any = None) -> str | None:
    """The metric (or member of `position`) that a record is about, or None.

    Its own name where that is one; else the longest end of base name + name that is: `urn:dev:ow:10e2:` + `heart_rate`,
    `bed_room_` + `temperature` is the body's, `bed_` + `room_temperature` the room's. Units `lat` and `lon` say it themselves.
    """
    if unit in ("lat", "lon"):
        return str(unit)
    if name in CONVERSIONS:
        return name
    if len(full) > 256:
        full = full[-256:]
    for end in (0, *(match.end() for match in _SEPARATORS.finditer(full))):
        if full[end:] in CONVERSIONS:
            return full[end:]
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


SENML: Final[dict[str, Reader]] = {"telemetry/senml": read_senml}
"""Route -> decoder."""

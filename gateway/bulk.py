"""Plain telemetry of many devices as columns at once, for a backtest, which has it all: what `Edge` makes of the same
messages one by one, without an object for each.
"""

from collections.abc import Sequence
from itertools import chain, repeat

import msgspec
import numpy as np
import numpy.typing as npt

from gateway.checks import AHEAD_MS, NO_READINGS, OLDEST, PLACE_LIMITS
from gateway.native_events import MOST_BYTES
from gateway.open_registry import OpenRegistry
from gateway.quick import FIX_INDEX, QuickSample, QuickTelemetry, readings_of
from gateway.topics import parse_topic
from homecare.metrics import METRICS
from homecare.samples import LATE_MS, NO_TIME, Flag, Samples


class Plain(msgspec.Struct, gc=False):
    """A line of a capture that is telemetry with nothing wrong in it."""

    at: int
    """Unix ms of receipt."""
    topic: str
    payload: QuickTelemetry


_decode = msgspec.json.Decoder(Plain).decode


class Bulk:
    """Reads lines and makes columns of them; remembers who sends on which topic."""

    def __init__(self, registry: OpenRegistry) -> None:
        self._registry = registry
        self._keys: dict[str, int] = {}
        """Topic -> key of the device."""

    def read(self, lines: Sequence[bytes]) -> list[Plain | None]:
        """Of each line what it says, if it is plain telemetry of the contract's own dialect; None: it is `Edge`'s."""
        if len(max(lines, key=len, default=b"")) > MOST_BYTES or not all(map(bytes.isascii, lines)):
            lines = [line if len(line) <= MOST_BYTES and _is_utf8(line) else b"" for line in lines]
        keys, decode, found = self._keys, _decode, list[Plain | None]()
        for line in lines:
            try:
                plain = decode(line)
            except (msgspec.MsgspecError, RecursionError):
                found.append(None)
                continue
            payload = plain.payload
            if payload.samples is not None or payload.acceleration is not None:
                whole = _is_whole(payload)
            else:
                whole = payload.values is not None or payload.position is not None
            # One that names nobody it may speak for is looked up every time: there are few.
            found.append(plain if whole and (keys.get(plain.topic) or self._meet(plain.topic)) else None)
        return found

    def _meet(self, text: str) -> int:
        topic = parse_topic(text)
        if topic is None or topic.route != "telemetry":
            return 0
        key = self._keys[text] = self._registry.device(topic.device, topic.area).key
        return key

    def columns(self, lines: Sequence[Plain]) -> Samples:
        """All their samples, in order of arrival."""
        part = np.zeros(len(lines), np.int16)
        samples: list[QuickSample | QuickTelemetry] = [line.payload for line in lines]
        if any(line.payload.samples is not None for line in lines):
            samples = [sample for line in lines for sample in line.payload.samples or (line.payload,)]
            sizes = [len(line.payload.samples or (1,)) for line in lines]
            lines = list(chain.from_iterable(map(repeat, lines, sizes)))
            part = np.concatenate([np.arange(size, dtype=np.int16) for size in sizes])
        payloads = [line.payload for line in lines]
        result = Samples.empty(len(lines))
        result.part = part
        result.device = np.array([self._keys[line.topic] for line in lines], np.int32)
        result.boot = np.array([payload.boot for payload in payloads], np.int32)
        result.seq = np.array([payload.seq for payload in payloads], np.int32)
        result.received = np.array([line.at for line in lines], np.int64)
        _set_clock(result, np.array([NO_TIME if sample.ts is None else sample.ts for sample in samples], np.int64))
        self._set_subjects(result, payloads)
        rows = (NO_READINGS if sample.values is None else readings_of(sample.values) for sample in samples)
        flat = np.fromiter(chain.from_iterable(rows), np.float32, len(samples) * len(METRICS))
        result.values = flat.reshape(len(samples), len(METRICS))
        _set_places(result, samples)
        return result

    def _set_subjects(self, result: Samples, payloads: Sequence[QuickTelemetry]) -> None:
        named = [row for row, payload in enumerate(payloads) if payload.subject is not None]
        result.resident[named] = [self._registry.subject(payloads[row].subject or "") for row in named]
        result.flags[named] |= int(Flag.SUBJECT)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_whole(payload: QuickTelemetry) -> bool:
    """Whether it has several samples, each with something in it, and nothing beside them."""
    if payload.acceleration is not None or payload.values is not None or payload.position is not None:
        return False
    return all(sample.holds_something() for sample in payload.samples or ())


def _set_clock(result: Samples, ts: npt.NDArray[np.int64]) -> None:
    """As `checks.read_clock`."""
    wrong = (ts < OLDEST) | (ts - result.received > AHEAD_MS)
    result.claimed = np.where(wrong, ts, NO_TIME)
    result.ts = np.where(wrong, result.received, ts)
    late = ~wrong & (result.received - ts > LATE_MS)
    result.flags = (wrong * int(Flag.WRONG_CLOCK) | late * int(Flag.LATE)).astype(np.int16)


def _set_places(result: Samples, samples: Sequence[QuickSample | QuickTelemetry]) -> None:
    rows = [row for row, sample in enumerate(samples) if sample.position is not None]
    if not rows:
        return
    places = [place for sample in samples if (place := sample.position) is not None]
    for name in PLACE_LIMITS:
        getattr(result, name)[rows] = np.array([getattr(place, name) for place in places], np.float64)  # None: NaN
    result.fix[rows] = [FIX_INDEX.get(place.fix, -1) for place in places]

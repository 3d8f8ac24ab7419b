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
from gateway.quick import QuickSample, QuickTelemetry, place_of, readings_of
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
        """Topic -> key of the device; 0: what comes on it is read another way."""

    def read(self, line: bytes) -> Plain | None:
        """The line, if it is plain telemetry of the contract's own dialect; else it is `Edge`'s."""
        if len(line) > MOST_BYTES:
            return None
        try:
            if not line.isascii():
                line.decode()
            plain = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        key = self._keys.get(plain.topic)
        if key is None:
            topic = parse_topic(plain.topic)
            known = topic is not None and topic.route == "telemetry"
            key = self._registry.device(topic.device, topic.area).key if topic is not None and known else 0
            self._keys[plain.topic] = key
        return plain if key and _is_whole(plain.payload) else None

    def columns(self, lines: Sequence[Plain]) -> Samples:
        """All their samples, in order of arrival."""
        if any(line.payload.samples is not None for line in lines):
            sizes = [len(line.payload.samples or "1") for line in lines]
            lines = list(chain.from_iterable(map(repeat, lines, sizes)))
            part = np.concatenate([np.arange(size, dtype=np.int16) for size in sizes])
        else:
            part = np.zeros(len(lines), np.int16)
        payloads = [line.payload for line in lines]
        samples: list[QuickSample | QuickTelemetry] = [
            payload if payload.samples is None else payload.samples[index]
            for payload, index in zip(payloads, part.tolist(), strict=True)
        ]
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


def _is_whole(payload: QuickTelemetry) -> bool:
    if payload.acceleration is not None:
        return False
    if payload.samples is None:
        return payload.values is not None or payload.position is not None
    if payload.values is not None or payload.position is not None:
        return False
    return all(sample.holds_something() for sample in payload.samples)


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
    found = [place for row in rows if (place := place_of(samples[row].position)) is not None]
    places = np.array([place for place, _ in found])
    for column, name in enumerate(PLACE_LIMITS):
        getattr(result, name)[rows] = places[:, column]
    result.fix[rows] = [fix for _, fix in found]

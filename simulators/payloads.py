"""The bytes a device sends, by section 2 of the contract. Pure: time and counters are arguments."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from homecare.messages import Position

MOST_SAMPLES = 512
"""The contract's limit for one message."""


class Acceleration(msgspec.Struct, frozen=True):
    """A window of the wrist accelerometer: base64 of little-endian int16 triples, value = int16 × scale."""

    hz: float
    unit: Literal["m/s2", "g"]
    scale: float
    xyz: str


class Sample(msgspec.Struct, frozen=True):
    """What was measured at `ts` (Unix ms; None: the device has no clock)."""

    ts: int | None
    values: Mapping[str, float] = {}
    position: Position | None = None
    acceleration: Acceleration | None = None


def topic(area: str, device: str, leaf: str) -> str:
    """`care/v1/{area}/{device}/{leaf}`."""
    return f"care/v1/{area}/{device}/{leaf}"


def telemetry(boot: int, seq: int, samples: Sequence[Sample], *, subject: str | None = None) -> bytes:
    """One message; a single sample goes inline."""
    message: dict[str, Any] = {"boot": boot, "seq": seq}
    if subject is not None:
        message["subject"] = subject
    if len(samples) == 1:
        message |= _sample(samples[0])
    else:
        message["samples"] = [_sample(sample) for sample in samples]
    return msgspec.json.encode(message)


def event(boot: int, seq: int, name: str, sample: Sample, **members: object) -> bytes:
    """`members`: `of`, `service`."""
    return msgspec.json.encode({"boot": boot, "seq": seq, "event": name, **_sample(sample), **members})


def online(boot: int, model: str, firmware: str, interval_s: float) -> bytes:
    interval = int(interval_s) if float(interval_s).is_integer() else interval_s
    return msgspec.json.encode(
        {"boot": boot, "state": "online", "model": model, "firmware": firmware, "interval": interval}
    )


OFFLINE = b'{"state":"offline"}'


def reply(command: str, *, result: Mapping[str, object] | None = None, error: str | None = None) -> bytes:
    """To the command of that id: its result, or what went wrong."""
    if error is not None:
        return msgspec.json.encode({"id": command, "ok": False, "error": error})
    return msgspec.json.encode({"id": command, "ok": True, "result": result or {}})


def _sample(sample: Sample) -> dict[str, Any]:
    content: dict[str, Any] = {"ts": sample.ts}
    if sample.values:
        content["values"] = sample.values
    if sample.position is not None:
        content["position"] = sample.position
    if sample.acceleration is not None:
        content["acceleration"] = sample.acceleration
    return content

"""The quick reader: telemetry with nothing wrong, decoded and checked against the contract's limits in one go.

Its types are made of the same tables as the careful checks (`checks.py`), and it takes a message whole or not at all:
whatever it does not take is read again carefully, so that only one place knows what a rejection is.
"""

import math
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from gateway.checks import INT31, PLACE_LIMITS, Place
from homecare.messages import FIXES, Fix
from homecare.metrics import METRICS

MOST_SAMPLES: Final = 512
FIX_INDEX: Final = {fix: index for index, fix in enumerate(FIXES)}
_TS = Annotated[int, Meta(ge=-(2**62), le=2**62)]


def _between(low: float, high: float) -> Any:
    return Annotated[float, Meta(ge=low, le=high)]


_Values: Any = msgspec.defstruct(
    "_Values",
    [(metric.name, _between(metric.low, metric.high), math.nan) for metric in METRICS],
    forbid_unknown_fields=True,
    gc=False,
)
"""Fields in the order of METRICS, so that `astuple` is a row of `Samples.values`."""
_Place: Any = msgspec.defstruct(
    "_Place",
    [
        (name, _between(*limits)) if name in ("lat", "lon") else (name, _between(*limits) | None, None)
        for name, limits in PLACE_LIMITS.items()
    ]
    + [("fix", Fix | None, None)],
    gc=False,
)


class QuickSample(Struct, gc=False):
    """One of `samples`."""

    ts: _TS | None = None
    values: _Values | None = None
    position: _Place | None = None
    acceleration: msgspec.Raw | None = None

    def holds_something(self) -> bool:
        return self.acceleration is None and (self.values is not None or self.position is not None)


class QuickTelemetry(Struct, gc=False):
    """A message of telemetry, one sample inline or several."""

    boot: Annotated[int, Meta(ge=0, le=INT31)]
    seq: Annotated[int, Meta(ge=0, le=INT31)]
    ts: _TS | None = None
    subject: str | None = None
    values: _Values | None = None
    position: _Place | None = None
    acceleration: msgspec.Raw | None = None
    samples: Annotated[list[QuickSample], Meta(min_length=1, max_length=MOST_SAMPLES)] | None = None


_decode = msgspec.json.Decoder(QuickTelemetry).decode
readings_of = msgspec.structs.astuple
"""A decoded `values` object -> one row of `Samples.values`."""


def read_quickly(payload: bytes) -> QuickTelemetry | None:
    """The message, if it is of the plain kind and nothing is wrong with it."""
    try:
        if not payload.isascii():
            payload.decode()
        message = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if message.acceleration is not None:
        return None
    if message.samples is None:
        return message if message.values is not None or message.position is not None else None
    if message.values is not None or message.position is not None:
        return None
    return message if all(sample.holds_something() for sample in message.samples) else None


def place_of(position: Any) -> tuple[Place, int] | None:
    """((lat, lon, accuracy, speed, heading, altitude), fix index or -1) of a decoded position."""
    if position is None:
        return None
    lat, lon, *rest, fix = msgspec.structs.astuple(position)
    accuracy, speed, heading, altitude = (math.nan if value is None else value for value in rest)
    return (lat, lon, accuracy, speed, heading, altitude), FIX_INDEX.get(fix, -1)

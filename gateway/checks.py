"""The contract's word on what is good: clocks, readings, positions, acceleration; everything else is a problem with a name.

Pure functions: what can be kept is returned, what cannot is added to `Problems`.
"""

import base64
import contextlib
import math
from typing import Any, Final, Literal, cast

from homecare.messages import FIXES, RejectionReason
from homecare.metrics import BY_NAME, INDEX, METRICS
from homecare.samples import LATE_MS, NO_TIME, Flag

OLDEST: Final = 1_420_070_400_000
"""2015-01-01T00:00:00Z: a clock before it was never set, or is a GPS week off."""
AHEAD_MS: Final = 5 * 60_000
INT31: Final = 2**31 - 1
INT64: Final = 2**63 - 1

NO_READINGS: Final = (math.nan,) * len(METRICS)
NO_POSITION: Final = (math.nan,) * 6
PLACE_LIMITS: Final = {
    "lat": (-90.0, 90.0),
    "lon": (-180.0, 180.0),
    "accuracy": (0.0, 1e6),
    "speed": (0.0, 1000.0),
    "heading": (0.0, 360.0),
    "altitude": (-1000.0, 100_000.0),
}
"""Inclusive; degrees, metres, m/s. Their order is that of the tuples made here."""
HZ_LIMITS: Final = (0.1, 10_000.0)
SCALE_LIMITS: Final = (1e-9, 1e6)

Unit = Literal["m/s2", "g"]
Place = tuple[float, float, float, float, float, float]
"""lat, lon, accuracy, speed, heading, altitude; NaN where missing."""


class Problems:
    """What is wrong with one message: reason -> details, in the order they were found."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: dict[RejectionReason, list[str]] = {}

    def add(self, reason: RejectionReason, detail: str) -> None:
        self.found.setdefault(reason, []).append(detail)

    def __len__(self) -> int:
        return sum(map(len, self.found.values()))


def read_clock(ts: int | None, received: int) -> tuple[int, int, int]:
    """(ts to store, the device's unusable ts or NO_TIME, flags) of a measurement received at `received`; all Unix ms."""
    if ts is None:
        return received, NO_TIME, int(Flag.WRONG_CLOCK)
    if ts < OLDEST or ts - received > AHEAD_MS:
        return received, ts if -INT64 <= ts <= INT64 else NO_TIME, int(Flag.WRONG_CLOCK)
    return ts, NO_TIME, int(Flag.LATE) if received - ts > LATE_MS else 0


def check_integer(value: Any, low: int, high: int) -> int | None:
    """The integer, also where it was written like 3.0; None where it is anything else or outside low..high."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        if not value.is_integer():
            return None
        value = int(value)
    return value if low <= value <= high else None


def check_ts(value: Any, path: str, problems: Problems) -> tuple[bool, int | None]:
    """(usable, ts). A missing one is usable: a wrong clock. One that is not an integer is `bad_schema`."""
    if value is None:
        return True, None
    if isinstance(value, float) and abs(value) > 1e18:
        return True, INT64 + 1 if value > 0 else -INT64 - 1
    ts = check_integer(value, -(10**20), 10**20)
    if ts is None:
        problems.add("bad_schema", f"{path}ts: must be an integer, Unix milliseconds, or null")
    return ts is not None, ts


def check_number(value: Any, low: float, high: float, path: str, problems: Problems) -> float | None:
    """The number where it is one within low..high, else None and a problem."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        problems.add("not_a_number", f"{path}: {describe(value)} is not a number")
        return None
    if not low <= value <= high:
        problems.add("out_of_range", f"{path}: {value:.12g} is outside {low:.12g}..{high:.12g}")
        return None
    return float(value)


def check_readings(values: Any, path: str, problems: Problems, confidence: bool = False) -> dict[str, float]:
    """The good readings of a `values` object; `confidence` 0..1 is let through for a fall."""
    if values is None:
        return {}
    if not isinstance(values, dict):
        problems.add("bad_schema", f"{path}values: must be an object")
        return {}
    good = {}
    for name, value in values.items():
        metric = BY_NAME.get(name)
        if metric is not None:
            low, high = metric.low, metric.high
        elif confidence and name == "confidence":
            low, high = 0.0, 1.0
        else:
            problems.add("unknown_metric", f"{path}values.{name[:64]}")
            continue
        number = check_number(value, low, high, f"{path}values.{name}", problems)
        if number is not None:
            good[name] = number
    return good


def as_row(readings: dict[str, float]) -> tuple[float, ...]:
    """One row of `Samples.values`."""
    row = list(NO_READINGS)
    for name, value in readings.items():
        if (column := INDEX.get(name)) is not None:
            row[column] = value
    return tuple(row)


def check_position(position: Any, path: str, problems: Problems) -> tuple[Place, int] | None:
    """((lat, lon, …), fix index or -1); None where nothing of it can be kept.

    A bad lat or lon costs the position, any other bad member only itself; `"fix": "none"` may stand alone.
    """
    if position is None:
        return None
    if not isinstance(position, dict):
        problems.add("bad_schema", f"{path}position: must be an object")
        return None
    fix = -1
    if (named := position.get("fix")) is not None:
        if isinstance(named, str) and named in FIXES:
            fix = FIXES.index(named)
        else:
            problems.add("bad_schema", f"{path}position.fix: must be one of {', '.join(FIXES)}")
    if fix == 0 and position.get("lat") is None and position.get("lon") is None:
        return NO_POSITION, fix
    place = []
    for name, (low, high) in PLACE_LIMITS.items():
        value = position.get(name)
        number = None
        if value is not None:
            number = check_number(value, low, high, f"{path}position.{name}", problems)
        elif name in ("lat", "lon"):
            problems.add("bad_schema", f"{path}position.{name}: is missing")
        if number is None and name in ("lat", "lon"):
            return None
        place.append(math.nan if number is None else number)
    return cast("Place", tuple(place)), fix


def check_acceleration(window: Any, path: str, problems: Problems) -> tuple[float, Unit, float, bytes] | None:
    """(hz, unit, scale, little-endian int16 x,y,z…) or None: of a window with one bad member nothing can be used."""
    if window is None:
        return None
    if not isinstance(window, dict):
        problems.add("bad_schema", f"{path}acceleration: must be an object")
        return None
    before = len(problems)
    hz = check_number(window.get("hz"), *HZ_LIMITS, f"{path}acceleration.hz", problems)
    scale = check_number(window.get("scale"), *SCALE_LIMITS, f"{path}acceleration.scale", problems)
    unit, text = window.get("unit"), window.get("xyz")
    if unit not in ("m/s2", "g"):
        problems.add("bad_schema", f"{path}acceleration.unit: must be m/s2 or g")
    xyz = b""
    with contextlib.suppress(ValueError):  # not base64, or not ASCII
        xyz = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    if not xyz or len(xyz) % 6:
        problems.add("bad_schema", f"{path}acceleration.xyz: must be base64 of int16 triples")
    if len(problems) > before or hz is None or scale is None:
        return None
    return hz, cast("Unit", unit), scale, xyz


def describe(value: Any) -> str:
    """A wrong value in a few characters, for a person."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value[:40]}"'
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return str(value)

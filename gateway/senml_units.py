"""Which SenML units a metric may come in, and the plain arithmetic to the metric's own.

Units: the registries of RFC 8428 and RFC 8798 (secondary units), and the metric's own UCUM unit. A record without a
unit is in the metric's own. Nothing is converted that depends on the substance measured (glucose in mg/dL).
"""

from typing import Final

from homecare.metrics import METRICS

Conversion = tuple[float, float]
"""value × factor + offset is in the metric's own unit."""
SAME: Final[Conversion] = (1.0, 0.0)
_PASCAL: Final = 1 / 133.322387415
"""mm[Hg] in a pascal (UCUM: 133.322387415 Pa)."""

_BY_UNIT: Final[dict[str, dict[str, Conversion]]] = {
    "/min": {"beat/min": SAME, "1/min": SAME, "1/s": (60.0, 0.0), "Hz": (60.0, 0.0)},
    "%": {"/": (100.0, 0.0)},
    "mm[Hg]": {"mmHg": SAME, "Pa": (_PASCAL, 0.0), "hPa": (100 * _PASCAL, 0.0), "kPa": (1000 * _PASCAL, 0.0)},
    "Cel": {"K": (1.0, -273.15)},
    "mmol/L": {"mol/m3": SAME},
    "kg": {"g": (0.001, 0.0)},
    "cm": {"m": (100.0, 0.0), "mm": (0.1, 0.0)},
    "1": {"count": SAME, "/": SAME},
    "dBm": {"dBW": (1.0, 30.0)},
}
_BY_NAME: Final[dict[str, dict[str, Conversion]]] = {"battery": {"%EL": SAME}}

CONVERSIONS: Final[dict[str, dict[str, Conversion]]] = {
    metric.name: {metric.unit: SAME} | _BY_UNIT.get(metric.unit, {}) | _BY_NAME.get(metric.name, {})
    for metric in METRICS
} | {
    "lat": {"lat": SAME, "deg": SAME},
    "lon": {"lon": SAME, "deg": SAME},
    "accuracy": {"m": SAME, "km": (1000.0, 0.0)},
    "altitude": {"m": SAME, "km": (1000.0, 0.0)},
    "speed": {"m/s": SAME, "km/h": (1 / 3.6, 0.0)},
    "heading": {"deg": SAME, "rad": (57.29577951308232, 0.0)},
}
"""Record name (a metric, or a member of the contract's `position`) -> unit -> conversion."""
POSITION_NAMES: Final = frozenset({"lat", "lon", "accuracy", "altitude", "speed", "heading"})

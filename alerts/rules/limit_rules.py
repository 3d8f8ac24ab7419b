"""The pack's `limit` section: readings out of their limits."""

from typing import Literal

from alerts.rules.sections import Strict, check_text, check_version, wrong
from homecare.metrics import BY_NAME
from homecare.triggers import SEVERITIES, Kind, Severity

MOST_OF = 16
"""Readings that a rule can look back on."""


class Band(Strict, frozen=True):
    """From `limit` on (inclusive, in the metric's unit) a reading has this severity."""

    severity: Severity
    limit: float


class Reading(Strict, frozen=True):
    """One side of one metric: its bands from mild to severe. Over again at the first limit -/+ `hysteresis` (inclusive)."""

    metric: str
    side: Literal["high", "low"]
    hysteresis: float
    bands: tuple[Band, ...]
    zh: str
    en: str
    of: tuple[int, int] | None = None
    """[n, m]: only when n of the last m readings are beyond a band's limit (m at most `MOST_OF`)."""
    for_s: float = 0.0
    """Only when every reading of at least so long is beyond a band's limit."""

    @property
    def counted(self) -> bool:
        """Whether one reading alone says nothing."""
        return self.of is not None or self.for_s > 0

    @property
    def sign(self) -> int:
        """1 for high, -1 for low: sign * value >= sign * limit is beyond the limit."""
        return 1 if self.side == "high" else -1

    @property
    def clear(self) -> float:
        """The value at which it is over."""
        return self.bands[0].limit - self.sign * self.hysteresis


class LimitRule(Strict, frozen=True):
    """Readings out of their limits, with hysteresis. `scope`: whose state it is, the measured person's or the device's."""

    version: int
    kind: Kind
    scope: Literal["person", "device"]
    again_s: float
    reading: tuple[Reading, ...]
    cleared_zh: str
    cleared_en: str


def check_limit(rule: str, body: LimitRule) -> None:
    """Raises InputError: names the rule, the field and what was expected."""
    check_version(rule, body.version)
    if not 0 < body.again_s <= 366 * 86_400:
        raise wrong(rule, "again_s", "expected more than 0 and at most a year of seconds", body.again_s)
    if not body.reading:
        raise wrong(rule, "reading", "expected at least one", [])
    cleared = frozenset({"metric", "value", "unit"})
    check_text(rule, "cleared_zh", body.cleared_zh, cleared)
    check_text(rule, "cleared_en", body.cleared_en, cleared)
    sides: dict[tuple[str, str], Reading] = {}
    for index, reading in enumerate(body.reading):
        field = f"reading[{index}]"
        _check_reading(rule, field, reading)
        if (reading.metric, reading.side) in sides:
            raise wrong(rule, f"{field}.side", "expected each side of a metric once", reading.side)
        sides[reading.metric, reading.side] = reading
    for metric in {reading.metric for reading in body.reading}:
        low, high = sides.get((metric, "low")), sides.get((metric, "high"))
        if low and high and not (low.bands[0].limit < high.clear and low.clear < high.bands[0].limit):
            raise wrong(rule, f"reading of {metric}", "expected room between the low and the high side", low.clear)


def _check_reading(rule: str, field: str, reading: Reading) -> None:
    metric = BY_NAME.get(reading.metric)
    if metric is None:
        raise wrong(rule, f"{field}.metric", f"expected one of {', '.join(BY_NAME)}", reading.metric)
    if not 0 <= reading.hysteresis <= metric.high - metric.low:
        raise wrong(rule, f"{field}.hysteresis", "expected 0 or more, less than the metric's range", reading.hysteresis)
    if not reading.bands:
        raise wrong(rule, f"{field}.bands", "expected at least one", [])
    for index, band in enumerate(reading.bands):
        at = f"{field}.bands[{index}]"
        if not metric.low <= band.limit <= metric.high:
            expected = f"expected {metric.low} to {metric.high} {metric.unit}"
            raise wrong(rule, f"{at}.limit", expected, band.limit)
        if index:
            mild = reading.bands[index - 1]
            if not reading.sign * band.limit > reading.sign * mild.limit:
                raise wrong(rule, f"{at}.limit", "expected bands from mild to severe", band.limit)
            if not SEVERITIES.index(band.severity) < SEVERITIES.index(mild.severity):
                raise wrong(rule, f"{at}.severity", f"expected more severe than {mild.severity}", band.severity)
    if reading.of is not None and not 1 <= reading.of[0] <= reading.of[1] <= MOST_OF:
        raise wrong(rule, f"{field}.of", f"expected [n, m], n from 1 to m, m at most {MOST_OF}", list(reading.of))
    if not 0 <= reading.for_s <= 30 * 86_400:
        raise wrong(rule, f"{field}.for_s", "expected 0 or more, at most 30 days of seconds", reading.for_s)
    if reading.of is not None and reading.for_s > 0:
        raise wrong(rule, f"{field}.for_s", "expected none beside `of`", reading.for_s)
    allowed = frozenset({"metric", "value", "limit", "unit"})
    check_text(rule, f"{field}.zh", reading.zh, allowed)
    check_text(rule, f"{field}.en", reading.en, allowed)

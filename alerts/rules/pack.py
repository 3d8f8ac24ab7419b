"""The rule pack: rules as data, checked when loaded, so that a wrong number stops the program instead of an alarm.

A pack is one TOML file with a section per operator (`limit`, `silence`) and one for events; `pack.toml` beside this
module is the default and the example to follow.
"""

import string
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from homecare.errors import InputError
from homecare.metrics import BY_NAME
from homecare.triggers import SEVERITIES, Kind, Severity

DEFAULT = Path(__file__).with_name("pack.toml")

EVENTS = frozenset(
    [
        "sos",
        "fall",
        "cancel",
        "assist",
        "check_in",
        "taken_off",
        "put_on",
        "low_battery",
        "power_lost",
        "power_restored",
        "tamper",
        "smoke",
        "gas",
        "water",
        "door",
        "bed_exit",
    ]
)
"""Every event of the contract; a pack says of each what it calls for, or that it is only recorded."""
SERVICES = frozenset({"health", "housekeeping", "shopping", "other"})

Section = TypeVar("Section", bound=msgspec.Struct)


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of the pack: a misspelt field is an error, not ignored."""


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


class SilenceRule(Strict, frozen=True):
    """No data for `intervals` of the device's own interval, at least `floor_s`."""

    version: int
    kind: Kind
    severity: Severity
    intervals: float
    floor_s: float
    zh: str
    en: str
    cleared_zh: str
    cleared_en: str


class EventRule(Strict, frozen=True):
    """What an event calls for; `kind` None: it is recorded and calls nobody. `rule`: the trigger's, if not the event's name.

    `clears`: it raises nothing; what this other event raised is over.
    """

    version: int = 1
    rule: str | None = None
    clears: str | None = None
    kind: Kind | None = None
    severity: Severity = "info"
    services: dict[str, Severity] = {}
    zh: str = ""
    en: str = ""


class General(Strict, frozen=True):
    """What holds for all rules. `lateness_s`: how much older than its time of receipt a reading may be and still count."""

    lateness_s: float


class Pack(msgspec.Struct, frozen=True):
    """All rules by name."""

    general: General
    limit: dict[str, LimitRule]
    silence: SilenceRule
    event: dict[str, EventRule]

    @property
    def lateness_ms(self) -> int:
        """The allowed lateness in ms."""
        return round(self.general.lateness_s * 1000)


def load_pack(path: Path | str | None = None) -> Pack:
    """The pack in `path`, or the default one.

    Raises:
        InputError: names the file, the rule, the field and what was expected.
    """
    path = Path(path) if path is not None else DEFAULT
    try:
        return parse_pack(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"rule pack {path}: cannot be read ({error})") from error
    except InputError as error:
        raise InputError(f"rule pack {path}: {error}") from None


def parse_pack(text: str) -> Pack:
    """The pack written in `text` (TOML). Raises InputError as `load_pack`, without the file."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not TOML: {error}") from None
    for name in raw.keys() - {"pack", "limit", "silence", "event"}:
        raise InputError(f"section {name}: expected pack, limit, silence or event")
    pack = Pack(
        general=_convert("pack", raw.get("pack", {}), General),
        limit={name: _convert(f"limit.{name}", body, LimitRule) for name, body in _rules(raw, "limit").items()},
        silence=_convert("silence", raw.get("silence", {}), SilenceRule),
        event={name: _convert(f"event.{name}", body, EventRule) for name, body in _rules(raw, "event").items()},
    )
    if not 0 <= pack.general.lateness_s <= 86_400:
        raise _wrong("pack", "lateness_s", "expected 0 to 86400 seconds", pack.general.lateness_s)
    for name, rule in pack.limit.items():
        _check_limit(f"limit.{name}", rule)
    _check_silence(pack.silence)
    _check_events(pack.event)
    return pack


def _rules(raw: Mapping[str, Any], section: str) -> dict[str, Any]:
    body = raw.get(section, {})
    if not isinstance(body, dict):
        raise InputError(f"section {section}: expected rules by name, [{section}.NAME]")
    return body


def _convert(rule: str, body: Any, to: type[Section]) -> Section:
    try:
        return msgspec.convert(body, to)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".")
        raise InputError(f"rule {rule}{f', field {field}' if field else ''}: {problem}") from None


def _wrong(rule: str, field: str, expected: str, got: object) -> InputError:
    return InputError(f"rule {rule}, field {field}: {expected}, got {got!r}")


def _check_version(rule: str, version: int) -> None:
    if version < 1:
        raise _wrong(rule, "version", "expected 1 or more", version)


def _check_text(rule: str, field: str, template: str, allowed: frozenset[str]) -> None:
    if not template.strip():
        raise _wrong(rule, field, "expected a text", template)
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
        template.format_map(dict.fromkeys(allowed, ""))
    except (ValueError, KeyError, IndexError, AttributeError):
        names = {"?"}
    if names - allowed:
        raise _wrong(
            rule, field, f"expected a text whose fields are among {{{'}, {'.join(sorted(allowed))}}}", template
        )


def _check_limit(rule: str, body: LimitRule) -> None:
    _check_version(rule, body.version)
    if not 0 < body.again_s <= 366 * 86_400:
        raise _wrong(rule, "again_s", "expected more than 0 and at most a year of seconds", body.again_s)
    if not body.reading:
        raise _wrong(rule, "reading", "expected at least one", [])
    cleared = frozenset({"metric", "value", "unit"})
    _check_text(rule, "cleared_zh", body.cleared_zh, cleared)
    _check_text(rule, "cleared_en", body.cleared_en, cleared)
    sides: dict[tuple[str, str], Reading] = {}
    for index, reading in enumerate(body.reading):
        field = f"reading[{index}]"
        _check_reading(rule, field, reading)
        if (reading.metric, reading.side) in sides:
            raise _wrong(rule, f"{field}.side", "expected each side of a metric once", reading.side)
        sides[reading.metric, reading.side] = reading
    for metric in {reading.metric for reading in body.reading}:
        low, high = sides.get((metric, "low")), sides.get((metric, "high"))
        if low and high and not (low.bands[0].limit < high.clear and low.clear < high.bands[0].limit):
            raise _wrong(rule, f"reading of {metric}", "expected room between the low and the high side", low.clear)


def _check_reading(rule: str, field: str, reading: Reading) -> None:
    metric = BY_NAME.get(reading.metric)
    if metric is None:
        raise _wrong(rule, f"{field}.metric", f"expected one of {', '.join(BY_NAME)}", reading.metric)
    if not 0 <= reading.hysteresis <= metric.high - metric.low:
        raise _wrong(
            rule, f"{field}.hysteresis", "expected 0 or more, less than the metric's range", reading.hysteresis
        )
    if not reading.bands:
        raise _wrong(rule, f"{field}.bands", "expected at least one", [])
    for index, band in enumerate(reading.bands):
        at = f"{field}.bands[{index}]"
        if not metric.low <= band.limit <= metric.high:
            expected = f"expected {metric.low} to {metric.high} {metric.unit}"
            raise _wrong(rule, f"{at}.limit", expected, band.limit)
        if index:
            mild = reading.bands[index - 1]
            if not reading.sign * band.limit > reading.sign * mild.limit:
                raise _wrong(rule, f"{at}.limit", "expected bands from mild to severe", band.limit)
            if not SEVERITIES.index(band.severity) < SEVERITIES.index(mild.severity):
                raise _wrong(rule, f"{at}.severity", f"expected more severe than {mild.severity}", band.severity)
    allowed = frozenset({"metric", "value", "limit", "unit"})
    _check_text(rule, f"{field}.zh", reading.zh, allowed)
    _check_text(rule, f"{field}.en", reading.en, allowed)


def _check_silence(body: SilenceRule) -> None:
    _check_version("silence", body.version)
    if not 1 <= body.intervals <= 1000:
        raise _wrong("silence", "intervals", "expected 1 to 1000", body.intervals)
    if not 0 < body.floor_s <= 86_400:
        raise _wrong("silence", "floor_s", "expected more than 0 and at most 86400 seconds", body.floor_s)
    for field, allowed in (("zh", {"duration", "interval"}), ("en", {"duration", "interval"})):
        _check_text("silence", field, getattr(body, field), frozenset(allowed))
    for field in ("cleared_zh", "cleared_en"):
        _check_text("silence", field, getattr(body, field), frozenset())


def _check_events(events: Mapping[str, EventRule]) -> None:
    for name in sorted(EVENTS - events.keys()):
        raise InputError(f"rule event.{name}: expected a section, for every event of the contract has one")
    for name, body in events.items():
        rule = f"event.{name}"
        if name not in EVENTS:
            raise InputError(f"rule {rule}: expected one of {', '.join(sorted(EVENTS))}")
        _check_version(rule, body.version)
        if name in ("sos", "fall") and body.kind != name:
            raise _wrong(rule, "kind", f"expected {name!r}: it always raises an alert", body.kind)
        if body.clears is not None and (body.clears not in events or body.kind != events[body.clears].kind):
            raise _wrong(rule, "clears", "expected an event of the same kind", body.clears)
        if body.kind is None:
            continue
        for service in sorted(body.services.keys() - SERVICES):
            raise _wrong(rule, "services", f"expected {', '.join(sorted(SERVICES))}", service)
        allowed = frozenset({"service"}) if name == "assist" else frozenset()
        _check_text(rule, "zh", body.zh, allowed)
        _check_text(rule, "en", body.en, allowed)

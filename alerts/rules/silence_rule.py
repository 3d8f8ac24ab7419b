"""The pack's `silence` section: how long a device may say nothing, and when many of them are one outage."""

from alerts.rules.sections import Strict, check_text, check_version, wrong
from homecare.triggers import SEVERITIES, Kind, Severity


class OutageBand(Strict, frozen=True):
    """From so many silent devices on, an outage has this severity."""

    devices: int
    severity: Severity


class TogetherRule(Strict, frozen=True):
    """Many devices of one area silent at once are one outage of the area, told instead of each device's silence.

    A silence is held for `gather_s`, at least `gather_intervals` of the device's own interval. Are there then as many
    held ones in the area as the first band says, and at least `share` of those that should have spoken (the held ones
    and those heard after this one had missed its first message), it is an outage. It is over when `back` of its
    devices have been heard again.
    """

    version: int
    share: float
    gather_s: float
    gather_intervals: float
    back: float
    bands: tuple[OutageBand, ...]
    zh: str
    en: str
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
    together: TogetherRule | None = None
    """None: every silence is told by itself, at once."""


def check_silence(rule: str, body: SilenceRule) -> None:
    """Raises InputError: names the rule, the field and what was expected."""
    check_version(rule, body.version)
    if not 1 <= body.intervals <= 1000:
        raise wrong(rule, "intervals", "expected 1 to 1000", body.intervals)
    if not 0 < body.floor_s <= 86_400:
        raise wrong(rule, "floor_s", "expected more than 0 and at most 86400 seconds", body.floor_s)
    for field in ("zh", "en"):
        check_text(rule, field, getattr(body, field), frozenset({"duration", "interval"}))
    for field in ("cleared_zh", "cleared_en"):
        check_text(rule, field, getattr(body, field), frozenset())
    if body.together is not None:
        _check_together(f"{rule}.together", body.together)


def _check_together(rule: str, body: TogetherRule) -> None:
    check_version(rule, body.version)
    if not 0 < body.share <= 1:
        raise wrong(rule, "share", "expected more than 0 and at most 1", body.share)
    if not 0 < body.gather_s <= 3600:
        raise wrong(rule, "gather_s", "expected more than 0 and at most 3600 seconds", body.gather_s)
    if not 0 <= body.gather_intervals <= 100:
        raise wrong(rule, "gather_intervals", "expected 0 to 100", body.gather_intervals)
    if not 0 < body.back <= 1:
        raise wrong(rule, "back", "expected more than 0 and at most 1", body.back)
    if not body.bands:
        raise wrong(rule, "bands", "expected at least one", [])
    for index, band in enumerate(body.bands):
        mild = body.bands[index - 1] if index else None
        if band.devices < 2 or (mild is not None and band.devices <= mild.devices):
            raise wrong(rule, f"bands[{index}].devices", "expected 2 or more, from few to many", band.devices)
        if mild is not None and SEVERITIES.index(band.severity) >= SEVERITIES.index(mild.severity):
            raise wrong(rule, f"bands[{index}].severity", f"expected more severe than {mild.severity}", band.severity)
    for field in ("zh", "en", "cleared_zh", "cleared_en"):
        check_text(rule, field, getattr(body, field), frozenset({"area", "silent"}))

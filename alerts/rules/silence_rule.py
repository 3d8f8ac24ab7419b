"""The pack's `silence` section: how long a device may say nothing."""

from alerts.rules.sections import Strict, check_text, check_version, wrong
from homecare.triggers import Kind, Severity


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

"""The pack's `score` sections: when the warning score of what was measured together calls for people."""

from alerts.rules.sections import Strict, check_text, check_version, wrong
from homecare.triggers import SEVERITIES, Severity

FIELDS = frozenset({"least", "most", "readings", "missing"})


class ScoreBand(Strict, frozen=True):
    """From this aggregate on (inclusive) a score has this severity."""

    score: int
    severity: Severity


class ScoreRule(Strict, frozen=True):
    """NEWS2 over what was measured of a person within `window_s`, the newest of each metric.

    What counts is the aggregate that is certain, whatever the rest may be; it is told with its possible range.
    """

    version: int
    window_s: float
    single: Severity
    """A single parameter that scores 3."""
    single_measured: int
    """Told only where at least so many of the five metrics were measured: one alone is for its limits to tell."""
    bands: tuple[ScoreBand, ...]
    again_s: float
    hold_s: float
    """An episode lasts at least so long."""
    wait_s: float
    zh: str
    en: str
    cleared_zh: str
    cleared_en: str


def check_score(name: str, rule: ScoreRule) -> None:
    """What the types of `rule` do not say. Raises InputError."""
    check_version(name, rule.version)
    if not 0 < rule.window_s <= 86_400:
        raise wrong(name, "window_s", "expected more than 0 and at most 86400 seconds", rule.window_s)
    if not 1 <= rule.single_measured <= 5:
        raise wrong(name, "single_measured", "expected 1 to 5 metrics", rule.single_measured)
    if not 1 <= len(rule.bands) <= 6:
        raise wrong(name, "bands", "expected 1 to 6", len(rule.bands))
    for index, band in enumerate(rule.bands):
        mild = rule.bands[index - 1] if index else None
        if not 1 <= band.score <= 20 or (mild is not None and band.score <= mild.score):
            raise wrong(name, f"bands[{index}].score", "expected 1 to 20, from mild to severe", band.score)
        if mild is not None and SEVERITIES.index(band.severity) >= SEVERITIES.index(mild.severity):
            raise wrong(name, f"bands[{index}].severity", f"expected more severe than {mild.severity}", band.severity)
    if not 0 < rule.again_s <= 366 * 86_400:
        raise wrong(name, "again_s", "expected more than 0 and at most a year of seconds", rule.again_s)
    if not 0 <= rule.hold_s <= 86_400:
        raise wrong(name, "hold_s", "expected 0 to 86400 seconds", rule.hold_s)
    if not 0 <= rule.wait_s <= 3600:
        raise wrong(name, "wait_s", "expected 0 to 3600 seconds", rule.wait_s)
    for field in ("zh", "en", "cleared_zh", "cleared_en"):
        check_text(name, field, getattr(rule, field), FIELDS)

"""The section `[change.NAME]` of the rule pack: a measurement moves away from what it was for this person."""

from typing import Literal

from alerts.rules.sections import Strict, check_text, check_version, wrong
from homecare.metrics import BY_NAME
from homecare.triggers import Severity

FIELDS = frozenset({"metric", "value", "unit", "usual", "difference", "days"})
"""What a text may name: the reading, the reference, how far from it, over how many days."""
CLEARED_FIELDS = frozenset({"metric", "value", "unit"})


class ChangeRule(Strict, frozen=True, kw_only=True):
    """One metric against a personal baseline of daily values.

    `metric`, `day_value`, `bins` and `keep` shape what is remembered: an override of them changes nothing until the start.
    """

    version: int
    severity: Severity
    metric: str
    on: bool = True
    against: Literal["recent", "usual"]
    """"recent": today's value against the lowest ("down": the highest) of the last `days` days. "usual": the median of
    the last `recent` days measured against the median of those before, at most `days` days back and `keep` in number."""
    direction: Literal["up", "down", "both"]
    day_value: Literal["lowest", "highest", "mean"]
    """What stands for a day on which there are several readings (of the day so far, for today)."""
    bins: int = 1
    """The day in so many parts, each with a baseline of its own; 24: by the hour."""
    days: int
    recent: int = 1
    keep: int
    """How many days' values are remembered, today's among them."""
    least: int
    """So many days must be there to compare with, or nothing is said."""
    limit: float
    """In the metric's unit: this far away, it is raised."""
    spreads: float = 0.0
    """And at least so many times as far as this person's days usually lie apart (robust standard deviation)."""
    spread_days: int = 2
    """So many days must be known before how far they lie apart counts: of a few, a gain itself is the spread."""
    hysteresis: float
    most: float | None = None
    """A reading further away than this is not of this person, or not a reading: it is left out."""
    for_s: float = 0.0
    """The readings must lie beyond for so long."""
    hold_days: int
    """Once raised, the reference stays for so long: it is over when the value is back, not when one got used to it."""
    again_s: float
    wait_s: float = 300.0
    zh: str
    en: str
    cleared_zh: str
    cleared_en: str


def check_change(name: str, rule: ChangeRule) -> None:
    """What the types of `rule` do not say. Raises InputError."""
    check_version(name, rule.version)
    if rule.metric not in BY_NAME:
        raise wrong(name, "metric", f"expected one of {', '.join(BY_NAME)}", rule.metric)
    if not 1 <= rule.days <= 366:
        raise wrong(name, "days", "expected 1 to 366", rule.days)
    if not 2 <= rule.keep <= 64:
        raise wrong(name, "keep", "expected 2 to 64 days", rule.keep)
    if not 1 <= rule.recent < rule.keep:
        raise wrong(name, "recent", "expected 1 or more and less than `keep`", rule.recent)
    if not 1 <= rule.least <= rule.keep - rule.recent:
        raise wrong(name, "least", "expected 1 to `keep` - `recent`", rule.least)
    if rule.bins not in (1, 2, 3, 4, 6, 8, 12, 24):
        raise wrong(name, "bins", "expected 1, 2, 3, 4, 6, 8, 12 or 24", rule.bins)
    if rule.against == "recent" and (rule.direction == "both" or rule.recent != 1):
        raise wrong(name, "direction", "expected up or down, and recent = 1, against what was recent", rule.direction)
    if rule.against == "recent" and rule.keep <= rule.days:
        raise wrong(name, "keep", "expected more than `days`, against what was recent", rule.keep)
    if not rule.limit > 0:
        raise wrong(name, "limit", "expected more than 0", rule.limit)
    if not 0 <= rule.spreads <= 10:
        raise wrong(name, "spreads", "expected 0 to 10", rule.spreads)
    if not 2 <= rule.spread_days < rule.keep:
        raise wrong(name, "spread_days", "expected 2 or more and less than `keep`", rule.spread_days)
    if not 0 <= rule.hysteresis <= rule.limit:
        raise wrong(name, "hysteresis", "expected 0 to the limit", rule.hysteresis)
    if rule.most is not None and not rule.most > rule.limit:
        raise wrong(name, "most", "expected more than the limit", rule.most)
    if not 0 <= rule.for_s <= 30 * 86_400:
        raise wrong(name, "for_s", "expected 0 to 30 days of seconds", rule.for_s)
    if not 0 <= rule.hold_days <= 366:
        raise wrong(name, "hold_days", "expected 0 to 366", rule.hold_days)
    if not 0 < rule.again_s <= 366 * 86_400:
        raise wrong(name, "again_s", "expected more than 0 and at most a year of seconds", rule.again_s)
    if not 0 <= rule.wait_s <= 86_400:
        raise wrong(name, "wait_s", "expected 0 to 86400 seconds", rule.wait_s)
    for field in ("zh", "en"):
        check_text(name, field, getattr(rule, field), FIELDS)
    for field in ("cleared_zh", "cleared_en"):
        check_text(name, field, getattr(rule, field), CLEARED_FIELDS)

"""The section `[routine.NAME]` of the rule pack: a sign of life that is usually, or by agreement, there by some hour."""

from alerts.rules.operator import EVENTS
from alerts.rules.sections import Strict, check_text, check_version, wrong
from homecare.metrics import BY_NAME
from homecare.triggers import Severity

FIELDS = frozenset({"by", "usual"})
"""What a text may name, by the clock on the person's wall: the deadline, and when they are usually up."""
CLEARED_FIELDS = frozenset({"at"})


class RoutineRule(Strict, frozen=True, kw_only=True):
    """By when the first sign of a day is due. Minutes of the day are local ones."""

    version: int
    severity: Severity
    on: bool = True
    signs: tuple[str, ...]
    """Metrics (a value over 0 is a sign) and events."""
    from_minute: int
    """When the day begins: what is earlier belongs to the day before."""
    by_minute: int | None = None
    """The deadline. None: it is learnt from the first signs of this person's days, by the fields below."""
    share: float = 0.9
    """On so many of their days the first sign was no later than what is usual (a quantile, 0..1; never the latest)."""
    margin_minutes: int = 0
    """On top of what is usual."""
    days: int = 28
    """How far back days count."""
    keep: int = 14
    """How many days with a sign are remembered."""
    least: int = 7
    """So many days must be known, or nothing is said."""
    wait_s: float
    zh: str
    en: str
    cleared_zh: str
    cleared_en: str


def check_routine(name: str, rule: RoutineRule) -> None:
    """What the types of `rule` do not say. Raises InputError."""
    check_version(name, rule.version)
    if not rule.signs:
        raise wrong(name, "signs", "expected at least one", rule.signs)
    for index, sign in enumerate(rule.signs):
        if sign not in BY_NAME and sign not in EVENTS:
            raise wrong(name, f"signs[{index}]", "expected a metric or an event", sign)
    if not 0 <= rule.from_minute < 1440:
        raise wrong(name, "from_minute", "expected 0 to 1439 minutes after midnight", rule.from_minute)
    if rule.by_minute is not None and not rule.from_minute < rule.by_minute < 1440:
        raise wrong(name, "by_minute", "expected more than from_minute and at most 1439", rule.by_minute)
    if not 0 < rule.share <= 1:
        raise wrong(name, "share", "expected more than 0 and at most 1", rule.share)
    if not 0 <= rule.margin_minutes < 1440:
        raise wrong(name, "margin_minutes", "expected 0 to 1439", rule.margin_minutes)
    if not 2 <= rule.keep <= 64:
        raise wrong(name, "keep", "expected 2 to 64 days", rule.keep)
    if not 1 <= rule.least <= rule.keep:
        raise wrong(name, "least", "expected 1 to `keep`", rule.least)
    if not rule.least <= rule.days <= 366:
        raise wrong(name, "days", "expected `least` to 366", rule.days)
    if not 0 <= rule.wait_s <= 7200:
        raise wrong(name, "wait_s", "expected 0 to 7200 seconds", rule.wait_s)
    for field in ("zh", "en"):
        check_text(name, field, getattr(rule, field), FIELDS)
    for field in ("cleared_zh", "cleared_en"):
        check_text(name, field, getattr(rule, field), CLEARED_FIELDS)

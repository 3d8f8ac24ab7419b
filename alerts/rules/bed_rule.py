"""The section `[bed]` of the rule pack: a care bed left at night for longer than this person's habit."""

from alerts.rules.sections import Strict, check_text, check_version, wrong
from homecare.triggers import Severity

FIELDS = frozenset({"left", "duration", "usual"})
"""What a text may name: when the bed was left (local clock), for how long now, how long is usual."""
CLEARED_FIELDS = frozenset({"left", "duration"})


class BedRule(Strict, frozen=True, kw_only=True):
    """How long somebody may be out of bed at night. Minutes of the day are local ones."""

    version: int
    severity: Severity
    on: bool = True
    from_minute: int
    """The night begins; a bed left before is not this rule's."""
    to_minute: int
    """It ends on the next day: who is up then is up."""
    share: float
    """So many of their own absences are no longer than what is usual (a quantile, 0..1; never the longest)."""
    margin_s: float
    """On top of what is usual."""
    floor_s: float
    """Never sooner than this, and this long where less than `least` absences are known."""
    most_s: float
    """Never later than this, whatever the habit."""
    least: int
    keep: int
    """How many of the last absences are remembered."""
    short_s: float
    """An absence shorter than this is a turn in bed: nothing is learnt from it."""
    back_s: float
    """Back means in bed for so long."""
    wait_s: float = 300.0
    zh: str
    en: str
    cleared_zh: str
    cleared_en: str


def check_bed(name: str, rule: BedRule) -> None:
    """What the types of `rule` do not say. Raises InputError."""
    check_version(name, rule.version)
    for field in ("from_minute", "to_minute"):
        if not 0 <= getattr(rule, field) < 1440:
            raise wrong(name, field, "expected 0 to 1439 minutes after midnight", getattr(rule, field))
    if rule.from_minute == rule.to_minute:
        raise wrong(name, "to_minute", "expected another minute than from_minute", rule.to_minute)
    if not 0 < rule.share <= 1:
        raise wrong(name, "share", "expected more than 0 and at most 1", rule.share)
    if not 60 <= rule.floor_s <= rule.most_s:
        raise wrong(name, "floor_s", "expected 60 seconds to most_s", rule.floor_s)
    if not rule.most_s <= 43_200:
        raise wrong(name, "most_s", "expected at most 43200 seconds", rule.most_s)
    if not 0 <= rule.margin_s <= 43_200:
        raise wrong(name, "margin_s", "expected 0 to 43200 seconds", rule.margin_s)
    if not 2 <= rule.keep <= 64:
        raise wrong(name, "keep", "expected 2 to 64 absences", rule.keep)
    if not 1 <= rule.least <= rule.keep:
        raise wrong(name, "least", "expected 1 to `keep`", rule.least)
    if not 0 <= rule.short_s <= rule.floor_s:
        raise wrong(name, "short_s", "expected 0 to floor_s", rule.short_s)
    if not 0 <= rule.back_s <= 3600:
        raise wrong(name, "back_s", "expected 0 to 3600 seconds", rule.back_s)
    if not 0 <= rule.wait_s <= 3600:
        raise wrong(name, "wait_s", "expected 0 to 3600 seconds", rule.wait_s)
    for field in ("zh", "en"):
        check_text(name, field, getattr(rule, field), FIELDS)
    for field in ("cleared_zh", "cleared_en"):
        check_text(name, field, getattr(rule, field), CLEARED_FIELDS)

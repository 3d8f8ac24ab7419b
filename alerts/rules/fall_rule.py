"""The section `[fall]` of the rule pack: from how sure on a fall is told, and what is watched for after it."""

from alerts.rules.sections import Strict, check_text, check_version, wrong
from homecare.triggers import Severity

RAISED = frozenset({"peak", "percent"})
"""What the text of a fall may name: the strength of the impact in g, how sure the model is in percent."""
AFTER = frozenset({"duration"})
"""What the texts of what followed may name: how long it was seen."""


class FallRule(Strict, frozen=True):
    """A fall in raw acceleration, and what the wrist does after it."""

    version: int
    severity: Severity
    still_severity: Severity
    """Of a fall after which the wrist lay still."""
    up_severity: Severity
    """Of a fall after which the person walked."""
    confidence: float
    """From this output of the model on (0..1) it is told."""
    quiet_s: float
    """Two impacts this close to each other are one fall."""
    late_s: float
    """So long after the next window was expected, an impact is judged without it."""
    still_s: float
    """So long after the impact it is decided whether the wrist lay still."""
    still_g: float
    """A second whose |a| spreads by less (standard deviation, g) is still."""
    still_share: float
    """Of the seconds seen, so many must be still."""
    up_g: float
    """A second whose |a| spreads by more is one of walking."""
    up_seconds: int
    """So many in a row are walking."""
    zh: str
    en: str
    still_zh: str
    still_en: str
    up_zh: str
    up_en: str


def check_fall(name: str, rule: FallRule) -> None:
    """What the types of `rule` do not say. Raises InputError."""
    check_version(name, rule.version)
    for field, low, high in (
        ("confidence", 0, 1),
        ("quiet_s", 0, 600),
        ("late_s", 0, 60),
        ("still_s", 5, 60),
        ("still_g", 0.001, 1),
        ("still_share", 0, 1),
        ("up_g", 0.001, 4),
        ("up_seconds", 3, 60),
    ):
        value = getattr(rule, field)
        if not low <= value <= high:
            raise wrong(name, field, f"expected {low} to {high}", value)
    if not rule.still_g < rule.up_g:
        raise wrong(name, "still_g", f"expected less than up_g ({rule.up_g:g})", rule.still_g)
    for field, allowed in (("", RAISED), ("still_", AFTER), ("up_", AFTER)):
        check_text(name, f"{field}zh", getattr(rule, f"{field}zh"), allowed)
        check_text(name, f"{field}en", getattr(rule, f"{field}en"), allowed)

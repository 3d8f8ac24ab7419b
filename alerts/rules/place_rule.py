"""The section `[place]` of the rule pack: when somebody counts as having left, entered or not come home, and which
position is believed at all.
"""

from alerts.rules.sections import Strict, check_text, check_version, wrong
from homecare.triggers import SEVERITIES, Severity

FIELDS = {
    "leave": frozenset({"place", "time", "distance"}),
    "enter": frozenset({"place", "time", "distance"}),
    "home_by": frozenset({"place", "time", "distance"}),
    "jump": frozenset({"distance", "duration"}),
    "stuck": frozenset({"duration"}),
}
"""What the texts of each may name; those of its end the same."""


class Call(Strict, frozen=True):
    """How severe it is and how it is said, and its end where it has one."""

    severity: Severity
    zh: str
    en: str
    cleared_zh: str = ""
    cleared_en: str = ""


class PlaceRule(Strict, frozen=True):
    """Inside or outside is decided by fixes that leave no doubt, `fixes` of them over at least `dwell_s`."""

    version: int
    accuracy_m: float
    """Of a fix that does not say (68 %)."""
    sure: float
    """So many times its accuracy beyond the border, a fix is outside."""
    margin_m: float
    """And at least so far."""
    worst_m: float
    """A fix worse than this is not inside only because it is drawn there."""
    dwell_s: float
    fixes: int
    home_radius_m: float
    """A circle round everybody's home; 0: none."""
    home_from: int
    home_until: int
    """Leaving it tells between these minutes of the local day (over midnight where from > until)."""
    top_speed: float
    """m/s. A fix that could only be reached faster is doubted, until `doubts` in a row agree with each other."""
    doubts: int
    again_s: float
    """So long after a doubted fix the next one is told."""
    stuck_s: float
    stuck_fixes: int
    """To the last digit the same satellite fix, so often for so long: the receiver repeats itself."""
    stale_s: float
    """Where somebody was that long ago says nothing about where they are when they should be home."""
    leave: Call
    enter: Call
    home_by: Call
    jump: Call
    stuck: Call
    wait_s: float = 300.0

    def call(self, what: str) -> Call:
        """The texts and severity of `leave`, `enter`, `home_by`, `jump` or `stuck`."""
        call: Call = getattr(self, what)
        return call


def check_place(name: str, rule: PlaceRule) -> None:
    """What the types of `rule` do not say. Raises InputError."""
    check_version(name, rule.version)
    for field, low, high in (
        ("accuracy_m", 1, 1000),
        ("sure", 0, 10),
        ("margin_m", 0, 10_000),
        ("worst_m", 1, 10_000),
        ("dwell_s", 0, 86_400),
        ("fixes", 1, 100),
        ("home_radius_m", 0, 100_000),
        ("home_from", 0, 1440),
        ("home_until", 0, 1440),
        ("top_speed", 1, 1000),
        ("doubts", 2, 100),
        ("again_s", 0, 30 * 86_400),
        ("stuck_s", 60, 30 * 86_400),
        ("stuck_fixes", 2, 10_000),
        ("stale_s", 0, 30 * 86_400),
        ("wait_s", 0, 3600),
    ):
        value = getattr(rule, field)
        if not low <= value <= high:
            raise wrong(name, field, f"expected {low} to {high}", value)
    for what, fields in FIELDS.items():
        call = rule.call(what)
        if call.severity not in SEVERITIES:
            raise wrong(name, f"{what}.severity", f"expected one of {', '.join(SEVERITIES)}", call.severity)
        for field in ("zh", "en") if what == "jump" else ("zh", "en", "cleared_zh", "cleared_en"):
            check_text(name, f"{what}.{field}", getattr(call, field), fields)

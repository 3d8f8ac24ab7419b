"""The section `[wandering]` of the rule pack: how far somebody walks, getting nowhere, before it is told."""

from alerts.rules.sections import Strict, check_text, check_version, wrong
from homecare.triggers import Severity

FIELDS = frozenset({"pattern", "path", "extent", "duration"})


class WanderingRule(Strict, frozen=True):
    """`path_m` walked within `window_s` and within an extent of 1 / `ratio` of that; corners are `step_m` apart.

    Where the extent is over `near_m`, `far_ratio` is asked: who carries things from the car to the house walks far too.
    """

    version: int
    severity: Severity
    night_severity: Severity
    night_from: int
    night_until: int
    """At night: between these minutes of the local day (over midnight where from > until)."""
    ratio: float
    near_m: float
    far_ratio: float
    path_m: float
    window_s: float
    step_m: float
    """Nearer than this, or than a fix's own accuracy, nobody has moved."""
    worst_m: float
    """Fixes worse than this say nothing of how somebody walks."""
    fastest: float
    """m/s; faster is a ride, and the walk begins anew after it."""
    slowest: float
    """m/s on average."""
    pause_s: float
    """A stop as long as this ends a walk."""
    home_m: float
    """So near home it is not looked at: a receiver that lies on the table at home walks about as well."""
    calm_s: float
    """It is over after so long without it."""
    zh: str
    en: str
    cleared_zh: str
    cleared_en: str
    wait_s: float = 300.0


def check_wandering(name: str, rule: WanderingRule) -> None:
    """What the types of `rule` do not say. Raises InputError."""
    check_version(name, rule.version)
    for field, low, high in (
        ("night_from", 0, 1440),
        ("night_until", 0, 1440),
        ("ratio", 2, 100),
        ("near_m", 1, 3000),
        ("far_ratio", 2, 100),
        ("path_m", 10, 3000),
        ("window_s", 60, 3600),
        ("step_m", 1, 100),
        ("worst_m", 1, 100),
        ("fastest", 1, 10),
        ("slowest", 0, 2),
        ("pause_s", 10, 3600),
        ("home_m", 0, 10_000),
        ("calm_s", 0, 86_400),
        ("wait_s", 0, 3600),
    ):
        value = getattr(rule, field)
        if not low <= value <= high:
            raise wrong(name, field, f"expected {low} to {high}", value)
    for field in ("zh", "en"):
        check_text(name, field, getattr(rule, field), FIELDS)
        check_text(name, f"cleared_{field}", getattr(rule, f"cleared_{field}"), frozenset({"duration"}))

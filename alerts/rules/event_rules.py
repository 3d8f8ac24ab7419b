"""The pack's `event` section: what each event of the contract calls for."""

from collections.abc import Mapping

import msgspec

from alerts.rules.operator import EVENTS
from alerts.rules.sections import Strict, check_text, check_version, wrong
from homecare.errors import InputError
from homecare.triggers import Kind, Severity

SERVICES = frozenset({"health", "housekeeping", "shopping", "other"})


class EventRule(Strict, frozen=True):
    """What an event calls for; `kind` None: it is recorded and calls nobody. `rule`: the trigger's, if not the event's name.

    `clears`: it raises nothing; what this other event raised is over.
    """

    version: int = 1
    rule: str | None = None
    clears: str | None = None
    kind: Kind | None = None
    severity: Severity = "info"
    services: dict[str, Severity] = msgspec.field(default_factory=dict)
    zh: str = ""
    en: str = ""


def check_events(events: Mapping[str, EventRule]) -> None:
    """Raises InputError: names the rule, the field and what was expected."""
    for name in sorted(set(EVENTS) - events.keys()):
        raise InputError(f"rule event.{name}: expected a section, for every event of the contract has one")
    for name, body in events.items():
        rule = f"event.{name}"
        if name not in EVENTS:
            raise InputError(f"rule {rule}: expected one of {', '.join(sorted(EVENTS))}")
        check_version(rule, body.version)
        if name in ("sos", "fall") and body.kind != name:
            raise wrong(rule, "kind", f"expected {name!r}: it always raises an alert", body.kind)
        if body.clears is not None and (body.clears not in events or body.kind != events[body.clears].kind):
            raise wrong(rule, "clears", "expected an event of the same kind", body.clears)
        if body.kind is None:
            continue
        for service in sorted(body.services.keys() - SERVICES):
            raise wrong(rule, "services", f"expected {', '.join(sorted(SERVICES))}", service)
        allowed = frozenset({"service"}) if name == "assist" else frozenset()
        check_text(rule, "zh", body.zh, allowed)
        check_text(rule, "en", body.en, allowed)

"""What an event calls for: the pack says the kind and severity, this module the evidence and the sentence.

Nothing here looks at the time to decide: an SOS or fall calls for people however late it comes.
"""

from typing import Any, Literal

import msgspec

from alerts.rules import texts
from alerts.rules.event_rules import EventRule
from alerts.rules.pack import Pack
from homecare.messages import Event
from homecare.samples import Flag
from homecare.triggers import Trigger


def event_trigger(event: Event, pack: Pack) -> Trigger | None:
    """The trigger that `event` is; None: it is recorded and calls nobody. Device or resident 0: not registered, nobody."""
    rule = pack.event.get(event.event)
    if rule is None or rule.kind is None:
        return None
    return Trigger(
        key=_key(event),
        at=event.ts,
        rule=rule.rule or rule.clears or event.event,
        version=rule.version,
        kind=rule.kind,
        metric=None,
        severity=rule.services.get(event.service or "other", rule.severity),
        state="cleared" if rule.clears else "raised",
        device=event.origin.device_key or 0,
        resident=event.origin.resident_key or 0,
        evidence=_evidence(event),
        zh=_text(event, rule, "zh"),
        en=_text(event, rule, "en"),
    )


def delay_ms(event: Event) -> int:
    """How long it took to reach us; 0 where the device's clock is wrong, for then nobody knows."""
    return 0 if event.flags & Flag.WRONG_CLOCK else max(0, event.received - event.ts)


def _key(event: Event) -> str:
    if event.boot is not None and event.seq is not None:
        return f"event:{event.origin.device}:{event.boot}:{event.seq}"
    # Salvaged without its name: the device's own time, if it sent one, is the same when it comes again.
    moment = event.ts if event.claimed is None else event.claimed
    return f"event:{event.origin.device}:salvaged:{event.event}:{moment}"


def _evidence(event: Event) -> dict[str, Any]:
    evidence: dict[str, Any] = {
        "event": event.event,
        "device": event.origin.device,
        "at": event.ts,
        "received": event.received,
        "delayed_s": round(delay_ms(event) / 1000, 3),
        "late": bool(event.flags & Flag.LATE),
        "wrong_clock": bool(event.flags & Flag.WRONG_CLOCK),
        "salvaged": bool(event.flags & Flag.SALVAGED),
        "position": None if event.position is None else msgspec.to_builtins(event.position),
    }
    if event.boot is not None:
        evidence |= {"boot": event.boot, "seq": event.seq}
    if event.claimed is not None:
        evidence["claimed"] = event.claimed
    if event.service is not None:
        evidence["service"] = event.service
    if event.values:
        evidence["values"] = event.values
    return evidence


def _text(event: Event, rule: EventRule, language: Literal["zh", "en"]) -> str:
    template = rule.zh if language == "zh" else rule.en
    text = template.format(service=texts.service(event.service, language))
    confidence = event.values.get("confidence")
    if event.event == "fall" and confidence is not None:
        text = texts.confidence(text, language, confidence)
    if event.flags & Flag.LATE:
        text = texts.late(text, language, delay_ms(event))
    if event.flags & Flag.WRONG_CLOCK:
        text = texts.wrong_clock(text, language)
    return text

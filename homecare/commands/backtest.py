"""`homecare backtest`: what the rules say of a capture, before a rule is switched on. No database, no broker."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from alerts.rules.pack import load_pack
from homecare.commands.backtest_capture import Capture
from homecare.commands.backtest_labels import Score, load_labels
from homecare.commands.backtest_replay import Names, Replay, Tally
from homecare.triggers import Trigger


class Said(msgspec.Struct, frozen=True):
    """One line of the output (contract section 4)."""

    at: int
    rule: str
    kind: str
    metric: str | None
    severity: str
    device: str
    subject: str | None
    evidence: dict[str, Any]


def command(file: str, rules: str = "", against: str = "", interval: float = 60.0, zone: str = "") -> int:
    """Triggers as JSON lines on standard output; what was in the capture, and how the rules did, on standard error."""
    pack = load_pack(rules or None)
    score = Score(load_labels(Path(against), zone or "UTC")) if against else None
    replay = Replay(pack, interval_s=interval, zone=zone or None, see=score.see if score else lambda _: None)
    capture = Capture(Path(file), replay.bulk.read)
    names = Names(replay.registry)
    try:
        for messages in capture.blocks():
            _say(replay.take(messages), names, score)
        _say(replay.end(), names, score)
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more, as after `| head`; the interpreter must not try to flush at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    report = [*summary(capture, replay.tally), *(score.report(names.people()) if score else ())]
    sys.stderr.write("".join(f"{line}\n" for line in report))
    return 0


def summary(capture: Capture, tally: Tally) -> Iterator[str]:
    """What was in the capture, and what of it was not taken."""
    yield (
        f"{tally.messages} messages: {tally.samples} samples, {tally.windows} windows of acceleration, "
        f"{tally.events} events"
    )
    for reason, count in sorted(tally.rejected.items()):
        yield f"rejected: {reason} {count}"
    yield from (f"left out: {problem}" for problem in capture.named)
    if capture.wrong > len(capture.named):
        yield f"left out: {capture.wrong - len(capture.named)} more lines"


def _say(triggers: Iterable[Trigger], names: Names, score: Score | None) -> None:
    lines = []
    for trigger in triggers:
        said = Said(
            at=trigger.at,
            rule=trigger.rule,
            kind=trigger.kind,
            metric=trigger.metric,
            severity=trigger.severity,
            device=names.device(trigger.device),
            subject=names.subject(trigger.resident),
            evidence=trigger.evidence,
        )
        lines.append(msgspec.json.encode(said) + b"\n")
        if score is not None:
            about = frozenset({said.rule, said.kind} | ({said.metric} if said.metric else set()))
            score.count(said.at, said.subject or said.device, about)
    sys.stdout.buffer.writelines(lines)

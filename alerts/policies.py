"""Who is told next, and when the one after: pure decisions, each with its reason by name.

A policy is a list of steps; a step resolves to recipients through the alert's circle. Who sleeps is told when their quiet hours
end, and the next step comes at once instead. The last step repeats until somebody answers, and each repeat also pages the
operators one area further up: an alert never ends in silence.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from alerts.circle import Circle, Policy, Recipient, Step, Target
from alerts.targets import operators, providers, reach
from homecare.triggers import Severity

BUILT_IN_DELAY_S = 60.0
BUILT_IN_REPEAT_S: dict[Severity, float] = {"critical": 60, "urgent": 60, "warning": 3600, "info": 3600}
"""Without a policy: nobody is paged every minute for a flat battery."""
ACCEPT_WITHIN_S = 600.0
"""For a provider who does not say how soon they accept or decline."""
MOST_PROVIDERS = 10
"""Asked one after the other, before the operators are."""
PREVIEW_MOST = 100

Reason = Literal["step", "repeat", "waiting"]
"""`waiting`: the first step's own delay is not over."""
Type = Literal["alert.opened", "alert.escalated"]


class Skipped(msgspec.Struct, frozen=True):
    """A step that called nobody, and so was passed over at once. `quiet`: all of it are told when their quiet hours end."""

    step: int
    reason: Literal["nobody", "quiet"] = "nobody"


class Deferred(msgspec.Struct, frozen=True):
    """Told as (step, the page's round) at `until`, UTC, when their quiet hours end, if it is still open then."""

    step: int
    recipient: Recipient
    until: datetime


class Gap(msgspec.Struct, frozen=True):
    """A rota of a step on which nobody is on duty."""

    step: int
    rota: str


class Page(msgspec.Struct, frozen=True):
    """What to do now: tell `recipients` as (step, round), and look again after `delay_s`."""

    reason: Reason
    policy: Policy
    step: int
    round: int
    recipients: tuple[Recipient, ...]
    delay_s: float
    skipped: tuple[Skipped, ...] = ()
    deferred: tuple[Deferred, ...] = ()
    gaps: tuple[Gap, ...] = ()

    def type_of(self, step: int) -> Type:
        """The notification's type in this round: the very first page opens, every later one escalates."""
        return "alert.opened" if step == 1 and self.round == 0 else "alert.escalated"


class Planned(msgspec.Struct, frozen=True):
    """A page, and when it would be."""

    at: datetime
    page: Page


def choose(circle: Circle, chosen: str | None = None) -> Policy:
    """The policy that applies: the one already begun; else the resident's own, else the nearest area's upwards.

    Where one place has several, one for this kind of alert comes before one for all kinds. None at all: the built-in.
    Where somebody provides what `assist` asks for, only a policy made for it comes before asking them.
    """
    distance = {area.code: n for n, area in enumerate(circle.areas)}

    def order(policy: Policy) -> tuple[int, bool, str]:
        near = -1 if policy.area is None else distance.get(policy.area, len(distance))
        return near, policy.kinds is None, policy.id or ""

    if begun := next((p for p in circle.policies if chosen is not None and p.id == chosen), None):
        return begun
    fitting = [p for p in circle.policies if p.kinds is None or circle.kind in p.kinds]
    if circle.kind == "assist" and (asked := providers(circle)):
        made_for_it = [p for p in fitting if p.kinds is not None]
        promises = [p.accept_within_s or ACCEPT_WITHIN_S for p in asked[:MOST_PROVIDERS]]
        return min(made_for_it, key=order, default=built_in_assist(promises, circle.severity))
    return min(fitting, key=order, default=built_in(circle))


def built_in(circle: Circle) -> Policy:
    """The resident's contacts one after the other, then the operators."""
    ranks = sorted(member.rank for member in circle.family)
    steps = [Step(BUILT_IN_DELAY_S if n else 0.0, (Target(contact_rank=rank),)) for n, rank in enumerate(ranks)]
    steps.append(Step(BUILT_IN_DELAY_S if steps else 0.0, (Target(operators=True),)))
    return Policy(None, tuple(steps), BUILT_IN_REPEAT_S[circle.severity])


def built_in_assist(accept_within_s: list[float], severity: Severity) -> Policy:
    """The providers one after the other, each with their time to accept or decline, then the operators."""
    delays = [0.0, *accept_within_s]
    steps = [Step(delay_s, (Target(provider=place),)) for place, delay_s in enumerate(delays[:-1], 1)]
    return Policy(None, (*steps, Step(delays[-1], (Target(operators=True),))), BUILT_IN_REPEAT_S[severity])


def next_page(circle: Circle, chosen: str | None, step: int, round_: int, age_s: float) -> Page:
    """What is due for an alert whose last step taken is `step` (0: none) in `round_`, opened `age_s` seconds ago."""
    policy = choose(circle, chosen)
    steps = policy.steps or (Step(0.0, (Target(operators=True),)),)
    if step == 0 and round_ == 0 and age_s < steps[0].delay_s:
        return Page("waiting", policy, 0, 0, (), steps[0].delay_s - age_s)
    repeats = step >= len(steps)
    skipped: list[Skipped] = []
    deferred: dict[Recipient, Deferred] = {}
    gaps: list[Gap] = []
    recipients: tuple[Recipient, ...] = ()
    for number in range(min(step, len(steps) - 1) + 1, len(steps) + 1):
        reached = reach(steps[number - 1], circle)
        gaps += (Gap(number, rota) for rota in reached.off_duty)
        for recipient, until in reached.later:
            deferred.setdefault(recipient, Deferred(number, recipient, until))
        if recipients := reached.now:
            break
        if not repeats:
            skipped.append(Skipped(number, "quiet" if reached.later else "nobody"))
    if repeats:
        recipients = tuple(dict.fromkeys((*recipients, operators(circle, round_))))
    return Page(
        "repeat" if repeats else "step",
        policy,
        number,
        round_ + 1 if repeats else round_,
        recipients or (operators(circle, 0),),
        steps[number].delay_s if number < len(steps) else policy.repeat_s,
        tuple(skipped),
        tuple(deferred.values()),
        tuple(gaps),
    )


def preview(circle: Circle, at: datetime) -> Iterator[Planned]:
    """Who would be called, step by step, if it began at `at` (aware) and nobody answered.

    Ends with the repeat that pages the operators furthest up: from then on nothing new comes, but what the hour brings.
    """
    levels = sum(area.operators for area in circle.areas)
    chosen: str | None = None
    step, round_, age_s = 0, 0, 0.0
    for _ in range(PREVIEW_MOST):
        page = next_page(msgspec.structs.replace(circle, at=at), chosen, step, round_, age_s)
        yield Planned(at, page)
        if page.reason == "repeat" and page.round >= levels:
            return
        chosen, step, round_ = page.policy.id, page.step, page.round
        at, age_s = at + timedelta(seconds=page.delay_s), age_s + page.delay_s

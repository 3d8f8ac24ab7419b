"""Who is told next, and when the one after: pure decisions, each with its reason by name.

A policy is a list of steps; a step resolves to recipients through the alert's circle (the resident's contacts, their
channels, the areas upwards). The last step repeats until somebody answers, and each repeat also pages the operators one
area further up: an alert never ends in silence.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from alerts.channels.console import KIND as CONSOLE
from homecare.triggers import Severity

BUILT_IN_DELAY_S = 60.0
BUILT_IN_REPEAT_S: dict[Severity, float] = {"critical": 60, "urgent": 60, "warning": 3600, "info": 3600}
"""Without a policy: nobody is paged every minute for a flat battery."""

Reason = Literal["step", "repeat", "waiting"]
"""`waiting`: the first step's own delay is not over."""


class Target(msgspec.Struct, frozen=True):
    """Exactly one of: a named contact, the resident's contact of this rank, the operators of the alert's area."""

    contact: str | None = None
    contact_rank: int | None = None
    operators: bool = False


class Step(msgspec.Struct, frozen=True):
    """`delay_s` after the step before; step 1 after the alert opened."""

    delay_s: float
    to: tuple[Target, ...]


class Policy(msgspec.Struct, frozen=True):
    """`area` None: the resident's own. `kinds` None: all. `id` None: the built-in one."""

    id: str | None
    steps: tuple[Step, ...]
    repeat_s: float
    area: str | None = None
    kinds: tuple[str, ...] | None = None


class FamilyContact(msgspec.Struct, frozen=True):
    """A contact of the resident; rank 1 is first."""

    contact: str
    rank: int


class UsableChannel(msgspec.Struct, frozen=True):
    """A channel that is not disabled and of a kind that this program can send."""

    contact: str
    id: int
    kind: str


class Area(msgspec.Struct, frozen=True):
    """`operators`: has it any of its own?"""

    code: str
    operators: bool


class Circle(msgspec.Struct, frozen=True):
    """All an alert can reach. Areas from its own upwards, channels of a contact in their order."""

    kind: str
    severity: Severity
    areas: tuple[Area, ...]
    family: tuple[FamilyContact, ...]
    channels: tuple[UsableChannel, ...]
    policies: tuple[Policy, ...]


class Recipient(msgspec.Struct, frozen=True):
    """A contact by one channel, or (channel None) the operators of an area by their console."""

    kind: str
    contact: str | None = None
    channel: int | None = None
    area: str | None = None


class Skipped(msgspec.Struct, frozen=True):
    """A step that resolved to nobody, and so was passed over at once."""

    step: int
    reason: Literal["nobody"] = "nobody"


class Page(msgspec.Struct, frozen=True):
    """What to do now: tell `recipients` as (step, round), and look again after `delay_s`."""

    reason: Reason
    policy: Policy
    step: int
    round: int
    recipients: tuple[Recipient, ...]
    delay_s: float
    skipped: tuple[Skipped, ...] = ()

    @property
    def type(self) -> Literal["alert.opened", "alert.escalated"]:
        """The notification's type: the very first page opens, every later one escalates."""
        return "alert.opened" if self.step == 1 and self.round == 0 else "alert.escalated"


def choose(circle: Circle, chosen: str | None = None) -> Policy:
    """The policy that applies: the one already begun; else the resident's own, else the nearest area's upwards.

    Where one place has several, one for this kind of alert comes before one for all kinds. None at all: the built-in.
    """
    distance = {area.code: n for n, area in enumerate(circle.areas)}

    def order(policy: Policy) -> tuple[int, bool, str]:
        near = -1 if policy.area is None else distance.get(policy.area, len(distance))
        return near, policy.kinds is None, policy.id or ""

    if begun := next((p for p in circle.policies if chosen is not None and p.id == chosen), None):
        return begun
    fitting = [p for p in circle.policies if p.kinds is None or circle.kind in p.kinds]
    return min(fitting, key=order, default=built_in(circle))


def built_in(circle: Circle) -> Policy:
    """The resident's contacts one after the other, then the operators."""
    ranks = sorted(member.rank for member in circle.family)
    steps = [Step(BUILT_IN_DELAY_S if n else 0.0, (Target(contact_rank=rank),)) for n, rank in enumerate(ranks)]
    steps.append(Step(BUILT_IN_DELAY_S if steps else 0.0, (Target(operators=True),)))
    return Policy(None, tuple(steps), BUILT_IN_REPEAT_S[circle.severity])


def next_page(circle: Circle, chosen: str | None, step: int, round_: int, age_s: float) -> Page:
    """What is due for an alert whose last step taken is `step` (0: none) in `round_`, opened `age_s` seconds ago."""
    policy = choose(circle, chosen)
    steps = policy.steps or (Step(0.0, (Target(operators=True),)),)
    if step == 0 and round_ == 0 and age_s < steps[0].delay_s:
        return Page("waiting", policy, 0, 0, (), steps[0].delay_s - age_s)
    if step >= len(steps):
        recipients = _unique([*_resolve(steps[-1], circle), operators(circle, round_)])
        return Page("repeat", policy, len(steps), round_ + 1, recipients, policy.repeat_s)
    skipped = []
    for number in range(step + 1, len(steps) + 1):
        if recipients := _unique(_resolve(steps[number - 1], circle)):
            break
        skipped.append(Skipped(number))
    else:
        recipients = (operators(circle, 0),)
    delay_s = steps[number].delay_s if number < len(steps) else policy.repeat_s
    return Page("step", policy, number, round_, recipients, delay_s, tuple(skipped))


def operators(circle: Circle, levels_up: int) -> Recipient:
    """The operators of the alert's area, or of the one `levels_up` above, counting areas that have any.

    Where no area has operators the alert's own is paged all the same: whoever comes to work there finds it.
    """
    staffed = [area.code for area in circle.areas if area.operators] or [area.code for area in circle.areas[:1]]
    area = staffed[min(levels_up, len(staffed) - 1)] if staffed else None
    return Recipient(CONSOLE, area=area)


def _resolve(step: Step, circle: Circle) -> Iterator[Recipient]:
    """Each target's contact by the first usable channel; contacts without one, and ranks nobody has, resolve to nobody."""
    by_rank = {member.rank: member.contact for member in circle.family}
    for target in step.to:
        if target.operators:
            yield operators(circle, 0)
            continue
        contact = target.contact if target.contact_rank is None else by_rank.get(target.contact_rank)
        if channel := next((c for c in circle.channels if c.contact == contact), None):
            yield Recipient(channel.kind, contact=channel.contact, channel=channel.id)


def _unique(recipients: Iterator[Recipient] | list[Recipient]) -> tuple[Recipient, ...]:
    return tuple(dict.fromkeys(recipients))

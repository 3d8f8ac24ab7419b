"""Policies as tables: who is next, after how long, and why; without a database or a clock."""

from datetime import UTC, datetime

import pytest

from alerts.circle import Area, Circle, FamilyContact, Policy, Recipient, Step, Target, UsableChannel
from alerts.policies import Skipped, built_in, choose, next_page

NOON = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
FIRST, SECOND, OPERATORS = Target(contact_rank=1), Target(contact_rank=2), Target(operators=True)
AREAS = (Area("village", False), Area("township", True), Area("county", False), Area("city", True))
FAMILY = (FamilyContact("C-1", 1), FamilyContact("C-2", 2))
CHANNELS = (
    UsableChannel("C-1", 11, "webhook"),
    UsableChannel("C-1", 12, "webhook"),
    UsableChannel("C-2", 21, "webhook"),
)
C1, C2 = Recipient("webhook", "C-1", 11), Recipient("webhook", "C-2", 21)


def console(area: str | None) -> Recipient:
    return Recipient("console", area=area)


def circle(
    *policies: Policy,
    kind: str = "sos",
    channels: tuple[UsableChannel, ...] = CHANNELS,
    areas: tuple[Area, ...] = AREAS,
    family: tuple[FamilyContact, ...] = FAMILY,
    severity: str = "critical",
) -> Circle:
    return Circle(kind, severity, areas, family, channels, policies, NOON)  # type: ignore[arg-type]


def policy(name: str, area: str | None = "village", kinds: tuple[str, ...] | None = None, *steps: Step) -> Policy:
    return Policy(name, steps or (Step(0, (FIRST,)), Step(30, (SECOND,)), Step(40, (OPERATORS,))), 50, area, kinds)


@pytest.mark.parametrize(
    ("policies", "chosen"),
    [
        ([], None),
        ([policy("other-kind", kinds=("battery",))], None),
        ([policy("county", "county"), policy("village")], "village"),
        ([policy("village"), policy("own", None)], "own"),
        ([policy("all"), policy("sos-only", kinds=("sos",))], "sos-only"),
        ([policy("far-but-fitting", "city", ("sos",)), policy("near")], "near"),
        ([policy("own-other-kind", None, ("battery",)), policy("city", "city")], "city"),
        ([policy("b"), policy("a")], "a"),
    ],
)
def test_the_residents_own_policy_comes_first_then_the_nearest_then_the_more_special(
    policies: list[Policy], chosen: str | None
) -> None:
    assert choose(circle(*policies)).id == chosen


def test_a_policy_once_begun_is_followed_to_its_end() -> None:
    assert choose(circle(policy("own", None), policy("begun")), "begun").id == "begun"


@pytest.mark.parametrize(
    ("step", "round_", "to", "type_", "reason", "delay_s"),
    [
        (0, 0, (C1,), "alert.opened", "step", 30),
        (1, 0, (C2,), "alert.escalated", "step", 40),
        (2, 0, (console("township"),), "alert.escalated", "step", 50),
        (3, 0, (console("township"),), "alert.escalated", "repeat", 50),
        (3, 1, (console("township"), console("city")), "alert.escalated", "repeat", 50),
        (3, 9, (console("township"), console("city")), "alert.escalated", "repeat", 50),
        (0, 2, (C1,), "alert.escalated", "step", 30),
    ],
)
def test_steps_are_taken_in_order_and_the_last_repeats_further_and_further_up(
    step: int, round_: int, to: tuple[Recipient, ...], type_: str, reason: str, delay_s: float
) -> None:
    page = next_page(circle(policy("p")), "p", step, round_, 999)
    assert (page.recipients, page.type_of(page.step), page.reason, page.delay_s) == (to, type_, reason, delay_s)


def test_a_repeat_is_a_round_of_its_own() -> None:
    page = next_page(circle(policy("p")), "p", 3, 4, 999)
    assert (page.step, page.round) == (3, 5)


def test_the_first_steps_own_delay_is_waited_for() -> None:
    late = policy("late", "village", None, Step(20, (FIRST,)))
    page = next_page(circle(late), None, 0, 0, 5)
    assert (page.reason, page.recipients, page.step, page.delay_s) == ("waiting", (), 0, 15)
    assert next_page(circle(late), None, 0, 0, 20).recipients == (C1,)


def test_a_step_that_reaches_nobody_is_passed_over_at_once_and_said() -> None:
    page = next_page(circle(policy("p"), channels=CHANNELS[2:]), None, 0, 0, 0)
    assert (page.recipients, page.step, page.skipped) == ((C2,), 2, (Skipped(1),))
    assert page.delay_s == 40


@pytest.mark.parametrize(
    "steps", [(), (Step(0, (Target(contact="C-9"),)),), (Step(0, ()),), (Step(0, (Target(contact_rank=9),)),)]
)
def test_where_no_step_reaches_anybody_the_operators_are_paged(steps: tuple[Step, ...]) -> None:
    empty = Policy("empty", steps, 50, "village")
    assert next_page(circle(empty), None, 0, 0, 0).recipients == (console("township"),)


def test_without_a_policy_the_family_is_told_in_its_order_and_then_the_operators() -> None:
    pages = [next_page(circle(), None, step, 0, 0) for step in (0, 1, 2)]
    assert [page.recipients for page in pages] == [(C1,), (C2,), (console("township"),)]
    assert [page.delay_s for page in pages] == [60, 60, 60]


def test_without_a_policy_nobody_is_paged_every_minute_for_a_flat_battery() -> None:
    assert built_in(circle(severity="warning")).repeat_s == 3600


def test_without_anybody_the_alerts_own_area_is_paged_and_without_an_area_the_console() -> None:
    nobody = circle(family=(), channels=(), areas=(Area("village", False), Area("county", False)))
    assert next_page(nobody, None, 0, 0, 0).recipients == (console("village"),)
    assert next_page(circle(family=(), areas=()), None, 0, 0, 0).recipients == (console(None),)


def test_one_contact_named_twice_in_a_step_is_told_once() -> None:
    twice = policy("twice", "village", None, Step(0, (FIRST, Target(contact="C-1"), SECOND)))
    assert next_page(circle(twice), None, 0, 0, 0).recipients == (C1, C2)

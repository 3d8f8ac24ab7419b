"""Whom each kind of target reaches, who is told after their quiet hours, and what assist asks of providers."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from alerts.circle import (
    Area,
    Circle,
    FamilyContact,
    Person,
    Policy,
    Recipient,
    Rota,
    Shift,
    Step,
    Target,
    UsableChannel,
)
from alerts.policies import Deferred, Gap, Skipped, choose, next_page, preview
from alerts.targets import distance_m, reach

NIGHT = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
"""02:00 in Shanghai, of a Sunday."""
MORNING = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
HOME = (26.5921, 104.8302)
METRE = 1 / 111_195
AREAS = (Area("village", False), Area("township", True), Area("county", False), Area("city", True))


def person(name: str, metres: float | None = None, *, quiet: bool = False, **more: Any) -> Person:
    where = {} if metres is None else {"watch_group": True, "lat": HOME[0] + metres * METRE, "lon": HOME[1]}
    hours = {"quiet_from": 22 * 60, "quiet_to": 7 * 60} if quiet else {}
    return Person(name, **{"area": "village", **where, **hours, **more})


def circle(*people: Person, **more: Any) -> Circle:
    """Everybody has one webhook, but those whose name begins with `mute`."""
    channels = tuple(UsableChannel(p.contact, n, "webhook") for n, p in enumerate(people, 1) if p.contact[:4] != "mute")
    values: dict[str, Any] = {
        "kind": "vital",
        "severity": "urgent",
        "areas": AREAS,
        "family": (),
        "channels": channels,
        "policies": (),
        "at": NIGHT,
        "people": people,
        "lat": HOME[0],
        "lon": HOME[1],
    }
    return Circle(**(values | more))


def told(step: Step, of: Circle) -> list[str | None]:
    return [recipient.contact or recipient.area for recipient in reach(step, of).now]


def at_once(*targets: Target) -> Step:
    return Step(0, targets)


@pytest.mark.parametrize(
    ("people", "family", "expected"),
    [
        ([], (), []),
        ([person("doc-a"), person("doc-b")], (), ["doc-a", "doc-b"]),
        ([person("doc-a", area="township"), person("doc-b", area="county")], (), ["doc-a"]),
        ([person("mute-a"), person("doc-b", area="township")], (), ["doc-b"]),
        ([person("doc-a"), person("doc-b", area=None)], (FamilyContact("doc-b", 3),), ["doc-b"]),
        ([person("doc-a", area="elsewhere")], (), []),
    ],
)
def test_a_role_is_the_residents_own_else_the_nearest_areas(
    people: list[Person], family: tuple[FamilyContact, ...], expected: list[str]
) -> None:
    doctors = [msgspec.structs.replace(p, role="village_doctor") for p in people]
    others = person("neighbour", role="neighbour")
    of = circle(*doctors, others, family=family)
    assert told(at_once(Target(role="village_doctor")), of) == expected


def test_the_nearest_helpers_are_called_nearest_first_within_the_radius() -> None:
    people = [person("far", 900), person("third", 400), person("mute", 10), person("first", 50), person("second", 200)]
    assert told(at_once(Target(nearest=2, radius_m=800)), circle(*people)) == ["first", "second"]
    assert told(at_once(Target(nearest=9, radius_m=800)), circle(*people)) == ["first", "second", "third"]
    assert told(at_once(Target(nearest=9, radius_m=800)), circle(*people, lat=None, lon=None)) == []


def test_a_helper_who_sleeps_is_told_later_and_the_next_nearest_now() -> None:
    people = [person("asleep", 10, quiet=True), person("awake", 50), person("farther", 90)]
    reached = reach(at_once(Target(nearest=1, radius_m=800)), circle(*people))
    assert [r.contact for r in reached.now] == ["awake"]
    assert [(r.contact, until) for r, until in reached.later] == [("asleep", MORNING)]


def test_distances_are_metres_on_the_ground() -> None:
    assert distance_m((0, 0), (0, 1)) == pytest.approx(111_195, abs=1)
    assert distance_m((0, 0), (0, 180)) == pytest.approx(20_015_115, abs=10)


@pytest.mark.parametrize(("levels", "area"), [(1, "township"), (2, "city"), (3, "city"), (9, "city")])
def test_operators_so_many_levels_up_or_the_first_above_that_there_are(levels: int, area: str) -> None:
    assert told(at_once(Target(area_up=levels)), circle()) == [area]


def test_operators_further_up_than_any_are_those_nearest_below() -> None:
    only_low = (Area("village", True), Area("township", True), Area("county", False))
    assert told(at_once(Target(area_up=2)), circle(areas=only_low)) == ["township"]
    assert told(at_once(Target(area_up=2)), circle(areas=(Area("village", False),))) == ["village"]


def test_who_is_on_duty_is_called_and_a_gap_is_said_and_left_to_the_next_target() -> None:
    night = Rota("night", "Asia/Shanghai", (Shift("a", (6,), 20 * 60, 8 * 60), Shift("b", (7,), 20 * 60, 8 * 60)))
    policy = Policy("p", (at_once(Target(rota="night")), Step(30, (Target(contact="c"),))), 60, "village")
    of = circle(person("a"), person("b"), person("c"), rotas=(night,), policies=(policy,))
    assert [r.contact for r in next_page(of, None, 0, 0, 0).recipients] == ["a"]
    page = next_page(msgspec.structs.replace(of, at=datetime(2026, 11, 22, 3, 0, tzinfo=UTC)), None, 0, 0, 0)
    assert [r.contact for r in page.recipients] == ["c"]
    assert (page.gaps, page.skipped) == ((Gap(1, "night"),), (Skipped(1, "nobody"),))


def test_who_sleeps_is_told_when_they_wake_and_the_step_goes_on_with_the_others() -> None:
    policy = Policy("p", (at_once(Target(contact="asleep"), Target(contact="awake")),), 60, "village")
    page = next_page(circle(person("asleep", quiet=True), person("awake"), policies=(policy,)), None, 0, 0, 0)
    assert [r.contact for r in page.recipients] == ["awake"]
    assert page.deferred == (Deferred(1, Recipient("webhook", "asleep", 1), MORNING),)
    assert page.skipped == ()


def test_where_all_of_a_step_sleep_the_next_one_comes_at_once() -> None:
    steps = (at_once(Target(contact="a")), Step(900, (Target(contact="b"),)), Step(900, (Target(operators=True),)))
    of = circle(person("a", quiet=True), person("b", quiet=True), policies=(Policy("p", steps, 60, "village"),))
    page = next_page(of, None, 0, 0, 0)
    assert (page.step, [r.area for r in page.recipients]) == (3, ["township"])
    assert [(d.step, d.recipient.contact) for d in page.deferred] == [(1, "a"), (2, "b")]
    assert page.skipped == (Skipped(1, "quiet"), Skipped(2, "quiet"))
    assert [page.type_of(d.step) for d in page.deferred] == ["alert.opened", "alert.escalated"]


@pytest.mark.parametrize(("kind", "severity"), [("sos", "critical"), ("fall", "warning"), ("home", "critical")])
def test_nobody_sleeps_through_an_sos_a_fall_or_what_is_critical(kind: str, severity: str) -> None:
    policy = Policy("p", (at_once(Target(contact="asleep")),), 60, "village")
    page = next_page(
        circle(person("asleep", quiet=True), kind=kind, severity=severity, policies=(policy,)), None, 0, 0, 0
    )
    assert [r.contact for r in page.recipients] == ["asleep"]


def provider(name: str, *services: str, **more: Any) -> Person:
    return person(name, services=services or ("health",), role="service", **more)


def assist(*people: Person, **more: Any) -> Circle:
    return circle(*people, **({"kind": "assist", "service": "health", "severity": "warning"} | more))


def test_assist_asks_the_providers_one_after_the_other_then_the_operators() -> None:
    people = [
        provider("county-doctor", area="county"),
        provider("shop", "shopping"),
        provider("doctor-b", accept_within_s=120),
        provider("doctor-a"),
    ]
    of = assist(*people, policies=(Policy("catch-all", (at_once(Target(operators=True)),), 60, "village"),))
    plan = list(preview(of, NIGHT))
    asked = [[r.contact or r.area for r in planned.page.recipients] for planned in plan]
    assert asked[:4] == [["doctor-a"], ["doctor-b"], ["county-doctor"], ["township"]]
    assert [planned.page.delay_s for planned in plan[:4]] == [600, 120, 600, 3600]


def test_the_residents_own_provider_is_asked_first() -> None:
    of = assist(provider("a"), provider("own", area=None), family=(FamilyContact("own", 2),))
    assert [r.contact for r in next_page(of, None, 0, 0, 0).recipients] == ["own"]


def test_a_policy_made_for_assist_comes_before_asking_the_providers() -> None:
    made = Policy("made", (at_once(Target(provider=2)),), 60, "county", ("assist",))
    of = assist(provider("a"), provider("b"), policies=(made,))
    assert choose(of).id == "made"
    assert [r.contact for r in next_page(of, None, 0, 0, 0).recipients] == ["b"]


def test_where_nobody_provides_it_the_policies_for_everything_hold() -> None:
    general = Policy("general", (at_once(Target(operators=True)),), 60, "village")
    assert choose(assist(provider("shop", "shopping"), policies=(general,))).id == "general"


def test_a_preview_says_who_is_called_when_and_ends() -> None:
    steps = (Step(30, (Target(contact="a"),)), Step(60, (Target(operators=True),)))
    of = circle(person("a"), policies=(Policy("p", steps, 120, "village"),))
    plan = list(preview(of, NIGHT))
    assert [(int((p.at - NIGHT).total_seconds()), p.page.reason) for p in plan] == [
        (0, "waiting"),
        (30, "step"),
        (90, "step"),
        (210, "repeat"),
        (330, "repeat"),
    ]
    assert [r.area for r in plan[-1].page.recipients] == ["township", "city"]

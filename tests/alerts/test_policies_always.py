"""What holds of policies whatever the directory says: nobody is left in silence, none sleeps through an SOS, no page comes twice."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.circle import Area, Circle, FamilyContact, Person, Policy, Rota, Shift, Step, Target, UsableChannel
from alerts.policies import next_page, preview

NAMES = [f"C-{n}" for n in range(5)]
NAME = st.sampled_from(NAMES)
MINUTE = st.integers(0, 1439)
TARGETS = st.one_of(
    st.builds(Target, contact=NAME),
    st.builds(Target, contact_rank=st.integers(1, 3)),
    st.just(Target(operators=True)),
    st.builds(Target, role=st.sampled_from(["village_doctor", "neighbour", "family"])),
    st.builds(Target, rota=st.sampled_from(["r", "unknown"])),
    st.builds(Target, nearest=st.integers(1, 3), radius_m=st.sampled_from([100.0, 5000.0])),
    st.builds(Target, provider=st.integers(1, 3)),
    st.builds(Target, area_up=st.integers(1, 9)),
    st.just(Target()),
)
STEPS = st.lists(
    st.builds(Step, st.sampled_from([0.0, 30.0]), st.lists(TARGETS, max_size=3).map(tuple)), max_size=4
).map(tuple)
POLICIES = st.builds(
    Policy,
    st.sampled_from(["p", "q"]),
    STEPS,
    st.just(60.0),
    st.sampled_from([None, "a0", "a1"]),
    st.sampled_from([None, ("sos",), ("assist", "vital")]),
)
SHIFTS = st.one_of(
    st.builds(Shift, NAME, st.lists(st.integers(1, 7), min_size=1).map(tuple), MINUTE, MINUTE),
    st.builds(Shift, NAME, starts=st.just(datetime(2026, 11, 21)), ends=st.just(datetime(2026, 11, 23))),  # noqa: DTZ001
    st.builds(Shift, NAME),
)


@st.composite
def circles(draw: st.DrawFn) -> Circle:
    people = tuple(
        Person(
            name,
            "",
            draw(st.sampled_from(["village_doctor", "neighbour", "family"])),
            draw(st.sampled_from([None, "a0", "a1"])),
            draw(st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "nowhere"])),
            *draw(st.sampled_from([(None, None), (0, 1439), (1320, 420)])),
            draw(st.booleans()),
            *draw(st.sampled_from([(None, None), (26.5, 104.8), (26.51, 104.8)])),
            draw(st.sampled_from([(), ("health",)])),
        )
        for name in draw(st.lists(NAME, unique=True))
    )
    channels = draw(st.lists(st.builds(UsableChannel, NAME, st.integers(1, 9), st.just("webhook")), max_size=4))
    family = draw(st.lists(NAME, unique=True, max_size=3))
    return Circle(
        draw(st.sampled_from(["sos", "fall", "assist", "vital"])),
        draw(st.sampled_from(["critical", "urgent", "warning"])),
        tuple(Area(f"a{n}", draw(st.booleans())) for n in range(draw(st.integers(0, 3)))),
        tuple(FamilyContact(name, rank) for rank, name in enumerate(family, 1)),
        tuple(channels),
        tuple(draw(st.lists(POLICIES, max_size=2))),
        datetime(2026, 11, 21, tzinfo=UTC) + timedelta(minutes=draw(st.integers(0, 4 * 1440))),
        people,
        (Rota("r", "Asia/Shanghai", tuple(draw(st.lists(SHIFTS, max_size=2)))),),
        draw(st.sampled_from([None, "health"])),
        *draw(st.sampled_from([(None, None), (26.5, 104.8)])),
    )


STATE = st.tuples(st.integers(0, 6), st.integers(0, 3), st.sampled_from([0.0, 10.0, 4000.0]))


@settings(max_examples=200, deadline=None)
@given(circles(), STATE)
def test_no_alert_ends_in_silence_whatever_the_directory(circle: Circle, state: tuple[int, int, float]) -> None:
    page = next_page(circle, None, *state)
    assert 0 <= page.delay_s <= 86_400
    if page.reason == "waiting":
        assert page.delay_s > 0
    else:
        assert page.recipients, "somebody is told now, not only later"
    plan = list(preview(circle, circle.at))
    operators = [r for planned in plan for r in planned.page.recipients if r.channel is None]
    assert operators, "in the end it comes to people who are there to answer"
    staffed = [area.code for area in circle.areas if area.operators]
    if staffed:
        assert staffed[-1] in {r.area for r in operators}, "at last those furthest up"


@settings(max_examples=200, deadline=None)
@given(circles(), STATE)
def test_nobodys_quiet_hours_hold_for_an_sos_or_a_fall(circle: Circle, state: tuple[int, int, float]) -> None:
    for kind in ("sos", "fall"):
        page = next_page(msgspec.structs.replace(circle, kind=kind, severity="warning"), None, *state)
        assert page.deferred == ()
        assert {skipped.reason for skipped in page.skipped} <= {"nobody"}


@settings(max_examples=200, deadline=None)
@given(circles(), STATE)
def test_quiet_hours_take_nobody_away(circle: Circle, state: tuple[int, int, float]) -> None:
    """Whoever the awake would have been called, is called now or when their quiet hours end."""
    awake = msgspec.structs.replace(
        circle, people=tuple(msgspec.structs.replace(p, quiet_from=None, quiet_to=None) for p in circle.people)
    )
    page, without = next_page(circle, None, *state), next_page(awake, None, *state)
    assert without.deferred == ()
    later = {deferred.recipient for deferred in page.deferred}
    assert set(without.recipients) <= set(page.recipients) | later
    assert not later & set(page.recipients) or page.step > without.step
    assert all(deferred.until > circle.at for deferred in page.deferred)


@settings(max_examples=200, deadline=None)
@given(circles())
def test_each_step_of_a_round_comes_once_and_tells_each_once(circle: Circle) -> None:
    pages = [planned.page for planned in preview(circle, circle.at) if planned.page.reason != "waiting"]
    places = [(page.round, page.step) for page in pages]
    assert places == sorted(set(places))
    for page in pages:
        assert len(set(page.recipients)) == len(page.recipients)
        assert len({deferred.recipient for deferred in page.deferred}) == len(page.deferred)

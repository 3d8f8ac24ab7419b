"""The battery's cases of the rules about a person's habits: changes, routines, the bed at night.

One of the two people lives where the clocks are put forward while the stream lasts (Berlin, 28 March 2027, 02:00).
"""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from alerts.rules.bed import Bed
from alerts.rules.bed_rule import BedRule, check_bed
from alerts.rules.change import Change
from alerts.rules.change_rule import ChangeRule, check_change
from alerts.rules.routine import Routine
from alerts.rules.routine_rule import RoutineRule, check_routine
from alerts.rules.running import Named
from homecare.residents import Profile
from tests.alerts.rules.battery import Case, Row, Told
from tests.alerts.rules.scalar_bed import bed_triggers
from tests.alerts.rules.scalar_change import change_triggers
from tests.alerts.rules.scalar_routine import routine_triggers

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
EVENING = 1_806_091_200_000
"""2027-03-26 20:00 UTC: 21:00 in Berlin, 04:00 of the next day in China."""
PROFILES = (
    Profile(7, "R-7", "520201", "Asia/Shanghai"),
    Profile(8, "R-8", "520201", "Europe/Berlin"),
)
TEXTS: dict[str, Any] = {"zh": "发生", "en": "begins", "cleared_zh": "结束", "cleared_en": "ends"}


@st.composite
def streams(
    draw: st.DrawFn, gaps: Sequence[int], told: st.SearchStrategy[dict[str, Any]], most: int = 14, start: int = EVENING
) -> list[Row]:
    """Rows of two people and two devices, `gaps` apart."""
    at, rows = start, []
    for _ in range(draw(st.integers(1, most))):
        at += draw(st.sampled_from(gaps)) + draw(st.sampled_from([0, 0, 0, 1]))
        device, resident = draw(st.sampled_from([(1, 7), (1, 7), (1, 7), (2, 7), (2, 8), (2, 8), (1, 0)]))
        rows.append(Row(at, device=device, resident=resident, **draw(told)))
    return rows


def measured(metric: str, values: Sequence[float]) -> st.SearchStrategy[dict[str, Any]]:
    """Readings of one metric, now and then of none."""
    some = st.sampled_from(values).map(lambda value: {"values": {metric: value}})
    return st.one_of(some, some, some, st.just({"values": {"battery": 50.0}}))


def change_case(name: str, rule: ChangeRule, values: Sequence[float]) -> Case:
    check_change(f"change.{name}", rule)

    def scalar(rows: Sequence[Row], until: int) -> list[Told]:
        return change_triggers(name, rule, PROFILES, rows)

    return Case(
        name=f"change.{name}",
        operators=lambda: [Named(f"change.{name}", Change(name, rule))],
        rows=streams([0, 5 * HOUR, 13 * HOUR, DAY, DAY, DAY, 2 * DAY, 3 * DAY, 9 * DAY], measured(rule.metric, values)),
        scalar=scalar,
        profiles=PROFILES,
    )


WEIGHT = ChangeRule(
    version=1,
    severity="urgent",
    metric="weight",
    against="recent",
    direction="up",
    day_value="lowest",
    days=3,
    keep=6,
    least=1,
    limit=2.0,
    spreads=2.0,
    spread_days=3,
    hysteresis=0.5,
    most=12.0,
    hold_days=4,
    again_s=86_400,
    **TEXTS,
)
PRESSURE = ChangeRule(
    version=1,
    severity="warning",
    metric="systolic",
    against="usual",
    direction="both",
    day_value="mean",
    bins=2,
    days=20,
    recent=2,
    keep=7,
    least=2,
    limit=10.0,
    spreads=1.5,
    hysteresis=4.0,
    for_s=3_600,
    hold_days=5,
    again_s=172_800,
    **TEXTS,
)


def routine_case(name: str, rule: RoutineRule, told: st.SearchStrategy[dict[str, Any]]) -> Case:
    check_routine(f"routine.{name}", rule)

    def scalar(rows: Sequence[Row], until: int) -> list[Told]:
        return routine_triggers(name, rule, PROFILES, rows, until)

    return Case(
        name=f"routine.{name}",
        operators=lambda: [Named(f"routine.{name}", Routine(name, rule))],
        rows=streams([0, 4 * MINUTE, 50 * MINUTE, 2 * HOUR, 12 * HOUR, DAY - HOUR, DAY, DAY, 3 * DAY], told),
        scalar=scalar,
        profiles=PROFILES,
        tail_ms=3 * DAY,
    )


SIGNS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"values": {"steps": 12.0}},
        {"values": {"steps": 12.0}},
        {"values": {"steps": 0.0, "activity": 3.0}},
        {"values": {"activity": 0.0}},
        {"values": {"presence": 1.0}},
        {"event": "check_in"},
    ]
)
NOT_UP = RoutineRule(
    version=1,
    severity="urgent",
    signs=("steps", "activity", "check_in"),
    from_minute=150,
    share=0.6,
    margin_minutes=45,
    days=6,
    keep=4,
    least=2,
    wait_s=600,
    **TEXTS,
)
NO_CHECK_IN = RoutineRule(
    version=1, severity="warning", signs=("check_in",), from_minute=0, by_minute=150, wait_s=300, **TEXTS
)

BED_WORDS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"values": {"presence": 1.0}}, {"values": {"presence": 1.0}}, {"values": {"presence": 0.0}}, {"event": "bed_exit"}]
)
LEFT = BedRule(
    version=1,
    severity="urgent",
    from_minute=1320,
    to_minute=360,
    share=0.6,
    margin_s=300,
    floor_s=900,
    most_s=3600,
    least=2,
    keep=3,
    short_s=60,
    back_s=90,
    **TEXTS,
)


def bed_case() -> Case:
    check_bed("bed", LEFT)

    def scalar(rows: Sequence[Row], until: int) -> list[Told]:
        return bed_triggers("bed", LEFT, PROFILES, rows, until)

    gaps = [0, 30_000, 90_000, 5 * MINUTE, 15 * MINUTE, 20 * MINUTE, HOUR, 2 * HOUR, 10 * HOUR, DAY]
    return Case(
        name="bed",
        operators=lambda: [Named("bed", Bed("bed", LEFT))],
        rows=streams(gaps, BED_WORDS, most=18),
        scalar=scalar,
        profiles=PROFILES,
        tail_ms=DAY,
    )


CASES = (
    change_case("weight", WEIGHT, [70.0, 70.1, 71.5, 72.0, 72.1, 74.0, 82.5, 30.0, 400.0]),
    change_case("pressure", PRESSURE, [120.0, 122.0, 130.0, 134.0, 140.5, 100.0, 300.0]),
    routine_case("not_up", NOT_UP, SIGNS),
    routine_case("no_check_in", NO_CHECK_IN, SIGNS),
    bed_case(),
)

"""The harness itself: every goal is measured or said not to be, and limits are chosen on other people's days."""

import datetime as dt
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from homecare.commands.backtest_labels import PersonDay
from tests.bench.goals import Goal, Results
from tests.quality import DataMissing, Part
from tests.quality.__main__ import run
from tests.quality.tihm import TOPICS, Days, choose

GOALS = {"right": Goal("1", 0.9), "wrong_per_day": Goal("1", 0.1, "less")}


def part(measure: Any) -> Part:
    return cast("Part", SimpleNamespace(GOALS=GOALS, measure=measure))


def test_what_was_measured_is_held_against_its_goal() -> None:
    results = Results({})
    run(part(lambda: {"right": 0.95, "wrong_per_day": 0.2}), results)
    assert not results.all_met()
    assert [line.split()[-1] for line in results.table().splitlines()[1:]] == ["met", "MISSED"]


def test_without_the_data_the_reason_is_told() -> None:
    def measure() -> dict[str, float]:
        raise DataMissing("shared/data/x is not there")

    results = Results({})
    run(part(measure), results)
    assert results.all_met()
    assert results.table().count("not measured: shared/data/x is not there") == 2


@pytest.mark.parametrize("measured", [{"right": 1.0}, {"right": 1.0, "wrong_per_day": 0.0, "more": 1.0}])
def test_a_metric_too_many_or_too_few_is_an_error(measured: dict[str, float]) -> None:
    with pytest.raises(KeyError):
        run(part(lambda: measured), Results({}))


def test_limits_are_chosen_without_the_one_they_judge() -> None:
    pulse = TOPICS[1]
    people = {"a": [(101, True), (90, False)], "b": [(102, True), (91, False)], "c": [(92, True), (93, False)]}
    days = [
        (PersonDay(who, dt.date(2026, 1, n + 1)), *day) for who, all_ in people.items() for n, day in enumerate(all_)
    ]
    largest = np.array([value for _, value, _ in days], np.float32)
    extremes = {("heart_rate", "high"): largest, ("heart_rate", "low"): np.full(len(days), 70, np.float32)}
    table = Days([day for day, _, _ in days], extremes)
    noted = frozenset(day for day, _, is_noted in days if is_noted)
    # c's own days would ask for a lower limit.
    assert choose(pulse, table, noted, without="c")[0] == 95
    assert choose(pulse, table, noted, without="a")[0] == 90

"""NEWS2 against the chart of the Royal College of Physicians: every boundary of it, and random people.

The chart is read from its JSON, value by value; the product's tables are not used. Nothing is fitted, so nobody is left out.
"""

import csv
import json
from itertools import product
from typing import Any

import numpy as np

from alerts.rules.news2 import AIR, ALERT, CVPU, MEASURED, OXYGEN, news2
from tests.bench.goals import Goal
from tests.bench.say import say
from tests.quality import data

GOALS = {"news2_correct": Goal("", 1.0)}
RANDOM = 10_000
CHART_NAMES = {
    "respiratory_rate": "respiration_rate",
    "systolic": "systolic_bp",
    "heart_rate": "pulse",
    "temperature": "temperature_c",
}
RANGES = {
    "respiratory_rate": (4, 40),
    "spo2": (75, 100),
    "systolic": (60, 250),
    "heart_rate": (25, 180),
}
Person = dict[str, Any]
"""The five measured values, `scale`, `oxygen`, `consciousness` (A, C, V, P or U)."""


def measure() -> dict[str, float]:
    """The share of people whose aggregate and seven parts are exactly the chart's."""
    folder = data("news2")
    chart = json.loads((folder / "news2_chart.json").read_text())
    people = [*_boundaries(chart), *_random(RANDOM)]
    expected = [_by_chart(chart, person) for person in people]
    with (folder / "boundary_cases.csv").open() as file:
        for row in csv.DictReader(file):
            person, parts = _case(row)
            people.append(person)
            expected.append(parts)
    right = np.all(_by_product(people) == np.array(expected), axis=1)
    for index in np.flatnonzero(~right)[:5].tolist():
        say(f"news2: {people[index]}: expected {expected[index]}")
    return {"news2_correct": float(np.mean(right))}


def _by_product(people: list[Person]) -> np.ndarray[Any, Any]:
    """(n, 8): the parts by `news2.PARAMETERS` and the aggregate; -1 where it is no single number."""
    score = news2(
        np.array([[person[metric] for metric in MEASURED] for person in people], np.float32),
        np.array([person["scale"] for person in people], np.int8),
        np.array([OXYGEN if person["oxygen"] else AIR for person in people], np.int8),
        np.array([ALERT if person["consciousness"] == "A" else CVPU for person in people], np.int8),
    )
    parts = np.where(score.part_least == score.part_most, score.part_least, -1)
    return np.column_stack([parts, np.where(score.exact, score.least, -1)])


def _by_chart(chart: dict[str, Any], person: Person) -> list[int]:
    spo2 = "spo2_scale1" if person["scale"] == 1 else f"spo2_scale2_on_{'oxygen' if person['oxygen'] else 'air'}"
    parts = [
        _band(chart["respiration_rate"], person["respiratory_rate"]),
        _band(chart[spo2], person["spo2"]),
        chart["air_or_oxygen"]["oxygen" if person["oxygen"] else "air"],
        _band(chart["systolic_bp"], person["systolic"]),
        _band(chart["pulse"], person["heart_rate"]),
        chart["consciousness"][person["consciousness"]],
        _band(chart["temperature_c"], person["temperature"]),
    ]
    return [*parts, sum(parts)]


def _band(bands: list[list[float | None]], value: float) -> int:
    for low, high, score in bands:
        if (low is None or value >= low) and (high is None or value <= high):
            return int(score or 0)
    raise AssertionError(f"{value} is on no row of the chart")


def _boundaries(chart: dict[str, Any]) -> list[Person]:
    """Each edge of each row and its neighbours, with every scale, oxygen and consciousness, others normal."""
    normal = {"respiratory_rate": 16, "spo2": 97, "systolic": 120, "heart_rate": 75, "temperature": 37.0}
    spo2 = [row for name in chart if name.startswith("spo2") for row in chart[name]]
    people = []
    for metric in normal:
        rows = spo2 if metric == "spo2" else chart[CHART_NAMES[metric]]
        step = 0.1 if metric == "temperature" else 1
        edges = {float(edge) for low, high, _ in rows for edge in (low, high) if edge is not None}
        values = sorted({round(edge + step * k, 1) for edge in edges for k in (-1, 0, 1)})
        for value, scale, oxygen, consciousness in product(values, (1, 2), (False, True), "ACVPU"):
            if metric != "spo2" or value <= 100:
                fixed = {"scale": scale, "oxygen": oxygen, "consciousness": consciousness}
                people.append({**normal, **fixed, metric: value})
    return people


def _random(count: int) -> list[Person]:
    rng = np.random.default_rng(2017)
    people = []
    for _ in range(count):
        person: Person = {name: int(rng.integers(low, high + 1)) for name, (low, high) in RANGES.items()}
        person["temperature"] = round(int(rng.integers(330, 421)) / 10, 1)
        person |= {"scale": int(rng.integers(1, 3)), "oxygen": bool(rng.integers(2))}
        people.append({**person, "consciousness": "ACVPU"[rng.integers(5)]})
    return people


def _case(row: dict[str, str]) -> tuple[Person, list[int]]:
    person = {
        "respiratory_rate": float(row["respiration_rate"]),
        "spo2": float(row["spo2"]),
        "systolic": float(row["systolic_bp"]),
        "heart_rate": float(row["pulse"]),
        "temperature": float(row["temperature_c"]),
        "scale": int(row["spo2_scale"]),
        "oxygen": row["on_oxygen"] == "1",
        "consciousness": row["consciousness"],
    }
    names = ("s_rr", "s_spo2", "s_o2", "s_sbp", "s_pulse", "s_acvpu", "s_temp", "total")
    return person, [int(row[name]) for name in names]

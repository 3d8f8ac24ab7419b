"""How right the rules are, on real people's data: `make quality`.

A part is a module here with `GOALS` (the metrics it measures, with what is asked of each) and `measure()`, which gives
every one of them or raises `DataMissing`; it is listed in `__main__.PARTS`. Every figure is by cross-validation with
whole people left out: nothing is tuned on what it is measured on.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tests.bench.goals import Goal

DATA = Path(__file__).parents[3] / "shared/data"
"""The data sets, a folder each with its SOURCE.md. They are no part of the project."""


class DataMissing(Exception):
    """A part cannot be measured here; its text says what is not there."""


class Part(Protocol):
    """A module of this package."""

    GOALS: Mapping[str, Goal]

    def measure(self) -> dict[str, float]:
        """Metric of `GOALS` -> what was measured. Raises DataMissing. What took long is told by `tests.bench.say`."""


def data(name: str) -> Path:
    """The file or folder `name` of `DATA`. Raises DataMissing where it is absent."""
    path = DATA / name
    if not path.exists():
        raise DataMissing(f"shared/data/{name} is not there")
    return path

"""Real homes as a capture: the readings of the TIHM data set, one device and one resident per home.

TIHM: homes of people aged 70 and more living with dementia, 2019 (doi:10.5281/zenodo.7622128, CC BY 4.0).
"""

import csv
import datetime as dt
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from homecare.metrics import BY_NAME
from simulators.capture import Line

METRIC_OF = {
    "Body Temperature": "temperature",
    "Systolic blood pressure": "systolic",
    "Diastolic blood pressure": "diastolic",
    "Heart rate": "heart_rate",
    "Body weight": "weight",
}
"""What the contract has a metric for; skin temperature, muscle mass and body water it has not."""
SAMPLES_IN_A_MESSAGE = 20
UPLOAD_MS = 60_000
"""A message leaves its home this long after its last sample."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything one home measured at one time (Unix ms)."""

    home: str
    ts: int
    values: dict[str, float]

    def kept(self) -> dict[str, float]:
        """The values within what the contract calls plausible."""
        return {
            name: value
            for name, value in self.values.items()
            # The range is checked on what is stored, a 4-byte float.
            if BY_NAME[name].low <= float(np.float32(value)) <= BY_NAME[name].high
        }


@dataclass(slots=True)
class Homes:
    """The readings of all homes in the order of time, and what was left out, by device type."""

    readings: list[Reading]
    left_out: Counter[str] = field(default_factory=Counter)

    def names(self) -> list[str]:
        return sorted({reading.home for reading in self.readings})


def read(path: Path) -> Homes:
    """`physiology.csv.gz`. Two values of one metric at one time cannot stand in one sample: the last one counts."""
    grouped: dict[tuple[int, str], dict[str, float]] = defaultdict(dict)
    left_out: Counter[str] = Counter()
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            metric = METRIC_OF.get(row["device_type"])
            if metric is None:
                left_out[row["device_type"]] += 1
                continue
            moment = dt.datetime.strptime(row["date"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC)
            values = grouped[int(moment.timestamp()) * 1000, row["patient_id"]]
            left_out["repeated at one time"] += metric in values
            values[metric] = float(row["value"])
    readings = [Reading(home, ts, values) for (ts, home), values in sorted(grouped.items())]
    return Homes(readings, left_out)


def device_of(home: str) -> str:
    return f"tihm-{home}"


def resident_of(home: str) -> str:
    return f"R-tihm-{home}"


def lines(homes: Homes, area: str, most: int = SAMPLES_IN_A_MESSAGE) -> Iterator[Line]:
    """The capture: up to `most` samples a message, in the order in which they leave the homes.

    1: everything is received within the minute, so that the rules have their say on it.
    """
    messages: list[Line] = []
    for home in homes.names():
        own = [reading for reading in homes.readings if reading.home == home]
        chunks = [own[i : i + most] for i in range(0, len(own), most)]
        messages += [_message(home, area, seq, chunk) for seq, chunk in enumerate(chunks, start=1)]
    yield from sorted(messages, key=lambda line: line.at)


def _message(home: str, area: str, seq: int, readings: Sequence[Reading]) -> Line:
    samples = [{"ts": reading.ts, "values": reading.values} for reading in readings]
    payload = {"boot": 1, "seq": seq, "samples": samples}
    return Line(readings[-1].ts + UPLOAD_MS, f"care/v1/{area}/{device_of(home)}/telemetry", payload)

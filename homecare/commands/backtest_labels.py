"""How well the rules agree with what people noted: day by day and person by person, as nobody notes the minute.

Of each type of note: recall is the share of the noted days (of one person each) on which the rules raised something of
that type, precision the share of the days on which they did that were noted.
"""

import csv
import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from homecare.errors import InputError
from homecare.samples import Samples

MEANT = {
    "blood_pressure": frozenset({"systolic", "diastolic"}),
    "pulse": frozenset({"heart_rate"}),
    "body_temperature": frozenset({"temperature"}),
    "body_weight": frozenset({"weight"}),
    "oxygen_saturation": frozenset({"spo2"}),
}
"""Types of note by what else they are called here; any other is the name of a metric, a rule or a kind of trigger."""
PERSON = ("subject", "patient_id", "patient", "resident", "device")
"""Names of the column that says whom a note is about; the first that is there counts."""
QUARTER_MS = 900_000
"""No time zone is off by less."""


class PersonDay(NamedTuple):
    """One person on one local day."""

    person: str
    day: dt.date


@dataclass(frozen=True, slots=True)
class Labels:
    """What people noted, by type."""

    zone: ZoneInfo
    noted: Mapping[str, frozenset[PersonDay]]

    def day(self, at: int) -> dt.date:
        """The local day of `at` (Unix ms)."""
        return dt.datetime.fromtimestamp(at / 1000, self.zone).date()


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one type of note. Days are days of one person each."""

    noted: int
    raised: int
    both: int
    triggers: int
    person_days: int
    """On which something of anybody was measured."""

    @property
    def recall(self) -> float:
        """NaN where nothing was noted."""
        return self.both / self.noted if self.noted else float("nan")

    @property
    def precision(self) -> float:
        """NaN where nothing was raised."""
        return self.both / self.raised if self.raised else float("nan")

    @property
    def per_person_day(self) -> float:
        """Triggers for each day of a person."""
        return self.triggers / self.person_days if self.person_days else float("nan")

    def __str__(self) -> str:
        return (
            f"recall {self.recall:.3f} ({self.both} of {self.noted} days), "
            f"precision {self.precision:.3f} ({self.both} of {self.raised} days), "
            f"{self.per_person_day:.4f} alerts per person and day"
        )


def load_labels(path: Path, zone: str) -> Labels:
    """A CSV file with the columns subject (or another of `PERSON`), date (ISO 8601, local time of `zone`) and type.

    Raises:
        InputError: names the line and what was expected.
    """
    try:
        where = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise InputError(f"time zone: expected an IANA name like Asia/Shanghai, got {zone!r}") from None
    noted: dict[str, set[PersonDay]] = defaultdict(set)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            person = next((name for name in PERSON if name in columns), None)
            if person is None or "date" not in columns or "type" not in columns:
                raise InputError(f"{path}, line 1: expected the columns subject, date and type, got {columns}")
            for row in reader:
                about, date, kind = row[person], row["date"], row["type"]
                if not (about and date and kind):
                    raise InputError(f"{path}, line {reader.line_num}: expected {person}, date and type")
                noted[kind.strip()].add(PersonDay(about.strip(), _day(date.strip(), where)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    except ValueError as error:
        raise InputError(f"{path}, line {reader.line_num}: date: {error}") from None
    return Labels(where, {kind: frozenset(days) for kind, days in sorted(noted.items())})


def _day(text: str, zone: ZoneInfo) -> dt.date:
    moment = dt.datetime.fromisoformat(text)
    return (moment if moment.tzinfo is None else moment.astimezone(zone)).date()


@dataclass(slots=True)
class Score:
    """What the rules said beside what was noted."""

    labels: Labels
    _raised: dict[str, dict[PersonDay, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    """By metric, rule and kind: triggers by day."""
    _quarters: set[int] = field(default_factory=set)
    """Person's key << 24 | quarter of an hour, for all in which something was measured."""

    def see(self, samples: Samples) -> None:
        """These were measured; `resident` says of whom."""
        found = (samples.resident.astype(np.int64) << 24) | (samples.ts // QUARTER_MS)
        self._quarters.update(np.unique(found).tolist())

    def count(self, at: int, person: str, names: frozenset[str]) -> None:
        """A trigger about `person` at `at` (Unix ms); `names`: its metric, rule and kind."""
        day = PersonDay(person, self.labels.day(at))
        for name in names:
            self._raised[name][day] += 1

    def agreements(self, people: Mapping[int, str]) -> dict[str, Agreement]:
        """By type of note; `people`: names by key. Notes of people and times that the capture has not are left out."""
        measured = {
            PersonDay(people[found >> 24], self.labels.day((found & 0xFFFFFF) * QUARTER_MS)) for found in self._quarters
        }
        first, last = (
            min((each.day for each in measured), default=dt.date.max),
            max((each.day for each in measured), default=dt.date.min),
        )
        known = {each.person for each in measured}
        result = {}
        for kind, noted in self.labels.noted.items():
            within = {each for each in noted if each.person in known and first <= each.day <= last}
            counts: dict[PersonDay, int] = defaultdict(int)
            for name in names_of(kind):
                for day, triggers in self._raised[name].items():
                    counts[day] += triggers
            both = len(within & counts.keys())
            result[kind] = Agreement(len(within), len(counts), both, sum(counts.values()), len(measured))
        return result

    def report(self, people: Mapping[int, str]) -> Iterator[str]:
        """A line for each type of note."""
        for kind, agreement in self.agreements(people).items():
            noted = len(self.labels.noted[kind])
            left_out = "" if noted == agreement.noted else f"; {noted - agreement.noted} days are not in the capture"
            said = agreement if agreement.raised else f"nothing was raised on {agreement.noted} days that were noted"
            yield f"{kind}: {said}{left_out}"


def names_of(kind: str) -> frozenset[str]:
    """The metrics, rules and kinds of trigger that a type of note speaks of."""
    name = kind.strip().lower().replace(" ", "_")
    return MEANT.get(name, frozenset({name}))

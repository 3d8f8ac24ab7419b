"""Blood pressure and pulse alerts beside those that clinicians validated in TIHM's homes, day by day and person by person.

The readings go through the product one by one, as they were measured (`homecare backtest`). Limits are chosen on the
other people's days, safety first: those of a grid that reach the recall asked for, of these those that reach the
precision, of these the ones with most recall. What counts are readings out of their limits (kind `vital`). `…_pack_…`
is the default pack as it stands, whose limits were set with these homes in view, and all it says of these readings,
slow changes too.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from alerts.rules.limit_rules import Band, LimitRule
from alerts.rules.pack import Pack, load_pack
from homecare.commands.backtest_labels import Agreement, Labels, PersonDay, Score, load_labels
from homecare.commands.backtest_replay import Names, Replay
from homecare.messages import Inbound
from homecare.triggers import Kind
from simulators import tihm
from tests.bench.goals import Goal
from tests.bench.say import say
from tests.quality import data

AREA = "990100"
ALL_KINDS = frozenset(get_args(Kind))


class Side(NamedTuple):
    """One limit that is chosen, and from what."""

    metric: str
    side: Literal["high", "low"]
    candidates: Sequence[float]

    @property
    def sign(self) -> int:
        return 1 if self.side == "high" else -1


@dataclass(frozen=True, slots=True)
class Topic:
    """What clinicians noted as `label`, and the rule that is to find it."""

    name: str
    label: str
    rule: str
    recall: float
    precision: float
    sides: tuple[Side, ...]

    def worth(self, recall: float, precision: float) -> tuple[float, ...]:
        """Larger is better: first what is missed least of the one goal, then of the other, then recall, then precision."""
        return min(0.0, recall - self.recall), min(0.0, precision - self.precision), recall, precision


TOPICS = (
    Topic(
        "bp",
        "Blood pressure",
        "blood_pressure",
        recall=0.97,
        precision=0.88,
        sides=(
            Side("systolic", "high", range(150, 175, 5)),
            Side("systolic", "low", range(85, 105, 5)),
            Side("diastolic", "high", range(95, 115, 5)),
            Side("diastolic", "low", (20, *range(45, 65, 5))),
        ),
    ),
    Topic(
        "pulse",
        "Pulse",
        "heart_rate",
        recall=0.96,
        precision=0.88,
        sides=(Side("heart_rate", "high", range(90, 115, 5)), Side("heart_rate", "low", range(40, 60, 5))),
    ),
)
GOALS: Mapping[str, Goal] = {
    name: goal
    for topic in TOPICS
    for name, goal in {
        f"{topic.name}_alert_recall": Goal("days", topic.recall),
        f"{topic.name}_alert_precision": Goal("days", topic.precision),
        f"{topic.name}_pack_recall": Goal("days"),
        f"{topic.name}_pack_precision": Goal("days"),
        f"{topic.name}_alerts_per_person_day": Goal("1", None, "less"),
    }.items()
}


class Days(NamedTuple):
    """n days of one person each."""

    of: list[PersonDay]
    extremes: dict[tuple[str, str], npt.NDArray[np.float32]]
    """(metric, side) -> (n,) the largest or smallest reading; NaN: none."""


def measure() -> dict[str, float]:
    """Every metric of GOALS."""
    homes = tihm.read(data("tihm/physiology.csv.gz"))
    labels = load_labels(data("tihm/labels.csv"), "UTC")
    messages, pack, result = messages_by_home(homes), load_pack(), dict[str, float]()
    as_it_stands = replay(pack, messages, labels, homes.names(), kinds=ALL_KINDS)
    for topic in TOPICS:
        left_out = cross_validate(topic, pack, messages, labels, days_of(homes, labels))
        plain = as_it_stands[topic.label]
        say(f"{topic.label}: {left_out} (people left out)")
        say(f"{topic.label}: {plain} (the pack)")
        result |= {
            f"{topic.name}_alert_recall": left_out.recall,
            f"{topic.name}_alert_precision": left_out.precision,
            f"{topic.name}_pack_recall": plain.recall,
            f"{topic.name}_pack_precision": plain.precision,
            f"{topic.name}_alerts_per_person_day": left_out.per_person_day,
        }
    return result


def messages_by_home(homes: tihm.Homes) -> dict[str, list[Inbound]]:
    """Each home's readings, a message each, received within the minute."""
    messages = defaultdict(list)
    for line in tihm.lines(homes, AREA, most=1):
        home = line.topic.split("/")[3].removeprefix(tihm.device_of(""))
        payload = msgspec.json.encode({"subject": home} | msgspec.json.decode(line.content()))
        messages[home].append(Inbound(line.topic, payload, line.at))
    return messages


def replay(
    pack: Pack,
    messages: Mapping[str, Sequence[Inbound]],
    labels: Labels,
    homes: Iterable[str],
    kinds: Container[str] = ("vital",),
) -> dict[str, Agreement]:
    """What the product says of these homes, by type of note."""
    score = Score(labels)
    run = Replay(pack, interval_s=0, see=score.see)
    names = Names(run.registry)
    all_messages = sorted((each for home in homes for each in messages[home]), key=lambda message: message.received)
    for triggers in (run.take(all_messages), run.end()):
        for trigger in triggers:
            person = names.subject(trigger.resident)
            if person is not None and trigger.metric is not None and trigger.kind in kinds:
                score.count(trigger.at, person, frozenset({trigger.metric}))
    return score.agreements(names.people())


def cross_validate(
    topic: Topic, pack: Pack, messages: Mapping[str, Sequence[Inbound]], labels: Labels, days: Days
) -> Agreement:
    """Everybody judged by the limits that were chosen on all others."""
    noted = labels.noted[topic.label]
    homes_by_limits = defaultdict(list)
    for home in messages:
        homes_by_limits[choose(topic, days, noted, without=home)].append(home)
    parts = []
    for limits, homes in homes_by_limits.items():
        say(f"{topic.label}: {limits} for {len(homes)} of {len(messages)} people")
        parts.append(replay(with_limits(pack, topic, limits), messages, labels, homes)[topic.label])
    return Agreement(*(sum(column) for column in zip(*map(as_tuple, parts), strict=True)))


def choose(topic: Topic, days: Days, noted: frozenset[PersonDay], without: str) -> tuple[float, ...]:
    """The limits, in the order of the topic's sides, that do best on the days of all people but one."""
    others = np.array([each.person != without for each in days.of])
    true = np.array([each in noted for each in days.of])[others]
    all_noted = sum(each.person != without for each in noted)
    beyond = [
        [side.sign * days.extremes[side.metric, side.side][others] >= side.sign * limit for limit in side.candidates]
        for side in topic.sides
    ]
    best: tuple[int, ...] = ()
    most: tuple[float, ...] = ()
    for picks in product(*(range(len(side.candidates)) for side in topic.sides)):
        raised = np.logical_or.reduce([beyond[index][pick] for index, pick in enumerate(picks)])
        both = int((raised & true).sum())
        worth = topic.worth(both / max(all_noted, 1), both / max(int(raised.sum()), 1))
        if worth > most:
            best, most = picks, worth
    return tuple(float(side.candidates[pick]) for side, pick in zip(topic.sides, best, strict=True))


def days_of(homes: tihm.Homes, labels: Labels) -> Days:
    """The largest and smallest plausible reading of each metric, by day."""
    values: dict[PersonDay, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for reading in homes.readings:
        for metric, value in reading.kept().items():
            values[PersonDay(reading.home, labels.day(reading.ts))][metric].append(value)
    of = sorted(values)
    sides = {(side.metric, side.side): side.sign for topic in TOPICS for side in topic.sides}
    extremes: dict[tuple[str, str], npt.NDArray[np.float32]] = {}
    for (metric, side), sign in sides.items():
        largest = [sign * max((sign * value for value in values[day][metric]), default=np.nan) for day in of]
        extremes[metric, side] = np.array(largest, np.float32)
    return Days(of, extremes)


def with_limits(pack: Pack, topic: Topic, limits: Sequence[float]) -> Pack:
    """The pack with these limits in place of the rule's own; all else stays."""
    rule: LimitRule = pack.limit[topic.rule]
    chosen = {(side.metric, side.side): limit for side, limit in zip(topic.sides, limits, strict=True)}
    readings = tuple(
        msgspec.structs.replace(reading, bands=(Band(severity="warning", limit=chosen[reading.metric, reading.side]),))
        for reading in rule.reading
    )
    changed = msgspec.structs.replace(rule, reading=readings)
    return msgspec.structs.replace(pack, limit=pack.limit | {topic.rule: changed})


def as_tuple(agreement: Agreement) -> tuple[int, int, int, int, int]:
    """Its counts."""
    return agreement.noted, agreement.raised, agreement.both, agreement.triggers, agreement.person_days

"""The battery that every operator goes through: a rule brings a `Case`, and `test_operators.py` does the rest.

A case's strategy says what was measured and when; the battery delays, reorders, repeats, cuts and restarts it. What comes
out must be, trigger for trigger, what comes of the whole stream in one piece, and that what the scalar version says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from alerts.rules.engine import Engine
from alerts.rules.operator import EVENT_CODE
from alerts.rules.pack import Pack, build_pack
from alerts.rules.running import AHEAD_MS, Named
from alerts.rules.settled import SLACK_MS, WIDTHS_MS
from homecare.devices import RegisteredDevice
from homecare.kept import Kept
from homecare.messages import FIXES, Event, Origin, Position
from homecare.metrics import INDEX
from homecare.residents import Profile
from homecare.samples import Flag, Samples
from homecare.triggers import Trigger

Draw = Callable[..., Any]
START = 1_800_000_000_000
"""Friday 2027-01-15 08:00 UTC, 16:00 in China: a good moment for a stream to begin."""
EDGE_MS = WIDTHS_MS[-1]
PACK = build_pack({"pack": {"lateness_s": 300}}, partial=True)


@dataclass(frozen=True)
class Row:
    """A sample, or an event where `event` names one. A strategy gives ts, whose it is and what was measured."""

    ts: int
    """When it was measured, as it counts."""
    values: dict[str, float] = field(default_factory=dict)
    device: int = 1
    resident: int = 7
    lat: float = float("nan")
    lon: float = float("nan")
    accuracy: float = float("nan")
    speed: float = float("nan")
    fix: str | None = None
    event: str | None = None
    of: int = -1
    """Of a `cancel`: the index, among this device's rows, of the event it takes back (its `seq`)."""
    seq: int = -1
    """Set by the battery: the how-manieth row of its device this is, in order of the strategy."""
    received: int = 0
    """Set by the battery."""
    wrong_clock: bool = False
    """Set by the battery: `ts` is when it was received."""
    boot: int = 1
    part: int = 0


class Told(NamedTuple):
    """What of a trigger the scalar version must say as well."""

    at: int
    rule: str
    state: str
    severity: str
    device: int
    resident: int
    metric: str | None


@dataclass(frozen=True)
class Case:
    """One kind of rule, with numbers that a short stream can reach."""

    name: str
    operators: Callable[[], list[Named]]
    """Made anew at every start."""
    rows: st.SearchStrategy[list[Row]]
    """In whatever order; what was measured by whom. With the values at which something could go wrong."""
    scalar: Callable[[Sequence[Row], int], list[Told]]
    """(rows that count, each once, by time, device and count; until) -> all that is told, if `until` all is known."""
    profiles: tuple[Profile, ...] = (Profile(7, "R-7", "520201"), Profile(8, "R-8", "520201"))
    devices: tuple[RegisteredDevice, ...] = (
        RegisteredDevice(1, "d-1", "520201", "handset", 60.0),
        RegisteredDevice(2, "d-2", "520201", "handset", 60.0),
    )
    tail_ms: int = 3_600_000
    """How long after the last row it is still looked for what comes due."""
    wrong_clocks: bool = True
    """Whether rows may count by their time of receipt."""
    pack: Pack = PACK

    @property
    def wait_ms(self) -> int:
        """How late a row may be."""
        return min(named.operator.wait_ms for named in self.operators())


def arrivals(draw: Draw, case: Case) -> list[Row]:
    """The case's rows as they come in: delayed, out of order, some without a clock, some too late; each once."""
    wait = case.wait_ms
    delays = st.sampled_from([0, 0, 0, 0, 1_000, 60_000, wait - 1, wait, wait + 1, 10 * wait, -1_000, -AHEAD_MS])
    count: dict[int, int] = {}
    rows = []
    for row in draw(case.rows):
        seq = count.get(row.device, 0)
        count[row.device] = seq + 1
        received = row.ts + draw(delays)
        wrong = case.wrong_clocks and draw(st.integers(0, 9)) == 0
        rows.append(replace(row, seq=seq, received=received, wrong_clock=wrong, ts=received if wrong else row.ts))
    return sorted(rows, key=lambda row: row.received)


def with_repeats(draw: Draw, rows: list[Row], wait: int) -> list[Row]:
    """Some rows come again, at once or later, while the wait lasts."""
    result = list(rows)
    for row in draw(st.lists(st.sampled_from(rows), max_size=4)) if rows else []:
        first = result.index(row)
        places = [n for n in range(first + 1, len(result) + 1) if result[n - 1].received <= row.received + wait]
        place = draw(st.sampled_from(places))
        received = result[place - 1].received
        again = replace(row, received=received, ts=received if row.wrong_clock else row.ts)
        if again != row:
            result.insert(place, again)
    return result


def counting(rows: Sequence[Row], wait: int) -> list[Row]:
    """Those that count, each once (as it first came), in the order in which they count."""
    seen, result = set(), []
    for row in rows:
        name = row.device, row.boot, row.seq, row.part
        if name not in seen and row.ts >= row.received - wait:
            result.append(row)
        seen.add(name)
    return sorted(result, key=lambda row: (row.ts, row.device, row.boot, row.seq, row.part))


def horizon(case: Case, rows: Sequence[Row]) -> int:
    """Up to when the final sweep looks."""
    last = max((max(row.ts, row.received) for row in rows), default=START)
    return (last + case.tail_ms) // EDGE_MS * EDGE_MS


def started(case: Case) -> Engine:
    """An engine that knows whom it is about."""
    engine = Engine(case.pack, case.operators())
    engine.register(case.devices)
    engine.know(case.profiles)
    return engine


def whole(case: Case, rows: Sequence[Row]) -> list[Trigger]:
    """All of it in one piece."""
    engine = started(case)
    triggers = feed(engine, rows)
    return sorted_(triggers + engine.sweep(horizon(case, rows) + case.wait_ms + SLACK_MS))


def in_pieces(draw: Draw, case: Case, rows: list[Row], *, restarts: bool) -> list[Trigger]:
    """Cut anywhere, with looks at the clock between, and (`restarts`) from the last snapshot again."""
    engine, triggers = started(case), list[Trigger]()
    snapshot: list[Kept] | None = None
    cuts = sorted(draw(st.sets(st.integers(0, len(rows)))) | {0, len(rows)})
    for start, end in pairwise(cuts):
        triggers += feed(engine, rows[start:end])
        if draw(st.booleans()):
            triggers += engine.sweep(rows[end - 1].received)
        if restarts and draw(st.booleans()):
            snapshot = list(engine.dump())
        if restarts and draw(st.booleans()):
            engine = started(case)
            triggers += restarted(engine, snapshot, rows[:end])
    triggers += engine.sweep(horizon(case, rows) + case.wait_ms + SLACK_MS)
    told = {trigger.key: trigger for trigger in triggers}
    assert all(told[trigger.key] == trigger for trigger in triggers), "one key, two triggers"
    assert restarts or len(told) == len(triggers)
    return sorted_(told.values())


def restarted(engine: Engine, snapshot: Sequence[Kept] | None, stored: Sequence[Row]) -> list[Trigger]:
    """Start from a snapshot, or none, and what a database would hold of the rows so far."""
    for kept in snapshot or ():
        engine.load(kept)
    since = engine.since
    once = {(row.device, row.boot, row.seq, row.part): row for row in reversed(stored)}
    rows = [row for row in stored if row in once.values() and (since is None or row.ts >= since)]
    triggers = engine.restore_events([to_event(row) for row in rows if row.event])
    return triggers + engine.restore(to_samples([row for row in rows if not row.event]))


def feed(engine: Engine, rows: Sequence[Row]) -> list[Trigger]:
    """The rows in their order; samples and events come by different ways, runs of each in one batch."""
    triggers: list[Trigger] = []
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or (rows[end].event is None) != (rows[start].event is None):
            run = rows[start:end]
            is_event = run[0].event is not None
            triggers += engine.events([to_event(row) for row in run]) if is_event else engine.apply(to_samples(run))
            start = end
    return triggers


def to_samples(rows: Sequence[Row]) -> Samples:
    """Rows as columns."""
    samples = Samples.empty(len(rows))
    for at, row in enumerate(rows):
        for name in ("device", "resident", "ts", "received", "boot", "seq", "part"):
            getattr(samples, name)[at] = getattr(row, name)
        for name in ("lat", "lon", "accuracy", "speed"):
            getattr(samples, name)[at] = getattr(row, name)
        samples.fix[at] = -1 if row.fix is None else FIXES.index(row.fix)
        samples.flags[at] = Flag.WRONG_CLOCK if row.wrong_clock else 0
        for metric, value in row.values.items():
            samples.values[at, INDEX[metric]] = value
    return samples


def to_event(row: Row) -> Event:
    """A row with an event's name as the event."""
    assert row.event in EVENT_CODE
    said: dict[str, Any] = {name: getattr(row, name) for name in ("accuracy", "speed")}
    position = None
    if not np.isnan(row.lat):
        known = {name: value for name, value in said.items() if not np.isnan(value)}
        position = Position(row.lat, row.lon, fix=row.fix, **known)  # type: ignore[arg-type]
    return Event(
        Origin(f"d-{row.device}", "520201", row.device, row.resident or None),
        row.event,
        row.boot,
        row.seq,
        row.ts,
        None,
        row.received,
        Flag.WRONG_CLOCK if row.wrong_clock else 0,
        of=None if row.of < 0 else row.of,
        values=dict(row.values),
        position=position,
    )


def told(triggers: Sequence[Trigger]) -> list[Told]:
    """What the scalar version says of triggers."""
    return sorted((Told(t.at, t.rule, t.state, t.severity, t.device, t.resident, t.metric) for t in triggers), key=repr)


def sorted_(triggers: Any) -> list[Trigger]:
    """In an order that does not depend on when they were given."""
    return sorted(triggers, key=lambda trigger: (trigger.at, trigger.key))

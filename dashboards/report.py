"""A case on one page: how long each part took, the readings around it as a picture, and the proof of its log. Pure but for `prove`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from dashboards.cases import Shown
from dashboards.charts import GROUPS, draw
from dashboards.store import Store
from dashboards.story import Logged, Moment, Notified
from homecare.chain import Finding, Head, Line, check_chain

BEFORE, AFTER = timedelta(hours=6), timedelta(hours=2)
"""What of the readings is shown around the moment it was raised."""
AT_LEAST = timedelta(minutes=15)
"""So much room after it, while the case is young."""
MOST_SAMPLES = 4000
FIRST, LAST = 20, 8
"""Moments of a long story that fit the page: its beginning and its end."""
WIDTH, HEIGHT, LEFT, BOTTOM = 720.0, 150.0, 40.0, 18.0


class Span(NamedTuple):
    """A milestone (`received`, `told`, `acknowledged`, `arrived`, `closed`) and how many seconds after it was raised."""

    name: str
    at: datetime
    seconds: float


def durations(alert: Shown, log: Sequence[Logged], notifications: Sequence[Notified]) -> list[Span]:
    """The first time of each milestone that was reached, in order."""
    told = [
        datetime.fromisoformat(attempt["at"])
        for one in notifications
        if one.type in ("alert.opened", "alert.escalated")
        for attempt in one.attempts
        if attempt["outcome"] == "delivered"
    ]
    by_action = {
        name: [entry.at for entry in log if entry.action == name] for name in ("alert.acknowledged", "alert.arrived")
    }
    found: dict[str, datetime | None] = {
        "received": alert.raised_at + timedelta(seconds=alert.delayed_s),
        "told": min(told, default=None),
        "acknowledged": min(by_action["alert.acknowledged"], default=None),
        "arrived": min(by_action["alert.arrived"], default=None),
        "closed": alert.closed_at,
    }
    return [Span(name, at, (at - alert.raised_at).total_seconds()) for name, at in found.items() if at is not None]


def abridged(story: list[Moment]) -> tuple[list[Moment], int, list[Moment]]:
    """(the beginning, how many moments are left out, the end): what fits one page."""
    if len(story) <= FIRST + LAST:
        return story, 0, []
    return story[:FIRST], len(story) - FIRST - LAST, story[-LAST:]


class Tick(NamedTuple):
    """A mark on an axis: where, and what it says."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """One chart in the units of its viewBox (WIDTH × HEIGHT): lines as `points` of polylines, by metric; `raised` on x."""

    group: str
    lines: list[tuple[str, list[str]]]
    levels: list[Tick]
    raised: float
    start: datetime
    end: datetime


def window(alert: Shown, now: datetime) -> tuple[datetime, datetime]:
    """What of the person's readings belongs to the case."""
    return alert.raised_at - BEFORE, max(alert.raised_at + AT_LEAST, min(now, alert.raised_at + AFTER))


def pictures(
    alert: Shown, samples: Sequence[Mapping[str, Any]], start: datetime, end: datetime, most: int = 2
) -> list[Picture]:
    """Of the metric it is about; where it is about none, of what was measured, at most `most`."""
    charts = draw(samples)
    about = [group for group, metrics in GROUPS.items() if alert.metric in metrics]
    chosen = [group for group in about or charts if group in charts][:most]
    return [_picture(group, charts[group], alert.raised_at, start, end) for group in chosen]


def _picture(group: str, chart: Mapping[str, Any], raised: datetime, start: datetime, end: datetime) -> Picture:
    values = [value for line in chart["series"].values() for value in line if value is not None]
    low, high = min(values), max(values)
    pad = max((high - low) * 0.1, 1.0)
    low, high = low - pad, high + pad
    begin, length = start.timestamp(), max(1.0, (end - start).total_seconds())

    def across(at: float) -> float:
        return round(LEFT + (WIDTH - LEFT) * (at - begin) / length, 1)

    def up(value: float) -> float:
        share: float = (high - value) / (high - low)
        return round((HEIGHT - BOTTOM) * share, 1)

    lines = [
        (metric, list(_runs(zip(map(across, chart["ts"]), [None if v is None else up(v) for v in line], strict=True))))
        for metric, line in chart["series"].items()
    ]
    levels = [Tick(up(value), f"{value:.4g}") for value in (low + pad, (low + high) / 2, high - pad)]
    return Picture(group, lines, levels, across(raised.timestamp()), start, end)


def _runs(points: Iterator[tuple[float, float | None]]) -> Iterator[str]:
    """Unbroken stretches as `points` of polylines; a single reading is drawn as a short dash."""
    run: list[str] = []
    for x, y in [*points, (0.0, None)]:
        if y is not None:
            point = f"{x},{y}"
            if not run or run[-1] != point:
                run.append(point)
        elif run:
            if len(run) == 1:
                first_x, first_y = run[0].split(",")
                run.append(f"{float(first_x) + 2},{first_y}")
            yield " ".join(run)
            run = []


@dataclass(frozen=True, slots=True)
class LastSeal:
    """The latest seal over the whole log: up to which row it reaches."""

    number: int
    sealed_at: datetime
    last_id: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What a check of the case's own chain saw just now; `sealed` of its rows lie under a seal."""

    rows: int
    erased: int
    findings: list[Finding]
    sealed: int
    seal: LastSeal | None


async def prove(store: Store, alert: UUID) -> Proof:
    """Every row of the alert's chain against the row before it. The head is read first: what is written meanwhile is left out."""
    head = await store.row("chain_head", Head, chain=str(alert))
    most = head.place if head else 0
    lines = await store.rows("chain_lines", Line, chain=str(alert), most=most)
    seal = await store.row("last_seal", LastSeal)
    findings = list(check_chain(lines, head)) if lines or head else []
    sealed = sum(1 for line in lines if seal is not None and line.id <= seal.last_id)
    return Proof(len(lines), sum(1 for line in lines if line.detail is None), findings, sealed, seal)

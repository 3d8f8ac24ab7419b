"""What `tally.Tally` says, row by row."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from hypothesis import strategies as st

from alerts.rules.running import Named
from tests.alerts.rules.battery import START, Case, Row, Told
from tests.alerts.rules.tally import AWAY_MS, END, Tally


def by_device(rows: Sequence[Row], until: int) -> list[Told]:
    """Of devices."""
    return _tallies([row for row in rows if _counts(row)], until, of_resident=False)


def by_resident(rows: Sequence[Row], until: int) -> list[Told]:
    """Of residents."""
    return _tallies([row for row in rows if _counts(row) and row.resident], until, of_resident=True)


def _counts(row: Row) -> bool:
    return row.event == "assist" or row.values.get("heart_rate", float("nan")) > 0


def _tallies(rows: Sequence[Row], until: int, *, of_resident: bool) -> list[Told]:
    told = []
    streams = defaultdict(list)
    for row in rows:
        streams[row.resident if of_resident else row.device].append(row)
    for stream in streams.values():
        count = 0
        following = [row.ts for row in stream[1:]] + [until]
        for row, next_ts in zip(stream, following, strict=True):
            whose = row.resident if of_resident else 0
            count += 1
            if count % 3 == 0:
                told.append(Told(row.ts, "tally", "raised", "info", row.device, whose, None))
            if row.ts + AWAY_MS < next_ts:
                told.append(Told(row.ts + AWAY_MS, "away", "raised", "info", row.device, whose, None))
                count = 0
    return told


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Heart rates and calls of two devices and three people, some of nobody, and what concerns nobody."""
    ts, result = START, []
    for _ in range(draw(st.integers(0, 12))):
        ts += draw(st.sampled_from([0, 0, 1, 1_000, 60_000, AWAY_MS - 1, AWAY_MS, AWAY_MS + 1, 3_600_000, -60_000]))
        device, resident = draw(st.sampled_from([(1, 7), (2, 7), (2, 8), (2, 0)]))
        value = draw(st.sampled_from([20.0, 72.0, 250.0, float("nan")]))
        what = draw(st.sampled_from(["sample", "sample", "steps", "assist", "door"]))
        values = {"steps": 3.0} if what == "steps" else {"heart_rate": value} if what != "door" else {}
        event = what if what in ("assist", "door") else None
        result.append(Row(ts, values if event != "assist" else {}, device, resident, event=event))
    return result


BY_DEVICE = Case("tally by device", lambda: [Named("tally", Tally("device", ordered=True))], rows(), by_device)
BY_RESIDENT = Case("tally by resident", lambda: [Named("tally", Tally("resident", ordered=True))], rows(), by_resident)
TOGETHER = Case(
    "both tallies",
    lambda: [Named("one", Tally("device", ordered=True)), Named("other", Tally("resident", ordered=True))],
    rows(),
    lambda rows, until: [*by_device(rows, until), *by_resident(rows, until)],
)


def totals(rows: Sequence[Row], until: int) -> list[Told]:
    """How many of each device; slots are in the order in which the battery registers devices."""
    counts = Counter(row.device for row in rows if _counts(row))
    return [Told(END, "total", "raised", "info", 0, device - 1, None) for device in counts if until > END]


AT_ONCE = Case("totals", lambda: [Named("total", Tally("device", ordered=False))], rows(), totals, tail_ms=END - START)

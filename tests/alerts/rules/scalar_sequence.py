"""Sequences once more, one event at a time in plain Python: what `sequence.Sequence` must equal."""

from collections.abc import Sequence as Several

from hypothesis import strategies as st

from alerts.rules.pack import load_pack
from alerts.rules.running import Named
from alerts.rules.sequence import Sequence, SequenceRule
from tests.alerts.rules.battery import START, Case, Row, Told

RULE = load_pack().rules["sequence"]["sos_taken_back"]
TWICE = SequenceRule(
    version=1, kind="fall", severity="urgent", first="fall", then="fall", within_s=600, wait_s=60, zh="两次", en="twice"
)
assert isinstance(RULE, SequenceRule)


def sequence_triggers(name: str, rule: SequenceRule, rows: Several[Row]) -> list[Told]:
    """What is said of the events of one device, in order."""
    said: list[Told] = []
    first_at, first_seq = None, -1
    for row in rows:
        if row.event not in {rule.first, rule.then}:
            continue
        in_time = first_at is not None and row.ts - first_at <= rule.within_s * 1000
        if row.event == rule.then and in_time and row.of in {-1, first_seq}:
            said.append(Told(row.ts, name, "raised", rule.severity, row.device, row.resident, None))
        first_at, first_seq = (row.ts, row.seq) if row.event == rule.first else (None, -1)
    return said


def _scalar(rows: Several[Row], until: int) -> list[Told]:
    said = []
    for device in (1, 2):
        mine = [row for row in rows if row.device == device and row.ts < until]
        for name, rule in (("sos_taken_back", RULE), ("falls", TWICE)):
            assert isinstance(rule, SequenceRule)
            said += sequence_triggers(name, rule, mine)
    return said


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Presses, second thoughts and falls, with samples between, of two devices that one person may wear both."""
    gaps = st.sampled_from([0, 1, 10_000, 29_999, 30_000, 30_001, 600_000, 600_001])
    at, result = START, []
    for _ in range(draw(st.integers(1, 12))):
        at += draw(gaps)
        event = draw(st.sampled_from(["sos", "sos", "cancel", "cancel", "fall", "fall", "check_in", None]))
        device, resident = draw(st.sampled_from([(1, 7), (1, 7), (2, 7), (2, 0)]))
        of = draw(st.sampled_from([-1, 0, 1, 2])) if event == "cancel" else -1
        result.append(Row(at, {"steps": 3.0}, device, resident, event=event, of=of))
    return result


SEQUENCE_CASE = Case(
    "sequence",
    lambda: [
        Named("sequence.sos_taken_back", Sequence("sos_taken_back", RULE)),  # type: ignore[arg-type]
        Named("sequence.falls", Sequence("falls", TWICE)),
    ],
    rows(),
    _scalar,
)

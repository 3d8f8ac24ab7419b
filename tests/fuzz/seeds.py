"""What the fuzzer starts from: contract messages of every kind, and those that people already thought of."""

import json
from pathlib import Path

from homecare.metrics import METRICS
from tests.gateway.village import NOW, sos, telemetry

GOLDEN = Path(__file__).parents[1] / "gateway/golden"
TOPICS = (
    "care/v1/990101/H-1/telemetry",
    "care/v1/990101/K-1/telemetry",
    "care/v1/990101/H-1/telemetry/senml",
    "care/v1/990101/H-1/event",
    "care/v1/990101/H-1/status",
    "care/v1/990101/H-1/reply",
    "care/v1/990102/H-1/telemetry",
    "care/v1/990101/nobody/event",
    "traccar/positions",
    "care/v1/990101/H-1/unheard-of",
)
"""The first byte of an input chooses one."""
MESSAGES: tuple[tuple[int, object], ...] = (
    (0, telemetry()),
    (
        0,
        telemetry(
            samples=[{"ts": NOW, "values": {"steps": 12}}, {"ts": None, "position": {"lat": 26.5, "lon": 104.8}}]
        ),
    ),
    (0, telemetry(acceleration={"hz": 50, "unit": "g", "scale": 0.1, "xyz": "AAAAAAAA"})),
    (1, telemetry(subject="CARD-77", values={"systolic": 152, "diastolic": 95})),
    (3, sos(position={"lat": 26.5, "lon": 104.8, "accuracy": 8, "fix": "gnss"})),
    (3, sos(event="cancel", of=7)),
    (3, sos(event="assist", service="shopping")),
    (4, {"boot": 3, "state": "online", "model": "M", "firmware": "1.2.0", "interval": 60}),
    (5, {"id": "c-1", "ok": True, "result": {}}),
)


def seeds() -> list[bytes]:
    """Inputs as the fuzzer takes them."""
    found = [bytes((topic,)) + json.dumps(message).encode() for topic, message in MESSAGES]
    for path in sorted(GOLDEN.glob("*/*.json")):
        topic = 2 if path.parent.name == "senml" else 8
        example = json.loads(path.read_text("utf-8"))
        text = example["text"] if "text" in example else json.dumps(example["payload"])
        found.append(bytes((topic,)) + text.encode())
    return found


def dictionary() -> str:
    """Words that mean something to the decoders, as libFuzzer reads them."""
    names = {name for _, message in MESSAGES if isinstance(message, dict) for name in message}
    names |= {metric.name for metric in METRICS} | {
        "subject",
        "samples",
        "lat",
        "lon",
        "fix",
        "n",
        "v",
        "u",
        "t",
        "bn",
        "bt",
    }
    numbers = {"1e400", "-1", "2147483648", "9223372036854775808", "NaN", "null", "\\\\ud800"}
    return "".join(f'"\\"{name}\\":"\n' for name in sorted(names)) + "".join(f'"{text}"\n' for text in sorted(numbers))

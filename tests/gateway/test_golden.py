"""The other dialects, by examples made by hand from their specifications: golden/<dialect>/*.json."""

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.edge import Edge
from homecare.checked import Checked
from homecare.messages import FIXES, Inbound
from homecare.metrics import METRICS
from homecare.samples import NO_TIME, Flag
from tests.gateway.village import AREA, NOW, registry

EXAMPLES = sorted((Path(__file__).parent / "golden").glob("*/*.json"))
PLACE = ("lat", "lon", "accuracy", "speed", "heading", "altitude")


def message(path: Path, example: dict[str, Any]) -> Inbound:
    payload = example["text"].encode() if "text" in example else json.dumps(example["payload"]).encode()
    if path.parent.name == "traccar":
        return Inbound("traccar/positions", payload, NOW)
    return Inbound(f"care/v1/{AREA}/{example.get('device', 'H-1')}/telemetry/senml", payload, NOW)


def sample(checked: Checked, row: int) -> dict[str, Any]:
    """What is there of it, as the examples say it."""
    samples = checked.samples
    said: dict[str, Any] = {"ts": int(samples.ts[row]), "flags": Flag(int(samples.flags[row]))}
    said |= {name: int(getattr(samples, name)[row]) for name in ("boot", "seq", "resident", "claimed")}
    values = zip((metric.name for metric in METRICS), samples.values[row].tolist(), strict=True)
    said["values"] = {name: pytest.approx(value, rel=1e-6) for name, value in values if not math.isnan(value)}
    place = {name: float(getattr(samples, name)[row]) for name in PLACE}
    said["position"] = {name: pytest.approx(value, rel=1e-6) for name, value in place.items() if not math.isnan(value)}
    if samples.fix[row] >= 0:
        said["position"]["fix"] = FIXES[samples.fix[row]]
    return said


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_example_says_what_it_should(path: Path) -> None:
    example = json.loads(path.read_text("utf-8"))
    checked = Edge(registry()).check([message(path, example)])
    wanted = example.get("samples", [])
    assert len(checked.samples) == len(wanted)
    for row, want in enumerate(wanted):
        found = sample(checked, row)
        assert checked.samples.part[row] == row
        flags = Flag(0)
        for name in want["flags"]:
            flags |= Flag[name]
        whole = {"values": {}, "position": {}, "claimed": NO_TIME} | want | {"flags": flags}
        assert {name: found[name] for name in whole} == whole
    events = [event_of(event) for event in checked.events]
    assert events == [{"values": {}, "position": None} | event for event in example.get("events", [])]
    rejections = {rejection.reason: rejection.detail for rejection in checked.rejections}
    assert rejections.keys() == example.get("rejections", {}).keys()
    for reason, detail in example.get("rejections", {}).items():
        assert detail in rejections[reason]
    assert [stranger.origin.device for stranger in checked.strangers] == example.get("strangers", [])


def event_of(event: Any) -> dict[str, Any]:
    assert event.forwarded
    said = msgspec.to_builtins(event)
    position = said["position"] and {name: value for name, value in said["position"].items() if value is not None}
    origin = {"device": event.origin.device, "area": event.origin.area}
    return {name: said[name] for name in ("event", "boot", "seq", "ts", "values")} | origin | {"position": position}

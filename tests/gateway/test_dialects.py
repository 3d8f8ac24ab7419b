"""SenML and Traccar whatever comes: nothing but named rejections, names for ever, every SOS, each part read by one process."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.draft import Reader
from gateway.edge import Edge
from gateway.open_registry import OpenRegistry
from gateway.senml import SENML, metric_of
from gateway.senml_units import CONVERSIONS
from gateway.traccar import TOPIC, TRACCAR_ALARMS, measurements
from gateway.traccar_message import ALARMS, NUMBERED
from homecare.checked import Checked
from homecare.messages import Inbound
from homecare.metrics import METRICS
from homecare.samples import Flag
from tests.gateway.village import AREA, NOW, reasons, registry

SECONDS = NOW / 1000 - 60
SENML_NAMES = ["bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut", "boot", "seq"]
TRACCAR_NAMES = [
    "position",
    "device",
    "uniqueId",
    "id",
    "attributes",
    "alarm",
    "valid",
    "outdated",
    "latitude",
    "longitude",
]
TRACCAR_NAMES += [
    "accuracy",
    "speed",
    "course",
    "fixTime",
    "deviceTime",
    "batteryLevel",
    "heartRate",
    "network",
    "deviceId",
]
WORDS = [
    "heart_rate",
    "spo2",
    "lat",
    "lon",
    "%",
    "beat/min",
    "H-1",
    "H-99",
    "sos",
    "lowBattery,fallDown",
    "2026-11-21T19:29:15Z",
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from([*WORDS, SECONDS, NOW, 10, 72, 0, 2**31, 2**62, 1e308])
)


def objects(names: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(names) | st.text(max_size=3), values, max_size=8)


NESTED = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | objects(SENML_NAMES + TRACCAR_NAMES, inner),
    max_leaves=12,
)
RECORDS = st.lists(objects(SENML_NAMES, SCALARS) | NESTED, max_size=5)
ATTRIBUTES = objects(["alarm", "batteryLevel", "heartRate", "steps", "approximate"], SCALARS)
POSITIONS = st.builds(
    lambda said, attributes: said | {"attributes": attributes}, objects(TRACCAR_NAMES, NESTED), ATTRIBUTES
)
FORWARDS = st.builds(
    lambda position, device: {"position": position, "device": {"uniqueId": device}},
    POSITIONS,
    st.sampled_from(["H-1", "H-99", "", "手环", "x\0" * 40]),
)
BYTES = st.binary(max_size=30) | st.builds(
    lambda value, cut: json.dumps(value).encode()[:cut],
    RECORDS | FORWARDS | NESTED,
    st.none() | st.integers(0, 200),
)
TOPICS = st.sampled_from([TOPIC, f"care/v1/{AREA}/H-1/telemetry/senml", f"care/v1/{AREA}/H-99/telemetry/senml"])


@settings(max_examples=600, deadline=None)
@given(TOPICS, BYTES)
@example(TOPIC, b"[" * 60_000)
@example(f"care/v1/{AREA}/H-1/telemetry/senml", b'[{"bt":1e999,"n":"spo2","v":97,"t":-1e999}]')
@example(f"care/v1/{AREA}/H-1/telemetry/senml", b'[{"bv":1e999,"n":"spo2","v":-1e999}]')
@example(
    TOPIC,
    b'{"position":{"attributes":{"alarm":"sos"},"note":"\\ud800","fixTime":"\\ud800"},"device":{"uniqueId":"\\ud800"}}',
)
def test_nothing_but_named_rejections_comes_out(topic: str, payload: bytes) -> None:
    checked = Edge(registry()).check([Inbound(topic, payload, NOW)])
    assert len(checked.samples) or checked.rejections
    assert all(0 <= number < 2**31 for number in [*checked.samples.boot.tolist(), *checked.samples.seq.tolist()])
    for rejection in checked.rejections:
        assert rejection.message.payload == payload
        (rejection.detail + (rejection.device or "")).encode()
        assert "\0" not in rejection.detail + (rejection.device or "")


@settings(max_examples=300, deadline=None)
@given(
    POSITIONS,
    st.sampled_from(["sos", "fallDown"]),
    st.lists(st.sampled_from([*ALARMS, "tow"])),
    NESTED,
    st.integers(0, 5),
)
def test_an_sos_or_fall_always_counts(position: Any, alarm: str, others: list[str], device: Any, at: int) -> None:
    listed = [*others[:at], alarm, *others[at:]]
    body = {"position": position | {"attributes": {"alarm": ",".join(listed)}}, "device": device}
    events = Edge(registry()).check([Inbound(TOPIC, json.dumps(body).encode(), NOW)]).events
    assert {"sos": "sos", "fallDown": "fall"}[alarm] in [event.event for event in events]
    names = [(event.boot, event.seq) for event in events if event.boot is not None]
    assert len(set(names)) == len(names)


@settings(max_examples=200, deadline=None)
@given(st.lists(FORWARDS, min_size=1, max_size=4), st.integers(1, 5))
def test_each_part_of_a_forward_is_read_by_one_process(bodies: list[Any], shards: int) -> None:
    messages = [Inbound(TOPIC, json.dumps(body).encode(), NOW) for body in bodies]
    whole = Edge(registry()).check(messages)
    mine = {"": 0, AREA: shards - 1}
    dialects: list[dict[str, Reader]] = [measurements(lambda area, n=n: mine[area] == n) for n in range(shards)]  # type: ignore[misc]
    parts = [Edge(registry(), [dialect]).check(messages) for dialect in [*dialects, TRACCAR_ALARMS]]
    assert sorted(whole.samples.seq.tolist()) == sorted(seq for part in parts for seq in part.samples.seq.tolist())
    assert len(whole.rejections) == sum(len(part.rejections) for part in parts)
    assert len(whole.strangers) == sum(len(part.strangers) for part in parts)
    assert whole.events == parts[-1].events
    assert not any(part.events for part in parts[:-1])


def senml(*records: dict[str, Any], received: int = NOW) -> Checked:
    topic = f"care/v1/{AREA}/H-1/telemetry/senml"
    return Edge(registry(), [SENML]).check([Inbound(topic, json.dumps(records).encode(), received)])


def names(checked: Checked) -> list[tuple[int, int, int, int]]:
    samples = checked.samples
    columns = (samples.ts, samples.boot, samples.seq, samples.part)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_pack_that_comes_again_has_the_same_name_for_ever() -> None:
    records = [{"bt": SECONDS, "n": "spo2", "v": 97}, {"n": "spo2", "t": -1, "v": 96}]
    assert names(senml(*records)) == names(senml(*records, received=NOW + 86_400_000))


def test_two_packs_of_one_time_do_not_share_a_name() -> None:
    one, other = (senml({"bt": SECONDS, "n": "heart_rate", "v": value}) for value in (70, 71))
    assert one.samples.ts.tolist() == other.samples.ts.tolist()
    assert names(one) != names(other)


def test_a_pack_without_a_time_is_a_repeat_only_at_once() -> None:
    reading = {"n": "presence", "vb": True}
    first, again, later = (senml(reading, received=at).samples for at in (NOW, NOW + 2_000, NOW + 60_000))
    assert (first.boot[0], first.seq[0]) == (again.boot[0], again.seq[0])
    assert (first.boot[0], first.seq[0]) != (later.boot[0], later.seq[0])


def test_a_pack_of_more_times_than_the_contract_allows_is_refused() -> None:
    records = [{"n": "spo2", "t": SECONDS - n, "v": 97} for n in range(513)]
    assert len(senml(*records[:512]).samples) == 512
    checked = senml(*records)
    assert reasons(checked) == {"bad_schema": "513 times; 512 at most"}
    assert not len(checked.samples)


@pytest.mark.parametrize(
    ("base", "name", "metric"),
    [
        ("", "heart_rate", "heart_rate"),
        ("urn:dev:ow:10e2073a01080063:", "heart_rate", "heart_rate"),
        ("urn:dev:mac:0024befffe804ff1_", "battery", "battery"),
        ("hs-1/heart_rate", "", "heart_rate"),
        ("hs-1/heart", "_rate", "heart_rate"),
        ("bed_", "room_temperature", "room_temperature"),
        ("bed_room_", "temperature", "temperature"),
        ("bed_room_temperature", "", "room_temperature"),
        ("", "bodytemperature", None),
        ("", "", None),
    ],
)
def test_of_a_name_the_metric_counts(base: str, name: str, metric: str | None) -> None:
    assert metric_of(name, base + name) == metric


def test_every_metric_may_come_in_its_own_unit() -> None:
    for metric in METRICS:
        middle = (metric.low + metric.high) / 2
        checked = senml({"n": metric.name, "u": metric.unit, "t": SECONDS, "v": middle})
        assert not checked.rejections
        assert CONVERSIONS[metric.name][metric.unit] == (1.0, 0.0)


def forward(device: dict[str, Any] | None = None, **position: Any) -> Checked:
    said = {"id": 0, "fixTime": "2026-11-21T19:29:15Z", "latitude": 26.5, "longitude": 104.8, "valid": True}
    body = {"position": said | position, "device": {"uniqueId": "H-1"} | (device or {})}
    return Edge(registry()).check([Inbound(TOPIC, json.dumps(body).encode(), NOW)])


def test_a_position_without_an_id_is_named_by_what_it_says() -> None:
    sos = {"alarm": "sos,fallDown"}
    first = forward(attributes=sos)
    again = forward(attributes=sos, device={"status": "online", "lastUpdate": "2026-11-21T19:29:16Z"})
    pressed_again = forward(attributes=sos, serverTime="2026-11-21T20:29:16Z")
    assert names(first) == names(again) != names(pressed_again)
    events = [[(event.boot, event.seq) for event in checked.events] for checked in (first, again, pressed_again)]
    assert events[0] == events[1]
    assert not set(events[0]) & set(events[2])
    assert forward(id=None).samples.seq.tolist() == forward(id=0).samples.seq.tolist()


def test_the_order_of_the_alarms_does_not_matter() -> None:
    one, other = (forward(id=7, attributes={"alarm": listed}) for listed in ("tampering, sos,tow", "SOS,tampering,sos"))
    assert one.events == other.events
    assert [event.event for event in one.events] == ["sos", "tamper"]
    assert all(event.flags & Flag.UNCOUNTED for event in one.events)


def test_every_alarm_that_is_taken_has_a_number_of_its_own() -> None:
    assert set(ALARMS.values()) == set(NUMBERED)
    assert len(NUMBERED) < 2**7
    assert all(alarm == alarm.lower() for alarm in ALARMS)


def test_in_a_backtest_a_forwarded_device_counts_as_registered() -> None:
    body = {"position": {"fixTime": NOW, "attributes": {"heartRate": 72}}, "device": {"uniqueId": "T-1"}}
    checked = Edge(OpenRegistry()).check([Inbound(TOPIC, json.dumps(body).encode(), NOW)])
    assert checked.samples.device.tolist() == [1]
    assert not checked.rejections

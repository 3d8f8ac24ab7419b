import json
from collections.abc import Sized
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.draft import Draft
from gateway.edge import Edge
from gateway.open_registry import OpenRegistry
from gateway.source import Source
from homecare.checked import Checked
from homecare.devices import RegisteredDevice
from homecare.messages import Inbound
from homecare.samples import Flag
from tests.gateway.village import AREA, NOW, inbound, reasons, registry, sos, telemetry

NAMES = ["boot", "seq", "ts", "subject", "values", "position", "samples", "acceleration", "event", "of", "service"]
NAMES += [
    "state",
    "model",
    "interval",
    "id",
    "ok",
    "result",
    "error",
    "heart_rate",
    "spo2",
    "confidence",
    "lat",
    "lon",
    "fix",
]
NAMES += ["hz", "unit", "scale", "xyz"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["sos", "fall", "cancel", "R-000013", "online", "gnss", "AAAAAAAA", NOW, 72, 0])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=12,
)
GOOD = st.sampled_from(
    [telemetry(), sos(), {"state": "online"}, {"boot": 1, "seq": 1, "samples": [{"values": {"spo2": 97}}]}]
)
SPOILT = st.builds(
    lambda good, wrong: good | wrong, GOOD, st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=3)
)
PAYLOADS = (
    st.binary(max_size=40)
    | (ANYTHING | SPOILT).map(lambda value: json.dumps(value).encode())
    | st.builds(
        lambda value, cut, extra: json.dumps(value).encode()[:cut] + extra,
        SPOILT,
        st.integers(0, 60),
        st.binary(max_size=3),
    )
)
TOPICS = st.builds(
    "care/v1/{}/{}/{}".format,
    st.sampled_from([AREA, "990102", "区", ""]),
    st.sampled_from(["H-1", "K-1", "S-1", "H-99", "H-revoked", "手环"]),
    st.sampled_from(["telemetry", "event", "status", "reply", "telemetry/senml", "ack"]),
) | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=10)
MESSAGES = st.builds(Inbound, TOPICS, PAYLOADS, st.just(NOW), st.booleans(), st.booleans())


def accounted_for(message: Inbound, checked: Checked) -> bool:
    lists: list[Sized] = [checked.samples, checked.windows, checked.events, checked.statuses, checked.replies]
    kept = [len(part) for part in [*lists, checked.rejections]]
    return any(kept) or (not message.payload and message.topic.endswith("/status"))


@settings(max_examples=400, deadline=None)
@given(MESSAGES)
def test_whatever_comes_in_ends_somewhere_and_nothing_is_raised(message: Inbound) -> None:
    checked = Edge(registry()).check([message])
    assert accounted_for(message, checked)
    found = [rejection.reason for rejection in checked.rejections]
    assert len(found) == len(set(found))
    for rejection in checked.rejections:
        assert rejection.message.payload == message.payload
        assert 0 < len(rejection.detail) <= 500
        (rejection.detail + rejection.message.topic).encode()
        assert "\0" not in rejection.detail + rejection.message.topic


@settings(max_examples=150, deadline=None)
@given(st.lists(MESSAGES, max_size=8), st.integers(0, 8))
def test_a_batch_is_the_sum_of_its_parts(messages: list[Inbound], cut: int) -> None:
    whole = Edge(registry()).check(messages)
    edge = Edge(registry())
    parts = [edge.check(messages[:cut]), edge.check(messages[cut:])]
    assert len(whole.samples) == sum(len(part.samples) for part in parts)
    assert whole.samples.seq.tolist() == [seq for part in parts for seq in part.samples.seq.tolist()]
    assert whole.events == parts[0].events + parts[1].events
    assert whole.rejections == parts[0].rejections + parts[1].rejections


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=4), st.sampled_from(["sos", "fall"]), TOPICS)
def test_an_sos_is_always_an_event(members: dict[str, Any], name: str, topic: str) -> None:
    message = inbound(members | {"event": name}, "event")
    (event,) = Edge(registry()).check([message]).events
    assert event.event == name
    assert (event.boot is None) == (event.seq is None)


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("care/v1/990101/H-1/telemetry/morse", "bad_schema"),
        ("care/v1/990101/H-1/ack", "bad_schema"),
        ("care/v1/990101/手环/telemetry", "unknown_device"),
        ("somewhere/else", "unknown_device"),
        ("x\0" * 2000, "unknown_device"),
    ],
)
def test_topics_that_no_decoder_reads(topic: str, reason: str) -> None:
    checked = Edge(registry()).check([Inbound(topic, b"{}", NOW)])
    assert list(reasons(checked)) == [reason]
    assert len(checked.rejections[0].message.topic) <= 500
    assert "\0" not in checked.rejections[0].message.topic


def test_the_edge_follows_the_registry() -> None:
    known = registry()
    edge = Edge(known)
    message = inbound(telemetry(), device="H-99")
    assert list(reasons(edge.check([message]))) == ["unknown_device"]
    known.update([RegisteredDevice(99, "H-99", AREA, "handset", 60.0)])
    assert edge.check([message]).samples.device.tolist() == [99]


def test_a_dialect_plugs_in_by_its_route() -> None:
    def read(message: Inbound, source: Source, draft: Draft) -> None:
        draft.add_sample((source.key, 0, message.received, 0, 0, 0, 0, 0, int(Flag.LATE)), (0.0,) * 15, None)

    edge = Edge(registry(), [{"telemetry/morse": read, "elsewhere/positions": read}])
    checked = edge.check([inbound(b"...", "telemetry/morse"), Inbound("elsewhere/positions", b"---", NOW)])
    assert checked.samples.device.tolist() == [1, 0]
    assert list(reasons(edge.check([inbound(b"...", "telemetry/morse", device="H-99")]))) == ["unknown_device"]


def test_in_an_open_registry_everybody_is_known_in_the_area_of_their_topic() -> None:
    known = OpenRegistry()
    edge = Edge(known)
    messages = [inbound(telemetry(subject=f"P-{n % 2}"), device=f"D-{n % 3}", area=f"A{n}") for n in range(6)]
    checked = edge.check(messages)
    assert not checked.rejections
    assert checked.samples.device.tolist() == [1, 2, 3, 1, 2, 3]
    assert checked.samples.resident.tolist() == [1, 2, 1, 2, 1, 2]

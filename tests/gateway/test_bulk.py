"""Plain telemetry in bulk is what the same messages are one by one."""

import json
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.bulk import Bulk, Plain
from gateway.edge import Edge
from gateway.open_registry import OpenRegistry
from homecare.messages import Inbound
from homecare.samples import Samples

NOW = 1_795_219_200_000
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "heart_rate": st.sampled_from([20, 72.4, 250, 251, None, "72"]),
        "temperature": st.sampled_from([36.55, 45, -1]),
        "steps": st.integers(0, 20_000),
        "unheard_of": st.just(1),
    },
)
POSITION = st.fixed_dictionaries(
    {"lat": st.sampled_from([26.5, -90, 91]), "lon": st.just(104.25)},
    optional={
        "accuracy": st.sampled_from([8, None]),
        "fix": st.sampled_from(["gnss", "none", "best"]),
        "speed": st.just(1),
    },
)
SAMPLE = st.fixed_dictionaries(
    {},
    optional={
        "ts": st.sampled_from([NOW, NOW - 400_000, NOW + 400_000, 0, None, 2**62, -(2**62), 1.5]),
        "values": VALUES,
        "position": POSITION,
        "acceleration": st.just({"hz": 50, "unit": "g", "scale": 0.1, "xyz": "AAAAAAAA"}),
    },
)
MESSAGE = st.builds(
    lambda own, rest: own | rest,
    SAMPLE,
    st.fixed_dictionaries(
        {"boot": st.sampled_from([0, 3, 2**31 - 1, -1]), "seq": st.integers(0, 9)},
        optional={
            "subject": st.sampled_from(["R-1", "R-2", 5]),
            "samples": st.lists(SAMPLE, max_size=3),
            "more": st.just([]),
        },
    ),
)
TOPIC = st.sampled_from(
    [f"care/v1/{area}/{device}/telemetry" for area in ("A1", "A2") for device in ("D-1", "D-2")]
    + ["care/v1/A1/D-1/telemetry/senml", "care/v1/A1/D 1/telemetry", "elsewhere"]
)


def line(at: int, topic: str, payload: Any) -> bytes:
    return json.dumps({"at": at, "topic": topic, "payload": payload}).encode()


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(TOPIC, MESSAGE), min_size=1, max_size=6))
def test_what_is_read_in_bulk_is_what_the_edge_makes_of_it(sent: list[tuple[str, dict[str, Any]]]) -> None:
    registry, other = OpenRegistry(), OpenRegistry()
    bulk, edge = Bulk(registry), Edge(other)
    plain, inbound = list[Plain](), list[Inbound]()
    for topic, payload in sent:
        (read,) = bulk.read([line(NOW, topic, payload)])
        if read is not None:
            plain.append(read)
            inbound.append(Inbound(topic, json.dumps(payload).encode(), NOW))
    checked = edge.check(inbound)
    assert not checked.rejections
    assert not checked.windows
    if not plain:
        return
    samples = bulk.columns(plain)
    samples.device = keys_by_name(registry, other)[samples.device]
    same(samples, checked.samples)


def keys_by_name(registry: OpenRegistry, other: OpenRegistry) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Key in `registry` -> key in `other`, which has seen fewer devices."""
    keys = [0, *(other.devices[name].key if name in other.devices else 0 for name in registry.devices)]
    return np.array(keys, np.int32)


def same(samples: Samples, others: Samples) -> None:
    for field in fields(Samples):
        column, other = getattr(samples, field.name), getattr(others, field.name)
        assert column.dtype == other.dtype, field.name
        np.testing.assert_array_equal(column, other, err_msg=field.name)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"at":1,"topic":"care/v1/A1/D-1/telemetry"}',
        line(NOW, "care/v1/A1/D-1/telemetry", "eyJib290IjoxfQ=="),
        line(NOW, "care/v1/A1/D-1/event", {"boot": 1, "seq": 1, "event": "sos", "values": {"heart_rate": 70}}),
        line(NOW, "care/v1/A1/D-1/telemetry", {"boot": 1, "seq": 1, "values": {"heart_rate": 70}}).replace(
            b"A1", b"\xff"
        ),
        line(NOW, "care/v1/A1/D-1/telemetry", {"boot": 1, "seq": 1, "values": {"heart_rate": 70}, "x": "x" * 65_536}),
    ],
)
def test_anything_else_is_left_to_the_edge(text: bytes) -> None:
    assert Bulk(OpenRegistry()).read([text]) == [None]

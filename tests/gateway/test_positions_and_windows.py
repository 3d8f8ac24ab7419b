import base64
from typing import Any

import numpy as np
import pytest

from homecare.metrics import INDEX
from homecare.samples import Flag, Samples
from tests.gateway.village import (
    HANDSET,
    NOW,
    WEARER,
    check,
    reasons,
    telemetry,
)


def reading(samples: Samples, name: str, row: int = 0) -> float:
    return float(samples.values[row, INDEX[name]])


@pytest.mark.parametrize(
    ("position", "kept", "reason"),
    [
        ({"lat": 26.5, "lon": 104.8, "accuracy": -1}, True, "out_of_range"),
        ({"lat": 26.5, "lon": 104.8, "heading": 361}, True, "out_of_range"),
        ({"lat": 26.5, "lon": 104.8, "fix": "sunstone"}, True, "bad_schema"),
        ({"lat": 26.5, "lon": 181}, False, "out_of_range"),
        ({"lat": "26.5", "lon": 104.8}, False, "not_a_number"),
        ({"lat": 26.5}, False, "bad_schema"),
        ({}, False, "bad_schema"),
        ([26.5, 104.8], False, "bad_schema"),
    ],
)
def test_a_partly_bad_position(position: Any, kept: bool, reason: str) -> None:
    checked = check(telemetry(position=position))
    assert list(reasons(checked)) == [reason]
    assert bool(checked.samples.lat[0] == 26.5) is kept
    assert reading(checked.samples, "heart_rate") == 72
    assert checked.samples.flags[0] == Flag.PARTIAL


def test_no_fix_may_stand_without_coordinates() -> None:
    checked = check(telemetry(position={"fix": "none"}))
    assert not checked.rejections
    assert checked.samples.fix[0] == 0
    assert np.isnan(checked.samples.lat[0])


def test_an_acceleration_window_is_kept_beside_the_sample() -> None:
    xyz = np.arange(9, dtype="<i2").tobytes()
    window = {"hz": 50, "unit": "m/s2", "scale": 0.1, "xyz": base64.b64encode(xyz).decode()}
    checked = check({"boot": 1, "seq": 5, "ts": NOW - 1000, "acceleration": window})
    assert len(checked.samples) == 0
    (kept,) = checked.windows
    assert (kept.device_key, kept.resident_key, kept.ts, kept.boot, kept.seq, kept.part) == (
        HANDSET,
        WEARER,
        NOW - 1000,
        1,
        5,
        0,
    )
    assert (kept.hz, kept.unit, kept.scale, kept.xyz, kept.flags, kept.claimed) == (50, "m/s2", 0.1, xyz, 0, None)
    both = check(telemetry(acceleration=window))
    assert (len(both.samples), len(both.windows)) == (1, 1)


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        ("hz", 0, "out_of_range"),
        ("hz", "50", "not_a_number"),
        ("scale", 0, "out_of_range"),
        ("unit", "furlongs", "bad_schema"),
        ("unit", [], "bad_schema"),
        ("xyz", "AAAA", "bad_schema"),
        ("xyz", "", "bad_schema"),
        ("xyz", "not base64 at all!", "bad_schema"),
        ("xyz", "五", "bad_schema"),
        ("xyz", 7, "bad_schema"),
    ],
)
def test_a_window_with_one_bad_member_is_of_no_use(member: str, value: Any, reason: str) -> None:
    window = {"hz": 50, "unit": "g", "scale": 0.1, "xyz": "AAAAAAAA"} | {member: value}
    checked = check(telemetry(acceleration=window))
    assert list(reasons(checked)) == [reason]
    assert not checked.windows
    assert checked.samples.flags.tolist() == [Flag.PARTIAL]

import json
from typing import Any

import numpy as np
import pytest

from gateway.edge import Edge
from gateway.native import read_carefully
from gateway.quick import read_quickly
from homecare.messages import Inbound
from homecare.metrics import INDEX, METRICS
from homecare.samples import NO_TIME, Flag, Samples
from tests.gateway.village import (
    AREA,
    EARLIER_WEARER,
    HANDSET,
    KIOSK,
    MOVED_IN,
    NOW,
    SENSOR,
    VISITOR,
    WEARER,
    check,
    inbound,
    reasons,
    registry,
    telemetry,
)


def reading(samples: Samples, name: str, row: int = 0) -> float:
    return float(samples.values[row, INDEX[name]])


def test_the_contracts_first_example_becomes_one_row() -> None:
    body = {"boot": 3, "seq": 1042, "ts": NOW, "values": {"heart_rate": 72, "spo2": 97, "battery": 81}}
    checked = check(body)
    samples = checked.samples
    assert len(samples) == 1
    assert (samples.device[0], samples.resident[0]) == (HANDSET, WEARER)
    assert (samples.boot[0], samples.seq[0], samples.part[0], samples.flags[0]) == (3, 1042, 0, 0)
    assert (samples.ts[0], samples.received[0], samples.claimed[0]) == (NOW, NOW, NO_TIME)
    assert [reading(samples, name) for name in ("heart_rate", "spo2", "battery")] == [72, 97, 81]
    assert np.isnan(samples.values).sum() == len(METRICS) - 3
    assert np.isnan(samples.lat[0])
    assert samples.fix[0] == -1
    assert not checked.rejections


def test_many_samples_keep_their_order_times_and_positions() -> None:
    position = {"lat": 26.5921, "lon": 104.8302, "accuracy": 8, "fix": "gnss"}
    body = {
        "boot": 3,
        "seq": 1043,
        "samples": [{"ts": NOW - 7000, "values": {"steps": 12}}, {"ts": NOW, "position": position}],
    }
    samples = check(body).samples
    assert samples.part.tolist() == [0, 1]
    assert samples.ts.tolist() == [NOW - 7000, NOW]
    assert reading(samples, "steps") == 12
    assert samples.fix.tolist() == [-1, 3]
    assert (samples.lat[1], samples.lon[1], samples.accuracy[1]) == (26.5921, 104.8302, 8)
    assert np.isnan(samples.speed[1])


def test_a_kiosk_names_the_person_by_id_or_card() -> None:
    for subject in ("R-000013", "CARD-77"):
        samples = check(telemetry(subject=subject), device="K-1").samples
        assert (samples.device[0], samples.resident[0], samples.flags[0]) == (KIOSK, VISITOR, Flag.SUBJECT)


def test_a_kiosk_that_names_nobody_measured_nobody_known() -> None:
    samples = check(telemetry(), device="K-1").samples
    assert (samples.device[0], samples.resident[0], samples.flags[0]) == (KIOSK, 0, 0)


def test_a_worn_device_speaks_for_its_wearers_alone() -> None:
    checked = check(telemetry(subject="R-000013"), device="H-1")
    assert not len(checked.samples)
    assert list(reasons(checked)) == ["unknown_subject"]
    assert check(telemetry(subject="R-000011"), device="H-1").samples.resident.tolist() == [WEARER]
    assert check(telemetry(subject="R-000013"), device="S-1").samples.resident.tolist() == [VISITOR]


def test_an_unknown_subject_is_not_guessed_and_not_repeated_in_words() -> None:
    checked = check(telemetry(subject="CARD-78"), device="K-1")
    assert len(checked.samples) == 0
    assert list(reasons(checked)) == ["unknown_subject"]
    assert "CARD-78" not in reasons(checked)["unknown_subject"]


def test_a_sample_belongs_to_who_wore_the_device_when_it_was_measured() -> None:
    body = {
        "boot": 1,
        "seq": 1,
        "samples": [{"ts": MOVED_IN - 1, "values": {"steps": 1}}, {"ts": MOVED_IN, "values": {"steps": 2}}],
    }
    assert check(body).samples.resident.tolist() == [EARLIER_WEARER, WEARER]
    assert check(telemetry(), device="S-1").samples.resident.tolist() == [0]
    assert check(telemetry(), device="S-1").samples.device.tolist() == [SENSOR]


@pytest.mark.parametrize(
    ("ts", "stored", "claimed", "flags"),
    [
        (None, NOW, NO_TIME, Flag.WRONG_CLOCK),
        (0, NOW, 0, Flag.WRONG_CLOCK),
        (-5, NOW, -5, Flag.WRONG_CLOCK),
        (1_420_070_399_999, NOW, 1_420_070_399_999, Flag.WRONG_CLOCK),
        (1_420_070_400_000, 1_420_070_400_000, NO_TIME, Flag.LATE),
        (NOW + 300_000, NOW + 300_000, NO_TIME, 0),
        (NOW + 300_001, NOW, NOW + 300_001, Flag.WRONG_CLOCK),
        (NOW - 300_000, NOW - 300_000, NO_TIME, 0),
        (NOW - 300_001, NOW - 300_001, NO_TIME, Flag.LATE),
        (float(NOW), NOW, NO_TIME, 0),
        (2**63 - 1, NOW, 2**63 - 1, Flag.WRONG_CLOCK),
        (2**63, NOW, NO_TIME, Flag.WRONG_CLOCK),
        (10**200, NOW, NO_TIME, Flag.WRONG_CLOCK),
        (-1e300, NOW, NO_TIME, Flag.WRONG_CLOCK),
    ],
)
def test_clocks(ts: Any, stored: int, claimed: int, flags: int) -> None:
    checked = check(telemetry(ts=ts))
    samples = checked.samples
    assert (samples.ts[0], samples.claimed[0], samples.flags[0]) == (stored, claimed, flags)
    assert not checked.rejections


def test_a_missing_ts_is_a_wrong_clock() -> None:
    body = telemetry()
    del body["ts"]
    assert check(body).samples.flags.tolist() == [Flag.WRONG_CLOCK]


@pytest.mark.parametrize("ts", ["2026-11-21T19:42:37Z", True, 1795289357123.5, [], {}])
def test_a_ts_of_the_wrong_type_is_no_clock_at_all(ts: Any) -> None:
    checked = check(telemetry(ts=ts))
    assert len(checked.samples) == 0
    assert reasons(checked) == {"bad_schema": "ts: must be an integer, Unix milliseconds, or null"}


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("999", "out_of_range", "values.heart_rate: 999 is outside 20..250"),
        ("19.999", "out_of_range", "values.heart_rate: 19.999 is outside 20..250"),
        ("1e999", "out_of_range", "values.heart_rate: inf is outside 20..250"),
        ("9" * 5000, "out_of_range", "values.heart_rate: inf is outside 20..250"),
        ("9" * 25, "out_of_range", "values.heart_rate: 1e+25 is outside 20..250"),
        ('"72"', "not_a_number", 'values.heart_rate: "72" is not a number'),
        ("true", "not_a_number", "values.heart_rate: true is not a number"),
        ("null", "not_a_number", "values.heart_rate: null is not a number"),
        ("NaN", "not_a_number", "values.heart_rate: nan is not a number"),
        ("Infinity", "not_a_number", "values.heart_rate: nan is not a number"),
        ("[72]", "not_a_number", "values.heart_rate: an array is not a number"),
    ],
)
def test_one_bad_value_is_named_and_the_good_ones_are_kept(text: str, reason: str, detail: str) -> None:
    raw = f'{{"boot":3,"seq":7,"ts":{NOW},"values":{{"spo2":97,"heart_rate":{text},"steps":5}}}}'
    checked = check(raw.encode())
    assert reasons(checked) == {reason: detail}
    assert np.isnan(reading(checked.samples, "heart_rate"))
    assert (reading(checked.samples, "spo2"), reading(checked.samples, "steps")) == (97, 5)
    assert checked.samples.flags[0] == Flag.PARTIAL


def test_the_limits_of_every_metric_are_inside() -> None:
    for metric in METRICS:
        for value in (metric.low, metric.high):
            checked = check(telemetry(values={metric.name: value}))
            assert not checked.rejections
            assert reading(checked.samples, metric.name) == np.float32(value)


def test_an_unknown_metric_is_named_and_the_rest_is_kept() -> None:
    checked = check(telemetry(values={"heart_rate": 70, "blood_sugar": 5}))
    assert reasons(checked) == {"unknown_metric": "values.blood_sugar"}
    assert reading(checked.samples, "heart_rate") == 70


def test_several_problems_are_one_rejection_for_each_reason() -> None:
    values = {"heart_rate": 999, "spo2": 1, "colour": 3, "steps": "many"}
    checked = check(telemetry(values=values, position={"lat": 91, "lon": 0}))
    assert reasons(checked) == {
        "out_of_range": (
            "values.heart_rate: 999 is outside 20..250; values.spo2: 1 is outside 40..100;"
            " position.lat: 91 is outside -90..90"
        ),
        "unknown_metric": "values.colour",
        "not_a_number": 'values.steps: "many" is not a number',
    }
    assert {rejection.device for rejection in checked.rejections} == {"H-1"}
    assert {rejection.area for rejection in checked.rejections} == {AREA}


def test_a_detail_stays_short_and_fit_for_the_database() -> None:
    checked = check(telemetry(values={f"\ud800\x00{n}": 1 for n in range(400)}))
    (detail,) = reasons(checked).values()
    assert len(detail) <= 500
    assert "\0" not in detail
    detail.encode()


def test_a_bad_sample_does_not_spoil_its_neighbours() -> None:
    samples = [
        {"ts": NOW, "values": {"steps": 1}},
        17,
        {"ts": "noon", "values": {"steps": 2}},
        {"ts": NOW},
        {"ts": NOW, "values": {"steps": 4}},
    ]
    checked = check({"boot": 1, "seq": 1, "samples": samples})
    assert checked.samples.part.tolist() == [0, 4]
    assert checked.samples.flags.tolist() == [0, 0]
    assert reasons(checked) == {
        "bad_schema": (
            "samples[1]: must be an object; samples[2].ts: must be an integer, Unix milliseconds, or null;"
            " samples[3]: has neither values nor position nor acceleration"
        )
    }


@pytest.mark.parametrize("name", ["boot", "seq"])
@pytest.mark.parametrize("value", [-1, 2**31, "3", None, 1.5, True, [], 1e300])
def test_a_message_without_a_name_cannot_be_kept(name: str, value: Any) -> None:
    checked = check(telemetry(**{name: value}))
    assert len(checked.samples) == 0
    assert reasons(checked) == {"bad_schema": f"{name}: must be an integer 0..2147483647"}


def test_512_samples_are_taken_and_513_are_not() -> None:
    samples = [{"ts": NOW, "values": {"steps": 1}}] * 512
    assert len(check({"boot": 1, "seq": 1, "samples": samples}).samples) == 512
    wrong: list[Any] = [[*samples, samples[0]], [], {}, "many"]
    for bad in wrong:
        checked = check({"boot": 1, "seq": 1, "samples": bad})
        assert reasons(checked) == {"bad_schema": "samples: must be an array of 1..512"}
        assert len(checked.samples) == 0


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        (b" " * 65537, "too_large", "65537 bytes; 65536 at most"),
        (b'{"boot":1,"note":"\xff"}', "not_utf8", "byte 18: invalid start byte"),
        (b'{"boot":1', "not_json", "Expecting ',' delimiter at character 9"),
        (b"", "not_json", "Expecting value at character 0"),
        (b'{"a":' * 9000, "not_json", "nested too deeply"),
        (b"[1]", "bad_schema", "must be an object"),
        (b'{"boot":1,"seq":1}', "bad_schema", "message: has neither values nor position nor acceleration"),
        (b'{"boot":1,"seq":1,"subject":7,"values":{}}', "bad_schema", "subject: must be text"),
    ],
)
def test_what_cannot_be_read_at_all(payload: bytes, reason: str, detail: str) -> None:
    checked = check(payload)
    assert reasons(checked) == {reason: detail}
    assert checked.rejections[0].message.payload == payload
    assert len(checked.samples) == 0


def test_the_largest_message_allowed_is_read() -> None:
    body = json.dumps(telemetry()).encode()
    assert len(check(body + b" " * (65536 - len(body))).samples) == 1


def test_unknown_members_a_byte_order_mark_and_odd_characters_do_no_harm() -> None:
    body = json.dumps(telemetry(note="你好 \ud800", extra={"deep": [1, 2]})).encode()
    assert len(check(body).samples) == 1
    assert len(check(b"\xef\xbb\xbf" + body).samples) == 1
    assert len(check(json.dumps(telemetry(note="你好"), ensure_ascii=False).encode()).samples) == 1


def test_of_a_member_given_twice_the_last_counts() -> None:
    checked = check(b'{"boot":1,"seq":1,"values":{"spo2":999},"values":{"spo2":97}}')
    assert reading(checked.samples, "spo2") == 97
    assert not checked.rejections


def test_the_quick_and_the_careful_reader_agree() -> None:
    position = {"lat": -26.5, "lon": 104.8, "speed": 1.5, "altitude": 1800, "fix": "wifi"}
    bodies = [
        telemetry(),
        telemetry(ts=None),
        telemetry(ts=5),
        telemetry(values={metric.name: metric.high for metric in METRICS}),
        telemetry(values={}),
        telemetry(values=None, position=position),
        telemetry(subject="R-000013"),
        telemetry(subject="nobody"),
        {"boot": 0, "seq": 0, "samples": [{"values": {"steps": 3}}, {"ts": NOW, "position": position}]},
    ]
    for body in bodies:
        message = inbound(body)
        assert read_quickly(message.payload) is not None
        quick = Edge(registry()).check([message])
        careful = Edge(registry(), [{"telemetry": read_carefully}]).check([message])
        assert reasons(quick) == reasons(careful)
        for name in Samples.__slots__:
            np.testing.assert_array_equal(getattr(quick.samples, name), getattr(careful.samples, name))


def test_a_batch_keeps_the_order_of_arrival_good_and_bad_mixed() -> None:
    messages: list[Inbound] = [inbound(telemetry(seq=n, values={"heart_rate": 999 if n % 3 else 70})) for n in range(9)]
    checked = Edge(registry()).check(messages)
    assert checked.samples.seq.tolist() == list(range(9))
    assert [json.loads(rejection.message.payload)["seq"] for rejection in checked.rejections] == [1, 2, 4, 5, 7, 8]

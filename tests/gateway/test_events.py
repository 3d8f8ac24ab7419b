from typing import Any

import pytest

from gateway.native_events import EVENTS
from homecare.messages import Origin
from homecare.samples import Flag
from tests.gateway.village import AREA, HANDSET, NOW, VISITOR, WEARER, check, reasons, sos


def test_an_event_with_everything() -> None:
    body = {
        "boot": 3,
        "seq": 1044,
        "ts": NOW - 2000,
        "event": "fall",
        "values": {"confidence": 0.93, "heart_rate": 110},
        "position": {"lat": 26.5921, "lon": 104.8302, "accuracy": 8, "fix": "gnss"},
    }
    checked = check(body, "event")
    (event,) = checked.events
    assert event.origin == Origin("H-1", AREA, HANDSET, WEARER)
    assert (event.event, event.boot, event.seq, event.ts, event.claimed, event.received) == (
        "fall",
        3,
        1044,
        NOW - 2000,
        None,
        NOW,
    )
    assert event.values == {"confidence": 0.93, "heart_rate": 110}
    assert event.position is not None
    assert (event.position.lat, event.position.accuracy, event.position.fix) == (26.5921, 8, "gnss")
    assert event.position.speed is None
    assert event.flags == 0
    assert not checked.rejections


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_event_of_the_contract_is_taken(name: str) -> None:
    (event,) = check(sos(event=name, of=7), "event").events
    assert (event.event, event.of) == (name, 7 if name == "cancel" else None)


def test_a_cancel_must_say_what_it_takes_back() -> None:
    for of in (None, "7", -1):
        checked = check(sos(event="cancel", of=of), "event")
        assert not checked.events
        assert reasons(checked) == {"bad_schema": "of: must be the seq of the event that is taken back"}


def test_a_call_for_help_is_kept_even_if_it_asks_for_something_odd() -> None:
    (event,) = check(sos(event="assist", service="doctor"), "event").events
    assert (event.service, event.flags) == (None, Flag.PARTIAL)
    (event,) = check(sos(event="assist", service="health"), "event").events
    assert (event.service, event.flags) == ("health", 0)
    (event,) = check(sos(event="assist"), "event").events
    assert (event.service, event.flags) == (None, 0)


def test_confidence_belongs_to_a_fall() -> None:
    assert reasons(check(sos(values={"confidence": 0.5}), "event")) == {"unknown_metric": "values.confidence"}
    assert reasons(check(sos(event="fall", values={"confidence": 1.5}), "event")) == {
        "out_of_range": "values.confidence: 1.5 is outside 0..1"
    }


@pytest.mark.parametrize("name", ["sos", "fall"])
@pytest.mark.parametrize(
    ("members", "reason", "flags"),
    [
        ({"values": {"heart_rate": 999}}, "out_of_range", Flag.PARTIAL),
        ({"values": {"mood": 1}}, "unknown_metric", Flag.PARTIAL),
        ({"values": {"heart_rate": "fast"}}, "not_a_number", Flag.PARTIAL),
        ({"values": []}, "bad_schema", Flag.PARTIAL),
        ({"position": {"lat": 200, "lon": 0}}, "out_of_range", Flag.PARTIAL),
        ({"position": "at home"}, "bad_schema", Flag.PARTIAL),
        ({"ts": "noon"}, "bad_schema", Flag.SALVAGED | Flag.WRONG_CLOCK),
        ({"boot": None}, "bad_schema", Flag.SALVAGED),
        ({"seq": -1}, "bad_schema", Flag.SALVAGED),
        ({"subject": "nobody"}, "unknown_subject", Flag.SALVAGED),
        ({"subject": 3}, "bad_schema", Flag.SALVAGED),
        ({"note": "x" * 70_000}, "too_large", Flag.SALVAGED),
    ],
)
def test_an_sos_or_fall_is_raised_whatever_is_wrong_with_it(name: str, members: Any, reason: str, flags: int) -> None:
    checked = check(sos(event=name, **members), "event")
    (event,) = checked.events
    assert (event.event, event.flags, event.origin.device_key) == (name, flags, HANDSET)
    assert event.origin.resident_key == WEARER
    assert list(reasons(checked)) == [reason]
    if "boot" in members or "seq" in members:
        assert (event.boot, event.seq) == (None, None)
    else:
        assert (event.boot, event.seq) == (3, 8)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"boot":3,"seq":8,"event":"sos","values":{"heart', "not_json"),
        (b'{"event":"sos","note":"\xff\xfe"}', "not_utf8"),
        (b'{"event" : "SOS","boot":1}\x00', "not_json"),
        (b'[{"event":"sos"}]', "bad_schema"),
        (b'{"event":"sos","x":' + b"[" * 40_000, "not_json"),
        (b'{"event":"Sos "}', "bad_schema"),
    ],
)
def test_an_sos_is_salvaged_from_a_damaged_message(payload: bytes, reason: str) -> None:
    checked = check(payload, "event")
    (event,) = checked.events
    assert (event.event, event.boot, event.seq, event.ts) == ("sos", None, None, NOW)
    assert event.flags == Flag.SALVAGED | Flag.WRONG_CLOCK
    assert reason in reasons(checked)


def test_an_sos_is_never_overruled_by_a_second_member_of_the_same_name() -> None:
    (event,) = check(b'{"boot":1,"seq":1,"event":"sos","event":"check_in"}', "event").events
    assert event.event == "sos"


def test_an_sos_is_found_only_where_it_is_the_event() -> None:
    checked = check(b'{"boot":1,"seq":1,"event":"check_in","note":{"event":"sos"}}', "event")
    assert [event.event for event in checked.events] == ["check_in"]


@pytest.mark.parametrize(
    ("ts", "stored", "claimed", "flags"),
    [
        (None, NOW, None, Flag.WRONG_CLOCK),
        (5, NOW, 5, Flag.WRONG_CLOCK),
        (NOW - 3_600_000, NOW - 3_600_000, None, Flag.LATE),
    ],
)
def test_an_sos_with_a_wrong_clock_or_late(ts: int | None, stored: int, claimed: int | None, flags: int) -> None:
    checked = check(sos(ts=ts), "event")
    (event,) = checked.events
    assert (event.ts, event.claimed, event.flags) == (stored, claimed, flags)
    assert not checked.rejections


@pytest.mark.parametrize("device", ["H-99", "H-revoked"])
def test_an_sos_from_a_device_nobody_knows(device: str) -> None:
    checked = check(sos(), "event", device=device)
    (event,) = checked.events
    assert event.origin == Origin(device, AREA)
    assert [stranger.origin.device for stranger in checked.strangers] == [device]
    assert not checked.rejections


def test_an_sos_from_another_area_than_the_devices_own() -> None:
    checked = check(sos(), "event", area="990102")
    (event,) = checked.events
    assert event.origin == Origin("H-1", "990102", HANDSET, WEARER)
    assert not checked.rejections


def test_an_sos_on_a_topic_that_breaks_the_character_set() -> None:
    for device, area in (("手环", AREA), ("H-1", "区"), ("d" * 70, AREA), ("", AREA), ("H-1\0", AREA)):
        (event,) = check(sos(), "event", device=device, area=area).events
        assert event.origin.device_key is None
        assert len(event.origin.device) <= 64
        assert "\0" not in event.origin.device


def test_a_kiosks_sos_belongs_to_who_stands_before_it() -> None:
    (event,) = check(sos(subject="CARD-77"), "event", device="K-1").events
    assert (event.origin.resident_key, event.flags) == (VISITOR, Flag.SUBJECT)


@pytest.mark.parametrize(
    ("members", "device", "area", "reason"),
    [
        ({}, "H-99", AREA, "unknown_device"),
        ({}, "H-1", "990102", "wrong_area"),
        ({"seq": None}, "H-1", AREA, "bad_schema"),
        ({"ts": "noon"}, "H-1", AREA, "bad_schema"),
        ({"event": "party"}, "H-1", AREA, "bad_schema"),
        ({"event": None}, "H-1", AREA, "bad_schema"),
        ({"event": ["sos"]}, "H-1", AREA, "bad_schema"),
        ({"subject": "nobody"}, "H-1", AREA, "unknown_subject"),
    ],
)
def test_other_events_must_be_good(members: Any, device: str, area: str, reason: str) -> None:
    checked = check(sos(event="check_in") | members, "event", device, area)
    assert not checked.events
    assert list(reasons(checked)) == [reason]
    assert bool(checked.strangers) is (reason == "unknown_device")

from typing import Any

import pytest

from gateway.edge import Edge
from homecare.messages import Origin
from tests.gateway.village import AREA, HANDSET, NOW, check, inbound, reasons, registry

COMMAND = "0f6b5a0e-6ce1-4f0c-9d6e-3a1c2b4d5e6f"


def test_a_status_with_everything() -> None:
    body = {"boot": 3, "state": "online", "model": "示例-1", "firmware": "1.2.0", "interval": 60}
    (status,) = check(body, "status").statuses
    assert status.origin == Origin("H-1", AREA, HANDSET)
    assert (status.state, status.boot, status.model, status.firmware) == ("online", 3, "示例-1", "1.2.0")
    assert (status.interval, status.received, status.retained) == (60, NOW, False)


def test_a_last_will_says_only_offline() -> None:
    (status,) = check({"state": "offline"}, "status").statuses
    assert (status.state, status.boot, status.interval) == ("offline", None, None)


def test_an_old_status_that_the_broker_kept_is_marked() -> None:
    (status,) = Edge(registry()).check([inbound({"state": "online"}, "status", retained=True)]).statuses
    assert status.retained


def test_clearing_a_retained_status_is_no_error() -> None:
    checked = check(b"", "status")
    assert not checked.statuses
    assert not checked.rejections


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"boot": "x"}, "bad_schema"),
        ({"interval": 0}, "out_of_range"),
        ({"interval": "often"}, "not_a_number"),
        ({"model": 7}, "bad_schema"),
    ],
)
def test_a_status_keeps_what_is_good(members: Any, reason: str) -> None:
    checked = check({"state": "online", "firmware": "1\0" + "9" * 300} | members, "status")
    (status,) = checked.statuses
    assert status.state == "online"
    assert status.firmware is not None
    assert len(status.firmware) <= 100
    assert "\0" not in status.firmware
    assert list(reasons(checked)) == [reason]


@pytest.mark.parametrize("body", [{}, {"state": "asleep"}, {"state": ["online"]}, [], 5, b"\xff", b"{", b" " * 65537])
def test_a_status_without_a_state_is_none(body: Any) -> None:
    checked = check(body, "status")
    assert not checked.statuses
    assert checked.rejections


def test_replies() -> None:
    (reply,) = check(
        {"id": COMMAND, "ok": True, "result": {"lat": 1, "note": "\ud800\0x", "odd": [float("inf")]}}, "reply"
    ).replies
    assert (reply.id, reply.ok, reply.error, reply.received) == (COMMAND, True, None, NOW)
    assert reply.result == {"lat": 1, "note": "?x", "odd": [None]}
    (reply,) = check({"id": COMMAND, "ok": False, "error": "no fix"}, "reply").replies
    assert (reply.ok, reply.result, reply.error) == (False, None, "no fix")


@pytest.mark.parametrize("members", [{"id": "1"}, {"id": None}, {"ok": 1}, {"ok": None}, {"result": []}, {"error": {}}])
def test_a_reply_is_whole_or_not_at_all(members: Any) -> None:
    checked = check({"id": COMMAND, "ok": True} | members, "reply")
    assert not checked.replies
    assert list(reasons(checked)) == ["bad_schema"]


@pytest.mark.parametrize("kind", ["telemetry", "status", "reply"])
@pytest.mark.parametrize(
    ("device", "area", "reason"),
    [("H-99", AREA, "unknown_device"), ("H-revoked", AREA, "unknown_device"), ("H-1", "990102", "wrong_area")],
)
def test_who_is_not_registered_here_is_not_listened_to(kind: str, device: str, area: str, reason: str) -> None:
    checked = check(b"\xff any bytes", kind, device, area)
    assert list(reasons(checked)) == [reason]
    assert checked.rejections[0].message.payload == b"\xff any bytes"
    assert (checked.rejections[0].device, checked.rejections[0].area) == (device, area)
    assert bool(checked.strangers) is (reason == "unknown_device")

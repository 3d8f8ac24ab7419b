"""Which events call for people, and what they say."""

import pytest

from alerts.rules.events import event_trigger
from alerts.rules.operator import EVENTS
from alerts.rules.pack import load_pack
from homecare.messages import Event, Origin, Position
from homecare.samples import Flag
from homecare.triggers import Trigger

T = 1_800_000_000_000
PACK = load_pack()
KNOWN = Origin("h-1", "520201", 4, 12)


def event(
    name: str,
    *,
    flags: int = 0,
    ts: int = T,
    claimed: int | None = None,
    received: int = T,
    named: bool = True,
    service: str | None = None,
    values: dict[str, float] | None = None,
    position: Position | None = None,
    origin: Origin = KNOWN,
) -> Event:
    boot, seq = (3, 1044) if named else (None, None)
    return Event(
        origin, name, boot, seq, ts, claimed, received, flags, service=service, values=values or {}, position=position
    )


def trigger(raised: Event) -> Trigger:
    made = event_trigger(raised, PACK)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("name", "rule", "kind", "severity", "zh", "en"),
    [
        ("sos", "sos", "sos", "critical", "按下紧急呼叫按钮", "Emergency button pressed"),
        ("fall", "fall", "fall", "critical", "设备检测到跌倒", "The device detected a fall"),
        ("low_battery", "battery", "battery", "warning", "设备报告电量低", "The device reports a low battery"),
        ("power_lost", "power_lost", "device", "warning", "设备断电", "The device lost its power supply"),
        ("tamper", "tamper", "device", "warning", "设备被拆动", "The device was tampered with"),
        ("smoke", "smoke", "home", "critical", "烟雾报警", "Smoke detected"),
        ("gas", "gas", "home", "critical", "燃气泄漏报警", "Gas detected"),
        ("water", "water", "home", "critical", "漏水报警", "Water leak detected"),
    ],
)
def test_calls_for_people(name: str, rule: str, kind: str, severity: str, zh: str, en: str) -> None:
    made = trigger(event(name))
    assert (made.rule, made.kind, made.severity, made.zh, made.en) == (rule, kind, severity, zh, en)
    assert (made.key, made.at, made.state, made.device, made.resident) == ("event:h-1:3:1044", T, "raised", 4, 12)


@pytest.mark.parametrize("name", ["cancel", "check_in", "put_on", "taken_off", "door", "bed_exit", "unheard_of"])
def test_is_only_recorded(name: str) -> None:
    assert event_trigger(event(name), PACK) is None


def test_power_that_is_back_ends_what_its_loss_raised() -> None:
    made = trigger(event("power_restored"))
    assert (made.rule, made.kind, made.state) == ("power_lost", "device", "cleared")


def test_every_event_of_the_contract_is_one_or_the_other() -> None:
    assert set(PACK.event) == set(EVENTS)


@pytest.mark.parametrize(
    ("service", "severity", "zh", "en"),
    [
        ("health", "urgent", "请求帮助：就医、健康服务", "Asks for help: health care"),
        ("housekeeping", "warning", "请求帮助：家政服务", "Asks for help: housekeeping"),
        ("shopping", "warning", "请求帮助：代购", "Asks for help: shopping"),
        (None, "warning", "请求帮助：其他服务", "Asks for help: another service"),
    ],
)
def test_help_is_asked_for_by_service(service: str | None, severity: str, zh: str, en: str) -> None:
    made = trigger(event("assist", service=service))
    assert (made.kind, made.severity, made.zh, made.en) == ("assist", severity, zh, en)


def test_a_late_sos_says_how_late() -> None:
    made = trigger(event("sos", flags=Flag.LATE, received=T + 3_900_000))
    assert made.zh == "按下紧急呼叫按钮（1 小时 5 分钟前发生，延迟送达）"
    assert made.en == "Emergency button pressed (1 h 5 min ago, delivered late)"
    assert (made.evidence["late"], made.evidence["delayed_s"]) == (True, 3900.0)


def test_a_wrong_clock_is_said_and_no_delay_made_up() -> None:
    made = trigger(event("sos", flags=Flag.WRONG_CLOCK, claimed=946_684_800_000))
    assert made.zh == "按下紧急呼叫按钮（设备时钟不准，时间为收到时间）"
    assert made.en == "Emergency button pressed (the device's clock is wrong: time of receipt)"
    assert made.evidence["claimed"] == 946_684_800_000
    assert made.evidence["delayed_s"] == 0


def test_a_fall_brings_its_evidence() -> None:
    position = Position(26.5921, 104.8302, accuracy=8, fix="gnss")
    made = trigger(event("fall", values={"confidence": 0.876}, position=position, received=T + 1500))
    assert made.zh == "设备检测到跌倒（把握 88%）"
    assert made.en == "The device detected a fall (88% sure)"
    assert made.evidence == {
        "event": "fall",
        "device": "h-1",
        "at": T,
        "received": T + 1500,
        "delayed_s": 1.5,
        "late": False,
        "wrong_clock": False,
        "salvaged": False,
        "position": {"lat": 26.5921, "lon": 104.8302, "accuracy": 8, "fix": "gnss"},
        "boot": 3,
        "seq": 1044,
        "values": {"confidence": 0.876},
    }


def test_an_sos_of_a_stranger_and_one_saved_from_a_damaged_message_call_too() -> None:
    stranger = trigger(event("sos", origin=Origin("x-9", "520201")))
    assert (stranger.device, stranger.resident) == (0, 0)
    saved = event("sos", named=False, flags=Flag.SALVAGED | Flag.WRONG_CLOCK, claimed=5)
    assert trigger(saved).key == "event:h-1:salvaged:sos:5"
    assert trigger(saved).evidence["salvaged"] is True

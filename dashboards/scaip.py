"""An alert as a SCAIP-coded message (Social Care Alarm Internet Protocol), for receiving centres that speak it.

Codes and elements are those that public gateways document and send (SS 91100:2014, on which CLC/TS 50134-9:2018 builds); see
docs/scaip.md for what is and what is not in it. Pure: one alert in, the bytes out.
"""

from xml.etree import ElementTree as ET

from dashboards.cases import Shown

MEDIA_TYPE = "application/scaip+xml"
PERSONAL_TRIGGER, FIXED_TRIGGER, FALL, WANDERING, HEART_RATE, SMOKE, TRACKER = (
    "0003",
    "0004",
    "0005",
    "0015",
    "0019",
    "0023",
    "0051",
)
AUTOMATIC, MANUAL, BATTERY_LOW, CANCELLED, OFFLINE, POWER_FAILURE, ASSISTANCE, COMPLETE = (
    "0009",
    "0010",
    "0016",
    "0019",
    "0073",
    "0085",
    "0110",
    "0111",
)
STATE_DIGIT = {"open": 1, "acknowledged": 2, "resolved": 3, "cancelled": 4}
NO_VOICE = "no-voice:"


def device_type(alert: Shown) -> str:
    """`dty`: what raised it; where no code says that, the trigger the person has."""
    if alert.kind == "fall":
        return FALL
    if alert.kind == "wander":
        return WANDERING
    if alert.kind == "place":
        return TRACKER
    if alert.metric == "heart_rate":
        return HEART_RATE
    if alert.kind == "home" and "smoke" in alert.reason_code:
        return SMOKE
    return PERSONAL_TRIGGER if alert.device_kind in ("handset", None) else FIXED_TRIGGER


def status_code(alert: Shown) -> str:
    """`stc`: what is the matter; for a case that is over, that it is."""
    if alert.state == "resolved":
        return COMPLETE
    if alert.state == "cancelled":
        return CANCELLED
    if alert.kind == "device" and "power" in alert.reason_code:
        return POWER_FAILURE
    by_kind = {"sos": MANUAL, "assist": ASSISTANCE, "battery": BATTERY_LOW, "silence": OFFLINE, "outage": OFFLINE}
    return by_kind.get(alert.kind, AUTOMATIC)


def call_back(phone: str | None) -> str:
    """`crd`: the number to speak with the person by; `no-voice:` where there is none."""
    digits = "".join(c for c in phone or "" if c.isdigit() or c == "+")
    return f"gsm:{digits}" if digits else NO_VOICE


def encode(alert: Shown) -> bytes:
    """The message. `ref` is the alert's number and state, so that the same export is the same message; `cid` and `did` are
    the device, its own controller (the area's code where no device raised it).
    """
    message = ET.Element("mrq")
    device = alert.device_id or alert.area or "0"
    for name, value in (
        ("ref", f"{alert.number:011d}{STATE_DIGIT[alert.state]}"),
        ("mty", "ME"),
        ("cid", device),
        ("dty", device_type(alert)),
        ("did", device),
        ("stc", status_code(alert)),
        ("crd", call_back(alert.resident_phone)),
    ):
        ET.SubElement(message, name).text = value
    body: bytes = ET.tostring(message, encoding="utf-8", xml_declaration=True)
    return body

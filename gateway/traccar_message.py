"""One message of Traccar's forward, understood as far as it can be: whose it is, when, where, what was measured, which alarms.

Traccar forwards before it stores, when `position.id` is still 0: then the position's content names it.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gateway.checks import NO_POSITION, OLDEST, Place, Problems, check_integer, check_position, check_readings, check_ts
from gateway.lenient_json import Unreadable, clean, decode_text, parse
from gateway.names import number_of, split
from gateway.native_events import MOST_BYTES
from gateway.source import Source
from homecare.messages import Inbound

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
KNOT: Final = 1852 / 3600
"""m/s"""
READINGS: Final = {"batteryLevel": "battery", "heartRate": "heart_rate", "steps": "steps"}
"""Attribute -> metric."""
ALARMS: Final = {
    "sos": "sos",
    "falldown": "fall",
    "lowbattery": "low_battery",
    "lowpower": "low_battery",
    "powercut": "power_lost",
    "poweroff": "power_lost",
    "powerrestored": "power_restored",
    "poweron": "power_restored",
    "removing": "taken_off",
    "tampering": "tamper",
    "door": "door",
}
"""Alarm, in lower case -> event. All others are about vehicles, and ignored as unknown members are."""
NUMBERED: Final = ("sos", "fall", "low_battery", "power_lost", "power_restored", "taken_off", "tamper", "door")
"""The events of one position are told apart by their place in here, in the upper bits of `boot`: never reorder, append."""
NAME_BITS: Final = 55
"""Of a position; the seven above, up to 62, hold the event's place."""
_SAYS_ALARM: Final = re.compile(r'"alarm"\s*:\s*"([^"]*)', re.IGNORECASE)
_SAYS_DEVICE: Final = re.compile(r'"uniqueId"\s*:\s*"([^"\\]{1,64})"')


class Forward:
    """One message, understood as far as it can be."""

    def __init__(self, message: Inbound, source: Source) -> None:
        self.message = message
        self.problems = Problems()
        self.text, body = self._understand()
        self.position = self._object(body, "position")
        attributes = self.position.get("attributes")
        self.attributes: dict[str, Any] = attributes if isinstance(attributes, dict) else {}
        if attributes is not None and not isinstance(attributes, dict):
            self.problems.add("bad_schema", "position.attributes: must be an object")
        device = self._device(self._object(body, "device"))
        found = source.directory.device(device, "")
        self.source = Source("" if found is None else found.area, device, source.directory)
        self.damaged = bool(self.problems)
        """Not a message of Traccar's, or only a part of one."""

    def _understand(self) -> tuple[str, dict[str, Any]]:
        payload = self.message.payload
        if len(payload) > MOST_BYTES:
            self.problems.add("too_large", f"{len(payload)} bytes; {MOST_BYTES} at most")
        try:
            text = decode_text(payload)
        except Unreadable as unreadable:
            self.problems.add(unreadable.reason, unreadable.detail)
            text = payload.decode("utf-8", "replace")
        try:
            body = parse(text)
        except Unreadable as unreadable:
            self.problems.add(unreadable.reason, unreadable.detail)
            return text, {}
        if not isinstance(body, dict):
            self.problems.add("bad_schema", "must be an object")
            return text, {}
        return text, body

    def _object(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        found = body.get(name)
        if isinstance(found, dict):
            return found
        if not self.problems:
            self.problems.add("bad_schema", f"{name}: must be an object")
        return {}

    def _device(self, device: dict[str, Any]) -> str:
        """Its id; of a damaged message whatever looks like one."""
        name = device.get("uniqueId")
        if isinstance(name, str) and name:
            return clean(name, 64)
        if not self.problems:
            self.problems.add("bad_schema", "device.uniqueId: must be text")
        match = _SAYS_DEVICE.search(self.text)
        if match:
            return clean(match[1], 64)
        key = check_integer(self.position.get("deviceId"), 1, 2**53)
        return "" if key is None else f"traccar:{key}"

    def number(self) -> int:
        """What stands for `boot` and `seq`: `position.id`, or what the position says if Traccar gave it none."""
        given = check_integer(self.position.get("id"), 1, 2**NAME_BITS - 1)
        if given is not None:
            return given
        try:
            content = json.dumps({k: v for k, v in self.position.items() if k != "id"}, sort_keys=True).encode()
        except RecursionError:
            content = self.message.payload
        return number_of(content, NAME_BITS)

    def sample_name(self) -> tuple[int, int]:
        """(boot, seq) of what was measured."""
        return split(self.number())

    def event_name(self, event: str) -> tuple[int, int]:
        """(boot, seq) of one of the events that this position is about."""
        return split(NUMBERED.index(event) << NAME_BITS | self.number())

    def time(self, problems: Problems) -> tuple[bool, int | None]:
        """(usable, Unix ms): of the fix; of the device's report where the fix is an older one, or none."""
        names = ("deviceTime", "fixTime") if self.position.get("outdated") is True else ("fixTime", "deviceTime")
        own = Problems()
        found = [read_time(self.position.get(name), f"position.{name}", own) for name in names]
        for ts in found:
            if ts is not None and ts >= OLDEST:
                return True, ts
        for detail in own.found.get("bad_schema", []):
            problems.add("bad_schema", detail)
        return not own, found[1] if found[0] is None else found[0]

    def readings(self, problems: Problems) -> dict[str, float]:
        values = {metric: self.attributes.get(name) for name, metric in READINGS.items()}
        given = {metric: value for metric, value in values.items() if value is not None}
        return check_readings(given, "attributes: ", problems)

    def place(self, problems: Problems) -> tuple[Place, int] | None:
        """Where it was at that time. Nothing where Traccar repeats an older place, or says 0, 0 for knowing none."""
        position = self.position
        lat, lon = position.get("latitude"), position.get("longitude")
        if position.get("outdated") is True or (not lat and not lon):
            return NO_POSITION, 0
        speed, accuracy = position.get("speed"), position.get("accuracy")
        if isinstance(speed, int | float) and not isinstance(speed, bool):
            speed *= KNOT
        said = {
            "lat": lat,
            "lon": lon,
            "accuracy": accuracy or None,  # 0: Traccar was not told
            "speed": speed,
            "heading": position.get("course"),
            "altitude": position.get("altitude"),
            "fix": self._fix(),
        }
        return check_position(said, "", problems)

    def _fix(self) -> str | None:
        valid = self.position.get("valid")
        if valid is not True:
            return "none" if valid is False else None
        if self.attributes.get("approximate") is True:  # located by what radio it heard
            network = self.position.get("network")
            return "wifi" if isinstance(network, dict) and network.get("wifiAccessPoints") else "lbs"
        return "gnss"

    def events(self) -> list[str]:
        """What the alarms stand for, every one of them, the contract's order of importance. Searched for in what is damaged."""
        alarm = self.attributes.get("alarm")
        said = alarm if isinstance(alarm, list) else [alarm]
        found = {event for part in said if isinstance(part, str) for event in events_of(part)}
        if self.damaged:
            found |= {event for part in _SAYS_ALARM.findall(self.text) for event in events_of(part)}
        return sorted(found, key=NUMBERED.index)


def events_of(alarms: str) -> set[str]:
    """The events that a comma-separated list of alarms stands for."""
    words = (word.strip().lower() for word in alarms.split(","))
    return {ALARMS[word] for word in words if word in ALARMS}


def read_time(value: Any, path: str, problems: Problems) -> int | None:
    """Unix ms of ISO 8601 text (UTC where it names no zone) or of a number that is that already; None where it is neither."""
    if not isinstance(value, str):
        return check_ts(value, f"{path}: ", problems)[1]
    try:
        at = datetime.fromisoformat(value[:64])
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        return (at - EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        problems.add("bad_schema", f"{path}: is no ISO 8601 time")
        return None

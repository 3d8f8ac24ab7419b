"""Who sends on one topic: the device as registered, its wearer, and whether it belongs to the area it names."""

from typing import Any, Literal, Protocol

from gateway.checks import Problems
from homecare.devices import RegisteredDevice
from homecare.messages import Origin

Refusal = Literal["unknown_device", "wrong_area"]

WORN = frozenset({"handset", "fall_sensor"})
"""Kinds of device that one person has on them; the others may serve several."""


class Directory(Protocol):
    """Who is registered: `registry.Registry`, or `open_registry.OpenRegistry` where everybody counts as such."""

    version: int
    """Changes with every change of the answers below."""

    def device(self, device: str, area: str) -> RegisteredDevice | None:
        """The device of that id; `area` is the one its topic names."""

    def subject(self, text: str) -> int | None:
        """The key of the resident with that id or card number."""


class Source:
    """Looked up once per topic and change of the registry, so that a message costs one look at a dictionary."""

    __slots__ = ("device", "directory", "key", "origin", "refusal", "wearer", "wearer_since", "why_not")

    def __init__(self, area: str, device: str, directory: Directory) -> None:
        found = directory.device(device, area)
        self.device = found
        self.directory = directory
        self.key = found.key if found else 0
        """The device's key in the database; 0: not registered."""
        self.origin = Origin(device, area, found.key if found else None)
        self.refusal: Refusal | None = None
        """Why only an SOS or fall is taken from it; None: it is registered, in this area."""
        self.why_not = ""
        """The refusal in words."""
        if found is None:
            self.refusal, self.why_not = "unknown_device", "no such device is registered"
        elif found.area != area:
            self.refusal, self.why_not = "wrong_area", f"the device is registered in area {found.area}"
        current = found.wearings[-1] if found and found.wearings else None
        still = current is not None and current.until is None
        self.wearer = current.resident_key if current and still else 0
        self.wearer_since = current.since if current and still else 0

    def worn_by(self, ts: int) -> int:
        """The key of the resident who wore the device at `ts` (Unix ms), 0: nobody."""
        if self.wearer and ts >= self.wearer_since:
            return self.wearer
        return (self.device.worn_by(ts) or 0) if self.device else 0

    def find_subject(self, body: dict[str, Any], problems: Problems) -> tuple[int | None, bool]:
        """(key of the person the message names or None, usable): one it names wrongly must not be guessed."""
        text = body.get("subject")
        if text is None:
            return None, True
        if not isinstance(text, str):
            problems.add("bad_schema", "subject: must be text")
            return None, False
        found = self.directory.subject(text)
        if found is None:
            problems.add("unknown_subject", "subject: no resident has this id or card number")
        elif self.device is not None and self.device.kind in WORN and not self._wore(found):
            # Else one stolen handset could speak for everybody.
            problems.add("unknown_subject", "subject: this device is worn, and never by this person")
            found = None
        return found, found is not None

    def _wore(self, resident: int) -> bool:
        return self.device is not None and any(wearing.resident_key == resident for wearing in self.device.wearings)

"""The registry of a capture, which names nobody: whoever speaks in it counts as registered."""

import msgspec

from homecare.devices import RegisteredDevice


class OpenRegistry:
    """Every device is registered in its topic's area, every subject a resident; keys from 1, in the order of first sight.

    A device is of the kind that may measure many people, so that it may name any subject.
    """

    def __init__(self, interval_s: float = 60.0) -> None:
        self.version = 0
        self.interval_s = interval_s
        """Of a device that has not said its own in a status. 0: such a device owes nobody data."""
        self.devices: dict[str, RegisteredDevice] = {}
        self.subjects: dict[str, int] = {}
        self._changed: dict[str, RegisteredDevice] = {}

    def device(self, device: str, area: str) -> RegisteredDevice:
        """It is there, and was always there; without an `area` (another server speaks for it) it stays in its own."""
        known = self.devices.get(device)
        if known is None:
            known = self._take(RegisteredDevice(len(self.devices) + 1, device, area, "kiosk", self.interval_s))
        elif area not in ("", known.area):
            known = self._take(msgspec.structs.replace(known, area=area))
        return known

    def subject(self, text: str) -> int:
        """A key of their own for everybody who is named."""
        return self.subjects.setdefault(text, len(self.subjects) + 1)

    def report_interval(self, device: str, interval_s: float) -> None:
        """The device says itself how many seconds between two messages are normal."""
        known = self.devices.get(device)
        if known is not None and known.interval_s != interval_s:
            self._take(msgspec.structs.replace(known, interval_s=interval_s))

    def changes(self) -> list[RegisteredDevice]:
        """The devices that are new or changed since this was last asked."""
        changed, self._changed = list(self._changed.values()), {}
        return changed

    def _take(self, device: RegisteredDevice) -> RegisteredDevice:
        self.devices[device.id] = self._changed[device.id] = device
        return device

"""A registered device as the gateway's registry and the rules know it."""

from typing import Literal

import msgspec

DeviceKind = Literal["handset", "fall_sensor", "kiosk", "home_sensor"]


class Wearing(msgspec.Struct, frozen=True, gc=False):
    """Who wore the device from `since` until before `until` (Unix ms; None: still)."""

    resident_key: int
    since: int
    until: int | None = None


class RegisteredDevice(msgspec.Struct, frozen=True, gc=False):
    """One device of the directory. A kiosk serves many people and has no wearing."""

    key: int
    id: str
    area: str
    kind: DeviceKind
    interval_s: float
    wearings: tuple[Wearing, ...] = ()
    """Oldest first, not overlapping."""
    revoked: bool = False

    def worn_by(self, at: int) -> int | None:
        """Key of the resident who wore it at `at` (Unix ms), or None."""
        for wearing in reversed(self.wearings):
            if wearing.since <= at:
                return wearing.resident_key if wearing.until is None or at < wearing.until else None
        return None

"""Devices, those that spoke without being registered, and what could not be kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dashboards.people import Resident
from dashboards.store import QUERIES, Store
from dashboards.viewer import Viewer
from homecare.devices import DeviceKind

PREVIEW_BYTES = 400


@dataclass(frozen=True, slots=True)
class Device:
    """A registered device and who has it now."""

    id: str
    area: str
    kind: str
    model: str | None
    firmware: str | None
    interval_s: float
    state: str
    state_at: datetime | None
    registered_at: datetime
    revoked_at: datetime | None
    resident_id: str | None
    last_seen: datetime | None
    """When telemetry of it was last received."""
    missing: int
    """Messages that it counted and that did not come."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """A device that spoke in `area` and is not registered."""

    device: str
    area: str
    area_zh: str | None
    area_en: str | None
    first_seen: datetime
    last_seen: datetime
    messages: int

    @property
    def adoptable(self) -> bool:
        """Only into an area of the directory."""
        return self.area_zh is not None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message, or part of one, that could not be kept."""

    id: int
    received: datetime
    last_received: datetime
    times: int
    lane: str
    topic: str
    payload: bytes
    reason: str
    detail: str
    device: str | None
    area: str | None
    replayed_at: datetime | None

    @property
    def preview(self) -> str:
        """The beginning of the bytes as text that is safe to look at."""
        return preview(self.payload)


def preview(payload: bytes, most: int = PREVIEW_BYTES) -> str:
    r"""The first bytes as text: what is not printable stands as \n, \x00, \u202e …"""
    text = payload[:most].decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown + ("…" if len(payload) > most else "")


async def devices(store: Store, viewer: Viewer, *, after: str, most: int) -> list[Device]:
    """By id, after `after`."""
    return await store.rows("devices", Device, area=viewer.area, after=after, most=most)


async def unknown_devices(store: Store, viewer: Viewer, device: str | None = None) -> list[Stranger]:
    """The latest heard first; those from areas nobody has are the root's."""
    return await store.rows("unknown_devices", Stranger, device=device, most=500, **viewer.reach)


async def quarantined(store: Store, viewer: Viewer, *, before: int = 2**62, most: int = 100) -> list[Quarantined]:
    """The latest first, with ids below `before`."""
    return await store.rows("quarantine", Quarantined, before=before, most=most, **viewer.reach)


async def adopt(
    store: Store, viewer: Viewer, device: str, area: str, kind: DeviceKind, interval_s: float, wearer: Resident | None
) -> Literal["adopted", "not_there", "kiosk_is_nobodys"]:
    """Register a device that spoke in `area`; `not_there`: it did not, or somebody was faster."""
    if wearer is not None and kind == "kiosk":
        return "kiosk_is_nobodys"
    async with store.connection() as db, db.transaction():
        asked = {"device": device, "device_area": area, "kind": kind, "interval_s": interval_s, "area": viewer.area}
        row = await (await db.execute(QUERIES["adopt_device"].encode(), asked)).fetchone()
        if row is None:
            return "not_there"
        if wearer is not None:
            await db.execute(QUERIES["wear"].encode(), {"device": row[0], "resident": wearer.key})
    await store.record(
        viewer.actor,
        "device.adopted",
        device=device,
        area=area,
        kind=kind,
        resident=wearer.id if wearer else None,
        how=viewer.how,
    )
    return "adopted"

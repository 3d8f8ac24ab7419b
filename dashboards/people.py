"""Residents: who they are, whom to call, what they wear, what was measured of them."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from dashboards.evidence import UNITS
from dashboards.store import Store
from dashboards.viewer import Viewer
from homecare.metrics import BY_NAME, INDEX

MOST_SAMPLES = 20_000


@dataclass(frozen=True, slots=True)
class Listed:
    """A resident in a list."""

    id: str
    name: str
    birth_date: date | None
    sex: str | None
    area: str
    area_zh: str
    area_en: str
    address: str | None
    live_alerts: int


@dataclass(frozen=True, slots=True)
class Resident:
    """One person. `lat`, `lon`: home, WGS-84 degrees; `key` never leaves this program."""

    key: int
    id: str
    card: str | None
    name: str
    birth_date: date | None
    sex: str | None
    phone: str | None
    address: str | None
    lat: float | None
    lon: float | None
    language: str
    conditions: list[str]
    area: str
    area_zh: str
    area_en: str
    timezone: str

    def age(self, today: date) -> int | None:
        """Whole years."""
        born = self.birth_date
        return None if born is None else today.year - born.year - ((today.month, today.day) < (born.month, born.day))


@dataclass(frozen=True, slots=True)
class ContactOf:
    """Somebody to call, in the order of `rank`; `channels`: by how many ways the system itself can reach them."""

    id: str
    name: str
    role: str
    phone: str | None
    rank: int
    relation: str
    channels: int


@dataclass(frozen=True, slots=True)
class Worn:
    """A device the person has now; `battery` %, the last it told; `missing` messages that it counted and that did not come."""

    id: str
    kind: str
    model: str | None
    state: str
    state_at: datetime | None
    interval_s: float
    since: datetime
    last_sample: datetime | None
    battery: float | None
    missing: int


@dataclass(frozen=True, slots=True)
class LatestReading:
    """The latest of one metric."""

    metric: str
    value: float
    at: datetime
    device: str

    @property
    def text_zh(self) -> str:
        return self._text(0)

    @property
    def text_en(self) -> str:
        return self._text(1)

    @property
    def name_zh(self) -> str:
        return BY_NAME[self.metric].zh

    @property
    def name_en(self) -> str:
        return BY_NAME[self.metric].en

    def _text(self, language: int) -> str:
        unit = BY_NAME[self.metric].unit
        return f"{self.value:.5g} {UNITS.get(unit, (unit, unit))[language]}".rstrip()


async def residents(store: Store, viewer: Viewer, *, search: str, after: str, most: int) -> list[Listed]:
    """By id, after `after`; `search`: part of the name, the beginning of the id, or the card number."""
    pattern = search.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    return await store.rows("residents", Listed, search=search, pattern=pattern, after=after, most=most, **viewer.reach)


async def find_resident(store: Store, viewer: Viewer, resident: str) -> Resident | None:
    """None where there is none, or they live outside the viewer's area."""
    return await store.row("resident", Resident, id=resident, area=viewer.area)


async def view_resident(store: Store, viewer: Viewer, resident: str) -> Resident | None:
    """The same, and the log says that this viewer looked."""
    found = await find_resident(store, viewer, resident)
    if found is not None:
        await store.record(viewer.actor, "resident.viewed", resident=found.id, how=viewer.how)
    return found


async def contacts_of(store: Store, resident: Resident) -> list[ContactOf]:
    return await store.rows("resident_contacts", ContactOf, key=resident.key)


async def devices_of(store: Store, resident: Resident) -> list[Worn]:
    return await store.rows("resident_devices", Worn, key=resident.key)


async def latest_of(store: Store, resident: Resident) -> list[LatestReading]:
    """In the order of the metrics."""
    found = await store.rows("resident_latest", LatestReading, key=resident.key)
    return sorted(found, key=lambda reading: INDEX[reading.metric])


async def last_position_of(store: Store, resident: Resident) -> list[dict[str, Any]]:
    """A row as of `samples_of`, or none."""
    return await store.mappings("resident_position", key=resident.key)


async def samples_of(
    store: Store, resident: Resident, start: datetime, end: datetime, most: int = MOST_SAMPLES
) -> list[dict[str, Any]]:
    """Rows of `resident_samples` in [start, end), the oldest first; where there are more than `most`, the newest of them."""
    rows = await store.mappings("resident_samples", key=resident.key, most=most, **{"from": start, "to": end})
    return rows[::-1]


async def rolled_up(
    store: Store, resident: Resident, start: datetime, end: datetime, *, days: bool
) -> list[dict[str, Any]]:
    """Rows of `resident_rolled_up`, the oldest first: of every vital reading least, greatest and mean of each hour or day."""
    return await store.mappings("resident_rolled_up", key=resident.key, days=days, **{"from": start, "to": end})

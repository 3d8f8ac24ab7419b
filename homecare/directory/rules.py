"""Import and export of what the rules know of people: places, orders, and where the rule pack does not hold."""

from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from homecare.database import load_queries, require_migrated, unavailable
from homecare.directory.entries import Order, Place, RuleOverride
from homecare.errors import InputError
from homecare.overrides import Area, CheckOverrides, Override

_SQL = load_queries("homecare.directory")
Outcome = str


class RuleEntries:
    """Writes them in the transaction of `db`; what the rules make of the overrides is checked against what was before."""

    def __init__(self, db: psycopg.Connection, check: CheckOverrides | None) -> None:
        self._db, self._check = db, check
        self._wrong_before: set[tuple[str, str, str]] | None = None

    def places_of(self, places: Sequence[Place]) -> Outcome:
        """All places of one resident."""
        resident = places[0].resident
        if not self._db.execute(_SQL["resident_key"], {"id": resident}).fetchone():
            raise InputError(f"resident: there is no resident {resident}")
        stored = self._db.execute(_SQL["places_of"], {"resident": resident}).fetchall()
        wanted = sorted(_row(place) for place in places)
        if stored == wanted:
            return "unchanged"
        self._db.execute(_SQL["remove_places"], {"resident": resident})
        for name, watch, lat, lon, radius_m, minute in wanted:
            row = {"name": name, "watch": watch, "lat": lat, "lon": lon, "radius_m": radius_m, "minute": minute}
            self._db.execute(_SQL["add_place"], row | {"resident": resident})
        return "changed" if stored else "added"

    def order(self, order: Order) -> Outcome:
        """One order, by resident, what and when."""
        row = {"resident": order.resident, "what": order.what, "by": order.by, "at": order.at, "until": order.until}
        if not self._db.execute(_SQL["resident_key"], {"id": order.resident}).fetchone():
            raise InputError(f"resident: there is no resident {order.resident}")
        put = self._db.execute(_SQL["put_order"], row).fetchone()
        return "unchanged" if put is None else "added" if put[0] else "changed"

    def override(self, override: RuleOverride) -> Outcome:
        """One override. InputError where there is no such area or resident; what the rules say to it: `refuse_wrong`."""
        if self._wrong_before is None:
            self._wrong_before = set(self._problems())
        whose = {"area": override.area, "resident": override.resident}
        if not self._db.execute(_SQL["override_whose"], whose).fetchone():
            name, value = ("area", override.area) if override.area else ("resident", override.resident)
            raise InputError(f"{name}: there is no {name} {value}")
        row: dict[str, Any] = whose | {"rule": override.rule, "field": override.field}
        if override.value is None:
            return "removed" if self._db.execute(_SQL["remove_override"], row).rowcount else "unchanged"
        put = self._db.execute(
            _SQL["put_override"], row | {"value": Jsonb(override.value), "by": override.by}
        ).fetchone()
        return "unchanged" if put is None else "added" if put[0] else "changed"

    def refuse_wrong(self) -> None:
        """Once all overrides are written: InputError for what is wrong now and was not before."""
        if self._wrong_before is None:
            return
        for problem in self._problems():
            if problem not in self._wrong_before:
                whose, _, text = problem
                raise InputError(f"overrides of {whose}: {text}")

    def _problems(self) -> list[tuple[str, str, str]]:
        if self._check is None:
            raise InputError("overrides: cannot be written here, for nothing checks them")
        return self._check(*read_overrides(self._db))


def change_overrides(url: str, overrides: Sequence[RuleOverride], check: CheckOverrides) -> list[Outcome]:
    """Write these at once: `added`, `changed`, `removed` or `unchanged` of each.

    Raises:
        InputError: there is no such area or resident, or what came of it is wrong; nothing was written.
        DatabaseUnavailable, NotMigrated: nothing was written.
    """
    with unavailable(), psycopg.connect(url) as db:
        require_migrated(db)
        entries = RuleEntries(db, check)
        outcomes = [entries.override(override) for override in overrides]
        entries.refuse_wrong()
        for override, outcome in zip(overrides, outcomes, strict=True):
            if outcome != "unchanged":
                detail = msgspec.to_builtins(override) | {"outcome": outcome}
                db.execute(_SQL["record"], {"action": "rules.overridden", "detail": Jsonb(detail)})
    return outcomes


def overrides_for(url: str, resident: str | None = None) -> tuple[list[Override], list[Area], tuple[int, str] | None]:
    """All overrides and areas, and key and area of `resident` (None: not asked for, or there is no such resident).

    Raises:
        DatabaseUnavailable, NotMigrated: they cannot be read.
    """
    with unavailable(), psycopg.connect(url) as db:
        require_migrated(db)
        found = db.execute(_SQL["resident_home"], {"id": resident}).fetchone()
        return *read_overrides(db), found


def read_overrides(db: psycopg.Connection) -> tuple[list[Override], list[Area]]:
    """All overrides and areas."""
    overrides = db.cursor(row_factory=class_row(Override)).execute(_SQL["all_overrides"]).fetchall()
    areas = db.cursor(row_factory=class_row(Area)).execute(_SQL["area_tree"]).fetchall()
    return overrides, areas


def place_entries(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the table as entries."""
    for row in rows:
        row["points"] = list(zip(row.pop("lat"), row.pop("lon"), strict=True))
        minute = row.pop("minute")
        row["by"] = None if minute is None else f"{minute // 60:02}:{minute % 60:02}"
    return rows


def _row(place: Place) -> tuple[str, str, list[float], list[float], float, int | None]:
    minute = None
    if place.by is not None:
        hours, _, minutes = place.by.partition(":")
        minute = 60 * int(hours) + int(minutes)
    lat, lon = [point[0] for point in place.points], [point[1] for point in place.points]
    return place.name, place.watch, lat, lon, place.radius_m, minute

"""Residents and what was measured of them, by the API. Every look at a person is logged."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from dashboards import people
from dashboards.api.models import Contact, Page, Position, Resident, ResidentListed, Sample, Samples, Wears
from dashboards.api.paging import Cursor, Most, cursor, text_after
from dashboards.api.problems import Problem, not_found
from dashboards.api.tokens import ReadsResidents
from dashboards.people import MOST_SAMPLES
from dashboards.services import Uses
from homecare.metrics import BY_NAME
from homecare.samples import Flag

router = APIRouter(prefix="/residents", tags=["residents"])
LONGEST = timedelta(days=31)
Metrics = Annotated[str, Query(description="Metrics, comma-separated; all without it", max_length=400)]


@router.get("", summary="Residents, by id")
async def residents(
    uses: Uses,
    viewer: ReadsResidents,
    search: Annotated[str, Query(max_length=100)] = "",
    after: Cursor = None,
    most: Most = 50,
) -> Page[ResidentListed]:
    found = await people.residents(uses.store, viewer, search=search, after=text_after(after), most=most + 1)
    following = cursor(found[most - 1].id) if len(found) > most else None
    return Page(items=[ResidentListed.of(resident) for resident in found[:most]], next=following)


@router.get("/{resident_id}", summary="One person, with contacts and devices")
async def resident(uses: Uses, viewer: ReadsResidents, resident_id: str) -> Resident:
    found = await people.view_resident(uses.store, viewer, resident_id)
    if found is None:
        raise not_found()
    home = {"lat": found.lat, "lon": found.lon, "accuracy": None, "at": None} if found.lat is not None else None
    own = {name: getattr(found, name) for name in Resident.model_fields if hasattr(found, name)}
    contacts = await people.contacts_of(uses.store, found)
    devices = await people.devices_of(uses.store, found)
    return Resident.model_validate(
        own
        | {
            "home": home,
            "contacts": [Contact.model_validate(contact, from_attributes=True) for contact in contacts],
            "devices": [Wears.model_validate(device, from_attributes=True) for device in devices],
        }
    )


@router.get("/{resident_id}/samples", summary="What was measured of a person, the oldest first")
async def samples(
    uses: Uses,
    viewer: ReadsResidents,
    resident_id: str,
    start: Annotated[AwareDatetime, Query(alias="from", description="Inclusive")],
    end: Annotated[AwareDatetime, Query(alias="to", description="Exclusive")],
    metrics: Metrics = "",
) -> Samples:
    if not timedelta(0) < end - start <= LONGEST:
        raise Problem(422, "bad_range", f"`to` must lie after `from`, by {LONGEST.days} days at most.")
    wanted = [name for name in metrics.split(",") if name] or list(BY_NAME)
    if unknown := [name for name in wanted if name not in BY_NAME]:
        raise Problem(422, "unknown_metric", f"There is no metric {', '.join(unknown)}.")
    found = await people.view_resident(uses.store, viewer, resident_id)
    if found is None:
        raise not_found()
    rows = await people.samples_of(uses.store, found, start, end, MOST_SAMPLES + 1)
    if len(rows) > MOST_SAMPLES:
        raise Problem(
            422, "too_many_samples", f"More than {MOST_SAMPLES} samples lie in this range; ask for a shorter one."
        )
    shown = [_sample(row, wanted) for row in rows]
    return Samples(
        units={name: BY_NAME[name].unit for name in wanted},
        samples=[sample for sample in shown if sample.values or (sample.position and not metrics)],
    )


def _sample(row: dict[str, Any], metrics: list[str]) -> Sample:
    here = row["lat"] is not None and row["lon"] is not None
    return Sample(
        ts=row["ts"],
        device=row["device"],
        late=bool(row["flags"] & Flag.LATE),
        wrong_clock=bool(row["flags"] & Flag.WRONG_CLOCK),
        values={name: round(row[name], 4) for name in metrics if row[name] is not None},
        position=Position(lat=row["lat"], lon=row["lon"], accuracy=row["accuracy"], at=row["ts"]) if here else None,
    )

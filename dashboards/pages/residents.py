"""Residents: the list, and a person's page with the last day, week, month or year as charts. Every look is logged."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dashboards import cases, downlink, people
from dashboards.charts import draw, draw_rolled_up, track
from dashboards.services import Uses
from dashboards.sessions import SignedIn

router = APIRouter(include_in_schema=False, prefix="/residents")
PER_PAGE = 50
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SPANS = {"week": (7 * DAY, HOUR), "month": (31 * DAY, HOUR), "year": (366 * DAY, DAY)}
"""How long each is, and what of it is one point."""


@router.get("")
async def residents(request: Request, uses: Uses, viewer: SignedIn, search: str = "", after: str = "") -> Response:
    search = search.strip()[:100]
    found = await people.residents(uses.store, viewer, search=search, after=after, most=PER_PAGE + 1)
    template = "resident_rows.html" if "HX-Request" in request.headers else "residents.html"
    return uses.templates.render(
        request,
        template,
        viewer=viewer,
        residents=found[:PER_PAGE],
        search=search,
        more=found[PER_PAGE - 1].id if len(found) > PER_PAGE else None,
    )


@router.get("/{resident_id}")
async def resident_page(request: Request, uses: Uses, viewer: SignedIn, resident_id: str) -> Response:
    resident = await people.view_resident(uses.store, viewer, resident_id)
    if resident is None:
        raise HTTPException(404)
    return uses.templates.render(
        request,
        "resident.html",
        viewer=viewer,
        resident=resident,
        age=resident.age(datetime.now(viewer.zone).date()),
        contacts=await people.contacts_of(uses.store, resident),
        devices=await people.devices_of(uses.store, resident),
        readings=await people.latest_of(uses.store, resident),
        asked=await downlink.asked_of_resident(uses.store, resident),
        alerts=await cases.resident_alerts(uses.store, viewer, resident.id),
        tile_url=uses.tile_url,
    )


@router.get("/{resident_id}/day.json")
async def day(uses: Uses, viewer: SignedIn, resident_id: str) -> Response:
    """The last 24 hours: {"from", "to": Unix s, "charts": as of `charts.draw`, "track": as of `charts.track`}, and
    "last": a track with the last position, however old.
    """
    resident = await people.view_resident(uses.store, viewer, resident_id)
    if resident is None:
        raise HTTPException(404)
    end = datetime.now(UTC)
    samples = await people.samples_of(uses.store, resident, end - DAY, end)
    return JSONResponse(
        {
            "from": (end - DAY).timestamp(),
            "to": end.timestamp(),
            "charts": draw(samples),
            "track": track(samples),
            "last": track(await people.last_position_of(uses.store, resident)),
        }
    )


@router.get("/{resident_id}/history.json")
async def history(uses: Uses, viewer: SignedIn, resident_id: str, span: Literal["week", "month", "year"]) -> Response:
    """The last week, month or year: {"from", "to": Unix s, "charts": as of `charts.draw_rolled_up`}."""
    resident = await people.view_resident(uses.store, viewer, resident_id)
    if resident is None:
        raise HTTPException(404)
    length, width = SPANS[span]
    end = datetime.now(UTC)
    rows = await people.rolled_up(uses.store, resident, end - length, end, days=width == DAY)
    charts = draw_rolled_up(rows, width)
    return JSONResponse({"from": (end - length).timestamp(), "to": end.timestamp(), "charts": charts})

"""The queue: who waits for an answer, who is called now and next, and what was closed today."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboards import cases
from dashboards.services import Services, Uses
from dashboards.sessions import Acting, SignedIn
from dashboards.viewer import Viewer

router = APIRouter(include_in_schema=False)


@router.get("/")
async def queue(request: Request, uses: Uses, viewer: SignedIn) -> Response:
    return await _queue(request, uses, viewer, "queue.html")


@router.get("/queue")
async def lists(request: Request, uses: Uses, viewer: SignedIn) -> Response:
    """The lists alone, for a page that has to catch up."""
    return await _queue(request, uses, viewer, "queue_lists.html")


async def _queue(request: Request, uses: Services, viewer: Viewer, template: str) -> Response:
    # Asked before the alerts: what happens in between is told again by the stream, never missed.
    since = await uses.announcements.last_id()
    live = await cases.live_alerts(uses.store, viewer)
    return uses.templates.render(
        request,
        template,
        viewer=viewer,
        since_id=since,
        waiting=[alert for alert in live if alert.state == "open"],
        answered=[alert for alert in live if alert.state == "acknowledged"],
        closed=await cases.closed_alerts(uses.store, viewer),
        most=cases.MOST_LIVE,
        full=len(live) == cases.MOST_LIVE,
    )


@router.get("/queue/{alert_id}")
async def row(request: Request, uses: Uses, viewer: SignedIn, alert_id: UUID) -> Response:
    """One alert's row as it is now."""
    alert = await cases.find_alert(uses.store, viewer, alert_id)
    if alert is None:
        raise HTTPException(404)
    return uses.templates.render(request, "alert_row.html", viewer=viewer, alert=alert)


@router.post("/console/received")
async def console_received(
    uses: Uses, viewer: Acting, alerts: Annotated[list[UUID], Form(max_length=cases.MOST_LIVE)]
) -> Response:
    """The page shows these alerts: the notifications to the console are delivered."""
    await cases.confirm_console(uses.store, viewer, alerts)
    return Response(status_code=204)

"""One alert: why, where, what was done, and the answers: acknowledge, resolve, note."""

import json
from typing import Annotated, Any, get_args
from uuid import UUID

from fastapi import APIRouter, Form, HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards import cases
from dashboards.cases import Shown
from dashboards.language import mark as _
from dashboards.services import Services, Uses
from dashboards.sessions import Acting, SignedIn
from dashboards.story import tell_story
from dashboards.viewer import Viewer
from homecare.answers import Answer, Outcome

router = APIRouter(include_in_schema=False, prefix="/alerts")
SAID: dict[Answer, str] = {
    "acknowledged": _("Acknowledged. Everybody who was called is told."),
    "already_acknowledged": _("Somebody was faster: it is already acknowledged."),
    "arrived": _("You are there. It is yours until you resolve it."),
    "already_arrived": _("Somebody is there already."),
    "declined": _("Noted. Somebody else is called."),
    "confirmed": _("Confirmed: they are well."),
    "already_confirmed": _("It was already confirmed."),
    "reopened": _("Open again: people are called."),
    "resolved": _("Resolved."),
    "closed": _("It was already closed."),
    "noted": _("Noted."),
}
"""What the page says after an answer; a lost race is told."""
Note = Annotated[str, Form(max_length=2000)]


async def _find(uses: Services, viewer: Viewer, alert_id: UUID) -> Shown:
    alert = await cases.find_alert(uses.store, viewer, alert_id)
    if alert is None:
        raise HTTPException(404)
    return alert


@router.get("/{alert_id}")
async def alert_page(request: Request, uses: Uses, viewer: SignedIn, alert_id: UUID) -> Response:
    since = await uses.announcements.last_id()
    alert = await _find(uses, viewer, alert_id)
    await uses.store.record(viewer.actor, "alert.viewed", alert=alert.id, how=viewer.how)
    return await _page(request, uses, viewer, alert, "alert.html", since_id=since)


@router.get("/{alert_id}/case")
async def alert_case(request: Request, uses: Uses, viewer: SignedIn, alert_id: UUID) -> Response:
    """What changes on an alert's page, for a page that is open."""
    return await _page(request, uses, viewer, await _find(uses, viewer, alert_id), "alert_case.html")


async def _page(
    request: Request, uses: Services, viewer: Viewer, alert: Shown, template: str, **context: Any
) -> Response:
    story, triggers = await tell_story(uses.store, alert.id)
    return uses.templates.render(
        request,
        template,
        viewer=viewer,
        alert=alert,
        story=story,
        triggers=triggers,
        tile_url=uses.tile_url,
        **context,
    )


@router.get("/{alert_id}/resolve")
async def resolve_form(request: Request, uses: Uses, viewer: SignedIn, alert_id: UUID, on: str = "row") -> Response:
    """The form in the dialogue; `on`: which page asks, `row` of the queue or `case`."""
    alert = await _find(uses, viewer, alert_id)
    return uses.templates.render(
        request, "resolve_form.html", viewer=viewer, alert=alert, outcomes=get_args(Outcome), on=on
    )


@router.post("/{alert_id}/acknowledge")
async def acknowledge(
    request: Request, uses: Uses, viewer: Acting, alert_id: UUID, note: Note = "", on: Annotated[str, Form()] = "row"
) -> Response:
    await _find(uses, viewer, alert_id)
    answer = await cases.acknowledge(uses.store, alert_id, viewer.actor, "page", note)
    return await _answered(request, uses, viewer, alert_id, answer, on)


@router.post("/{alert_id}/arrive")
async def arrive(
    request: Request, uses: Uses, viewer: Acting, alert_id: UUID, on: Annotated[str, Form()] = "row"
) -> Response:
    await _find(uses, viewer, alert_id)
    answer = await cases.arrive(uses.store, alert_id, viewer.actor, "page")
    return await _answered(request, uses, viewer, alert_id, answer, on)


@router.post("/{alert_id}/decline")
async def decline(
    request: Request, uses: Uses, viewer: Acting, alert_id: UUID, on: Annotated[str, Form()] = "row"
) -> Response:
    """Give it back: somebody else is called."""
    await _find(uses, viewer, alert_id)
    answer = await cases.decline(uses.store, alert_id, viewer.actor, "page")
    return await _answered(request, uses, viewer, alert_id, answer, on)


@router.post("/{alert_id}/confirm")
async def confirm(
    request: Request,
    uses: Uses,
    viewer: Acting,
    alert_id: UUID,
    well: Annotated[bool, Form()],
    on: Annotated[str, Form()] = "row",
) -> Response:
    """Of an SOS that was taken back: are they well?"""
    await _find(uses, viewer, alert_id)
    answer = await cases.confirm(uses.store, alert_id, viewer.actor, "page", well=well)
    return await _answered(request, uses, viewer, alert_id, answer, on)


@router.post("/{alert_id}/resolve")
async def resolve(
    request: Request,
    uses: Uses,
    viewer: Acting,
    alert_id: UUID,
    outcome: Annotated[Outcome, Form()],
    note: Note = "",
    on: Annotated[str, Form()] = "row",
) -> Response:
    await _find(uses, viewer, alert_id)
    answer = await cases.resolve(uses.store, alert_id, viewer.actor, "page", outcome, note)
    return await _answered(request, uses, viewer, alert_id, answer, on)


@router.post("/{alert_id}/notes")
async def add_note(
    request: Request,
    uses: Uses,
    viewer: Acting,
    alert_id: UUID,
    note: Annotated[str, Form(min_length=1, max_length=2000)],
) -> Response:
    await _find(uses, viewer, alert_id)
    answer = await cases.add_note(uses.store, alert_id, viewer.actor, note)
    return await _answered(request, uses, viewer, alert_id, answer, "case")


async def _answered(
    request: Request, uses: Services, viewer: Viewer, alert_id: UUID, answer: Answer, on: str
) -> Response:
    """The part of the page that changed, and what is said about it; a whole page where the browser runs no script."""
    if "HX-Request" not in request.headers:
        return RedirectResponse(f"/alerts/{alert_id}", 303)
    alert = await _find(uses, viewer, alert_id)
    if on == "case":
        response = await _page(request, uses, viewer, alert, "alert_case.html")
    else:
        response = uses.templates.render(request, "alert_row.html", viewer=viewer, alert=alert)
    text = uses.templates.translate(request, viewer, SAID[answer]) if answer in SAID else answer
    response.headers["HX-Trigger"] = json.dumps({"said": {"text": text}})
    return response

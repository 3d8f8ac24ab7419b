"""What operators ask of a person's devices, and the list of what came of it, which the page fetches again while an answer may come."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards import downlink, people
from dashboards.downlink import CommandName, Wish
from dashboards.language import mark as _
from dashboards.people import Resident
from dashboards.services import Services, Uses
from dashboards.sessions import Acting, SignedIn
from dashboards.viewer import Viewer
from homecare.errors import InputError

router = APIRouter(include_in_schema=False, prefix="/residents/{resident_id}/asked")
SAID = {
    "asked": _("The device is asked. Its answer appears below."),
    "no_device": _("It is not their device any more, or it was revoked."),
    "wrong": _("Seconds between 10 and 86400 are expected."),
}


async def _find(uses: Services, viewer: Viewer, resident_id: str) -> Resident:
    resident = await people.find_resident(uses.store, viewer, resident_id)
    if resident is None:
        raise HTTPException(404)
    return resident


async def _list(request: Request, uses: Services, viewer: Viewer, resident: Resident) -> Response:
    asked = await downlink.asked_of_resident(uses.store, resident)
    return uses.templates.render(request, "asked.html", viewer=viewer, resident=resident, asked=asked)


@router.get("")
async def asked(request: Request, uses: Uses, viewer: SignedIn, resident_id: str) -> Response:
    """The list alone."""
    return await _list(request, uses, viewer, await _find(uses, viewer, resident_id))


@router.get("/call")
async def call_form(request: Request, uses: Uses, viewer: Acting, resident_id: str, device: str) -> Response:
    """The question before a call, for the dialogue: their handset would ring, and may answer by itself."""
    resident = await _find(uses, viewer, resident_id)
    if "HX-Request" not in request.headers:
        return RedirectResponse(f"/residents/{resident.id}", 303)
    return uses.templates.render(request, "call_form.html", viewer=viewer, resident=resident, device=device)


@router.post("")
async def ask(
    request: Request,
    uses: Uses,
    viewer: Acting,
    resident_id: str,
    device: Annotated[str, Form(max_length=64)],
    name: Annotated[CommandName, Form()],
    interval: Annotated[float | None, Form()] = None,
    number: Annotated[str, Form(max_length=32)] = "",
) -> Response:
    resident = await _find(uses, viewer, resident_id)
    worn = {one.id for one in await people.devices_of(uses.store, resident)}
    asked: dict[str, dict[str, Any]] = {"set_interval": {"interval": interval}, "call": {"number": number.strip()}}
    outcome: str
    try:
        args = downlink.check_args(name, asked.get(name, {}))
        wish = Wish(device, name, args)
        outcome = "no_device" if device not in worn else (await downlink.ask(uses.store, viewer, wish))[0]
    except InputError:
        outcome = "wrong"
    if "HX-Request" not in request.headers:
        return RedirectResponse(f"/residents/{resident.id}#asked", 303)
    response = await _list(request, uses, viewer, resident)
    text = uses.templates.translate(request, viewer, SAID[outcome])
    response.headers["HX-Trigger"] = json.dumps({"said": {"text": text}})
    return response

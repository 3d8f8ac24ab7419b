"""Devices nobody registered, with the form that adopts one, and the quarantine."""

from typing import Annotated, get_args
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards import fleet, people
from dashboards.language import mark as _
from dashboards.services import Services, Uses
from dashboards.sessions import Acting, SignedIn
from dashboards.viewer import Viewer
from homecare.devices import DeviceKind

router = APIRouter(include_in_schema=False)
SAID = {
    "adopted": _("Registered. Its next message is stored."),
    "not_there": _("It is not here any more: somebody was faster, or the area is not yours."),
    "kiosk_is_nobodys": _("A health kiosk serves many people: nobody wears it."),
    "no_such_resident": _("There is no resident with this id in your area."),
}


@router.get("/devices/unknown")
async def unknown_devices(request: Request, uses: Uses, viewer: SignedIn, adopted: str = "") -> Response:
    return await _unknown(request, uses, viewer, "adopted" if adopted else "", asked=adopted[:64])


async def _unknown(
    request: Request, uses: Services, viewer: Viewer, said: str = "", status: int = 200, asked: str = ""
) -> Response:
    return uses.templates.render(
        request,
        "unknown_devices.html",
        viewer=viewer,
        status=status,
        devices=await fleet.unknown_devices(uses.store, viewer),
        kinds=get_args(DeviceKind),
        said=uses.templates.translate(request, viewer, SAID[said]) if said else "",
        asked=asked,
    )


@router.post("/devices/unknown/adopt")
async def adopt(
    request: Request,
    uses: Uses,
    viewer: Acting,
    device: Annotated[str, Form(max_length=64)],
    area: Annotated[str, Form(max_length=32)],
    kind: Annotated[DeviceKind, Form()],
    interval_s: Annotated[float, Form(ge=1, le=86400)],
    resident: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    wearer = await people.find_resident(uses.store, viewer, resident.strip()) if resident.strip() else None
    if resident.strip() and wearer is None:
        return await _unknown(request, uses, viewer, "no_such_resident", 422, device)
    outcome = await fleet.adopt(uses.store, viewer, device, area, kind, interval_s, wearer)
    if outcome != "adopted":
        return await _unknown(request, uses, viewer, outcome, 409, device)
    return RedirectResponse(f"/devices/unknown?adopted={quote(device)}", 303)


@router.get("/quarantine")
async def quarantine(request: Request, uses: Uses, viewer: SignedIn, before: int = 2**62) -> Response:
    if not 0 <= before <= 2**62:
        raise HTTPException(404)
    messages = await fleet.quarantined(uses.store, viewer, before=before)
    await uses.store.record(viewer.actor, "quarantine.viewed", how=viewer.how)
    return uses.templates.render(request, "quarantine.html", viewer=viewer, messages=messages, before=before)

"""Devices, those nobody registered, and the quarantine, by the API."""

from fastapi import APIRouter
from starlette.responses import Response

from dashboards import fleet, people
from dashboards.api.models import Adoption, Device, Page, Quarantined, UnknownDevice
from dashboards.api.paging import Cursor, Most, cursor, number_before, text_after
from dashboards.api.problems import Problem
from dashboards.api.tokens import ReadsDevices, WritesDevices
from dashboards.services import Uses

router = APIRouter(tags=["devices"])
WHY_NOT = {
    "not_there": (409, "It did not speak in this area of yours, or somebody registered it meanwhile."),
    "kiosk_is_nobodys": (422, "A kiosk serves many people: it has no resident."),
}


@router.get("/devices", summary="Registered devices, by id")
async def devices(uses: Uses, viewer: ReadsDevices, after: Cursor = None, most: Most = 50) -> Page[Device]:
    found = await fleet.devices(uses.store, viewer, after=text_after(after), most=most + 1)
    following = cursor(found[most - 1].id) if len(found) > most else None
    return Page(items=[Device.of(device) for device in found[:most]], next=following)


@router.get("/devices/unknown", summary="Devices that spoke and are not registered, the latest heard first")
async def unknown_devices(uses: Uses, viewer: ReadsDevices) -> Page[UnknownDevice]:
    found = await fleet.unknown_devices(uses.store, viewer)
    return Page(items=[UnknownDevice.of(stranger) for stranger in found], next=None)


@router.post("/devices/unknown/adopt", status_code=204, summary="Register a device that spoke")
async def adopt(uses: Uses, viewer: WritesDevices, said: Adoption) -> Response:
    wearer = await people.find_resident(uses.store, viewer, said.resident) if said.resident else None
    if said.resident and wearer is None:
        raise Problem(422, "no_such_resident", "There is no resident with this id in your area.")
    outcome = await fleet.adopt(uses.store, viewer, said.device, said.area, said.kind, said.interval_s, wearer)
    if outcome != "adopted":
        status, detail = WHY_NOT[outcome]
        raise Problem(status, outcome, detail)
    return Response(status_code=204)


@router.get("/quarantine", summary="Messages that could not be kept, the latest first")
async def quarantine(uses: Uses, viewer: ReadsDevices, after: Cursor = None, most: Most = 50) -> Page[Quarantined]:
    found = await fleet.quarantined(uses.store, viewer, before=number_before(after), most=most + 1)
    await uses.store.record(viewer.actor, "quarantine.viewed", how=viewer.how)
    following = cursor(found[most - 1].id) if len(found) > most else None
    return Page(items=[Quarantined.of(message) for message in found[:most]], next=following)

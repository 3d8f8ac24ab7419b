"""Alerts by the API: read, and answered as on the page."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from dashboards import cases, scaip
from dashboards.api.models import Acknowledgement, Alert, Confirmation, Happened, Page, Remark, Resolution, State
from dashboards.api.paging import Cursor, Most, cursor, number_before
from dashboards.api.problems import not_found
from dashboards.api.tokens import ReadsAlerts, WritesAlerts
from dashboards.cases import Shown
from dashboards.services import Services, Uses
from dashboards.viewer import Viewer
from homecare.answers import Answer

router = APIRouter(prefix="/alerts", tags=["alerts"])


async def _find(uses: Services, viewer: Viewer, alert_id: UUID) -> Shown:
    alert = await cases.find_alert(uses.store, viewer, alert_id)
    if alert is None:
        raise not_found()
    return alert


async def _happened(uses: Services, viewer: Viewer, alert_id: UUID, answer: Answer) -> Happened:
    return Happened(answer=answer, alert=Alert.of(await _find(uses, viewer, alert_id)))


@router.get("", summary="Alerts, the newest first")
async def alerts(
    uses: Uses,
    viewer: ReadsAlerts,
    state: Annotated[list[State] | None, Query()] = None,
    after: Cursor = None,
    most: Most = 50,
) -> Page[Alert]:
    found = await cases.page_of_alerts(uses.store, viewer, before=number_before(after), states=state, most=most + 1)
    following = cursor(found[most - 1].number) if len(found) > most else None
    return Page(items=[Alert.of(alert) for alert in found[:most]], next=following)


@router.get("/{alert_id}", summary="One alert")
async def alert(uses: Uses, viewer: ReadsAlerts, alert_id: UUID) -> Alert:
    found = await _find(uses, viewer, alert_id)
    await uses.store.record(viewer.actor, "alert.viewed", alert=found.id, how=viewer.how)
    return Alert.of(found)


@router.get(
    "/{alert_id}/scaip",
    summary="One alert as a SCAIP-coded message",
    response_class=Response,
    responses={200: {"content": {scaip.MEDIA_TYPE: {}}}},
)
async def as_scaip(uses: Uses, viewer: ReadsAlerts, alert_id: UUID) -> Response:
    found = await _find(uses, viewer, alert_id)
    await uses.store.record(viewer.actor, "alert.viewed", alert=found.id, how=viewer.how, form="scaip")
    return Response(scaip.encode(found), media_type=scaip.MEDIA_TYPE)


@router.post("/{alert_id}/acknowledge", summary="Somebody has it: escalation stops")
async def acknowledge(
    uses: Uses, viewer: WritesAlerts, alert_id: UUID, said: Acknowledgement | None = None
) -> Happened:
    await _find(uses, viewer, alert_id)
    note = said.note if said else ""
    return await _happened(
        uses, viewer, alert_id, await cases.acknowledge(uses.store, alert_id, viewer.actor, viewer.how, note)
    )


@router.post("/{alert_id}/arrive", summary="Somebody is with the person: it is theirs until it is resolved")
async def arrive(uses: Uses, viewer: WritesAlerts, alert_id: UUID, said: Acknowledgement | None = None) -> Happened:
    await _find(uses, viewer, alert_id)
    answer = await cases.arrive(uses.store, alert_id, viewer.actor, viewer.how, said.note if said else "")
    return await _happened(uses, viewer, alert_id, answer)


@router.post("/{alert_id}/decline", summary="They cannot: somebody else is called")
async def decline(uses: Uses, viewer: WritesAlerts, alert_id: UUID, said: Acknowledgement | None = None) -> Happened:
    await _find(uses, viewer, alert_id)
    answer = await cases.decline(uses.store, alert_id, viewer.actor, viewer.how, said.note if said else "")
    return await _happened(uses, viewer, alert_id, answer)


@router.post("/{alert_id}/confirm", summary="Of an SOS that was taken back: are they well?")
async def confirm(uses: Uses, viewer: WritesAlerts, alert_id: UUID, said: Confirmation) -> Happened:
    await _find(uses, viewer, alert_id)
    answer = await cases.confirm(uses.store, alert_id, viewer.actor, viewer.how, well=said.well, note=said.note)
    return await _happened(uses, viewer, alert_id, answer)


@router.post("/{alert_id}/resolve", summary="It is over, with what it turned out to be")
async def resolve(uses: Uses, viewer: WritesAlerts, alert_id: UUID, said: Resolution) -> Happened:
    await _find(uses, viewer, alert_id)
    answer = await cases.resolve(uses.store, alert_id, viewer.actor, viewer.how, said.outcome, said.note)
    return await _happened(uses, viewer, alert_id, answer)


@router.post("/{alert_id}/notes", summary="A remark on the case")
async def add_note(uses: Uses, viewer: WritesAlerts, alert_id: UUID, said: Remark) -> Happened:
    await _find(uses, viewer, alert_id)
    return await _happened(uses, viewer, alert_id, await cases.add_note(uses.store, alert_id, viewer.actor, said.note))

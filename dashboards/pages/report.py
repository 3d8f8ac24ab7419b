"""The case report: one alert on one page to print or keep, in Chinese or English, with its evidence and the proof of its log."""

from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboards import cases, people, report
from dashboards.services import Uses
from dashboards.sessions import SignedIn
from dashboards.story import Logged, Notified, Triggered, line_of_time

router = APIRouter(include_in_schema=False, prefix="/alerts")


@router.get("/{alert_id}/report")
async def case_report(
    request: Request, uses: Uses, viewer: SignedIn, alert_id: UUID, language: Literal["zh", "en", ""] = ""
) -> Response:
    alert = await cases.find_alert(uses.store, viewer, alert_id)
    if alert is None:
        raise HTTPException(404)
    await uses.store.record(viewer.actor, "alert.viewed", alert=alert.id, how="report")
    log = await uses.store.rows("alert_log", Logged, id=alert.id)
    notifications = await uses.store.rows("alert_notifications", Notified, id=alert.id)
    resident = await people.find_resident(uses.store, viewer, alert.resident_id) if alert.resident_id else None
    start, end = report.window(alert, datetime.now(UTC))
    samples = await people.samples_of(uses.store, resident, start, end, report.MOST_SAMPLES) if resident else []
    begin, left_out, finish = report.abridged(line_of_time(log, notifications))
    return uses.templates.render(
        request,
        "report.html",
        viewer=viewer,
        language=language or None,
        alert=alert,
        resident=resident,
        age=resident.age(alert.raised_at.astimezone(viewer.zone).date()) if resident else None,
        spans=report.durations(alert, log, notifications),
        triggers=await uses.store.rows("alert_triggers", Triggered, id=alert.id),
        begin=begin,
        left_out=left_out,
        finish=finish,
        pictures=report.pictures(alert, samples, start, end),
        width=report.WIDTH,
        height=report.HEIGHT,
        left=report.LEFT,
        bottom=report.BOTTOM,
        proof=await report.prove(uses.store, alert.id),
    )

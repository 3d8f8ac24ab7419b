"""The alerts as server-sent events: resumable by Last-Event-ID, a beat every 1.5 seconds, silence means it is broken."""

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dashboards.accounts import session_viewer
from dashboards.announcements import Announcement, Listener
from dashboards.services import Services, Uses
from dashboards.sessions import COOKIE, SignedIn
from dashboards.viewer import Viewer
from homecare.errors import DatabaseUnavailable

router = APIRouter(include_in_schema=False)
BEAT_S = 1.5
RECHECK_S = 30.0
"""How often the session and the areas are asked for again: who is disabled stops hearing within this time."""
BEAT = b"event: beat\ndata: {}\n\n"


@router.get("/events/alerts")
async def stream(
    request: Request,
    uses: Uses,
    viewer: SignedIn,
    since: int | None = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """From `Last-Event-ID` on, else `since`, else now; 503 while there is nothing to hear."""
    if not uses.announcements.live:
        raise DatabaseUnavailable("the log cannot be read now")
    resume = int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 19 else since
    return StreamingResponse(
        _events(uses, viewer, request.cookies[COOKIE], resume),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(uses: Services, viewer: Viewer, token: str, resume: int | None) -> AsyncIterator[bytes]:
    with uses.announcements.listening() as listener:
        sees = await _sight(uses, viewer)
        yield b"retry: 1000\n" + BEAT
        told: set[int] = set()
        if resume is not None:
            missed = await uses.announcements.since(resume)
            if missed is None:
                yield _reload()
            for one in missed or ():
                told.add(one.id)
                if sees(one):
                    yield _event(one)
        checked = beaten = time.monotonic()
        while uses.announcements.live and not uses.announcements.closing:
            announcement = await _next(listener, beaten)
            now = time.monotonic()
            if listener.overflowed:
                listener.drain()
                yield _reload()
            elif announcement is not None and announcement.id not in told and sees(announcement):
                yield _event(announcement)
            if now - checked >= RECHECK_S:
                try:
                    still = await session_viewer(uses.store, token)
                except DatabaseUnavailable:
                    return
                if still is None:
                    yield b"event: signed_out\ndata: {}\n\n"
                    return
                sees, checked = await _sight(uses, still), now
            if now - beaten >= BEAT_S:
                beaten = now
                yield BEAT


async def _next(listener: Listener, beaten: float) -> Announcement | None:
    return await listener.next(max(0.0, beaten + BEAT_S - time.monotonic()))


class _Sight:
    """Which announcements a viewer may hear of."""

    def __init__(self, areas: frozenset[str], at_root: bool) -> None:
        self._areas, self._at_root = areas, at_root

    def __call__(self, announcement: Announcement) -> bool:
        return self._at_root if announcement.area is None else announcement.area in self._areas


async def _sight(uses: Services, viewer: Viewer) -> _Sight:
    rows = await uses.store.mappings("areas_within", area=viewer.area)
    return _Sight(frozenset(row["area_within"] for row in rows), viewer.at_root)


def _event(announcement: Announcement) -> bytes:
    data = {
        "alert": str(announcement.alert),
        "action": announcement.action,
        "kind": announcement.kind,
        "severity": announcement.severity,
        "state": announcement.state,
    }
    return f"id: {announcement.id}\nevent: alert\ndata: {json.dumps(data)}\n\n".encode()


def _reload() -> bytes:
    return b"event: reload\ndata: {}\n\n"

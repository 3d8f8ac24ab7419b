"""The page a contact comes to from a message: what happened, and what they can say to it. The link itself is the proof.

Looking changes nothing about the alert, because messengers open links to show a preview; only the buttons do.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards import cases
from dashboards.cases import Contact, Shown
from dashboards.services import Services, Uses
from dashboards.store import Store
from homecare.answers import Answer, Outcome

router = APIRouter(include_in_schema=False, prefix="/a")


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a link proves: this contact was told of this alert."""

    alert: Shown
    contact: Contact

    @property
    def actor(self) -> str:
        return f"contact:{self.contact.id}"


async def _open(uses: Services, token: str) -> Invitation | None:
    """None where the link is forged, too old, or its alert, contact or notification is gone."""
    claims = uses.vault.read_link(token)
    if claims is None:
        return None
    alert_id, notification = _uuid(claims.get("a")), _uuid(claims.get("n"))
    contact_id = claims.get("c")
    if alert_id is None or notification is None or not isinstance(contact_id, str):
        return None
    asked = {"id": alert_id, "notification": notification, "contact": contact_id}
    alert = await uses.store.row("linked_alert", Shown, **asked)
    if alert is None:
        return None
    contact = await uses.store.row("linked_contact", Contact, contact=contact_id, area=alert.area)
    return Invitation(alert, contact) if contact else None


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


@router.get("/{token}")
async def invitation(request: Request, uses: Uses, token: str) -> Response:
    opened = await _open(uses, token)
    if opened is None:
        return _private(uses.templates.render(request, "link_over.html", status=404))
    await uses.store.record(opened.actor, "alert.viewed", alert=opened.alert.id, how="link")
    return _private(
        uses.templates.render(
            request,
            "link.html",
            alert=opened.alert,
            contact=opened.contact,
            mine=opened.alert.acknowledged_by == opened.actor,
            declined=await cases.declined(uses.store, opened.alert, opened.actor),
            token=token,
            language=opened.contact.language,
            zone=ZoneInfo(opened.contact.timezone),
            tile_url=uses.tile_url,
        )
    )


Answering = Callable[[Store, UUID, str, str], Awaitable[Answer]]


def _resolve(outcome: Outcome) -> Answering:
    return lambda store, alert, actor, how: cases.resolve(store, alert, actor, how, outcome)


def _confirm(well: bool) -> Answering:
    return lambda store, alert, actor, how: cases.confirm(store, alert, actor, how, well=well)


ANSWERS: dict[str, Answering] = {
    "acknowledge": cases.acknowledge,
    "decline": cases.decline,
    "arrive": cases.arrive,
    "resolve": _resolve("true"),
    "false-alarm": _resolve("false"),
    "well": _confirm(True),
    "not-well": _confirm(False),
}
"""What the page's buttons say: *I am going*, *I cannot*, *I am there*, *I have helped*, *it is a false alarm*, …"""


@router.post("/{token}/{said}")
async def answer(request: Request, uses: Uses, token: str, said: str) -> Response:
    opened = await _open(uses, token)
    if opened is None or said not in ANSWERS:
        return _private(uses.templates.render(request, "link_over.html", status=404))
    # Whatever came of it, the page says how things stand now: taken by them, by another, or over.
    await ANSWERS[said](uses.store, opened.alert.id, opened.actor, "link")
    return _private(RedirectResponse(f"/a/{token}", 303))


def _private(response: Response) -> Response:
    """The address is a secret: it goes to no other page, no search engine."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response

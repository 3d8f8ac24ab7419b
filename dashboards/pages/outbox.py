"""Letters that nobody got: seen, sent again, or put aside with a reason. Each is in the log."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards.language import mark as _
from dashboards.services import Services, Uses
from dashboards.sessions import Acting, SignedIn
from dashboards.viewer import Viewer
from homecare.dead_letters import MOST_REASON, DeadLetter, Outcome

router = APIRouter(include_in_schema=False, prefix="/outbox")
MOST = 200
SAID: dict[Outcome, str] = {
    "replayed": _("It is being sent again."),
    "dismissed": _("Put aside."),
    "not_there": _("It is not here any more: somebody was faster, or the area is not yours."),
    "channel_deleted": _("Its channel was deleted: it cannot be sent again."),
    "channel_disabled": _("Its channel is disabled: give the contact a new address first."),
    "not_needed": _("The alert is no longer open: nobody needs to be called for it."),
    "no_reason": _("Say why it is put aside."),
}


@router.get("")
async def dead_letters(request: Request, uses: Uses, viewer: SignedIn, said: str = "") -> Response:
    await uses.store.record(viewer.actor, "outbox.viewed", how=viewer.how)
    return await _page(request, uses, viewer, said)


@router.post("/{letter}/replay")
async def replay(request: Request, uses: Uses, viewer: Acting, letter: UUID) -> Response:
    return await _act(request, uses, viewer, "replay_letter", letter=letter)


@router.post("/{letter}/dismiss")
async def dismiss(
    request: Request,
    uses: Uses,
    viewer: Acting,
    letter: UUID,
    reason: Annotated[str, Form(max_length=MOST_REASON)] = "",
) -> Response:
    return await _act(request, uses, viewer, "dismiss_letter", letter=letter, reason=reason)


async def _act(request: Request, uses: Services, viewer: Viewer, query: str, **asked: object) -> Response:
    rows = await uses.store.mappings(query, actor=viewer.actor, how=viewer.how, **asked, **viewer.reach)
    outcome: Outcome = rows[0]["outcome"] if rows else "not_there"
    if outcome in ("replayed", "dismissed"):
        return RedirectResponse(f"/outbox?said={outcome}", 303)
    return await _page(request, uses, viewer, outcome, 422 if outcome == "no_reason" else 409)


async def _page(request: Request, uses: Services, viewer: Viewer, said: str, status: int = 200) -> Response:
    text = next((text for outcome, text in SAID.items() if outcome == said), "")
    return uses.templates.render(
        request,
        "outbox.html",
        viewer=viewer,
        status=status,
        letters=await uses.store.rows("dead_letters", DeadLetter, most=MOST, **viewer.reach),
        most=MOST,
        most_reason=MOST_REASON,
        said=uses.templates.translate(request, viewer, text) if text else "",
    )

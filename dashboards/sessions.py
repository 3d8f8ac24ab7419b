"""Who may see a page: the session cookie, and on every unsafe request the proof that it came from our own page."""

import secrets
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboards.accounts import SESSION_S, session_viewer
from dashboards.services import Services, Uses
from dashboards.viewer import Viewer

COOKIE = "homecare_session"
LOGIN_COOKIE = "homecare_login"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAY_NOT_ACT = "may_not_act"
NOT_FROM_OUR_PAGE = "not_from_our_page"


class SignInFirst(Exception):  # it says what to do, as HTTP does
    """There is no session (any more); `back` is where to go after signing in."""

    def __init__(self, back: str) -> None:
        super().__init__(back)
        self.location = f"/login?next={quote(back)}" if back not in ("", "/") else "/login"


async def signed_in(request: Request, uses: Uses) -> Viewer:
    """The operator of this session; an unsafe request must prove itself too, and an auditor makes none."""
    token = request.cookies.get(COOKIE)
    viewer = await session_viewer(uses.store, token) if token else None
    safe = request.method in SAFE_METHODS
    if viewer is None:
        raise SignInFirst(request.url.path if safe and "HX-Request" not in request.headers else "/")
    request.state.viewer = viewer  # an error page is theirs too
    if not safe:
        await require_proof(request, viewer.csrf)
    return viewer


async def acting(viewer: Annotated[Viewer, Depends(signed_in)]) -> Viewer:
    """An operator whose role may change something."""
    if not viewer.may_act:
        raise HTTPException(403, MAY_NOT_ACT)
    return viewer


SignedIn = Annotated[Viewer, Depends(signed_in)]
Acting = Annotated[Viewer, Depends(acting)]


async def require_proof(request: Request, expected: str) -> None:
    """The token of the page, in the header htmx sends or the form's field; else 403."""
    given = request.headers.get("X-CSRF-Token")
    if given is None:
        field = (await request.form()).get("csrf")
        given = field if isinstance(field, str) else ""
    if not expected or not secrets.compare_digest(given.encode(), expected.encode()):
        raise HTTPException(403, NOT_FROM_OUR_PAGE)


def keep_session(response: Response, uses: Services, token: str) -> None:
    """Lax, so that a link in a message opens the page signed in; unsafe requests prove themselves besides."""
    response.set_cookie(COOKIE, token, max_age=SESSION_S, path="/", secure=uses.secure, httponly=True, samesite="lax")


def login_proof(request: Request) -> str:
    """Proof for the login form, before there is a session: the cookie this browser already has, or a new one."""
    return request.cookies.get(LOGIN_COOKIE) or secrets.token_urlsafe(24)


def keep_login_proof(response: Response, uses: Services, proof: str) -> None:
    response.set_cookie(
        LOGIN_COOKIE, proof, max_age=3600, path="/", secure=uses.secure, httponly=True, samesite="strict"
    )

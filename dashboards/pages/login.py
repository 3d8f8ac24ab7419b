"""Signing in and out, and the language of the pages."""

import asyncio
from typing import Annotated

import structlog
from fastapi import APIRouter, Form
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards import language
from dashboards.accounts import begin_session, end_session, find_operator, session_viewer
from dashboards.passwords import verify_password
from dashboards.services import Services, Uses
from dashboards.sessions import (
    COOKIE,
    LOGIN_COOKIE,
    SignedIn,
    keep_login_proof,
    keep_session,
    login_proof,
    require_proof,
)

router = APIRouter(include_in_schema=False)
log = structlog.get_logger()
LOGINS = Counter("homecare_dashboard_logins_total", "Attempts to sign in", ["outcome"])
YEAR_S = 365 * 86400


@router.get("/login")
async def login_page(request: Request, uses: Uses, next: str = "/") -> Response:  # noqa: A002  # the address says next
    return _form(request, uses, next)


def _form(request: Request, uses: Services, back: str, problem: str = "", wait_s: int = 0, login: str = "") -> Response:
    proof = login_proof(request)
    status = {"": 200, "wait": 429}.get(problem, 401)
    response = uses.templates.render(
        request, "login.html", status=status, csrf=proof, back=_local(back), problem=problem, wait_s=wait_s, login=login
    )
    if wait_s:
        response.headers["Retry-After"] = str(wait_s)
    keep_login_proof(response, uses, proof)
    return response


@router.post("/login")
async def sign_in(
    request: Request,
    uses: Uses,
    login: Annotated[str, Form(max_length=64)] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002  # the form's field
) -> Response:
    await require_proof(request, request.cookies.get(LOGIN_COOKIE, ""))
    address = request.client.host if request.client else ""
    key = f"{address} {login}"
    if (wait := max(uses.throttle.wait_s(key), uses.addresses.wait_s(address))) > 0:
        LOGINS.labels("throttled").inc()
        return _form(request, uses, next, "wait", int(wait) + 1, login)
    operator = await find_operator(uses.store, login)
    async with uses.passwords:
        stored = operator.password_hash if operator else None
        right = await asyncio.to_thread(verify_password, stored, password)
    if operator is None or not right:
        uses.throttle.failed(key)
        uses.addresses.failed(address)
        LOGINS.labels("wrong").inc()
        log.info("login_refused", known=operator is not None)
        return _form(request, uses, next, "wrong", login=login)
    uses.throttle.succeeded(key)
    uses.addresses.succeeded(address)
    LOGINS.labels("right").inc()
    response = RedirectResponse(_local(next), 303)
    keep_session(response, uses, await begin_session(uses.store, operator))
    response.delete_cookie(LOGIN_COOKIE)
    return response


@router.post("/logout")
async def sign_out(request: Request, uses: Uses, viewer: SignedIn) -> Response:
    await end_session(uses.store, viewer, request.cookies[COOKIE])
    response = RedirectResponse("/login", 303)
    for cookie in (COOKIE, language.COOKIE):
        response.delete_cookie(cookie)
    return response


@router.post("/language")
async def set_language(
    request: Request, uses: Uses, wish: Annotated[str, Form(alias="language")], back: Annotated[str, Form()] = "/"
) -> Response:
    """A choice for this browser, before or after signing in; it wins over the operator's setting."""
    token = request.cookies.get(COOKIE)
    viewer = await session_viewer(uses.store, token) if token else None
    await require_proof(request, viewer.csrf if viewer else request.cookies.get(LOGIN_COOKIE, ""))
    response = RedirectResponse(_local(back), 303)
    response.set_cookie(
        language.COOKIE,
        language.choose(wish),
        max_age=YEAR_S,
        path="/",
        secure=uses.secure,
        httponly=True,
        samesite="lax",
    )
    return response


def _local(target: str) -> str:
    """A path of ours, never another host's address."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"

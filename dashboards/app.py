"""The application: the pages in the order a person meets them, the API beside them, one way to answer each failure."""

from http import HTTPStatus
from pathlib import Path

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from dashboards.api import create_api
from dashboards.headers import Guarded
from dashboards.pages import (
    alert,
    asking,
    fleet,
    health,
    link,
    login,
    outbox,
    precision,
    queue,
    report,
    residents,
    stream,
)
from dashboards.services import Services, services
from dashboards.sessions import MAY_NOT_ACT, NOT_FROM_OUR_PAGE, SignInFirst
from homecare.errors import DatabaseUnavailable, HomecareError

log = structlog.get_logger()
MOST_BODY = 64 * 1024
STATIC = Path(__file__).parent / "static"
PAGES = (login, queue, stream, alert, report, residents, asking, precision, fleet, outbox, link, health)


def create_app(uses: Services) -> ASGIApp:
    """Everything this process serves; HomecareError where the browser libraries were never fetched."""
    if not (STATIC / "vendor" / "htmx.min.js").exists():
        raise HomecareError("the browser libraries are missing from dashboards/static/vendor: run `make setup`")
    app = FastAPI(
        title="Home care",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        max_body_size=MOST_BODY,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = uses
    for page in PAGES:
        app.include_router(page.router)
    app.mount("/api/v1", create_api(uses))
    app.mount("/static", StaticFiles(directory=STATIC))
    app.exception_handler(SignInFirst)(_sign_in_first)
    app.exception_handler(HTTPException)(_http_problem)
    app.exception_handler(RequestValidationError)(_bad_request)
    app.exception_handler(DatabaseUnavailable)(_database_away)
    app.exception_handler(Exception)(_failed)
    return Guarded(app, secure=uses.secure, tile_url=uses.tile_url)


async def _sign_in_first(request: Request, error: SignInFirst) -> Response:
    """To the login page; htmx is told by its header, an event stream by 401."""
    if "HX-Request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": error.location})
    accepts = request.headers.get("Accept", "*/*")
    if request.method == "GET" and ("text/html" in accepts or "*/*" in accepts):
        return RedirectResponse(error.location, 303)
    return Response(status_code=401)


async def _http_problem(request: Request, error: HTTPException) -> Response:
    reason = error.detail if error.detail in (MAY_NOT_ACT, NOT_FROM_OUR_PAGE) else ""
    return _error_page(request, error.status_code, reason)


async def _bad_request(request: Request, error: RequestValidationError) -> Response:
    # An address with a malformed id leads nowhere; a form with a wrong field is told so.
    in_path = any(problem["loc"][0] == "path" for problem in error.errors())
    return _error_page(request, 404 if in_path else 422)


async def _database_away(request: Request, error: DatabaseUnavailable) -> Response:
    log.warning("page_without_database", problem=str(error))
    return _error_page(request, 503)


async def _failed(request: Request, error: Exception) -> Response:
    log.error("page_failed", route=getattr(request.scope.get("route"), "path", None), exc_info=error)
    return _error_page(request, 500)


def _error_page(request: Request, status: int, reason: str = "") -> Response:
    return services(request).templates.render(
        request,
        "error.html",
        viewer=getattr(request.state, "viewer", None),
        status=status,
        code=status,
        phrase=HTTPStatus(status).phrase,
        reason=reason,
    )

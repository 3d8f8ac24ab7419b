"""Every error of the API as problem+json (RFC 9457): `type` is a name to branch on, `detail` a sentence to read."""

import re
from http import HTTPStatus

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from homecare.errors import DatabaseUnavailable

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # the standard's word
    """What the caller is told: HTTP status, a name like `not_found`, a sentence."""

    def __init__(self, status: int, name: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.name, self.detail, self.headers = status, name, detail, headers


def not_found() -> Problem:
    """Also for what exists and is another area's: nobody learns which."""
    return Problem(404, "not_found", "There is no such thing here, or it is not yours to see.")


def answer(status: int, name: str, detail: str, headers: dict[str, str] | None = None, **more: object) -> JSONResponse:
    """The response; `type` is relative to the API's documentation page."""
    body = {
        "type": f"/api/v1/docs#{name}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    } | more
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def install(api: FastAPI) -> None:
    """All failures of `api` answer as problems."""

    async def problem(_: Request, error: Problem) -> JSONResponse:
        return answer(error.status, error.name, error.detail, error.headers)

    async def http(_: Request, error: HTTPException) -> JSONResponse:
        name = re.sub(r"[^a-z]+", "_", HTTPStatus(error.status_code).phrase.lower())
        return answer(error.status_code, name, str(error.detail), dict(error.headers or {}))

    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"at": ".".join(map(str, e["loc"])), "problem": e["msg"]} for e in error.errors()]
        return answer(422, "invalid", "The request is not as the documentation describes it.", errors=errors)

    async def unavailable(_: Request, error: DatabaseUnavailable) -> JSONResponse:
        log.warning("api_without_database", problem=str(error))
        return answer(503, "unavailable", "The database cannot be used now; try again.", {"Retry-After": "5"})

    async def failed(request: Request, error: Exception) -> JSONResponse:
        log.error("api_failed", route=getattr(request.scope.get("route"), "path", None), exc_info=error)
        return answer(500, "failed", "Something went wrong on our side.")

    api.exception_handler(Problem)(problem)
    api.exception_handler(HTTPException)(http)
    api.exception_handler(RequestValidationError)(invalid)
    api.exception_handler(DatabaseUnavailable)(unavailable)
    api.exception_handler(Exception)(failed)

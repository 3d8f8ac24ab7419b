"""The API under /api/v1: tokens instead of sessions, problem+json instead of pages, described by OpenAPI."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse

from dashboards.api import alerts, commands, contacts, devices, problems, residents
from dashboards.services import Services

PROBLEMS = {
    401: {"description": "No valid token", "content": {problems.MEDIA_TYPE: {}}},
    403: {"description": "The token is not for this", "content": {problems.MEDIA_TYPE: {}}},
    404: {"description": "Not there, or not yours to see", "content": {problems.MEDIA_TYPE: {}}},
    422: {"description": "Not as described", "content": {problems.MEDIA_TYPE: {}}},
}


def create_api(uses: Services) -> FastAPI:
    """To be mounted; `openapi.json` and a plain page of it lie beside the routes."""
    api = FastAPI(
        title="Home care API",
        version="1",
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses={status: dict(problem) for status, problem in PROBLEMS.items()},
        max_body_size=64 * 1024,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    api.state.services = uses
    problems.install(api)
    for part in (alerts, residents, devices, commands, contacts):
        api.include_router(part.router)

    @api.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return uses.templates.render(request, "api_docs.html", openapi=api.openapi())

    return api

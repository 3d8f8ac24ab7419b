"""/healthz, /readyz and /metrics, on the port of the pages."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from dashboards.services import Uses
from homecare.health import readiness

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> Response:
    return JSONResponse({"alive": True})


@router.get("/readyz")
async def readyz(uses: Uses) -> Response:
    ready, answers = await readiness(uses.checks)
    return JSONResponse(answers, 200 if ready else 503)


@router.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

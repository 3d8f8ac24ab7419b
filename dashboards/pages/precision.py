"""How right each rule turned out to be: what people said, when they closed them, of the alerts it raised."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dashboards.services import Uses
from dashboards.sessions import SignedIn
from homecare.precision import RuleOutcomes

router = APIRouter(include_in_schema=False, prefix="/rules")
DAYS = (7, 30, 90, 365)


@router.get("/precision")
async def precision(
    request: Request, uses: Uses, viewer: SignedIn, days: Literal["7", "30", "90", "365"] = "90"
) -> Response:
    since = datetime.now(UTC) - timedelta(days=int(days))
    rules = await uses.store.rows("rule_precision", RuleOutcomes, since=since, **viewer.reach)
    return uses.templates.render(
        request, "precision.html", viewer=viewer, rules=rules, days=int(days), spans=DAYS, since=since
    )

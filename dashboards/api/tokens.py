"""Bearer tokens: who speaks, and whether the token is for this."""

from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from dashboards.accounts import token_viewer
from dashboards.api.problems import Problem
from dashboards.services import Uses
from dashboards.viewer import Viewer

bearer = HTTPBearer(
    auto_error=False, description="A token of `homecare operator token`, in the header `Authorization`."
)


async def speaker(
    asked: SecurityScopes,
    uses: Uses,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Viewer:
    """The token's operator, limited to their area; 401 without a valid token, 403 where a scope or the role is missing."""
    viewer = await token_viewer(uses.store, given.credentials) if given else None
    if viewer is None:
        raise Problem(
            401, "no_valid_token", "Send a valid token: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"}
        )
    if missing := [scope for scope in asked.scopes if scope not in viewer.scopes]:
        raise Problem(403, "scope_missing", f"This token lacks: {', '.join(missing)}")
    if any(scope.endswith(":write") for scope in asked.scopes) and not viewer.may_act:
        raise Problem(403, "may_not_act", "The operator this token belongs to may only read.")
    return viewer


ReadsAlerts = Annotated[Viewer, Security(speaker, scopes=["alerts:read"])]
WritesAlerts = Annotated[Viewer, Security(speaker, scopes=["alerts:write"])]
ReadsResidents = Annotated[Viewer, Security(speaker, scopes=["residents:read"])]
ReadsDevices = Annotated[Viewer, Security(speaker, scopes=["devices:read"])]
WritesDevices = Annotated[Viewer, Security(speaker, scopes=["devices:write"])]
WritesContacts = Annotated[Viewer, Security(speaker, scopes=["contacts:write"])]

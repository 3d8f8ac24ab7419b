"""Operators, their sessions and tokens. Cookies and tokens are stored as SHA-256 alone."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from dashboards.store import Store
from dashboards.viewer import Viewer

SESSION_S = 12 * 3600
"""A shift."""
MARK = "hct_"
"""Tells secret scanners, and people, what this is."""
SCOPES = (
    "alerts:read",
    "alerts:write",
    "residents:read",
    "devices:read",
    "devices:write",
    "contacts:write",
)
"""What a token may be for; `contacts:write` sends test notifications."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who wants to sign in."""

    id: int
    login: str
    name: str
    password_hash: str
    language: str


def digest(token: str) -> bytes:
    """What is stored of a cookie or token."""
    return hashlib.sha256(token.encode()).digest()


async def find_operator(store: Store, login: str) -> Operator | None:
    """None where there is none or they are disabled."""
    return await store.row("operator_by_login", Operator, login=login)


async def begin_session(store: Store, operator: Operator) -> str:
    """The new session's cookie."""
    token = secrets.token_urlsafe(32)
    await store.execute(
        "begin_session",
        token_hash=digest(token),
        operator=operator.id,
        csrf=secrets.token_urlsafe(24),
        seconds=SESSION_S,
    )
    await store.record(f"operator:{operator.login}", "operator.signed_in")
    return token


async def end_session(store: Store, viewer: Viewer, token: str) -> None:
    await store.execute("end_session", token_hash=digest(token))
    await store.record(viewer.actor, "operator.signed_out")


async def session_viewer(store: Store, token: str) -> Viewer | None:
    """Who a cookie belongs to; None where it is over, forged, or its operator disabled."""
    return await store.row("session_viewer", Viewer, token_hash=digest(token))


async def token_viewer(store: Store, token: str) -> Viewer | None:
    """Who an API token speaks for; None where it is expired, revoked, unknown, or its operator disabled."""
    rows = await store.mappings("token_viewer", token_hash=digest(token))
    return Viewer(**rows[0] | {"scopes": frozenset(rows[0]["scopes"])}) if rows else None


async def add_operator(
    store: Store, *, login: str, name: str, role: str, area: str, language: str, password_hash: str
) -> bool:
    """False where the login is taken."""
    return (
        await store.execute(
            "add_operator",
            login=login,
            name=name,
            role=role,
            area=area,
            language=language,
            password_hash=password_hash,
        )
        == 1
    )


async def set_password(store: Store, login: str, password_hash: str) -> bool:
    """Ends their sessions too; False where there is no such operator."""
    return await store.execute("set_password", login=login, password_hash=password_hash) == 1


async def disable_operator(store: Store, login: str) -> bool:
    """Sessions and tokens stop at once; False where there is no such operator at work."""
    return await store.execute("disable_operator", login=login) == 1


async def add_token(store: Store, login: str, name: str, scopes: list[str], days: int) -> tuple[str, datetime] | None:
    """(token, when it expires); the token is shown now and never again. None where there is no such operator."""
    token = MARK + secrets.token_urlsafe(32)
    rows = await store.mappings("add_token", token_hash=digest(token), login=login, name=name, scopes=scopes, days=days)
    return (token, rows[0]["expires_at"]) if rows else None

"""Who is looking: every query is limited to this person's area, every change carries this person's name."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

ACTING_ROLES = frozenset({"operator", "doctor", "manager"})
"""Roles that may change something; an auditor reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """An operator at work, on a page or by a token. `at_root`: the area has no parent, so arealess alerts are theirs too."""

    operator: int
    login: str
    name: str
    role: str
    area: str
    area_zh: str
    area_en: str
    at_root: bool
    timezone: str
    language: str
    csrf: str = ""
    """Proof that an unsafe request comes from our own page; empty where a token speaks."""
    token_name: str = ""
    scopes: frozenset[str] = frozenset()

    @property
    def actor(self) -> str:
        """Who the log says it was."""
        return f"token:{self.token_name}" if self.token_name else f"operator:{self.login}"

    @property
    def how(self) -> str:
        """By which way in."""
        return "api" if self.token_name else "page"

    @property
    def may_act(self) -> bool:
        return self.role in ACTING_ROLES

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def reach(self) -> dict[str, Any]:
        """The parameters every query about people and places is limited by."""
        return {"area": self.area, "at_root": self.at_root}

"""What every page and API call may use, made once per process and handed over; nothing here is a global."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from dashboards.announcements import Announcements
from dashboards.rendering import Templates
from dashboards.store import Store
from dashboards.throttle import FREE_OF_ADDRESS, Throttle
from homecare.health import Check
from homecare.secrets import Vault

PASSWORDS_AT_ONCE = 2
"""argon2 takes 64 MiB and a core for each: the bound on what strangers can make this process spend."""


@dataclass(frozen=True, slots=True)
class Services:
    """`secure`: people reach us by https. `tile_url`: a Leaflet tile address, or empty for none."""

    store: Store
    announcements: Announcements
    vault: Vault
    checks: Mapping[str, Check]
    secure: bool
    tile_url: str = ""
    templates: Templates = field(default_factory=Templates)
    throttle: Throttle = field(default_factory=Throttle)
    """By address and login."""
    addresses: Throttle = field(default_factory=lambda: Throttle(free=FREE_OF_ADDRESS))
    passwords: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PASSWORDS_AT_ONCE))


def services(request: Request) -> Services:
    """The process's, from the app that serves this request."""
    return cast("Services", request.app.state.services)


Uses = Annotated[Services, Depends(services)]

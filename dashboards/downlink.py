"""What people ask of devices, and what came of it: the one way in for pages and API, with the same checks and the same log."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dashboards.people import Resident
from dashboards.store import QUERIES, Store
from dashboards.viewer import Viewer
from homecare.errors import InputError

CommandName = Literal["locate", "ring", "call", "test", "set_interval"]
State = Literal["waiting", "sent", "answered", "refused", "expired"]
NAMES: tuple[CommandName, ...] = get_args(CommandName)
EXPIRES_S: dict[CommandName, float] = {"locate": 300, "ring": 120, "call": 120, "test": 300, "set_interval": 86_400}
"""How long it makes sense to carry each out, where the asker does not say."""
LONGEST_S = 7 * 86_400
INTERVAL_S = (10, 86_400)
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A row of `command_shown`: a command and how far it has come."""

    id: UUID
    created_at: datetime
    name: CommandName
    args: dict[str, Any]
    expires_at: datetime
    created_by: str
    created_name: str | None
    alert: UUID | None
    attempts: int
    sent_at: datetime | None
    replied_at: datetime | None
    result: dict[str, Any] | None
    error: str | None
    device_id: str
    state: State

    @property
    def pending(self) -> bool:
        """Whether an answer may still come."""
        return self.state in ("waiting", "sent")

    @property
    def place(self) -> tuple[float, float] | None:
        """Where the device says it is, WGS-84 degrees."""
        found = self.result or {}
        lat, lon = found.get("lat"), found.get("lon")
        return (lat, lon) if isinstance(lat, int | float) and isinstance(lon, int | float) else None


def check_args(name: CommandName, args: dict[str, Any]) -> dict[str, Any]:
    """The arguments as the device gets them: {"interval": s} for set_interval, optionally {"number": "…"} for call.

    Raises:
        InputError: they are not; its text says what was expected.
    """
    known = {"set_interval": {"interval"}, "call": {"number"}}.get(name, set())
    if unknown := sorted(args.keys() - known):
        raise InputError(f"args.{unknown[0]}: {name} has no such argument")
    if name == "set_interval":
        interval, (low, high) = args.get("interval"), INTERVAL_S
        if not isinstance(interval, int | float) or isinstance(interval, bool) or not low <= interval <= high:
            raise InputError(f"args.interval: expected seconds from {low} to {high}")
    number = args.get("number", "")
    if not isinstance(number, str) or len(number) > 32 or not set(number) <= set("0123456789+*#- "):
        raise InputError("args.number: expected a telephone number of 32 characters at most")
    return {key: value for key, value in args.items() if value != ""}


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a device; `key`: their own name of the request, so that asking twice is asking once."""

    device: str
    name: CommandName
    args: dict[str, Any]
    expires_s: float | None = None
    key: str | None = None
    alert: UUID | None = None


Outcome = Literal["asked", "already_asked", "key_reused", "no_device"]


async def ask(store: Store, viewer: Viewer, wish: Wish) -> tuple[Outcome, UUID | None]:
    """Write the command and the log's line; the alerts process sends it.

    `already_asked`: the same key asked for the same before; `key_reused`: for something else; `no_device`: there is
    none in the viewer's area, or it is revoked.
    """
    values = {
        "device": wish.device,
        "name": wish.name,
        "args": Jsonb(wish.args),
        "expires_s": wish.expires_s or EXPIRES_S[wish.name],
        "request_key": wish.key,
        "alert": wish.alert,
        "actor": viewer.actor,
        "area": viewer.area,
    }
    async with store.connection() as db, db.transaction(), db.cursor(row_factory=dict_row) as cursor:
        if wish.alert is not None:
            # The alert first, as everybody does who writes the log about it.
            await cursor.execute(QUERIES["hold_alert"].encode(), values)
        await cursor.execute(QUERIES["device_to_ask"].encode(), values)
        device = await cursor.fetchone()
        if device is None:
            return "no_device", None
        await cursor.execute(QUERIES["ask_device"].encode(), values | device)
        asked = await cursor.fetchone()
        if asked is None:
            await cursor.execute(QUERIES["asked_before"].encode(), values | device)
            before = await cursor.fetchone()
            assert before is not None
            same = (before["name"], before["args"], before["alert"]) == (wish.name, wish.args, wish.alert)
            return ("already_asked", before["id"]) if same else ("key_reused", None)
        detail = {"command": str(asked["id"]), "name": wish.name, "device": wish.device, "how": viewer.how}
        record = {"alert": wish.alert, "actor": viewer.actor, "action": "command.asked", "detail": Jsonb(detail)}
        await cursor.execute(QUERIES["record"].encode(), record)
        return "asked", asked["id"]


async def asked_of_resident(store: Store, resident: Resident) -> list[Asked]:
    """Of the devices they wear now, the latest first."""
    return await store.rows("asked_of_resident", Asked, key=resident.key, most=MOST_SHOWN)


async def asked_of_device(store: Store, viewer: Viewer, device: str, *, after: UUID | None, most: int) -> list[Asked]:
    """The latest first, those asked before `after`; empty for a device that is not the viewer's to see."""
    return await store.rows("asked_of_device", Asked, device=device, after=after, most=most, area=viewer.area)


async def find_asked(store: Store, viewer: Viewer, device: str, command: UUID) -> Asked | None:
    """None where there is none, or the device is not theirs to see."""
    return await store.row("asked", Asked, id=command, device=device, area=viewer.area)

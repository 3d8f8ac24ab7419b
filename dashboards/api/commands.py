"""Commands to devices, by the API: asked once however often the request is repeated, and what came of each."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field
from starlette.responses import Response

from dashboards import cases, downlink
from dashboards.api.models import Page
from dashboards.api.paging import Cursor, Most, cursor, text_after
from dashboards.api.problems import Problem, not_found
from dashboards.api.tokens import ReadsDevices, WritesDevices
from dashboards.downlink import Wish
from dashboards.services import Uses
from homecare.errors import InputError

router = APIRouter(prefix="/devices/{device_id}/commands", tags=["devices"])
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=200, description="The same again is the same command"),
]


class CommandRequest(BaseModel):
    """`args`: {"interval": seconds} for `set_interval`, optionally {"number": "…"} for `call`. `expires_s`: seconds after
    which the device must not carry it out any more; by the command's name where left out. `alert`: the case it is about.
    """

    name: downlink.CommandName
    args: dict[str, Any] = Field(default_factory=dict)
    expires_s: float | None = Field(None, ge=5, le=downlink.LONGEST_S)
    alert: UUID | None = None


class Command(BaseModel):
    """What a device was asked. `waiting`: the broker does not have it yet; `sent`: the device has not answered, and is asked
    again until `expires_at`; `answered` and `refused` by the device, with `result` or `error`; `expired` without an answer.
    """

    id: UUID
    device: str
    name: downlink.CommandName
    args: dict[str, Any]
    state: downlink.State
    created_at: datetime
    created_by: str
    expires_at: datetime
    alert: UUID | None
    attempts: int
    sent_at: datetime | None
    replied_at: datetime | None
    result: dict[str, Any] | None
    error: str | None

    @classmethod
    def of(cls, asked: downlink.Asked) -> "Command":
        fields = {name: getattr(asked, name) for name in cls.model_fields if hasattr(asked, name)}
        return cls.model_validate(fields | {"device": asked.device_id})


@router.post("", status_code=202, summary="Ask a device; 200 where this request was made before")
async def ask(
    uses: Uses, viewer: WritesDevices, device_id: str, said: CommandRequest, response: Response, key: Key = None
) -> Command:
    try:
        args = downlink.check_args(said.name, said.args)
    except InputError as error:
        raise Problem(422, "invalid", str(error)) from None
    if said.alert is not None and await cases.find_alert(uses.store, viewer, said.alert) is None:
        raise Problem(422, "no_such_alert", "There is no such alert in your area.")
    wish = Wish(device_id, said.name, args, said.expires_s, key, said.alert)
    outcome, command = await downlink.ask(uses.store, viewer, wish)
    if outcome == "key_reused":
        raise Problem(409, "key_reused", "This Idempotency-Key was used for another command to this device.")
    asked = await downlink.find_asked(uses.store, viewer, device_id, command) if command else None
    if asked is None:
        raise not_found()
    if outcome == "already_asked":
        response.status_code = 200
    return Command.of(asked)


@router.get("", summary="What a device was asked, the latest first")
async def commands(
    uses: Uses, viewer: ReadsDevices, device_id: str, after: Cursor = None, most: Most = 50
) -> Page[Command]:
    try:
        last = UUID(text_after(after)) if after else None
    except ValueError:
        raise Problem(422, "bad_cursor", "This is not a cursor of ours.") from None
    found = await downlink.asked_of_device(uses.store, viewer, device_id, after=last, most=most + 1)
    following = cursor(str(found[most - 1].id)) if len(found) > most else None
    return Page(items=[Command.of(asked) for asked in found[:most]], next=following)


@router.get("/{command_id}", summary="One command")
async def command(uses: Uses, viewer: ReadsDevices, device_id: str, command_id: UUID) -> Command:
    asked = await downlink.find_asked(uses.store, viewer, device_id, command_id)
    if asked is None:
        raise not_found()
    return Command.of(asked)

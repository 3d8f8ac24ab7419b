"""What goes back to devices: the acknowledgement of an event after its commit, and commands."""

from typing import Any, Literal
from uuid import UUID

import msgspec

from gateway.topics import format_topic

AckState = Literal["opened", "merged", "duplicate", "recorded"]
CommandName = Literal["locate", "ring", "call", "set_interval", "test"]


def ack_topic(area: str, device: str) -> str:
    """Where the device waits for acknowledgements. ValueError for names outside the contract's character set."""
    return format_topic(area, device, "ack")


def ack_payload(boot: int, seq: int, alert: UUID | str | None, state: AckState) -> bytes:
    """`alert` is None where the event raised none (`recorded`)."""
    return msgspec.json.encode({"boot": boot, "seq": seq, "alert": str(alert) if alert else None, "state": state})


def command_topic(area: str, device: str) -> str:
    """Where the device takes commands. ValueError for names outside the contract's character set."""
    return format_topic(area, device, "command")


def command_payload(command: UUID, name: CommandName, args: dict[str, Any], expires: int) -> bytes:
    """`expires`: Unix ms, after which the device must not carry it out any more."""
    return msgspec.json.encode({"id": str(command), "name": name, "args": args, "expires": expires})

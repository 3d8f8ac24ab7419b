"""What every channel is given and gives back. To add a channel: a module with a `Send`, and a line where they are wired."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt at one notification. `secrets` are the endpoint's, newest first; both while one rotates."""

    id: UUID
    address: str
    secrets: tuple[str, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it. refused: answered, but not with yes; failed: no answer; gone: never try this address again.

    `error` names the problem for the log and the console; never anything the endpoint said.
    """

    result: Literal["delivered", "refused", "failed", "gone"]
    status: int | None = None
    error: str | None = None
    retry_after_s: float | None = None


Send = Callable[[Delivery], Awaitable[Outcome]]
"""Must not raise for anything the other side does."""

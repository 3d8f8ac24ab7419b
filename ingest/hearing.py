"""Whether silence can be told: only by one who would have heard. Deaf for a while, nobody else was silent."""

from typing import Literal, get_args

Hearing = Literal["well", "deaf", "settling", "behind", "held_up"]
"""deaf: no broker; settling: the broker is there again, its backlog and the devices are not yet; behind: messages come faster
than they are taken; held_up: the database does not take what was heard."""
HEARINGS: tuple[Hearing, ...] = get_args(Hearing)

SETTLE_MS = 5_000
HELD_UP_MS = 5_000


class Listener:
    """Judges from what the pipeline goes through; times are Unix ms of the pipeline's clock."""

    def __init__(self, settle_ms: int = SETTLE_MS, held_up_ms: int = HELD_UP_MS) -> None:
        self._settle_ms = settle_ms
        self._held_up_ms = held_up_ms
        self._well_since: int | None = None
        self._full = False
        self._held: dict[int, int] = {}

    def took(self, work: int, now: int, *, full: bool) -> None:
        """A batch was taken; `full`: there was at least as much as one may hold, so more is waiting."""
        self._full = full
        self._held[work] = now

    def finished(self, work: int) -> None:
        """It is committed."""
        self._held.pop(work, None)

    def judge(self, now: int, *, connected: bool) -> Hearing:
        """To be asked about once a second."""
        hearing: Hearing = "well"
        if not connected:
            hearing = "deaf"
        elif any(now - since > self._held_up_ms for since in self._held.values()):
            hearing = "held_up"
        elif self._full:
            hearing = "behind"
        if hearing != "well":
            self._well_since = None
            return hearing
        if self._well_since is None:
            self._well_since = now
        return "well" if now - self._well_since >= self._settle_ms else "settling"

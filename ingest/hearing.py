"""Whether silence can be told: only by one who would have heard. Deaf for a while, nobody else was silent."""

from typing import Literal, get_args

Hearing = Literal["well", "deaf", "settling", "behind", "held_up"]
"""deaf: no broker; settling: the broker is there again, its backlog and the devices are not yet; behind: messages come faster
than they are taken; held_up: the database does not take what was heard."""
HEARINGS: tuple[Hearing, ...] = get_args(Hearing)

LEAST_SETTLING_MS = 5_000
MOST_SETTLING_MS = 180_000
"""After a long deafness devices need this long to find the broker again and to send what they have."""
HELD_UP_MS = 5_000


class Listener:
    """Judges from what the pipeline goes through; times are Unix ms of the pipeline's clock.

    `heard_until` is when something was last heard before this process, None: never.
    """

    def __init__(self, heard_until: int | None = None) -> None:
        self._unwell_since = heard_until
        self._well_since: int | None = None
        self._full = False
        self._held: dict[int, int] = {}

    def took(self, work: int, now: int, *, full: bool) -> None:
        """A batch was taken; `full`: it holds as much as one may, so that more is waiting."""
        self._full = full
        self._held[work] = now

    def finished(self, work: int) -> None:
        """It is committed."""
        self._held.pop(work, None)

    def judge(self, now: int, *, connected: bool) -> Hearing:
        """To be asked about once a second. Settling takes as long as the trouble did, within its limits."""
        trouble = self._trouble(now, connected=connected)
        if trouble:
            if self._well_since is not None:
                self._unwell_since, self._well_since = now, None
            return trouble
        if self._well_since is None:
            self._well_since = now
        lasted = 0 if self._unwell_since is None else self._well_since - self._unwell_since
        settled_at = self._well_since + min(max(lasted, LEAST_SETTLING_MS), MOST_SETTLING_MS)
        return "well" if now >= settled_at else "settling"

    def _trouble(self, now: int, *, connected: bool) -> Hearing | None:
        if not connected:
            return "deaf"
        if any(now - since > HELD_UP_MS for since in self._held.values()):
            return "held_up"
        return "behind" if self._full else None

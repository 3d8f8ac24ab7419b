"""Up to when silence can be told: only by one who has heard everything. Deaf for a while, nobody else was silent."""

from dataclasses import dataclass

SETTLING_MS = 5_000
"""After a backlog or a lost connection: between two of its pieces there may be a moment without anything."""
NEVER = -(2**62)


@dataclass(slots=True)
class Hearing:
    """Told what the lane goes through; times are Unix ms of the lane's clock."""

    _connected: bool = False
    _disturbed_at: int = NEVER
    _taken_at: int | None = None
    _full: bool = False
    _all_until: int = NEVER

    def connected(self, now: int, *, connected: bool) -> bool:
        """Whether the connection is there since the last call, so that nobody could be heard before `now`."""
        begins = connected and not self._connected
        if begins or not connected:
            self._disturbed_at = now
        self._connected = connected
        return begins

    def taken(self, now: int, *, full: bool) -> None:
        """A batch was taken; where it is `full`, more of the same time is waiting."""
        self._taken_at, self._full = now, full
        if full:
            self._disturbed_at = now

    def applied(self) -> None:
        """The rules know all of the batch, and so all that came before it was taken."""
        if self._taken_at is not None and not self._full:
            self._all_until = self._taken_at

    def waiting(self) -> None:
        """The batch is handed on, and the next one is taken as soon as anything comes."""
        self._taken_at = None

    def complete_until(self, now: int) -> int | None:
        """The time up to which all that was received is known to the rules; None: cannot be told at the moment."""
        if not self._connected or now - self._disturbed_at < SETTLING_MS:
            return None
        if self._taken_at is None:
            return now
        return self._all_until if self._all_until != NEVER else None

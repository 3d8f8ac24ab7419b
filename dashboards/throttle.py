"""Slows down whoever guesses passwords, per address and login, in bounded memory of this process."""

import time
from collections import OrderedDict
from collections.abc import Callable

FREE_FAILURES = 5
FREE_OF_ADDRESS = 50
"""A whole office, or a proxy, may stand behind one address: nobody there waits for a colleague's slips."""
LONGEST_S = 60.0
REMEMBERED = 10_000
"""Keys kept; the oldest is forgotten first."""


class Throttle:
    """After `free` failures a key waits 1, 2, 4 … `LONGEST_S` seconds after each failure; a success forgets it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, free: int = FREE_FAILURES) -> None:
        self._clock, self._free = clock, free
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, key: str) -> float:
        """Seconds until the next try is allowed; 0: now."""
        count, last = self._failures.get(key, (0, 0.0))
        if count < self._free:
            return 0.0
        pause = min(LONGEST_S, 2.0 ** (count - self._free))
        return max(0.0, last + pause - self._clock())

    def failed(self, key: str) -> None:
        count, _ = self._failures.pop(key, (0, 0.0))
        self._failures[key] = (min(count + 1, self._free + 64), self._clock())
        if len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        self._failures.pop(key, None)

"""Slows down whoever guesses passwords, per address and login, in bounded memory of this process."""

import time
from collections import OrderedDict
from collections.abc import Callable

FREE_FAILURES = 5
LONGEST_S = 60.0
REMEMBERED = 10_000
"""Keys kept; the oldest is forgotten first."""


class Throttle:
    """After `FREE_FAILURES` a key waits 1, 2, 4 … `LONGEST_S` seconds after each failure; a success forgets it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, *keys: str) -> float:
        """Seconds until the next try is allowed for all of these keys; 0: now."""
        return max((self._wait(key) for key in keys), default=0.0)

    def _wait(self, key: str) -> float:
        count, last = self._failures.get(key, (0, 0.0))
        if count < FREE_FAILURES:
            return 0.0
        pause = min(LONGEST_S, 2.0 ** (count - FREE_FAILURES))
        return max(0.0, last + pause - self._clock())

    def failed(self, *keys: str) -> None:
        for key in keys:
            count, _ = self._failures.pop(key, (0, 0.0))
            self._failures[key] = (min(count + 1, 64), self._clock())
            if len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, *keys: str) -> None:
        for key in keys:
            self._failures.pop(key, None)

"""When a notification that did not arrive is tried again. Seconds matter at first; then a day of patience."""

import random

DELAYS_S = (5, 10, 15, 30, 240, 1_500, 5_400, 10_800, 18_000, 14_400, 21_600, 14_400)
"""After each failed attempt: tries at 0, 5, 15, 30, 60 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h."""
JITTER = 0.1
RETRY_AFTER_MOST_S = 3600.0
"""An endpoint may ask for this much patience; a person's safety does not wait longer."""


def delay_s(attempts: int, jitter: random.Random) -> float:
    """Seconds to wait after the attempt of this number (from 1), up to a tenth more so that endpoints are spared waves."""
    base = DELAYS_S[min(attempts, len(DELAYS_S)) - 1]
    return base * (1 + JITTER * jitter.random())


def bounded_retry_after_s(asked_s: float | None) -> float:
    """What of a `Retry-After` is honoured, seconds."""
    return 0.0 if asked_s is None else min(max(asked_s, 0.0), RETRY_AFTER_MOST_S)

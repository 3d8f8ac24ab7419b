"""How a connection can end, by name, and what the session does then: the table a newcomer wants to read first.

| ending | what the session does |
|---|---|
| `session_taken_over` | another process uses our client id: ends the process (`BrokerRefused`), for two of us would fight and share one device's messages |
| a subscription is refused | ends the process: it would be deaf and look alive |
| credentials or client id refused at the start | ends the process |
| the same later (a password is being changed) | tries again, slowly |
| the broker closes without a word, five times in a row within 5 s of connecting | taken for `session_taken_over`: Mosquitto 2.0.11 does not name it |
| `quota_exceeded`, `server_busy`, rate limits, an operator's kick | tries again, slowly |
| `server_shutting_down`, connection lost, peer silent, `malformed_packet`, anything else | tries again at once, then with doubling pauses |

However it ends, the broker keeps the session: what was not acknowledged comes again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from homecare.errors import BrokerRefused, BrokerUnavailable

FATAL: Final = frozenset({"session_taken_over", "subscription_refused"})
SLOW: Final = frozenset(
    {
        *("bad_user_name_or_password", "not_authorized", "banned", "client_id_not_valid", "bad_authentication_method"),
        *("quota_exceeded", "server_busy", "server_unavailable", "message_rate_too_high", "connection_rate_exceeded"),
        *("administrative_action", "use_another_server", "server_moved", "unsupported_protocol_version"),
    }
)
FIRST_S: Final = 0.2
MOST_S: Final = 20.0
SLOW_S: Final = 30.0
"""Seconds; an SOS may be waiting at the broker, so "slowly" is not minutes."""


STEADY_S: Final = 10.0
"""A connection that lasted this long was a good one: the next try comes at once again."""
WORDLESS: Final = 5
AT_ONCE_S: Final = 5.0
"""Who fights for our client id takes it back within their own pause, 3.2 s after four times; a broker that dies again and
again is up for longer."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ended; `said` tells that the broker named the reason itself."""

    reason: str
    detail: str = ""
    said: bool = False

    def error(self) -> BrokerUnavailable:
        """The same as an exception for whoever waited for something on that connection."""
        if self.said or self.reason in FATAL:
            return BrokerRefused(self.reason, self.detail)
        text = self.reason.replace("_", " ")
        return BrokerUnavailable(
            f"the connection to the MQTT broker ended: {text}" + (f" ({self.detail})" * bool(self.detail))
        )


Pause = Callable[[str, int, float], float]
"""(reason, failures in a row before this one, chance 0..1) -> seconds until the next try."""


class History:
    """The endings of one session so far, as far as they matter for judging the next one."""

    def __init__(self) -> None:
        self.failures = 0
        """How many in a row, without a connection that lasted `STEADY_S` between them."""
        self._wordless = 0

    def judge(self, ending: Ending, lasted_s: float) -> Ending:
        """What to make of an ending after `lasted_s` seconds of being connected."""
        steady = lasted_s >= STEADY_S
        self.failures = 0 if steady else self.failures + 1
        if ending.reason != "connection_lost":
            self._wordless = 0
            return ending
        self._wordless = 1 if lasted_s >= AT_ONCE_S else self._wordless + 1
        if self._wordless < WORDLESS:
            return ending
        return Ending("session_taken_over", f"the broker closed {WORDLESS} connections in a row and gave no reason")


def pause_after(reason: str, failures: int, chance: float) -> float:
    """Seconds to wait before the next try; `failures` in a row so far, `chance` 0..1 for the jitter."""
    if reason in SLOW:
        return SLOW_S * (0.5 + chance)
    return float(min(MOST_S, FIRST_S * 2 ** min(failures, 20))) * (0.5 + chance / 2)

"""JSON read the way a safety net must: as much as can be understood is kept, and nothing a device sends can raise.

The quick reader (`quick.py`) takes messages with nothing wrong; this one is for all others, and for events.
"""

import json
import math
from typing import Any, Final

from homecare.messages import RejectionReason

SAFETY_EVENTS: Final = frozenset({"sos", "fall"})
NOT_A_NUMBER: Final = math.nan
"""What the words NaN, Infinity and -Infinity read as; a number too large for a double reads as infinite."""


class Unreadable(Exception):
    """The bytes are not JSON text."""

    def __init__(self, reason: RejectionReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: RejectionReason = reason
        self.detail = detail


def decode_text(payload: bytes) -> str:
    """UTF-8 text, a byte order mark ignored. Raises Unreadable (`not_utf8`)."""
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("not_utf8", f"byte {error.start}: {error.reason}") from None


def parse(text: str) -> Any:
    """The JSON value. Of a member given twice the last counts, save that an SOS or fall is never overruled.

    Raises Unreadable (`not_json`).
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Unreadable("not_json", f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise Unreadable("not_json", "nested too deeply") from None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 20 else float(digits)


def _constant(_: str) -> float:
    return NOT_A_NUMBER


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        for name, value in pairs:
            if name == "event" and value in ("sos", "fall"):
                members[name] = value
    return members


_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_constant, object_pairs_hook=_members)


def clean(text: str, most: int = 500) -> str:
    """Text that PostgreSQL takes: no NUL, no lone surrogates, at most `most` characters."""
    if len(text) > most:
        text = text[: most - 1] + "…"
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def clean_value(value: Any, depth: int = 8) -> Any:
    """A JSON value that PostgreSQL's jsonb takes; what is nested deeper than `depth` becomes None."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict | list) and depth == 0:
        return None
    if isinstance(value, dict):
        return {clean(name): clean_value(member, depth - 1) for name, member in value.items()}
    if isinstance(value, list):
        return [clean_value(item, depth - 1) for item in value]
    return value

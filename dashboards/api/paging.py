"""Cursors: where the next part of a list begins, as text that callers hand back and do not look into."""

import base64
import binascii
from typing import Annotated

from fastapi import Query

from dashboards.api.problems import Problem

Cursor = Annotated[str | None, Query(description="`next` of the part before", max_length=200)]
Most = Annotated[int, Query(ge=1, le=200, description="How many at most")]


def cursor(after: str | int) -> str:
    """The cursor that stands for `after`."""
    return base64.urlsafe_b64encode(str(after).encode()).decode().rstrip("=")


def text_after(given: str | None) -> str:
    """What a cursor stands for; "" without one. Raises Problem where it is none of ours."""
    if not given:
        return ""
    try:
        return base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise Problem(422, "bad_cursor", "This is not a cursor of ours.") from None


def number_before(given: str | None) -> int:
    """The same for lists by number, the newest first; beyond all numbers without one."""
    if not given:
        return 2**62
    text = text_after(given)
    if not text.isdecimal() or not text.isascii() or len(text) > 18:
        raise Problem(422, "bad_cursor", "This is not a cursor of ours.")
    return int(text)

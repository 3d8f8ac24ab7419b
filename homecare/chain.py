"""The log's chains, checked row by row: pure, so that whoever shows a case can prove it as `homecare audit verify` does."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple


class Finding(NamedTuple):
    """Something that should not be. `what` is one of changed, removed, unchained, cut_off, added, reordered, seal_broken."""

    what: str
    chain: str
    place: int
    id: int | None


class Line(NamedTuple):
    """One row of the log as it is to be hashed; `detail` is salt and detail, None where erased."""

    id: int
    chain: str
    place: int
    line: str
    detail: bytes | None
    detail_hash: bytes
    hash: bytes


class Head(NamedTuple):
    """Where a chain ends by `log_chain`."""

    chain: str
    place: int
    hash: bytes


def check_chain(lines: list[Line], head: Head | None) -> Iterator[Finding]:
    """One whole chain, by place."""
    before, place = b"", 0
    for line in lines:
        place += 1
        if line.place != place:
            yield Finding("removed" if line.place > place else "added", line.chain, place, None)
            place = line.place
            # What follows is checked against what its own neighbour says, so that one gap is one finding.
            before = line.hash
            continue
        erased = line.detail is None
        detail_whole = erased or hashlib.sha256(line.detail or b"").digest() == line.detail_hash
        if not detail_whole or hashlib.sha256(before + line.line.encode()).digest() != line.hash:
            yield Finding("changed", line.chain, line.place, line.id)
        before = line.hash
    last = lines[-1] if lines else None
    if head is None:
        yield Finding("unchained", lines[0].chain, 0, None)
    elif last is None or (last.place, last.hash) != (head.place, head.hash):
        yield Finding("cut_off", head.chain, last.place if last else 0, last.id if last else None)

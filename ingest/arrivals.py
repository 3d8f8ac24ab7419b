"""The messages of a batch, as columns: what is counted, whatever was in them and whether or not it could be kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from homecare.checked import Checked
from homecare.messages import AccelerationWindow, Rejection
from homecare.samples import NO_TIME, Flag, Samples
from ingest.repeats import Delivery

Array = npt.NDArray[Any]

LAST_TIME = np.iinfo(np.int64).max
UNCOUNTED = -1
"""`boot` of a message that has a device but no place in its count."""


class _Name(msgspec.Struct):
    """What of a rejected message's payload must be readable for it to be counted."""

    boot: int
    seq: int


_decode = msgspec.json.Decoder(_Name).decode
_INT31 = 2**31 - 1


@dataclass(slots=True)
class Arrivals:
    """One row for each message and kind of thing it held (its samples, its windows, what was rejected of it).

    Times are Unix ms; a message without samples has `first` after `last`.
    """

    device: Array
    """int64: the device's key."""
    boot: Array
    """int64; UNCOUNTED where it has none."""
    seq: Array
    """int64."""
    kind: Array
    """int8: rows of one message differ in it, rows of one that came twice do not."""
    received: Array
    """int64."""
    measured: Array
    """int64: when the newest in it was measured, by the device's own clock however wrong; NO_TIME: it did not say."""
    flags: Array
    """int16: of the newest."""
    first: Array
    """int64: `ts` of its oldest sample."""
    last: Array
    """int64: `ts` of its newest sample."""

    def __len__(self) -> int:
        return len(self.device)

    def take(self, rows: Array) -> Self:
        """These rows, in that order."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def of(cls, checked: Checked, repeats: Iterable[Delivery] = ()) -> Self:
        """All messages of a batch; `repeats` are those already taken out of it because they had come before."""
        parts = [_of_samples(checked.samples)]
        if checked.windows:
            parts.append(_of_windows(checked.windows))
        if checked.rejections:
            parts.append(_of_rejections(checked.rejections))
        if repeats:
            parts.append(_of_names([(d, b, s, r) for d, b, s, r in repeats], kind=0))
        if len(parts) == 1:
            return cls(*parts[0])
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _of_samples(samples: Samples) -> tuple[Array, ...]:
    n = len(samples)
    begins = np.ones(n, np.bool_)
    if n > 1:
        # The parts of one message follow one another; a message that came twice begins anew with its first part.
        same = (samples.device[1:] == samples.device[:-1]) & (samples.seq[1:] == samples.seq[:-1])
        begins[1:] = ~(same & (samples.boot[1:] == samples.boot[:-1]) & (samples.part[1:] > samples.part[:-1]))
    rows = np.flatnonzero(begins)
    if len(rows) == n:
        newest, first, last = rows, samples.ts, samples.ts
    else:
        newest = np.append(rows[1:], n) - 1
        first, last = np.minimum.reduceat(samples.ts, rows), np.maximum.reduceat(samples.ts, rows)
    flags = samples.flags[newest]
    claimed = samples.claimed[newest]
    measured = np.where((flags & Flag.WRONG_CLOCK) != 0, claimed, samples.ts[newest])
    counted = (flags & Flag.UNCOUNTED) == 0
    return (
        samples.device[rows].astype(np.int64),
        np.where(counted, samples.boot[rows], UNCOUNTED).astype(np.int64),
        np.where(counted, samples.seq[rows], 0).astype(np.int64),
        np.zeros(len(rows), np.int8),
        samples.received[rows],
        measured,
        flags,
        first,
        last,
    )


def _of_windows(windows: Sequence[AccelerationWindow]) -> tuple[Array, ...]:
    """Once for each message, which has windows with rising parts."""
    names: list[Delivery] = []
    before: tuple[int, ...] = ()
    for window in windows:
        name = window.device_key, window.boot, window.seq, window.received
        if before[:4] != name or window.part <= before[4]:
            names.append(name)
        before = (*name, window.part)
    return _of_names(names, kind=1)


def _of_rejections(rejections: Sequence[Rejection]) -> tuple[Array, ...]:
    """Those whose name can be read; the others can only be told by the gap they leave."""
    names: list[Delivery] = []
    messages = {id(rejection.message): rejection for rejection in rejections if rejection.device_key}
    for rejection in messages.values():
        try:
            name = _decode(rejection.message.payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if 0 <= name.boot <= _INT31 and 0 <= name.seq <= _INT31:
            names.append((rejection.device_key, name.boot, name.seq, rejection.message.received))
    return _of_names(names, kind=2)


def _of_names(names: Sequence[Delivery], kind: int) -> tuple[Array, ...]:
    columns = np.array(names, np.int64).reshape(-1, 4).T
    n = len(names)
    return (
        columns[0],
        columns[1],
        columns[2],
        np.full(n, kind, np.int8),
        columns[3],
        np.full(n, NO_TIME, np.int64),
        np.zeros(n, np.int16),
        np.full(n, LAST_TIME, np.int64),
        np.full(n, NO_TIME, np.int64),
    )

"""A batch while it is being checked: rows for the columns, events, rejections, strangers."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from gateway.checks import Place, Problems
from gateway.lenient_json import clean
from gateway.source import Source
from homecare.checked import Checked, Stranger
from homecare.messages import Inbound, Rejection, RejectionReason
from homecare.metrics import METRICS
from homecare.samples import Samples

Row = tuple[int, int, int, int, int, int, int, int, int]
"""device, resident, ts, claimed, received, boot, seq, part, flags: the integer columns of `Samples`, in this order."""


class Draft:
    """What the decoders fill, and `Checked` is made of."""

    __slots__ = ("checked", "places", "readings", "rows")

    def __init__(self) -> None:
        self.checked = Checked()
        self.rows: list[Row] = []
        self.readings: list[tuple[float, ...]] = []
        self.places: list[tuple[int, Place, int]] = []

    def add_sample(self, row: Row, readings: tuple[float, ...], place: tuple[Place, int] | None) -> None:
        """One sample; `readings` in the order of METRICS, NaN where missing."""
        if place is not None:
            self.places.append((len(self.rows), *place))
        self.rows.append(row)
        self.readings.append(readings)

    def reject(self, message: Inbound, source: Source, problems: Problems) -> None:
        """To the quarantine, once for each reason."""
        if not problems:
            return
        message = storable(message)
        for reason, details in problems.found.items():
            self.checked.rejections.append(
                Rejection(
                    message,
                    reason,
                    clean("; ".join(details[:50])),
                    source.origin.device,
                    source.origin.area,
                    source.key if source.refusal is None else 0,
                )
            )

    def refuse(self, message: Inbound, source: Source, reason: RejectionReason, detail: str) -> None:
        """The whole message to the quarantine, for one reason."""
        problems = Problems()
        problems.add(reason, detail)
        self.reject(message, source, problems)

    def meet(self, message: Inbound, source: Source) -> None:
        """Remember a device that is not registered."""
        self.checked.strangers.append(Stranger(source.origin, storable(message)))

    def finish(self) -> Checked:
        """The batch with its columns."""
        if self.rows:
            self.checked.samples = self._columns()
        return self.checked

    def _columns(self) -> Samples:
        n = len(self.rows)
        samples = Samples.empty(0)
        integers = _matrix(self.rows, 9, np.int64)
        samples.device, samples.resident = (integers[:, column].astype(np.int32) for column in (0, 1))
        samples.ts, samples.claimed, samples.received = (integers[:, column].copy() for column in (2, 3, 4))
        samples.boot, samples.seq = (integers[:, column].astype(np.int32) for column in (5, 6))
        samples.part, samples.flags = (integers[:, column].astype(np.int16) for column in (7, 8))
        samples.values = _matrix(self.readings, len(METRICS), np.float32)
        places = np.full((n, 6), np.nan)
        samples.fix = np.full(n, -1, np.int8)
        if self.places:
            rows = [row for row, _, _ in self.places]
            places[rows] = [place for _, place, _ in self.places]
            samples.fix[rows] = [fix for _, _, fix in self.places]
        samples.lat, samples.lon = places[:, 0].copy(), places[:, 1].copy()
        samples.accuracy, samples.speed, samples.heading, samples.altitude = (
            places[:, column].astype(np.float32) for column in (2, 3, 4, 5)
        )
        return samples


Reader = Callable[[Inbound, Source, Draft], None]
"""A dialect's decoder of one kind of message: puts what it finds into the draft, never raises for any payload."""


def storable(message: Inbound) -> Inbound:
    """The message with a topic that PostgreSQL takes; its bytes are untouched."""
    topic = clean(message.topic)
    return message if topic == message.topic else msgspec.structs.replace(message, topic=topic)


def _matrix(rows: Sequence[tuple[float, ...]], columns: int, kind: Any) -> npt.NDArray[Any]:
    flat = np.fromiter(chain.from_iterable(rows), kind, len(rows) * columns)
    return flat.reshape(len(rows), columns)

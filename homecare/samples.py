"""A batch of checked samples as columns: what the checks make, the rules read and the writer stores."""

from dataclasses import dataclass, fields
from enum import IntFlag
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from homecare.metrics import METRICS

LATE_MS = 5 * 60_000
"""A sample measured this long before it was received is marked late."""
NO_TIME = np.iinfo(np.int64).min
"""`claimed` where the device's clock was right."""


class Flag(IntFlag):
    """Bits of `Samples.flags` and of the columns `sample.flags`, `event.flags`."""

    WRONG_CLOCK = 1
    """`ts` was missing, before 2015 or more than 5 minutes ahead; the time of receipt stands in for it."""
    LATE = 2
    """Measured more than `LATE_MS` before it was received."""
    PARTIAL = 4
    """Something in this sample was rejected; the good part was kept."""
    SUBJECT = 8
    """The message itself named the person measured (a kiosk)."""
    SALVAGED = 16
    """An SOS or fall taken from a message that was otherwise bad."""
    EVENT = 32
    """This sample came with an event."""
    UNCOUNTED = 64
    """`boot` and `seq` name the message but count nothing (SenML, Traccar): no gap can be told from them."""


@dataclass(slots=True)
class Samples:
    """n samples as columns; every array has n rows, in the order of arrival.

    Missing is NaN (float), -1 (fix), 0 (resident), NO_TIME (claimed). Times are Unix ms.
    """

    device: npt.NDArray[np.int32]
    """The device's key in the database."""
    resident: npt.NDArray[np.int32]
    """The key of the person measured; 0: nobody."""
    ts: npt.NDArray[np.int64]
    claimed: npt.NDArray[np.int64]
    received: npt.NDArray[np.int64]
    boot: npt.NDArray[np.int32]
    seq: npt.NDArray[np.int32]
    part: npt.NDArray[np.int16]
    """Index of the sample in its message."""
    flags: npt.NDArray[np.int16]
    values: npt.NDArray[np.float32]
    """(n, len(METRICS)), columns by `metrics.INDEX`."""
    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float32]
    speed: npt.NDArray[np.float32]
    heading: npt.NDArray[np.float32]
    altitude: npt.NDArray[np.float32]
    fix: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.ts)

    @classmethod
    def empty(cls, n: int) -> Self:
        """Make n rows with everything missing; integers that have no "missing" are 0."""
        f32 = np.float32
        return cls(
            device=np.zeros(n, np.int32),
            resident=np.zeros(n, np.int32),
            ts=np.zeros(n, np.int64),
            claimed=np.full(n, NO_TIME, np.int64),
            received=np.zeros(n, np.int64),
            boot=np.zeros(n, np.int32),
            seq=np.zeros(n, np.int32),
            part=np.zeros(n, np.int16),
            flags=np.zeros(n, np.int16),
            values=np.full((n, len(METRICS)), np.nan, f32),
            lat=np.full(n, np.nan),
            lon=np.full(n, np.nan),
            accuracy=np.full(n, np.nan, f32),
            speed=np.full(n, np.nan, f32),
            heading=np.full(n, np.nan, f32),
            altitude=np.full(n, np.nan, f32),
            fix=np.full(n, -1, np.int8),
        )

    def take(self, rows: Any) -> "Samples":
        """The samples at `rows` (an index array, boolean mask or slice), in that order."""
        return Samples(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @staticmethod
    def concatenate(parts: "list[Samples]") -> "Samples":
        """One batch of several, in order."""
        names = [field.name for field in fields(Samples)]
        return Samples(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

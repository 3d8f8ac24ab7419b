"""Events as rows: what came with them in the columns of `Samples`, and which event it is beside it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alerts.rules.operator import EVENT_CODE
from homecare.messages import FIXES, Event
from homecare.metrics import INDEX
from homecare.samples import NO_TIME, Flag, Samples

NAMELESS = -1
"""`boot` and `seq` of an event that was salvaged without them."""


def event_samples(events: Sequence[Event]) -> tuple[Samples, npt.NDArray[np.int8], npt.NDArray[np.int32]]:
    """Rows in the order of `events`, with `event` and `of` as `Given` has them; those of devices that are not registered are left out."""
    events = [event for event in events if event.origin.device_key is not None]
    rows = Samples.empty(len(events))
    for row, event in enumerate(events):
        rows.device[row], rows.resident[row] = event.origin.device_key or 0, event.origin.resident_key or 0
        rows.ts[row], rows.received[row] = event.ts, event.received
        rows.claimed[row] = NO_TIME if event.claimed is None else event.claimed
        rows.boot[row] = NAMELESS if event.boot is None else event.boot
        rows.seq[row] = NAMELESS if event.seq is None else event.seq
        rows.flags[row] = event.flags | Flag.EVENT
        if event.forwarded:
            continue  # the telemetry lane has what was measured with it
        for metric, value in event.values.items():
            if metric in INDEX:
                rows.values[row, INDEX[metric]] = value
        position = event.position
        if position is not None:
            rows.lat[row], rows.lon[row] = position.lat, position.lon
            rows.fix[row] = -1 if position.fix is None else FIXES.index(position.fix)
            for name in ("accuracy", "speed", "heading", "altitude"):
                if (said := getattr(position, name)) is not None:
                    getattr(rows, name)[row] = said
    codes = np.array([EVENT_CODE[event.event] for event in events], np.int8)
    return rows, codes, np.array([-1 if event.of is None else event.of for event in events], np.int32)

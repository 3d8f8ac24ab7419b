"""Who was silent and spoke again within one batch: live, somebody looks every second and would have noticed."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from alerts.rules.silence_rule import SilenceRule
from homecare.devices import RegisteredDevice

LOOK_MS = 1_000
"""How often ingest looks for who is silent."""
NEVER = np.iinfo(np.int64).max // 4


class Gaps:
    """By key of the device: when it was heard last and how long it may be silent (ms)."""

    def __init__(self, rule: SilenceRule | None) -> None:
        self._rule = rule
        self._heard = np.zeros(0, np.int64)
        self._allowed = np.zeros(0, np.int64)

    def register(self, devices: Iterable[RegisteredDevice]) -> None:
        """New devices, and changed intervals."""
        for device in devices:
            if device.key >= len(self._heard):
                more = max(1024, device.key + 1, 2 * len(self._heard)) - len(self._heard)
                self._heard = np.concatenate([self._heard, np.full(more, NEVER)])
                self._allowed = np.concatenate([self._allowed, np.full(more, NEVER)])
            if self._rule is not None and device.interval_s > 0:
                allowed = max(self._rule.floor_s, self._rule.intervals * device.interval_s)
                self._allowed[device.key] = round(allowed * 1000)

    def looks(self, devices: npt.NDArray[np.int32], received: npt.NDArray[np.int64]) -> list[int]:
        """When to look for the silent ones before what was received then is told; these were heard, in no order."""
        if not len(devices):
            return []
        order = np.lexsort((received, devices))
        devices, received = devices[order], received[order]
        before = np.empty_like(received)
        before[1:] = received[:-1]
        first = np.flatnonzero(np.append(True, devices[1:] != devices[:-1]))
        before[first] = self._heard[devices[first]]
        overdue = received - before > self._allowed[devices]
        last = np.append(first[1:], len(devices)) - 1
        heard = self._heard[devices[last]]
        self._heard[devices[last]] = np.where(heard == NEVER, received[last], np.maximum(heard, received[last]))
        return [int(look) * LOOK_MS for look in np.unique(received[overdue] // LOOK_MS)]

"""The slots of whom a device measures: mostly the same person as the last time, so one look into memory tells them."""

import numpy as np
import numpy.typing as npt

from alerts.rules.slots import Slots

_NOBODY_YET = -1


class Wearers:
    """By the device's slot: the person it measured last, the slot of the two together, and that of the person alone."""

    def __init__(self, people: Slots, residents: Slots) -> None:
        self._people, self._residents = people, residents
        self._last = np.zeros((0, 3), np.int32)

    def slots(
        self, devices: npt.NDArray[np.int64], keys: npt.NDArray[np.int32], residents: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Of n samples the slots of device and person, and of the residents (-1: nobody).

        `devices`: the devices' slots, `keys` and `residents` those of the database (0: nobody).
        """
        if (missing := int(devices.max(initial=-1)) + 1 - len(self._last)) > 0:
            more = np.full((max(missing, len(self._last) // 16), 3), _NOBODY_YET, np.int32)
            self._last = np.concatenate([self._last, more])
        last = self._last.take(devices, axis=0)
        others = np.flatnonzero(last[:, 0] != residents)
        if len(others):
            person = residents[others]
            last[others, 0] = person
            last[others, 1] = self._people.add((keys[others].astype(np.int64) << 32) | person)
            somebody = person != 0
            last[others, 2] = -1
            last[others[somebody], 2] = self._residents.add(person[somebody].astype(np.int64))
            self._last[devices[others]] = last[others]
        return last[:, 1].astype(np.int64), last[:, 2].astype(np.int64)

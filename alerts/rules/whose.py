"""Which variant of the rules holds for whom: a resident's own, or where nobody is concerned, that of the device's area."""

import numpy as np
import numpy.typing as npt

from alerts.rules.slots import Slots

UNSAID = -1
_RESIDENT = np.int64(0xFFFF_FFFF)


class Whose:
    """Variants by slot of devices and of residents; 0, the pack, of devices of which nothing was said."""

    def __init__(self, devices: Slots, residents: Slots) -> None:
        self._devices, self._residents = devices, residents
        self._device = np.zeros(0, np.int16)
        self._resident = np.zeros(0, np.int16)
        self.differ = False
        """Whether anybody has another variant than 0."""

    def devices(self, slots: npt.NDArray[np.int64], variant: npt.NDArray[np.int16]) -> bool:
        """It holds for these devices; returns whether that is news."""
        self._device = _with_room(self._device, self._devices.capacity)
        news = bool((np.maximum(self._device[slots], 0) != variant).any())
        self._device[slots] = variant
        self.differ |= news
        return news

    def residents(self, slots: npt.NDArray[np.int64], variant: npt.NDArray[np.int16]) -> bool:
        """It holds for these residents; returns whether that is news."""
        self._resident = _with_room(self._resident, self._residents.capacity)
        was = self._resident[slots]
        news = bool((was != variant).any())
        self._resident[slots] = variant
        self.differ |= bool((np.maximum(was, 0) != variant).any())
        return news

    def people(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
        """The variant of each stream of a person by a device (key of the device in the upper half, of the person below)."""
        person = keys & _RESIDENT
        variant = _of(self._device, self._devices.find(keys - person))
        somebody = np.flatnonzero(person)
        own = _of(self._resident, self._residents.find(person[somebody]))
        # Of whom nothing was said yet, what holds where the device stands.
        variant[somebody[own != UNSAID]] = own[own != UNSAID]
        return np.maximum(variant, 0)


def _of(variants: npt.NDArray[np.int16], slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
    found = np.full(len(slots), UNSAID, np.int16)
    there = (slots >= 0) & (slots < len(variants))
    found[there] = variants[slots[there]]
    return found


def _with_room(variants: npt.NDArray[np.int16], slots: int) -> npt.NDArray[np.int16]:
    return np.concatenate([variants, np.full(max(0, slots - len(variants)), UNSAID, np.int16)])

"""Which variant of the rules holds for whom: a resident's own, or where nobody is concerned, that of the device's area."""

import numpy as np
import numpy.typing as npt

from alerts.rules.slots import Slots

_RESIDENT = np.int64(0xFFFF_FFFF)


class Whose:
    """Variants by slot of devices and of residents; 0, the pack, of whom nothing was said."""

    def __init__(self, devices: Slots, residents: Slots) -> None:
        self._devices, self._residents = devices, residents
        self._device = np.zeros(0, np.int16)
        self._resident = np.zeros(0, np.int16)
        self.differ = False
        """Whether anybody has another variant than 0."""

    def devices(self, slots: npt.NDArray[np.int64], variant: npt.NDArray[np.int16]) -> bool:
        """It holds for these devices; returns whether that is news."""
        self._device = _with_room(self._device, self._devices.capacity)
        news = bool((self._device[slots] != variant).any())
        self._device[slots] = variant
        self.differ |= news
        return news

    def residents(self, slots: npt.NDArray[np.int64], variant: npt.NDArray[np.int16]) -> bool:
        """It holds for these residents; returns whether that is news."""
        self._resident = _with_room(self._resident, self._residents.capacity)
        news = bool((self._resident[slots] != variant).any())
        self._resident[slots] = variant
        self.differ |= news
        return news

    def people(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
        """The variant of each stream of a person by a device (key of the device in the upper half, of the person below)."""
        person = keys & _RESIDENT
        variant = _of(self._device, self._devices.find(keys - person))
        somebody = np.flatnonzero(person)
        slot = self._residents.find(person[somebody])
        # Of whom nothing was said yet, what holds where the device stands.
        known = slot >= 0
        variant[somebody[known]] = _of(self._resident, slot[known])
        return variant


def _of(variants: npt.NDArray[np.int16], slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
    found = np.zeros(len(slots), np.int16)
    there = (slots >= 0) & (slots < len(variants))
    found[there] = variants[slots[there]]
    return found


def _with_room(variants: npt.NDArray[np.int16], slots: int) -> npt.NDArray[np.int16]:
    return np.concatenate([variants, np.zeros(max(0, slots - len(variants)), np.int16)])

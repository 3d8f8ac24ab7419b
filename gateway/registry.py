"""The device registry in memory: which devices there are, whose they are, and who a kiosk's subject is."""

from array import array
from collections.abc import Iterable
from typing import Final

from gateway.device_columns import DeviceColumns
from gateway.text_numbers import TextNumbers
from homecare.devices import RegisteredDevice

_NONE: Final = -1


class Registry:
    """What the directory says, kept fresh by `registry_store.follow`. Pure: no database in here."""

    def __init__(self, devices: Iterable[RegisteredDevice] = (), areas: Iterable[str] = ()) -> None:
        self.version = 0
        """Changes with every change of an answer, so that what was looked up before can be forgotten."""
        self.areas: frozenset[str] = frozenset(areas)
        self._devices = DeviceColumns()
        self._ids, self._cards = TextNumbers(), TextNumbers()
        """A resident's id and card number -> their key."""
        self._id_of, self._card_of = array("i"), array("i")
        """By a resident's key: the entries of their texts, or _NONE."""
        self.update(devices)

    def update(self, devices: Iterable[RegisteredDevice]) -> list[RegisteredDevice]:
        """Take these as they are now; returns those that are new or differ from what was known."""
        changed = [device for device in devices if self._devices.put(device)]
        self.version += bool(changed)
        return changed

    def update_subjects(self, residents: Iterable[tuple[int, str, str | None]]) -> None:
        """Take these residents' (key, id, card number) as they are now; an old card no longer counts."""
        for key, name, card in residents:
            if key >= len(self._id_of):
                for column in (self._id_of, self._card_of):
                    column.extend([_NONE] * max(key + 1 - len(column), len(column) // 8))
            self._id_of[key], differs = _now(self._ids, self._id_of[key], name, key)
            self._card_of[key], too = _now(self._cards, self._card_of[key], card, key)
            self.version += differs or too

    def retain(self, devices: set[str], residents: set[int]) -> None:
        """Forget everything else: it was deleted."""
        gone = self._devices.retain(devices)
        for texts, entry_of in ((self._ids, self._id_of), (self._cards, self._card_of)):
            for entry in texts.entries():
                if (key := texts.number(entry)) not in residents:
                    texts.drop(entry)
                    entry_of[key] = _NONE
                    gone += 1
        self.version += bool(gone)

    def device(self, device: str, area: str = "") -> RegisteredDevice | None:  # noqa: ARG002  # one of a kind, wherever it is
        """The device of that id; None also where it was revoked."""
        found = self._devices.get(device)
        return None if found is None or found.revoked else found

    def subject(self, text: str) -> int | None:
        """The key of the resident with that id or card number; where one's card reads like another's id, the id counts."""
        key = self._ids.get(text)
        return self._cards.get(text) if key is None else key

    def devices(self) -> list[RegisteredDevice]:
        """All of them, revoked ones too."""
        return list(self._devices)

    def size_with(self, devices: Iterable[RegisteredDevice], residents: set[int]) -> tuple[int, int, int]:
        """How many devices, wearings, residents there will be once these are known too."""
        count, wearings = len(self._devices), self._devices.wearings
        for device in {device.id: device for device in devices}.values():
            known = self._devices.get(device.id)
            count += known is None
            wearings += len(device.wearings) - (len(known.wearings) if known else 0)
        new = sum(key >= len(self._id_of) or self._id_of[key] == _NONE for key in residents)
        return count, wearings, len(self._ids) + new


def _now(texts: TextNumbers, entry: int, text: str | None, key: int) -> tuple[int, bool]:
    """(the entry of what somebody is called now, whether that differs); `entry`: of what they were called before."""
    mine = entry != _NONE and texts.number(entry) == key
    if mine and text and texts.text(entry) == text:
        return entry, False
    if mine:
        texts.drop(entry)
    return (texts.put(text, key), True) if text else (_NONE, mine)

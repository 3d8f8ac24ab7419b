"""The registered devices as columns: a million of them in 60 bytes each and their ids, where objects would take 400."""

import sys
from array import array
from collections.abc import Iterator
from typing import Final, cast

from gateway.text_numbers import TextNumbers
from homecare.devices import DeviceKind, RegisteredDevice, Wearing

_STILL: Final = -(2**63)
"""`until` of a wearing that has not ended."""


class DeviceColumns:
    """One row for each device; made into a `RegisteredDevice` when it is asked for."""

    def __init__(self) -> None:
        self._rows = TextNumbers()
        self._free: list[int] = []
        self._names = TextNumbers()
        """Of areas and kinds: there are few."""
        self._texts: list[str] = []
        self._key, self._area, self._kind, self._resident = array("i"), array("i"), array("i"), array("i")
        self._interval, self._revoked = array("d"), array("b")
        self._since, self._until = array("q"), array("q")
        self._more: dict[int, tuple[Wearing, ...]] = {}
        """By row: the wearings where there are several."""
        self.wearings = 0

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, device: str) -> RegisteredDevice | None:
        """The device of that id."""
        row = self._rows.get(device)
        return None if row is None else self._device(device, row)

    def put(self, device: RegisteredDevice) -> bool:
        """Take it as it is now; whether it is new or differs from what was known."""
        row = self._rows.get(device.id)
        if row is None:
            row = self._new_row(device.id)
        else:
            known = self._device(device.id, row)
            if known == device:
                return False
            self._forget_wearings(row, known)
        wearing = device.wearings[-1] if device.wearings else None
        self._key[row], self._interval[row], self._revoked[row] = device.key, device.interval_s, device.revoked
        self._area[row], self._kind[row] = self._name(device.area), self._name(device.kind)
        self._resident[row] = wearing.resident_key if wearing else 0
        self._since[row] = wearing.since if wearing else 0
        self._until[row] = _STILL if wearing is None or wearing.until is None else wearing.until
        if len(device.wearings) > 1:
            self._more[row] = device.wearings
        self.wearings += len(device.wearings)
        return True

    def retain(self, devices: set[str]) -> int:
        """Forget all others; how many those were."""
        gone = 0
        for entry in self._rows.entries():
            name = self._rows.text(entry)
            if name not in devices:
                row = self._rows.number(entry)
                self._forget_wearings(row, self._device(name, row))
                self._rows.drop(entry)
                self._free.append(row)
                gone += 1
        return gone

    def __iter__(self) -> Iterator[RegisteredDevice]:
        for entry in self._rows.entries():
            yield self._device(self._rows.text(entry), self._rows.number(entry))

    def _device(self, name: str, row: int) -> RegisteredDevice:
        wearings = self._more.get(row, ())
        if not wearings and self._resident[row]:
            until = self._until[row]
            wearings = (Wearing(self._resident[row], self._since[row], None if until == _STILL else until),)
        kind = cast("DeviceKind", self._texts[self._kind[row]])
        area = self._texts[self._area[row]]
        return RegisteredDevice(
            self._key[row], name, area, kind, self._interval[row], wearings, bool(self._revoked[row])
        )

    def _forget_wearings(self, row: int, known: RegisteredDevice) -> None:
        self.wearings -= len(known.wearings)
        self._more.pop(row, None)

    def _new_row(self, name: str) -> int:
        if self._free:
            row = self._free.pop()
        else:
            row = len(self._key)
            for column in (self._key, self._area, self._kind, self._resident, self._revoked, self._since, self._until):
                column.append(0)
            self._interval.append(0.0)
        self._rows.put(name, row)
        return row

    def _name(self, text: str) -> int:
        number = self._names.get(text)
        if number is None:
            number = len(self._texts)
            self._texts.append(sys.intern(text))
            self._names.put(text, number)
        return number

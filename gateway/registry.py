"""The device registry in memory: which devices there are, whose they are, and who a kiosk's subject is."""

from collections.abc import Iterable

from homecare.devices import RegisteredDevice


class Registry:
    """What the directory says, kept fresh by `registry_store.follow`. Pure: no database in here."""

    def __init__(self, devices: Iterable[RegisteredDevice] = (), areas: Iterable[str] = ()) -> None:
        self.version = 0
        """Changes with every change of an answer, so that what was looked up before can be forgotten."""
        self.areas: frozenset[str] = frozenset(areas)
        self._devices: dict[str, RegisteredDevice] = {}
        self._subjects: dict[str, int] = {}
        self._names: dict[int, str | tuple[str, ...]] = {}
        """The id alone, or with the card: most have none, and there are as many as there are people."""
        self.update(devices)

    def update(self, devices: Iterable[RegisteredDevice]) -> list[RegisteredDevice]:
        """Take these as they are now; returns those that are new or differ from what was known."""
        changed = [device for device in devices if self._devices.get(device.id) != device]
        self._devices.update((device.id, device) for device in changed)
        self.version += bool(changed)
        return changed

    def update_subjects(self, residents: Iterable[tuple[int, str, str | None]]) -> None:
        """Take these residents' (key, id, card number) as they are now; an old card no longer counts."""
        for key, *texts in residents:
            names = tuple(text for text in texts if text)
            if names == self._texts(key):
                continue
            self._forget(key)
            self._names[key] = names[0] if len(names) == 1 else names
            # where one person's card reads like another's id, the id counts
            for n, name in enumerate(names):
                if n == 0 or name not in self._subjects:
                    self._subjects[name] = key
            self.version += 1

    def retain(self, devices: set[str], residents: set[int]) -> None:
        """Forget everything else: it was deleted."""
        gone = self._devices.keys() - devices
        for name in gone:
            del self._devices[name]
        erased = self._names.keys() - residents
        for key in erased:
            self._forget(key)
            del self._names[key]
        self.version += bool(gone or erased)

    def _forget(self, key: int) -> None:
        for name in self._texts(key):
            if self._subjects.get(name) == key:
                del self._subjects[name]

    def _texts(self, key: int) -> tuple[str, ...]:
        known = self._names.get(key, ())
        return (known,) if isinstance(known, str) else known

    def device(self, device: str, area: str = "") -> RegisteredDevice | None:  # noqa: ARG002  # one of a kind, wherever it is
        """The device of that id; None also where it was revoked."""
        found = self._devices.get(device)
        return None if found is None or found.revoked else found

    def subject(self, text: str) -> int | None:
        """The key of the resident with that id or card number."""
        return self._subjects.get(text)

    def devices(self) -> list[RegisteredDevice]:
        """All of them, revoked ones too."""
        return list(self._devices.values())

    def size_with(self, devices: Iterable[RegisteredDevice], residents: set[int]) -> tuple[int, int, int]:
        """How many devices, wearings, residents there will be once these are known too."""
        known = self._devices | {device.id: device for device in devices}
        return len(known), sum(len(device.wearings) for device in known.values()), len(self._names.keys() | residents)

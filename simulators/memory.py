"""What a device keeps while its power is off: how often it has started."""

from pathlib import Path

import msgspec


class Memory:
    """One small file per device in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def next_boot(self, device: str) -> int:
        """Count one more start of `device` and return it, from 1. Written before it is used: no number comes twice."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{device}.json"
        boot = 1 + (msgspec.json.decode(path.read_bytes(), type=int) if path.exists() else 0)
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(boot))
        new.replace(path)
        return boot

"""Shards: which areas an ingest process has, and what it therefore listens to. Rules keep state, so a device has one owner."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from homecare.errors import InputError

MOST_SHARDS = 1024
KINDS = ("telemetry", "telemetry/senml", "status")
"""The device's topics that ingest listens to."""
SHARED = "traccar/positions"
"""Devices of all areas send on it: every shard hears it and keeps its own areas'."""
NOWHERE = ""
"""The area of devices that are not registered; the first shard has it."""
LOCKS = 0x696E6765
"""The first of the two integers of a shard's advisory lock."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th (from 1) of `count` shares of the areas."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """`2/4` -> Shard(2, 4); InputError for anything else."""
        index, slash, count = text.partition("/")
        if (
            not slash
            or not (_is_number(index) and _is_number(count))
            or not 1 <= int(index) <= int(count) <= MOST_SHARDS
        ):
            raise InputError(
                f"--shard {text!r}: must be like 1/4, the first number from 1 to the second, at most {MOST_SHARDS}"
            )
        return cls(int(index), int(count))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def lock(self) -> tuple[int, int]:
        """The advisory lock that only one process of this shard holds."""
        return LOCKS, self.index << 16 | self.count

    def has(self, area: str) -> bool:
        """Areas are dealt by the CRC-32 of their code, so that every process deals alike and a new area moves no other."""
        return zlib.crc32(area.encode()) % self.count == self.index - 1

    def areas(self, codes: Iterable[str]) -> list[str]:
        """Those of `codes` that are this shard's, sorted."""
        return sorted(filter(self.has, codes))

    def filters(self, codes: Iterable[str]) -> list[str]:
        """MQTT topic filters; of a single shard's, so that a device in an area nobody entered is heard too."""
        areas = ["+"] if self.count == 1 else self.areas(codes)
        own = [f"care/v1/{area}/+/{kind}" for area in areas for kind in KINDS]
        return [*own, SHARED] if areas or self.has(NOWHERE) else []


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4

"""What a fleet sent and what the broker acknowledged, message by message, to be compared with what the backend stored."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from homecare.errors import InputError

MADE, SENT, ACKNOWLEDGED = 0, 1, 2
Ranges = list[tuple[int, int]]
"""First and last `seq` of each run of numbers, both included."""


class Record(msgspec.Struct, frozen=True):
    """One start of one device: a line of the ledger's file."""

    device: str
    area: str
    boot: int
    sent: Ranges
    acknowledged: Ranges
    """Their PUBACK came; all were sent."""
    deliveries: int
    """How often one of them was sent, the first time included."""


class Account:
    """The messages of one device since its start, by `seq`."""

    __slots__ = ("area", "boot", "deliveries", "device", "states")

    def __init__(self, device: str, area: str, boot: int) -> None:
        self.device, self.area, self.boot = device, area, boot
        self.states = bytearray()
        self.deliveries = 0

    def add(self) -> int:
        """Count one more message; its `seq`."""
        self.states.append(MADE)
        return len(self.states) - 1

    def sent(self, seq: int) -> None:
        self.deliveries += 1
        if self.states[seq] == MADE:
            self.states[seq] = SENT

    def acknowledged(self, seq: int) -> None:
        self.states[seq] = ACKNOWLEDGED

    def record(self) -> Record:
        sent = _ranges(self.states, bytes((SENT, ACKNOWLEDGED)))
        acknowledged = _ranges(self.states, bytes((ACKNOWLEDGED,)))
        return Record(self.device, self.area, self.boot, sent, acknowledged, self.deliveries)


def write(path: Path, accounts: list[Account]) -> None:
    """A line of JSON for every device. InputError where the file cannot be written."""
    try:
        with path.open("wb") as file:
            file.writelines(msgspec.json.encode(account.record()) + b"\n" for account in accounts)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def read(path: Path) -> Iterator[Record]:
    """The records of a ledger. Raises msgspec.DecodeError where it is none."""
    decoder = msgspec.json.Decoder(Record)
    with path.open("rb") as file:
        yield from map(decoder.decode, file)


def _ranges(states: bytearray, wanted: bytes) -> Ranges:
    """The runs of `wanted` states."""
    found: Ranges = []
    first: int | None = None
    for seq, state in enumerate(states):
        if state in wanted:
            first = seq if first is None else first
        elif first is not None:
            found.append((first, seq - 1))
            first = None
    if first is not None:
        found.append((first, len(states) - 1))
    return found

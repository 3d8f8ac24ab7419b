"""What the product's rivals share: a table of their own, their rows, and a word on how many are committed."""

import sys
import time
from collections.abc import Sequence

import msgspec
import numpy as np
import psycopg

TABLE = "rival_sample"
EPOCH_MS = 946_684_800_000
HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COLUMNS = (
    ("ts", ">i8"),
    ("device", ">i4"),
    ("received", ">i8"),
    ("heart_rate", ">f4"),
    ("spo2", ">f4"),
    ("battery", ">f4"),
)
ROW = np.dtype(
    [("fields", ">i2"), *(part for name, kind in COLUMNS for part in ((f"{name}_size", ">i4"), (name, kind)))]
)
FILTER = "care/v1/+/+/telemetry"
TELL_EVERY_S = 0.05


class Values(msgspec.Struct):
    heart_rate: float
    spo2: float
    battery: float


class Telemetry(msgspec.Struct):
    ts: int
    values: Values


decode = msgspec.json.Decoder(Telemetry).decode
Row = tuple[int, int, int, float, float, float]
"""In the order of COLUMNS; times in Unix ms."""


def row_of(topic: str, payload: bytes, received: int) -> Row:
    """No checks at all: of a message that is known to be good."""
    message = decode(payload)
    values = message.values
    return message.ts, device_of(topic), received, values.heart_rate, values.spo2, values.battery


def device_of(topic: str) -> int:
    """The number in the device's name, bench-0000123."""
    return int(topic.split("/")[3][6:])


def create_table(db: psycopg.Connection) -> None:
    """As wide as its rows, a hypertable with a unique index."""
    db.execute(f"drop table if exists {TABLE}".encode())
    db.execute(
        f"create table {TABLE} (ts timestamptz not null, device int not null, received timestamptz not null,"
        " heart_rate real, spo2 real, battery real)".encode()
    )
    db.execute(
        f"select create_hypertable('{TABLE}', by_range('ts', interval '1 day'), create_default_indexes => false)".encode()
    )
    db.execute(f"create unique index on {TABLE} (device, ts)".encode())


def copy_rows(db: psycopg.Connection, rows: Sequence[Row]) -> None:
    """All in one binary COPY, committed."""
    columns = list(zip(*rows, strict=True))
    encoded = np.empty(len(rows), ROW)
    encoded["fields"] = len(COLUMNS)
    for (name, kind), values in zip(COLUMNS, columns, strict=True):
        encoded[f"{name}_size"] = np.dtype(kind).itemsize
        array = np.array(values)
        encoded[name] = (array - EPOCH_MS) * 1000 if name in ("ts", "received") else array
    with db.cursor().copy(f"copy {TABLE} from stdin (format binary)".encode()) as copy:
        copy.write(HEADER + encoded.tobytes() + b"\xff\xff")


class Tally:
    """Says on standard output how many messages are committed, now and then."""

    def __init__(self) -> None:
        self.done = 0
        self._told, self._told_at = -1, 0.0

    def add(self, messages: int) -> None:
        self.done += messages
        self.tell(time.monotonic() - self._told_at > TELL_EVERY_S)

    def tell(self, now: bool = True) -> None:
        if now and self.done != self._told:
            sys.stdout.write(f"{self.done}\n")
            sys.stdout.flush()
            self._told, self._told_at = self.done, time.monotonic()

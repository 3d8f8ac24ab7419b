"""Texts and a number for each, without a Python object for any: a dictionary of a million short ids in a fifth of the memory.

The texts' bytes lie one after another; a table with open addressing finds them by their hash.
"""

from array import array
from typing import Final

_FREE: Final = -1
_GONE: Final = -1
"""The number of an entry that was dropped; its place in the table stays taken, so that those behind it are found."""


class TextNumbers:
    """Each text has one number, 0 .. 2^31-1. An entry is where a text stands; it stays the same until it is dropped."""

    def __init__(self) -> None:
        self._table = array("i", [_FREE]) * 64
        self._hashes = array("i")
        self._starts = array("Q", [0])
        """One more than there are entries: where each text begins and the one before it ends."""
        self._numbers = array("i")
        self._bytes = bytearray()
        self._gone = 0

    def __len__(self) -> int:
        return len(self._numbers) - self._gone

    def get(self, text: str) -> int | None:
        """The number of `text`."""
        entry = self.find(text)
        return None if entry is None else self._numbers[entry]

    def find(self, text: str) -> int | None:
        """The entry of `text`."""
        data = _bytes(text)
        entry = self._table[self._place(data, _hash(data))]
        return None if entry == _FREE else entry

    def put(self, text: str, number: int) -> int:
        """Give `text` that number; returns its entry."""
        data = _bytes(text)
        hashed = _hash(data)
        place = self._place(data, hashed)
        entry = self._table[place]
        if entry != _FREE:
            self._numbers[entry] = number
            return entry
        entry = len(self._numbers)
        self._hashes.append(hashed)
        self._bytes += data
        self._starts.append(len(self._bytes))
        self._numbers.append(number)
        self._table[place] = entry
        if 3 * (entry + 1) > 2 * len(self._table):
            self._grow()
        return entry

    def text(self, entry: int) -> str:
        """The text of an entry."""
        return self._data(entry).decode("utf-8", "surrogatepass")

    def number(self, entry: int) -> int:
        """The number of an entry, -1 once it was dropped."""
        return self._numbers[entry]

    def drop(self, entry: int) -> None:
        """Forget it. Its bytes stay until this process ends: few ids are ever taken away."""
        if self._numbers[entry] != _GONE:
            self._numbers[entry] = _GONE
            self._gone += 1

    def entries(self) -> list[int]:
        """All that were not dropped, in the order in which they came."""
        return [entry for entry, number in enumerate(self._numbers) if number != _GONE]

    def _data(self, entry: int) -> bytes:
        return bytes(self._bytes[self._starts[entry] : self._starts[entry + 1]])

    def _place(self, data: bytes, hashed: int) -> int:
        """Where in the table the text is, or would be put."""
        mask = len(self._table) - 1
        place = hashed & mask
        while (entry := self._table[place]) != _FREE:
            known = self._hashes[entry] == hashed and self._numbers[entry] != _GONE
            if known and self._data(entry) == data:
                break
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        mask = 2 * len(self._table) - 1
        table = array("i", [_FREE]) * (mask + 1)
        for entry, hashed in enumerate(self._hashes):
            place = hashed & mask
            while table[place] != _FREE:
                place = (place + 1) & mask
            table[place] = entry
        self._table = table


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _hash(data: bytes) -> int:
    """31 bits."""
    return hash(data) & 0x7FFFFFFF

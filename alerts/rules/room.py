"""Room for more slots in arrays with a row for each, of which no more is in memory than was ever written."""

from typing import Any

import numpy as np
import numpy.typing as npt

_BLOCK_BYTES = 1 << 16
"""Copied or left out: some pages."""


def with_room(array: npt.NDArray[Any], rows: int, blank: float = 0) -> npt.NDArray[Any]:
    """`array` with at least so many rows; new ones hold `blank`."""
    have = len(array)
    if rows <= have:
        return array
    # Zeros that nobody has written are not in memory yet; concatenating would write them, and so would copying zeros.
    larger = np.zeros((rows, *array.shape[1:]), array.dtype)
    old = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    new = larger.reshape(-1).view(np.uint8)
    for start in range(0, len(old), _BLOCK_BYTES):
        block = old[start : start + _BLOCK_BYTES]
        if block.any():
            new[start : start + len(block)] = block
    if blank:
        larger[have:] = blank
    return larger

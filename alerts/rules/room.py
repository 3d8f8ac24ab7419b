"""Room for more slots in arrays with a row for each, of which no more is in memory than was ever written."""

from typing import Any

import numpy as np
import numpy.typing as npt


def with_room(array: npt.NDArray[Any], rows: int, blank: float = 0) -> npt.NDArray[Any]:
    """`array` with at least so many rows; new ones hold `blank`."""
    have = len(array)
    if rows <= have:
        return array
    # Zeros that nobody has written are not in memory yet; concatenating would write them.
    larger = np.zeros((rows, *array.shape[1:]), array.dtype)
    larger[:have] = array
    if blank:
        larger[have:] = blank
    return larger

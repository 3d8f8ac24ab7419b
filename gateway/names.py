"""Names for messages that carry no `boot` and `seq` of their own: the same bytes have the same name, for ever.

A number as wide as the two together is split over them; where nothing better is at hand it is made of the content.
"""

import hashlib
from typing import Final

from gateway.checks import INT31

SEQ_BITS: Final = 31
NAME_BITS: Final = 62


def split(number: int) -> tuple[int, int]:
    """(boot, seq) of a number of at most 62 bits."""
    return number >> SEQ_BITS & INT31, number & INT31


def number_of(content: bytes, bits: int = NAME_BITS) -> int:
    """The number these bytes always have: the first `bits` of their BLAKE2b digest.

    Two messages of one device would have to agree in it, and samples in their time as well, to be taken for one.
    """
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest()) >> (64 - bits)

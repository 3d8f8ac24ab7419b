"""What a process that holds a million devices asks of the C library, so that memory it has given up is not kept for it."""

import ctypes
import sys

M_MMAP_THRESHOLD = -3
"""malloc.h of glibc."""
LARGE_BYTES = 4 << 20


def return_large_blocks() -> bool:
    """Every array of 4 MiB or more in pages of its own, which go back as soon as it is dropped. False: not glibc.

    By itself glibc stops doing so: with every large array that is dropped it takes larger ones from its heap, where
    they leave holes when they grow: 250 bytes per device among a million (mallopt(3), M_MMAP_THRESHOLD).
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES))

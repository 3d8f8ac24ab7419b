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
    library = _glibc()
    return library is not None and bool(library.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES))


def return_free_pages() -> None:
    """What lies free between what is used, as much as a start with a million devices leaves behind (malloc_trim(3))."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "gnu_get_libc_version") else None

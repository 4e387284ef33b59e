"""Memory of a process that serves: what is free goes back to the system, what stays is not looked at again."""

import ctypes
import gc
import sys

# malloc.h
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_ARENAS = 2
"""glibc gives each thread an arena of its own, up to 8 a core, and what is free in one serves no other: with the forty
threads of a laptop's services 80 MB of 650."""
_LARGE_BYTES = 8 << 20
"""Blocks from this size on are mapped by themselves and returned when they are freed. Else glibc raises the limit,
up to 32 MB, as soon as such a block has been freed once, and keeps what follows. Photos of up to 2.7 megapixels stay
below: to map and clear a block for each of them would cost a millisecond."""


def return_freed_memory() -> None:
    """Tell the C library to keep little for later. Before threads start; nothing happens where it is not glibc."""
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_M_ARENA_MAX, _ARENAS)
    mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def leave_out_of_collections() -> None:
    """Once all is loaded: the garbage collector passes over what there is now.

    Else each full collection looks at 270,000 objects of libraries for 30 ms, in which nothing is answered.
    """
    gc.collect()
    gc.freeze()

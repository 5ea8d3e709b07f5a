"""What becomes of memory that a training step frees."""

import ctypes
import os

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # names of mallopt(3), from glibc's malloc.h


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where the C library is glibc.

    A network on a CPU takes and frees the same maps of many megabytes at every step. glibc gives these back to the
    system, which then clears every page of the next ones: on a virtual machine up to half of a step
    (`benchmarks/freed_memory.py`). The process stays as large as it once was, and its peak is
    about a tenth higher. Does nothing where the environment says how glibc shall do it (`MALLOC_...`,
    `GLIBC_TUNABLES`), or where there is no glibc.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library, or Windows, which has no name for its own
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)
    mallopt(_TOP_PAD, 1 << 26)

"""Keeps memory that is freed in the process: what a step or a batch frees, the next one needs again."""

import contextlib
import ctypes


def keep_freed_memory() -> None:
    """Makes glibc hold memory that it would return to the kernel after every step, only to fault it in again."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD in malloc.h
        libc.mallopt(trim_threshold, 1 << 30)
        libc.mallopt(mmap_threshold, 32 << 20)  # the maximum of glibc

"""Keep glibc from returning large tensors to the system and faulting them in again at every step.

By default glibc maps each allocation above 32 MiB separately and unmaps it when freed, so every step pays a
page fault per 4 KiB of activations, gradients and logits. With higher thresholds the process keeps freed
memory: its peak is the same, but it does not shrink between steps.
"""

import ctypes

# malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LARGEST = 2**31 - 1  # mallopt takes an int
NEVER = -1


def raise_malloc_thresholds() -> bool:
    """Call before the first large allocation. Returns False, having done nothing, without glibc."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    return bool(libc.mallopt(M_MMAP_THRESHOLD, LARGEST) and libc.mallopt(M_TRIM_THRESHOLD, NEVER))

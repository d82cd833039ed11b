"""Comparisons of CPU time, on processors whose speed halves from one moment to the next."""

import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process, so that a busy machine does not count."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def takes_over(limit: float, large: Callable[[], object], small: Callable[[], object]) -> bool:
    """Whether `large` takes over `limit` times as long as `small`, in seven of nine turns of both."""
    over = within = 0
    while over < 7 and within < 3:
        is_over = seconds(large) > limit * seconds(small)
        over, within = over + is_over, within + (not is_over)
    return over == 7

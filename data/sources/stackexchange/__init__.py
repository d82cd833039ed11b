from data.sources.stackexchange.recipe import (
    DUPLICATES,
    VERSION,
    clean,
    inputs,
    left_out,
    read,
    slices,
    together,
)

__all__ = ["DUPLICATES", "VERSION", "clean", "inputs", "left_out", "read", "slices", "together"]

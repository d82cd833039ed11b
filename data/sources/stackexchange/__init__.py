from data.sources.stackexchange.recipe import DUPLICATES, VERSION, clean, inputs, read, slices, together

__all__ = ["DUPLICATES", "VERSION", "clean", "inputs", "read", "slices", "together"]

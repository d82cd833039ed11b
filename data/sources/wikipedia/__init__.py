from data.sources.wikipedia.recipe import DUPLICATES, VERSION, clean, inputs, read, slices

__all__ = ["DUPLICATES", "VERSION", "clean", "inputs", "read", "slices"]

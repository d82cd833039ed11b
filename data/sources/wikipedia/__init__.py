from data.sources.wikipedia.recipe import DUPLICATES, VERSION, clean, inputs, parts, read

__all__ = ["DUPLICATES", "VERSION", "clean", "inputs", "parts", "read"]

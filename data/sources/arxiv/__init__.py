from data.sources.arxiv.recipe import DUPLICATES, VERSION, clean, inputs, read

__all__ = ["DUPLICATES", "VERSION", "clean", "inputs", "read"]

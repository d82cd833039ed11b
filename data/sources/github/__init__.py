from data.sources.github.recipe import ACCEPTED, DUPLICATES, VERSION, clean, inputs, read, read_folder

__all__ = ["ACCEPTED", "DUPLICATES", "VERSION", "clean", "inputs", "read", "read_folder"]

from data.sources.github.files import inputs, read, read_folder
from data.sources.github.recipe import ACCEPTED, DUPLICATES, VERSION, clean

__all__ = ["ACCEPTED", "DUPLICATES", "VERSION", "clean", "inputs", "read", "read_folder"]

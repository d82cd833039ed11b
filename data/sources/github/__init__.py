from data.sources.github.files import inputs, left_out, read, read_folder
from data.sources.github.recipe import ACCEPTED, DUPLICATES, VERSION, clean

__all__ = ["ACCEPTED", "DUPLICATES", "NEEDS", "VERSION", "clean", "inputs", "left_out", "read", "read_folder"]
NEEDS = ("resiliparse",)  # for files of an unknown encoding; the core's sample has none, and does without

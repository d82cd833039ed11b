"""What reading or writing weights raises."""


class FormatError(Exception):
    """Weights that cannot be read or written: one line with the file, what was expected and how to fix it."""

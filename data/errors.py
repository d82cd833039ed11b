"""The one exception of this room: the user's data, or what was asked of it, is wrong."""


class DataError(Exception):
    """One line that names the file or key, what was expected and how to mend it."""

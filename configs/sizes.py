"""Sizes as people read them, to three digits in the unit that fits: files by 1,000, memory by 1,024."""


def decimal(size: float) -> str:
    """Of a disk, a file or a text: 640 bytes, 5.12 MB, 1.2 GB."""
    return _scaled(size, 1000, ("kB", "MB", "GB", "TB", "PB"))


def binary(size: float) -> str:
    """Of memory, or a limit that is a power of two: 640 bytes, 512 MiB, 1.5 GiB."""
    return _scaled(size, 1024, ("KiB", "MiB", "GiB", "TiB", "PiB"))


def _scaled(size: float, base: int, units: tuple[str, ...]) -> str:
    if size < base:
        return f"{size:,.0f} byte{'s' * (round(size) != 1)}"
    power = 1
    while power < len(units) and size >= base ** (power + 1):
        power += 1
    size, unit = size / base**power, units[power - 1]
    number = f"{size:,.{2 if size < 10 else 1 if size < 100 else 0}f}"
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"

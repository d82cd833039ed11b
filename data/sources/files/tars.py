"""Reads the members of a tar in bounded memory and time for each, whatever its headers claim.

tarfile keeps every member, copies all global PAX headers for each, and requests as many bytes as a header
claims. Here no header outlives its member, and one member's headers take at most 1 MiB together.
"""

import tarfile
from collections.abc import Iterator
from typing import IO, Protocol

READ_BYTES = 1 << 20  # most bytes of one read, and of all headers of a member (long names, PAX)
NAME_CHARACTERS = 4096  # most in a path on Linux; looking at each parent takes the square of its length


class Source(Protocol):
    """A file that is read forward. Its `read` must call `allow` first."""

    header_left: int | None = None  # bytes left for headers, while they are read
    last: bytes = b""  # what the last `read` returned

    def read(self, size: int = -1) -> bytes: ...
    def tell(self) -> int: ...
    def seek(self, place: int, whence: int = 0) -> int: ...

    def allow(self, size: int) -> None:
        """Raises tarfile.ReadError for a read, or headers, above READ_BYTES."""
        if not 0 <= size <= READ_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        if self.header_left is not None:
            self.header_left -= size
            if self.header_left < 0:
                raise tarfile.ReadError(f"headers of more than {READ_BYTES:,} bytes")


def members(source: Source, needs_end: bool = False) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Each member, with its content if it is a file; read that before asking for the next member.

    Raises tarfile.TarError: also for a damaged header, which tarfile would take for the end, and for a
    missing end mark if the tar `needs_end`. Raises whatever `source` raises.
    """
    source.header_left = READ_BYTES
    try:
        # tarfile reads, tells and seeks; its stubs ask for a file's every method
        tar = tarfile.TarFile(fileobj=source)  # pyright: ignore[reportArgumentType]  # see above
        while member := tar.next():
            source.header_left = None
            yield member, tar.extractfile(member) if member.isreg() else None
            tar.members = []  # pyright: ignore[reportAttributeAccessIssue]  # tarfile keeps them all there
            tar.pax_headers = {}
            source.header_left = READ_BYTES
        if source.last.strip(b"\0"):
            raise tarfile.ReadError(f"damaged header at byte {source.tell() - len(source.last)}")
        if needs_end and not source.last:
            raise tarfile.ReadError("the tar ends without its end mark")
    finally:
        source.header_left = None


def is_too_long(name: str) -> bool:
    """Whether no file can have this path."""
    return len(name) > NAME_CHARACTERS

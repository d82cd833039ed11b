"""Sizes as people read them."""

import pytest

from configs.sizes import binary, decimal


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (4_996_000, "5 MB"),
        (4_914_000, "4.91 MB"),
        (83_499_999, "83.5 MB"),
        (260_200_000, "260 MB"),
        (1e9, "1 GB"),
        (2.8e12, "2.8 TB"),
        (12.5e18, "12,500 PB"),
    ],
)
def test_sizes_of_files_have_three_digits_in_the_unit_that_fits(size, shown):
    assert decimal(size) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [(1000, "1,000 bytes"), (1 << 10, "1 KiB"), (64 << 20, "64 MiB"), (1.5 * 2**30, "1.5 GiB")],
)
def test_memory_is_counted_by_1024(size, shown):
    assert binary(size) == shown

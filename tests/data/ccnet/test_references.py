"""The classifier of references, without the package that it needs."""

import sys

import pytest

from data.ccnet import references
from data.errors import DataError


def test_a_missing_package_is_one_line_that_names_it_and_what_to_do(tmp_path, monkeypatch):
    (tmp_path / references.FILE).write_bytes(b"")
    monkeypatch.setitem(sys.modules, "floret", None)
    with pytest.raises(DataError, match=r"needs the package floret .*ccnet.skip=references") as refused:
        references.load(tmp_path / references.FILE)
    assert "\n" not in str(refused.value)

"""Skip tests that train KenLM models where its programs are not installed."""

import pytest

from data.ccnet.train_language_model import programs
from data.errors import DataError


def _installed() -> bool:
    try:
        return bool(programs())
    except DataError:
        return False


needs_kenlm = pytest.mark.skipif(
    not _installed(), reason="lmplz and build_binary are not installed (bash data/ccnet/build_kenlm.sh)"
)

"""What a command says while it starts; the rest is tested on a terminal (test_terminal.py)."""

import gc
import sys
from types import ModuleType

from configs.waiting import starting


def test_only_an_import_makes_what_is_alive_permanent(monkeypatch):
    """A process that trains more than once would keep each run's cycles forever."""
    before = gc.get_freeze_count()
    with starting("train"):
        assert not gc.isenabled()
    assert gc.get_freeze_count() == before and gc.isenabled()
    with starting("train"):
        monkeypatch.setitem(sys.modules, "a_new_module", ModuleType("a_new_module"))
    assert gc.get_freeze_count() > before and gc.isenabled()
    gc.unfreeze()

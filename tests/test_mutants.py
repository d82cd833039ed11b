"""Each deliberate fault can still be made, and its test exists. Running them takes too long here."""

import pytest

from tests.mutants import ROOT, located, table
from tests.support.deliberate_faults import FAULTS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_is_one_place_in_the_code_and_names_a_test(fault):
    text = (ROOT / fault.file).read_text()
    assert text.count(fault.old) == 1 and fault.old != fault.new
    file, _, name = located(fault.test).partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text()


def test_the_documented_table_is_that_of_the_faults():
    assert table() in (ROOT / "docs" / "tests.md").read_text()

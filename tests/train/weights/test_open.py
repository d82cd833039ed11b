"""What `weights=` may name, and how a refusal says what was meant."""

import pytest

from train.config import RunError
from train.weights.open import refuse_unknown


def test_the_runs_of_a_folder_are_named_as_a_shell_takes_them(tmp_path):
    for name in ("plain", "with space"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").touch()
    with pytest.raises(RunError) as refused:
        refuse_unknown(tmp_path)
    assert str(refused.value).endswith(f"choose one: {tmp_path}/plain, '{tmp_path}/with space'")

"""A profile is written once its last step is done; where it cannot be, training goes on."""

import torch

from train.metrics.profiler import Profiler


def test_a_profile_that_cannot_be_written_is_a_warning(tmp_path, capsys):
    (tmp_path / "profile").write_text("a file in the place of the folder")
    profiler = Profiler(tmp_path, [1, 2], rank=3, device=torch.device("cpu"))
    for _ in range(3):
        with profiler.step():
            torch.ones(2).sum()
    profiler.close()
    said = capsys.readouterr().err
    assert said.startswith("relama: warning: rank 3: the profile is not written (") and said.count("\n") == 1

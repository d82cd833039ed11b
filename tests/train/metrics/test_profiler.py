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


def test_the_first_rank_says_where_its_profile_is(tmp_path, capsys):
    said = []
    for rank in (0, 1):
        profiler = Profiler(tmp_path, [1, 1], rank=rank, device=torch.device("cpu"))
        with profiler.step():
            torch.ones(2).sum()
        said.append(capsys.readouterr().err)
        assert (tmp_path / "profile" / f"rank{rank}.time.txt").stat().st_size
    folder = tmp_path / "profile"
    assert said == [f"relama: wrote the profile: {folder}/rank0.time.txt, rank0.trace.json.gz, …\n", ""]

"""The engine waits for its tasks on Slurm, with a `squeue` that the test writes."""

import os
from types import SimpleNamespace

from data import engine


def test_a_controller_that_does_not_answer_is_asked_again(tmp_path, monkeypatch, capsys):
    (tmp_path / "squeue").write_text(
        "#!/bin/bash\necho >> asked\n"
        "case $(wc -l < asked) in 1|2) echo 'Socket timed out' >&2; exit 1;; 3) echo 7;; esac\n"
    )
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(engine, "time", SimpleNamespace(sleep=lambda _: None))
    job = SimpleNamespace(job_id=7, get_incomplete_ranks=lambda skip_completed: [0])
    engine._wait(job, tmp_path)
    assert (tmp_path / "asked").read_text() == 4 * "\n"
    assert capsys.readouterr().err == "relama: squeue does not answer (Socket timed out); still waiting\n"

"""A machine's peak is the best ever measured on it, however busy it is at the moment."""

import json
import os
import subprocess
import sys

import torch

from train.metrics import peak


def test_the_best_figure_is_remembered_by_processor_threads_and_dtype(tmp_path):
    file = tmp_path / "cache" / "peaks.json"
    assert peak.best_known(2e11, torch.float32, file) == 2e11
    assert peak.best_known(5e10, torch.float32, file) == 2e11  # a busy moment
    assert peak.best_known(3e11, torch.float32, file) == 3e11
    assert peak.best_known(4e11, torch.bfloat16, file) == 4e11
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        assert peak.best_known(1e11, torch.float32, file) == 1e11
    finally:
        torch.set_num_threads(before)
    kept = json.loads(file.read_text())
    assert sorted(entry["flops"] for entry in kept.values()) == [1e11, 3e11, 4e11]
    assert all(peak.cpu_name() in key and "threads" in key for key in kept)
    assert [path.name for path in file.parent.iterdir()] == ["peaks.json"]


def test_a_damaged_file_is_replaced_and_an_unwritable_path_is_ignored(tmp_path):
    file = tmp_path / "peaks.json"
    for damage in ("", "[1]", '{"a": 1}', '{"a": {"flops": "NaN"}}', '{"a": {"flops": 1e999}}', "\xff"):
        file.write_text(damage)
        assert peak.best_known(2e11, torch.float32, file) == 2e11
        assert len(json.loads(file.read_text())) == 1
    assert peak.best_known(1e11, torch.float32, file / "x.json") == 1e11


def test_the_file_is_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert peak.remembered_file() == tmp_path / "relama" / "peaks.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert str(peak.remembered_file()) == "/home/me/.cache/relama/peaks.json"


def test_a_user_without_a_home_gets_no_folder_named_by_a_tilde(homeless, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert peak.remembered_file() is None
    assert peak.remembered(torch.float32) == 0.0 and peak.best_known(2e11, torch.float32) == 2e11
    assert not list(tmp_path.iterdir())


def test_a_busy_machine_measures_about_the_same_peak():
    """Six busy processes leave this one a fraction of a core."""
    if hasattr(os, "sched_getaffinity"):
        one_core = {min(os.sched_getaffinity(0))}
        code = f"import os; os.sched_setaffinity(0, {one_core})\nwhile True: pass"
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, one_core)
        busy: list[subprocess.Popen] = []
        try:
            alone = peak.measured_peak(1)
            busy += [subprocess.Popen([sys.executable, "-c", code]) for _ in range(6)]
            # By the wall clock it would be a seventh. A hyperthread's other half may be busy, or not.
            assert 0.3 * alone < peak.measured_peak(1) < 4 * alone
        finally:
            for process in busy:
                process.kill()
                process.wait()
            os.sched_setaffinity(0, before)

"""Pods without a volume train one run, which is at checkpoint.remote, and end as one machine would."""

from pathlib import Path

import pytest

from launch.main import main
from launch.manifest import job_name
from tests.launch.test_kubernetes import COMMON, wait_until
from tests.support.buckets import objects, serving
from tests.support.kubernetes_api import cluster
from tests.support.ports import free_port
from tests.support.runs import SMALL, learned, same_tensors, succeed
from train.checkpoint.folder import step_folder
from train.run import markers


@pytest.mark.slow
@pytest.mark.distributed
def test_pods_whose_disks_are_lost_with_them_end_as_the_undisturbed_run(
    tmp_path, corpora, monkeypatch, capsys
):
    pytest.importorskip("kubernetes")
    pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[data]')")
    pytest.importorskip("moto", reason="moto is not installed (pip install -e '.[dev]')")
    settings = [*SMALL, f"corpora={corpora}", "global_batch=128", "steps=100000"]
    settings += ["checkpoint.every=10", "checkpoint.keep=1"]
    monkeypatch.chdir(tmp_path)
    arguments = [*COMMON, "nodes=2", "cluster.grace=600", f"cluster.port={free_port()}", *settings, "run=r"]
    name = job_name("runs/r")
    with serving("pods"), cluster(tmp_path / "cluster") as kubernetes:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "cluster" / "kubeconfig"))

        def newest() -> int:
            """The step of the newest checkpoint at the URL."""
            steps = (key.split("/")[2][5:] for key in objects("pods") if key.endswith("state.json"))
            return max(map(int, steps), default=0)

        assert main([*arguments, "checkpoint.remote=s3://pods/r"]) == 0
        wait_until(newest, kubernetes.logs)
        (first,) = (tmp_path / "cluster").glob("pod-*-*/runs/r/config.yaml")
        kubernetes.lose(name, int(first.relative_to(tmp_path / "cluster").parts[0].split("-")[1]))
        at_loss = newest()
        wait_until(lambda: newest() > at_loss + 20, kubernetes.logs)
        assert main(["stop", "run=r"]) == 0
        wait_until(lambda: not kubernetes.objects, kubernetes.logs)
        last = newest()
        printed = kubernetes.logs()
    assert "do not share" in printed and "downloading s3://pods/r/checkpoints/step-" in printed
    left = (path.parent for path in (tmp_path / "cluster").glob(f"pod-*-*/runs/r/{markers.PREEMPTED}"))
    run = next(folder for folder in left if (folder / "config.yaml").is_file())
    checkpoint = step_folder(Path("checkpoints"), last)
    succeed(*settings, f"run={tmp_path / 'undisturbed'}", f"stop_at={last}", ranks=2)
    # A stopped run does not validate its last step.
    assert learned(run)[:-1] == learned(tmp_path / "undisturbed")[:-1]
    same_tensors(run / checkpoint, tmp_path / "undisturbed" / checkpoint)

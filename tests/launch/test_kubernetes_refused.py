"""cluster=kubernetes: what is refused is one line and leaves nothing; how waiting ends."""

import subprocess

import pytest

from launch.main import main
from launch.manifest import job_name
from launch.pod import NOTHING
from tests.launch.test_kubernetes import COMMON, wait_until
from tests.support.kubernetes_api import Refused, cluster


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cluster=kubernetes"], "image=: expected a container image"),
        (["cluster=kubernetes", "image='a b'"], "image=a b: expected a container image"),
        ([*COMMON, "nodes=1:2"], "nodes=1:2: expected one number"),
        ([*COMMON, "cluster.volumes=/data"], "cluster.volumes=/data: expected CLAIM:/path"),
        (
            [*COMMON, "cluster.volumes=a:/x,a:/y"],
            "cluster.volumes=a:/x,a:/y: expected each claim and path once",
        ),
        (
            [*COMMON, "cluster.volumes=a:/x,b:/x"],
            "cluster.volumes=a:/x,b:/x: expected each claim and path once",
        ),
        ([*COMMON, "cluster.format=pod"], "cluster.format=pod: expected one of job, jobset, trainjob"),
        ([*COMMON, "cluster.tolerations='a b'"], "cluster.tolerations=a b: expected KEY[=VALUE][:EFFECT]"),
        ([*COMMON, "cluster.format=trainjob", "cluster.secrets=a"], "cluster.format=trainjob: expected no"),
        ([*COMMON, "cluster.shm=16GB"], "cluster.shm=16GB: expected a quantity, such as 16Gi"),
        ([*COMMON, "cluster.resources=memory=lots"], "cluster.resources=memory=lots: expected NAME=QUANTITY"),
        (
            [*COMMON, "cluster.resources=cpu=1,cpu=2"],
            "cluster.resources=cpu=1,cpu=2: expected each name once",
        ),
        (
            [*COMMON, "gpus=4", "cluster.resources=nvidia.com/gpu=2"],
            "cluster.resources=nvidia.com/gpu=2: expected not what gpus= sets",
        ),
        ([*COMMON, "cpus=4", "cluster.resources=cpu=2"], "cluster.resources=cpu=2: expected not what cpus="),
        ([*COMMON, "cluster.tolerations=spot:Never"], "cluster.tolerations=spot:Never: expected KEY[=VALUE]"),
        ([*COMMON, "cluster.node_selector=zone=é"], "cluster.node_selector=zone=é: expected LABEL=VALUE"),
        ([*COMMON, "cluster.namespace=My_Team"], "cluster.namespace=My_Team: expected the name of a"),
        ([*COMMON, "cluster.priority=High_1"], "cluster.priority=High_1: expected the name of a priority"),
        ([*COMMON, "cluster.service_account=A"], "cluster.service_account=A: expected the name of a service"),
        (COMMON, "no usable kubeconfig"),
    ],
)
def test_what_cannot_be_launched_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    if arguments == COMMON:
        pytest.importorskip("kubernetes")
    assert main([*arguments, "run=r"]) == 1
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1 and not (tmp_path / "runs").exists()


def test_without_any_kubeconfig_there_is_one_line(tmp_path, monkeypatch, capsys):
    pytest.importorskip("kubernetes")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main([*COMMON, "run=r"]) == 1
    printed = capsys.readouterr()
    assert "no usable kubeconfig" in printed.err and len(printed.err.splitlines()) == 1
    assert "kube" not in printed.out


def test_without_a_home_there_is_one_line(tmp_path, monkeypatch, capsys, homeless):
    pytest.importorskip("kubernetes")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert main([*COMMON, "run=r"]) == 1
    error = capsys.readouterr().err
    assert "no usable kubeconfig" in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("code", [0, NOTHING[0]])
def test_waiting_ends_as_the_job_does_though_its_volume_is_not_here(code, tmp_path, monkeypatch, capsys):
    pytest.importorskip("kubernetes")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("launch.main.POLL", 0.1)
    monkeypatch.setattr("launch.main.NFS_DELAY", 0.1)
    with cluster(tmp_path / "cluster") as kubernetes:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "cluster" / "kubeconfig"))
        pod = ["sh", "-c", f"exit {code}"]
        monkeypatch.setattr(kubernetes, "_start", lambda *_: subprocess.Popen(pod, start_new_session=True))
        assert main([*COMMON, "cluster.volumes=data:/data", "wait=true", "run=r"]) == (code != 0)
    said = capsys.readouterr()
    if code == 0:
        assert said.out.endswith("has ended: the run has finished\n")
    else:
        assert "the job ended before the run had finished; Kubernetes Job" in said.err
        assert "failed (PodFailurePolicy); log: kubectl" in said.err and said.err.count("\n") == 1


def test_a_refused_service_leaves_no_job(tmp_path, monkeypatch, capsys):
    pytest.importorskip("kubernetes")
    monkeypatch.chdir(tmp_path)
    with cluster(tmp_path / "cluster") as kubernetes:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "cluster" / "kubeconfig"))
        pod = ["sleep", "600"]
        monkeypatch.setattr(kubernetes, "_start", lambda *_: subprocess.Popen(pod, start_new_session=True))
        name = job_name("runs/r")
        kubernetes.objects["team", "services", name] = {"metadata": {}}
        assert main([*COMMON, "run=r"]) == 1
        error = capsys.readouterr().err
        assert "the Kubernetes API refused (409): services" in error and len(error.splitlines()) == 1
        wait_until(lambda: ("team", "jobs", name) not in kubernetes.objects)
        assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (401, "; log in again: it does not accept the kubeconfig's user"),
        (403, "; ask for this permission, or choose another cluster.namespace"),
        (404, "; create the namespace, or install what this cluster.format needs"),
        (422, "; correct the key that set it"),
        (500, ""),
    ],
)
def test_a_refused_manifest_is_one_line_with_the_mend_and_leaves_nothing(
    status, mend, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("kubernetes")
    monkeypatch.chdir(tmp_path)
    with cluster(tmp_path / "cluster") as kubernetes:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "cluster" / "kubeconfig"))

        def refuse(*_: object) -> dict:
            raise Refused(status, "spec.priorityClassName: Invalid value:\n no PriorityClass")

        monkeypatch.setattr(kubernetes, "create", refuse)
        assert main([*COMMON, "run=r"]) == 1
    refused = (
        f"the Kubernetes API refused ({status}): spec.priorityClassName: Invalid value: no PriorityClass"
    )
    assert capsys.readouterr().err == f"relama: error: {refused}{mend}\n"
    assert not (tmp_path / "runs").exists()


def test_an_api_that_does_not_answer_is_one_line_without_pythons_names(tmp_path, monkeypatch, capsys):
    pytest.importorskip("kubernetes")
    monkeypatch.chdir(tmp_path)
    with cluster(tmp_path / "cluster"):
        pass
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "cluster" / "kubeconfig"))
    assert main([*COMMON, "run=r"]) == 1
    error = capsys.readouterr().err
    assert "does not answer (" in error and "Connection refused); try again\n" in error
    assert "object at" not in error and "HTTPConnection" not in error and error.count("\n") == 1

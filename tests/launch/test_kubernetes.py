"""cluster=kubernetes: its manifests fit the published schemas, and its pods train to the same bits."""

import json
import shutil
import subprocess
import sys
import time
from typing import Any

import pytest
import yaml

from launch.k8s import _state
from launch.main import main
from launch.manifest import job_name
from launch.pod import COMMAND, FINAL, NOTHING, REPLACE, judge
from tests.support.kubernetes_api import cluster, expanded
from tests.support.ports import free_port
from tests.support.runs import SMALL, learned, metrics, same_tensors, succeed
from train.run import markers

COMMON = ["cluster=kubernetes", "image=registry.example/relama:1"]
FULL = [
    *COMMON,
    "nodes=4",
    "gpus=8",
    "cpus=64",
    "cluster.grace=120",
    "cluster.namespace=team",
    "cluster.volumes=data.old:/data,shm:/scratch",
    "cluster.secrets=wandb,bucket",
    "cluster.resources=rdma/ib=8,memory=900Gi",
    "cluster.node_selector=example.com/pool=h100",
    "cluster.exclude=worker-7,worker-9.rack",
    "cluster.tolerations=nvidia.com/gpu:NoSchedule,team=ours:NoExecute",
    "cluster.priority=high",
    "cluster.service_account=trainer",
    "cluster.pull_secrets=registry",
    "cluster.environment.NCCL_SOCKET_IFNAME=eth0",
]


def printed(capsys, *arguments: str) -> list[dict]:
    assert main([*arguments, "model=7b", "data=mix", "run=big", "dry_run=true"]) == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


@pytest.mark.parametrize("arguments", [[*COMMON, "processes=2"], FULL], ids=["least", "most"])
@pytest.mark.parametrize("version", ["1.31", "1.34"])
def test_the_manifest_fits_the_published_schemas(arguments, version, capsys):
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    for manifest in printed(capsys, *arguments):
        validate.validate(manifest, version, strict=True)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_kubectl_decodes_the_job_by_its_own_types(capsys, tmp_path):
    """Without a cluster: `--local` decodes the file by the types that kubectl was built with."""
    job, _ = printed(capsys, *FULL)
    file = tmp_path / "job.json"
    command = ["kubectl", "set", "env", "--local", "-f", str(file), "A=b", "-o", "name"]

    def decoded() -> subprocess.CompletedProcess[str]:
        file.write_text(json.dumps(job))
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert decoded().stdout.strip() == f"job.batch/{job['metadata']['name']}"
    job["spec"]["backoffLimit"] = "many"
    assert decoded().returncode != 0


def test_the_manifest_has_what_was_asked_for(capsys):
    job, service = printed(capsys, *FULL)
    spec = job["spec"]["template"]["spec"]
    container = spec["containers"][0]
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == 4
    assert spec["terminationGracePeriodSeconds"] == 180 and spec["restartPolicy"] == "Never"
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "8", "rdma/ib": "8", "memory": "900Gi"}
    assert container["securityContext"]["capabilities"]["add"] == ["IPC_LOCK"]
    assert spec["securityContext"]["runAsNonRoot"] and spec["nodeSelector"] == {"example.com/pool": "h100"}
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/dev/shm", "/data", "/scratch"}
    assert container["envFrom"] == [{"secretRef": {"name": name}} for name in ("wandb", "bucket")]
    environment = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    name = job["metadata"]["name"]
    assert environment["RELAMA_RENDEZVOUS"] == f"{name}-0.{name}:29400" and spec["subdomain"] == name
    assert environment["RELAMA_FOLDER"] == "/data" and environment["NCCL_SOCKET_IFNAME"] == "eth0"
    needed = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = needed["nodeSelectorTerms"]  # the API takes one name in each requirement on a field
    assert [(each["operator"], each["values"]) for each in term["matchFields"]] == [
        ("NotIn", ["worker-7"]),
        ("NotIn", ["worker-9.rack"]),
    ]
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items() and service["spec"]["clusterIP"] == "None"


def test_jobset_and_trainjob_wrap_the_same_pod(capsys):
    job, _ = printed(capsys, *COMMON, "gpus=8", "nodes=2")
    (job_set,) = printed(capsys, *COMMON, "gpus=8", "nodes=2", "launch.format=jobset")
    inner = job_set["spec"]["replicatedJobs"][0]["template"]["spec"]
    mine = job["spec"]["template"]["spec"]["containers"][0]
    theirs = inner["template"]["spec"]["containers"][0]
    name = job_set["metadata"]["name"]
    assert theirs["command"] == mine["command"] and theirs["resources"] == mine["resources"]
    assert {"name": "RELAMA_RENDEZVOUS", "value": f"{name}-node-0-0.{name}:29400"} in theirs["env"]
    (train_job,) = printed(capsys, *COMMON, "gpus=8", "nodes=2", "cluster.format=trainjob")
    trainer = train_job["spec"]["trainer"]
    assert trainer["command"] + trainer["args"] == mine["command"] and trainer["numNodes"] == 2
    assert trainer["resourcesPerNode"] == mine["resources"]


@pytest.mark.parametrize("arguments", [[*COMMON, "processes=2"], FULL], ids=["least", "most"])
@pytest.mark.parametrize(
    ("kind", "model"), [("jobset", "JobsetV1alpha2JobSet"), ("trainjob", "TrainerV1alpha1TrainJob")]
)
def test_jobset_and_trainjob_fit_kubeflows_own_types(arguments, kind, model, capsys):
    """Kubeflow generates these classes from the two projects' published types; they drop unknown fields."""
    models = pytest.importorskip(
        "kubeflow_trainer_api.models", reason="pip install kubeflow-trainer-api, of the extra dev"
    )
    refused = ("cluster.secrets", "cluster.priority") if kind == "trainjob" else ()
    kept = [each for each in arguments if not each.startswith(refused)] if refused else arguments
    (workload,) = printed(capsys, *kept, f"cluster.format={kind}")

    def read_back(manifest: dict) -> dict:
        return getattr(models, model).from_dict(manifest).to_dict()

    assert _plain(read_back(workload)) == _plain(workload)
    workload["spec"]["replicas"] = 2  # a field that neither has
    assert _plain(read_back(workload)) != _plain(workload)


def test_what_jobset_and_trainjob_hand_to_kubernetes_fits_its_schemas(capsys):
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate").validate
    (job_set,) = printed(capsys, *FULL, "cluster.format=jobset")
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}}
    validate(job | job_set["spec"]["replicatedJobs"][0]["template"], "1.34", strict=True)
    refused = ("cluster.secrets", "cluster.priority")
    (train_job,) = printed(
        capsys, *(each for each in FULL if not each.startswith(refused)), "cluster.format=trainjob"
    )
    patch = train_job["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    validate(pod | patch["replicatedJobs"][0]["template"]["spec"]["template"], "1.34", strict=True)


def _plain(value: Any) -> object:
    """Without the wrappers of values that may be numbers or strings, and without empty values."""
    if hasattr(value, "actual_instance"):
        return value.actual_instance
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if each not in ([], {})}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def test_pods_that_share_no_folder_are_warned_of(capsys):
    remote = ["nodes=2", "checkpoint.remote=s3://b/run"]
    shared = ["nodes=2", "cluster.volumes=a:/a"]
    for more, is_warned in (["nodes=2"], True), (shared, False), (remote, False), ([], False):
        assert main([*COMMON, *more, "model=7b", "data=mix", "run=big", "dry_run=true"]) == 0
        assert ("the 2 pods share no folder" in capsys.readouterr().err) == is_warned


def test_every_argument_reaches_the_pod_as_typed(capsys):
    nasty = ["a b", "it's", "$(HOME)", "$$", "$HOME", "`x`", "é", "; x #", "{{.}}"]
    arguments = [f"corpora={each}" for each in nasty]
    assert main([*COMMON, "run=r", "dry_run=true", *arguments]) == 0
    job = next(yaml.safe_load_all(capsys.readouterr().out))
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert [expanded(word, {"HOME": "/root"}) for word in command][-len(arguments) :] == arguments


def test_names_are_labels_and_differ_where_runs_do():
    runs = [
        "runs/x/exp1",
        "runs/y/exp1",
        "runs/Exp1",
        "runs/exp1",
        "runs/" + "a" * 90,
        "runs/é",
        "/data/run_1",
    ]
    names = [job_name(run) for run in runs]
    assert len(set(names)) == len(runs)
    pods = [f"{name}-node-0-9999-abcde" for name in names]  # the longest name that JobSet asks for
    assert all(len(pod) <= 63 for pod in pods)
    assert all(name.replace("-", "").isalnum() and name.isascii() for name in names)


def test_a_pods_exit_code_says_whether_it_is_replaced():
    nothing = dict.fromkeys([*markers.ALL, "latest"])
    old = nothing | {markers.PREEMPTED: 1, "latest": "step-3"}
    cases = [
        (0, nothing, nothing, 0),
        (1, old, old, 1),
        (1, nothing, nothing | {markers.FINISHED: 2}, 0),
        (1, old, old | {markers.PREEMPTED: 2}, REPLACE),
        (1, old, old | {"latest": "step-6"}, REPLACE),
        (1, old, old | {"latest": "step-6", markers.STOPPED: 2}, FINAL),
        (1, old, nothing | {"latest": "step-3"}, 1),  # the old marker was removed at the start
    ]
    for code, before, after, expected in cases:
        assert judge(code, before, after)[0] == expected, (code, before, after)


def test_an_image_without_relama_fails_at_once_and_status_says_so(tmp_path, capsys):
    bare = [sys.executable, "-S", "-c", COMMAND, "nodes=1"]  # without the installed packages
    done = subprocess.run(bare, capture_output=True, text=True, cwd=tmp_path, env={})
    assert done.returncode == NOTHING[0] and done.stderr.count("\n") == 1
    assert "image: has no Relama; build one as docs/clusters.md says" in done.stderr
    job, _ = printed(capsys, *COMMON)
    rule = job["spec"]["podFailurePolicy"]["rules"][0]
    assert rule["action"] == "FailJob" and set(NOTHING) < set(rule["onExitCodes"]["values"])
    message = "Container train for pod team/x failed with exit code 127 matching FailJob rule at index 0"
    failed = {"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": message}
    assert "image: has no Relama" in _state({**job, "status": {"conditions": [failed]}})


@pytest.mark.slow
@pytest.mark.distributed
def test_a_run_that_loses_a_pod_is_evicted_and_stopped_ends_as_the_undisturbed_one(
    tmp_path, corpora, monkeypatch, capsys
):
    pytest.importorskip("kubernetes")
    settings = [*SMALL, f"corpora={corpora}", "global_batch=128", "steps=100000"]
    settings += ["checkpoint.every=10", "checkpoint.keep=1"]
    monkeypatch.chdir(tmp_path)
    arguments = [*COMMON, "nodes=2", "cluster.grace=600", f"cluster.port={free_port()}", *settings, "run=r"]
    arguments += [f"cluster.volumes=data:{tmp_path}"]
    run, name = tmp_path / "runs" / "r", job_name("runs/r")
    with cluster(tmp_path / "cluster") as kubernetes:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "cluster" / "kubeconfig"))

        def wait(starts: int) -> None:
            """Until the run has started so many times, and has then trained for some steps."""
            lines = lambda name: len((run / name).read_text().splitlines()) if (run / name).exists() else 0  # noqa: E731
            wait_until(lambda: lines("starts.jsonl") >= starts, kubernetes.logs)
            before = lines("metrics.jsonl")
            wait_until(lambda: lines("metrics.jsonl") >= before + 12, kubernetes.logs)

        assert main(arguments) == 0
        assert f"Kubernetes Job/team/{name} created" in capsys.readouterr().out
        wait(1)
        assert main(arguments) == 1
        assert "is already training it; `relama launch stop run=r` ends that" in capsys.readouterr().err
        kubernetes.lose(name, 1)
        wait(2)
        kubernetes.evict(name, 0)
        wait(3)
        assert main(["status", "run=r"]) == 0
        assert "running, 2 of 2 pods ready" in capsys.readouterr().out
        assert main(["stop", "run=r"]) == 0
        assert "was told to stop: it saves first" in capsys.readouterr().out
        wait_until(lambda: not kubernetes.objects, kubernetes.logs)  # the Service, too
        assert (run / markers.PREEMPTED).exists()
        last = len(metrics(run)) + 10
        assert main([*arguments, f"stop_at={last}"]) == 0
        job = kubernetes.objects["team", "jobs", name]
        wait_until(lambda: job["status"].get("conditions"), kubernetes.logs)
        capsys.readouterr()
        assert main(["status", "run=r"]) == 0
        assert "complete (Completed)" in capsys.readouterr().out
    undisturbed, newest = tmp_path / "undisturbed", f"checkpoints/step-{last:06d}"
    succeed(*settings, f"run={undisturbed}", f"stop_at={last}", ranks=2)
    assert learned(run) == learned(undisturbed)
    same_tensors(run / newest, undisturbed / newest)


@pytest.mark.distributed
@pytest.mark.parametrize("wrong", [False, True])
def test_a_check_runs_in_the_pods_and_names_their_nodes(wrong, tmp_path, corpora, monkeypatch, capsys):
    """A problem ends the pods of all ranks, not only that of the rank which reports it."""
    pytest.importorskip("kubernetes")
    monkeypatch.chdir(tmp_path)
    arguments = [*COMMON, "nodes=2", f"cluster.port={free_port()}", *SMALL, f"corpora={corpora}", "run=r"]
    arguments += [f"cluster.volumes=data:{tmp_path}"]
    if wrong:
        arguments += ["data=mix"]  # of corpora that are not there
    with cluster(tmp_path / "cluster") as kubernetes:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "cluster" / "kubeconfig"))
        assert main(["check", *arguments]) == 0
        job = kubernetes.objects["team", "jobs", job_name("runs/r")]
        wait_until(lambda: job["status"].get("conditions"), kubernetes.logs)
    found = json.loads((tmp_path / "hardware.json").read_text())
    assert found["problems"] or not wrong
    assert {rank["node"] for rank in found["measured"]} == {"node-0", "node-1"}
    (condition,) = job["status"]["conditions"]
    assert condition["type"] == ("Failed" if found["problems"] else "Complete"), kubernetes.logs()
    assert not (tmp_path / "runs" / "r" / "checkpoints").exists()


def test_a_trainjob_takes_as_many_arguments_as_kubeflow_does(capsys):
    """`args` has at most 128 items in the published type of a TrainJob, `command` too."""
    phases = [f"data.weights.s{number}=1" for number in range(122)]
    assert len(printed(capsys, *COMMON, *phases, "launch.format=job")) == 2
    trainjob = [*COMMON, "launch.format=trainjob", "model=7b", "data=mix", "dry_run=true", "run=r"]
    assert main([*trainjob, *phases]) == 1
    error = capsys.readouterr().err
    assert "cluster.format=trainjob: 131 arguments" in error and error.count("\n") == 1


def wait_until(holds, logs=lambda: "", timeout: float = 400) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, logs()
        time.sleep(0.05)

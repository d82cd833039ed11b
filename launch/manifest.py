"""What `cluster=kubernetes` creates, as plain dicts: the workload first, then what belongs to it.

Sources: Kubernetes' API reference (batch/v1 Job, v1 Service and Pod), JobSet's jobset.x-k8s.io/v1alpha2, and
Kubeflow Trainer's trainer.kubeflow.org/v1alpha1.
"""

import hashlib
import re
from typing import Any

from configs.load import ConfigError
from launch.config import LaunchConfig
from launch.pod import COMMAND, ENDPOINT, FINAL, FOLDER, NOTHING, REPLACE
from launch.torchrun import ENVIRONMENT
from train.ranks.identity import NODE

Manifest = dict[str, Any]
USER = 1000  # the Dockerfile's
LABEL = "relama.run"
MOST_WORDS = 128  # of `args` in a TrainJob


def job_name(run: str) -> str:
    """A DNS label for the run: its name, and a hash that keeps x/exp1 and y/exp1 apart.

    At most 44 characters: JobSet refuses more than 63 for a pod, JOB-node-0-INDEX and a suffix of 6.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", run.rpartition("/")[2].lower()).strip("-")[:30].strip("-")
    return f"relama-{slug or 'run'}-{hashlib.sha256(run.encode()).hexdigest()[:6]}"


def manifests(config: LaunchConfig, run: str, arguments: list[str]) -> list[Manifest]:
    """The workload, and for a plain Job its Service. `arguments` are train's overrides."""
    name = job_name(run)
    if config.cluster.format == "trainjob":
        return [_train_job(config, name, arguments)]
    if config.cluster.format == "jobset":
        return [_job_set(config, name, arguments)]
    return [_job(config, name, arguments), _service(config, name)]


def _job(config: LaunchConfig, name: str, arguments: list[str]) -> Manifest:
    template = pod(config, name, arguments, first=f"{name}-0.{name}")
    template["spec"]["subdomain"] = name
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(config, name),
        "spec": _job_spec(config, template),
    }


def _job_spec(config: LaunchConfig, template: Manifest) -> Manifest:
    on_exit = [
        {"action": action, "onExitCodes": {"containerName": "train", "operator": "In", "values": codes}}
        for action, codes in (("FailJob", [FINAL, *NOTHING]), ("Ignore", [REPLACE]))
    ]
    disrupted = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    return {
        "completionMode": "Indexed",
        "completions": config.max_nodes,
        "parallelism": config.max_nodes,
        "backoffLimit": config.max_restarts * config.max_nodes,  # one failure may end all pods
        "podReplacementPolicy": "Failed",  # not while one is still saving
        "podFailurePolicy": {"rules": [on_exit[0], disrupted, on_exit[1]]},
        "template": template,
    }


def _service(config: LaunchConfig, name: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(config, name),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {LABEL: name},
            "ports": [{"name": "rendezvous", "port": config.cluster.port}],
        },
    }


def _job_set(config: LaunchConfig, name: str, arguments: list[str]) -> Manifest:
    template = pod(config, name, arguments, first=f"{name}-node-0-0.{name}")
    node = {"name": "node", "replicas": 1, "template": {"spec": _job_spec(config, template)}}
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": _metadata(config, name),
        "spec": {
            "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
            "failurePolicy": {"maxRestarts": 0},  # the Job replaces pods
            "replicatedJobs": [node],
        },
    }


def _train_job(config: LaunchConfig, name: str, arguments: list[str]) -> Manifest:
    """A TrainJob, as of Trainer 2.2: its runtime brings the Job and the Service, and PET_MASTER_ADDR names
    the first pod.

    Raises ConfigError for more arguments than a TrainJob takes.
    """
    spec = pod(config, name, arguments, first=None)["spec"]
    container = spec["containers"][0]
    command, words = container["command"][:3], container["command"][3:]
    if len(words) > MOST_WORDS:
        raise ConfigError(
            f"cluster.format=trainjob: {len(words)} arguments, and Kubeflow Trainer takes {MOST_WORDS} at "
            "most; use cluster.format=jobset or job, or config=FILE with a file that the pods can read"
        )
    mounts = {"name": "node", "volumeMounts": container["volumeMounts"]}
    kept = ("volumes", "nodeSelector", "affinity", "tolerations", "serviceAccountName", "imagePullSecrets")
    patch = {key: spec[key] for key in kept if key in spec} | {"containers": [mounts]}
    node = {"name": "node", "template": {"spec": {"template": {"spec": patch}}}}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": _metadata(config, name),
        "spec": {
            "runtimeRef": {"name": config.cluster.runtime},
            "trainer": {
                "image": container["image"],
                "command": command,
                "args": words,
                "env": container["env"],
                "numNodes": config.max_nodes,
                "numProcPerNode": config.processes_per_node,
                "resourcesPerNode": container["resources"],
            },
            "runtimePatches": [
                {
                    "manager": "relama.run/launch",
                    "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [node]}}},
                }
            ],
        },
    }


def pod(config: LaunchConfig, name: str, arguments: list[str], first: str | None) -> Manifest:
    """The template of one machine's pod; `first` is the host name of the first."""
    cluster = config.cluster
    limits = {cluster.gpu_resource: str(config.gpus)} if config.gpus else {}
    limits |= pairs(cluster.resources)
    requests = {"cpu": str(config.cpus)} if config.cpus else {}
    locks_memory = any("rdma" in key or "infiniband" in key for key in limits)
    environment = {**ENVIRONMENT, **cluster.environment}
    if first:
        environment[ENDPOINT] = f"{first}:{cluster.port}"
    claims = dict(volume.split(":", 1) for volume in cluster.volumes)
    volumes = [f"volume-{n}" for n in range(len(claims))]  # a claim's name may have dots, or be shm
    if claims:
        environment[FOLDER] = next(iter(claims.values()))
    container = {
        "name": "train",
        "image": config.image,
        "command": ["python", "-c", COMMAND, *map(_literal, (*_own(config), *arguments))],
        "env": [
            *({"name": key, "value": _literal(value)} for key, value in environment.items()),
            {"name": NODE, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
        "envFrom": [{"secretRef": {"name": secret}} for secret in cluster.secrets],
        "resources": {"limits": limits, "requests": requests},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]} | ({"add": ["IPC_LOCK"]} if locks_memory else {}),
        },
        "volumeMounts": [
            {"name": "shm", "mountPath": "/dev/shm"},
            *({"name": name, "mountPath": path} for name, path in zip(volumes, claims.values(), strict=True)),
        ],
    }
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": cluster.grace + 60,  # a minute to end after the save
        "automountServiceAccountToken": cluster.service_account is not None,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "fsGroup": USER},
        "containers": [container],
        "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": cluster.shm}},
            *(
                {"name": name, "persistentVolumeClaim": {"claimName": claim}}
                for name, claim in zip(volumes, claims, strict=True)
            ),
        ],
    }
    further = {
        "nodeSelector": pairs(cluster.node_selector),
        "affinity": _away_from(cluster.exclude),
        "tolerations": [_toleration(each) for each in cluster.tolerations],
        "serviceAccountName": cluster.service_account,
        "imagePullSecrets": [{"name": each} for each in cluster.pull_secrets],
        "priorityClassName": cluster.priority,
    }
    return {"metadata": {"labels": {LABEL: name}}, "spec": spec | {k: v for k, v in further.items() if v}}


def pairs(items: list[str]) -> dict[str, str]:
    """NAME=VALUE items as a dict."""
    return dict(item.split("=", 1) for item in items)


def _away_from(nodes: list[str]) -> Manifest | None:
    if not nodes:
        return None
    fields = [{"key": "metadata.name", "operator": "NotIn", "values": [node]} for node in nodes]  # one each
    needed = {"nodeSelectorTerms": [{"matchFields": fields}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": needed}}


def _toleration(item: str) -> dict[str, str]:
    """KEY, KEY=VALUE, KEY:EFFECT or KEY=VALUE:EFFECT, as kubectl writes taints."""
    rest, _, effect = item.partition(":")
    key, equals, value = rest.partition("=")
    found = (
        {"key": key, "operator": "Equal", "value": value} if equals else {"key": key, "operator": "Exists"}
    )
    return found | ({"effect": effect} if effect else {})


def _metadata(config: LaunchConfig, name: str) -> Manifest:
    where = {"namespace": config.cluster.namespace} if config.cluster.namespace else {}
    return {"name": name, **where, "labels": {LABEL: name}}


def _own(config: LaunchConfig) -> list[str]:
    """The launch's keys that a pod needs to start torchrun."""
    return [
        "cluster=kubernetes",
        f"image={config.image}",
        f"nodes={config.nodes}",
        f"processes={config.processes_per_node}",
        f"max_restarts={config.max_restarts}",
        f"cluster.grace={config.cluster.grace}",
    ]


def _literal(argument: str) -> str:
    """Escape `argument`: Kubernetes expands $(NAME) in commands and values, and reads $$ as a dollar sign."""
    return argument.replace("$", "$$")

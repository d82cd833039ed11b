"""`cluster=kubernetes`: create a job through the cluster's API, ask for its state, stop it.

An Indexed Job has one pod per machine; a headless Service gives the first pod a name at which the others
meet it. Each pod runs launch/pod.py, and its exit code says whether to replace it. With
`cluster.format=jobset` or `trainjob` the same pod is wrapped for JobSet or Kubeflow Trainer.
"""

import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from configs.load import ConfigError
from launch.config import LaunchConfig
from launch.job import Job, keep, word_for
from launch.manifest import Manifest, manifests
from launch.pod import NOTHING

TIMEOUT = 30  # seconds for an answer
PATIENCE = 60.0  # seconds for a finished job to be deleted before its successor is created
COMPLETE = ("Complete", "Completed")  # of a Job and a TrainJob, of a JobSet
REMEDIES = {  # for what the API refuses, by status
    401: "log in again: it does not accept the kubeconfig's user",
    403: "ask for this permission, or choose another cluster.namespace",
    404: "create the namespace, or install what this cluster.format needs",
    422: "correct the key that set it",
}
# Where the API has each kind: group, version, plural.
KINDS = {
    "Job": ("batch", "v1", "jobs"),
    "JobSet": ("jobset.x-k8s.io", "v1alpha2", "jobsets"),
    "TrainJob": ("trainer.kubeflow.org", "v1alpha1", "trainjobs"),
}


def text(config: LaunchConfig, run: Path, arguments: list[str]) -> str:
    """The manifest as YAML, as `kubectl apply -f -` takes it."""
    return yaml.safe_dump_all(manifests(config, str(run), arguments), sort_keys=False, allow_unicode=True)


def submit(config: LaunchConfig, run: Path, arguments: list[str], typed: list[str]) -> Job:
    """Create the job and its Service; return once the API has accepted both.

    Raises ConfigError with the API's message if it refuses; then nothing is left behind.
    """
    workload, *others = manifests(config, str(run), arguments)
    namespace = config.cluster.namespace or _current_namespace()
    name, kind = workload["metadata"]["name"], workload["kind"]
    with _api() as api:
        before = _read(api, kind, namespace, name)
        if before is not None:
            if not _has_ended(before):
                fix = f"`relama launch stop {word_for(run)}` ends that"
                raise ConfigError(f"{run}: job {name} ({_state(before)}) is already training it; {fix}")
            _delete(api, kind, namespace, name)
            deadline = time.monotonic() + PATIENCE
            while _read(api, kind, namespace, name) is not None:
                if time.monotonic() > deadline:
                    raise ConfigError(f"job {name}: the finished one is still being deleted; try again")
                time.sleep(0.2)
        made = _call(api, "create", kind, namespace, workload)
        for other in others:  # deleted with the job that owns them
            owner = {key: made["metadata"][key] for key in ("name", "uid")}
            owner |= {"apiVersion": workload["apiVersion"], "kind": kind}
            other["metadata"]["ownerReferences"] = [owner]
            try:
                _call(api, "create", "Service", namespace, other, _request_timeout=TIMEOUT)
            except ConfigError:
                _delete(api, kind, namespace, name)
                raise
    log = f"kubectl logs --namespace={namespace} --selector=relama.run={name} --prefix --follow"
    return keep(run, "kubernetes", f"{kind}/{namespace}/{name}", "", log, typed)


def status(job: Job) -> str:
    """One line: the job's state and pods, and how to read its log."""
    kind, namespace, name = job.id.split("/")
    with _api() as api:
        found = _read(api, kind, namespace, name)
    state = _state(found) if found else "no longer there"
    return f"Kubernetes {kind} {name} in {namespace}: {state}; log: {job.log}"


def is_queued(job: Job) -> bool:
    """Whether the job waits or runs. Raises ConfigError if the API does not answer."""
    kind, namespace, name = job.id.split("/")
    with _api() as api:
        found = _read(api, kind, namespace, name)
    return found is not None and not _has_ended(found)


def is_complete(job: Job) -> bool:
    """Whether all its pods have succeeded, so that the run has finished. Raises ConfigError."""
    kind, namespace, name = job.id.split("/")
    with _api() as api:
        found = _read(api, kind, namespace, name)
    return found is not None and _has_ended(found, COMPLETE)


def stop(_run: Path, job: Job) -> str:
    """Delete the job: its pods get SIGTERM and `cluster.grace` seconds to save."""
    kind, namespace, name = job.id.split("/")
    with _api() as api:
        found = _read(api, kind, namespace, name)
        if found is None or _has_ended(found):
            return f"Kubernetes {kind} {name} has ended already"
        _delete(api, kind, namespace, name)
    return f"Kubernetes {kind} {name} was told to stop: it saves first; the same command resumes it"


def _state(found: Manifest) -> str:
    """A workload's state for people: its last condition, or its pods if it counts them."""
    status = found.get("status") or {}
    if found["metadata"].get("deletionTimestamp"):
        return "stopping"
    now = [condition for condition in status.get("conditions") or [] if condition.get("status") == "True"]
    if now:
        reason = now[-1].get("message") or now[-1].get("reason")
        if any(f"exit code {code} " in f"{reason} " for code in NOTHING):
            reason += "; image: has no Relama, or no Python: build one as docs/clusters.md says"
        return now[-1]["type"].lower() + (f" ({' '.join(reason.split())})" if reason else "")
    if "parallelism" not in found["spec"]:
        return "running"
    counts = f"{status.get('ready', 0)} of {found['spec']['parallelism']} pods ready"
    return f"running, {counts}, {status.get('failed', 0)} failed"


def _has_ended(found: Manifest, ways: tuple[str, ...] = (*COMPLETE, "Failed")) -> bool:
    conditions = (found.get("status") or {}).get("conditions") or []
    return any(each["type"] in ways and each["status"] == "True" for each in conditions)


def _read(api: Any, kind: str, namespace: str, name: str) -> Manifest | None:
    return _call(api, "get", kind, namespace, name)


def _delete(api: Any, kind: str, namespace: str, name: str) -> None:
    """Delete it; it exists until its pods have ended, so that no successor can start while they run."""
    _call(api, "delete", kind, namespace, name, propagation_policy="Foreground")


@contextmanager
def _api():
    """A client for the kubeconfig's cluster, or for that of the pod this runs in. Raises ConfigError."""
    try:
        from kubernetes import client, config
    except ImportError:
        raise ConfigError(
            "cluster=kubernetes: the kubernetes package is missing; pip install -e '.[kubernetes]', or "
            "dry_run=true | kubectl apply -f -"
        ) from None
    try:
        _load(config)
    except (config.ConfigException, OSError) as error:
        raise ConfigError(
            f"cluster=kubernetes: no usable kubeconfig ({_line(error)}); set KUBECONFIG"
        ) from None
    with client.ApiClient() as api:
        yield api


def _load(config: Any) -> None:
    """Like `config.load_config`, but prints nothing without a kubeconfig, and reads KUBECONFIG now."""
    path = os.environ.get("KUBECONFIG")
    if path or os.path.exists(os.path.expanduser("~/.kube/config")):
        config.load_kube_config(config_file=path)
    else:
        config.load_incluster_config()


def _current_namespace() -> str:
    """The kubeconfig's, or default."""
    try:
        from kubernetes import config

        active = config.list_kube_config_contexts(os.environ.get("KUBECONFIG"))[1]
        return active["context"].get("namespace", "default")
    except Exception:  # no package, no kubeconfig: `_api` says so
        return "default"


def _call(api: Any, verb: str, kind: str, namespace: str, *rest: Any, **options: Any) -> Any:
    """The API's answer about a workload or Service; None if there is none. Raises ConfigError."""
    from kubernetes.client import CoreV1Api, CustomObjectsApi
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        if kind == "Service":
            return CoreV1Api(api).create_namespaced_service(namespace, *rest, **options)
        group, version, plural = KINDS[kind]
        call = getattr(CustomObjectsApi(api), f"{verb}_namespaced_custom_object")  # plain dicts, any kind
        return call(group, version, namespace, plural, *rest, _request_timeout=TIMEOUT, **options)
    except ApiException as error:
        if error.status == 404 and verb != "create":
            return None
        try:
            message = json.loads(error.body or "")["message"]
        except (ValueError, KeyError, TypeError):
            message = error.reason
        remedy = f"; {REMEDIES[error.status]}" if error.status in REMEDIES else ""
        raise ConfigError(f"the Kubernetes API refused ({error.status}): {_line(message)}{remedy}") from None
    except HTTPError as error:
        cause = str(getattr(error, "reason", error))  # of Python's connection
        why = _line(cause.partition("): ")[2] or cause)
        raise ConfigError(f"{api.configuration.host} does not answer ({why}); try again") from None


def _line(value: object) -> str:
    return " ".join(str(value).split())

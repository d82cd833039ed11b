"""A stand-in for a Kubernetes API server and what runs behind it, for tests: no containers, real processes.

It answers the REST calls for Jobs and Services as documented (POST, GET, DELETE with a propagation policy,
409, 404, 422 with a Status object) and validates what it gets against the published schemas if
kubernetes-validate is installed. It does what the Job controller documents for an Indexed Job: one pod per
index, podFailurePolicy, backoffLimit, podReplacementPolicy=Failed, deletion by SIGTERM and a grace period.
A pod is its container's command as a process; its volumes are paths of this machine, and without any it
begins in a folder of its own, like a disk that goes with the pod. Names of pods resolve to this machine by a
patched `socket.getaddrinfo`, which stands for the cluster's DNS.
"""

import json
import os
import re
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from tests.support.fork_server import Forked, fork
from tests.support.runs import end

DNS = """import socket
known = socket.getaddrinfo
def getaddrinfo(host, *rest, **more):
    return known("127.0.0.1" if str(host).startswith("relama-") else host, *rest, **more)
socket.getaddrinfo = getaddrinfo
"""
_PATH = re.compile(r"/(?:api/v1|apis/batch/v1)/namespaces/([^/]+)/(jobs|services)(?:/([^/?]+))?")


class Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Cluster:
    """The objects by (namespace, plural, name), and a thread for each job."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lock = folder, threading.RLock()
        self.objects: dict[tuple[str, str, str], dict] = {}
        self.pods: dict[tuple[str, int], Forked] = {}
        self.disrupted: set[int] = set()  # process ids with the condition DisruptionTarget
        self.threads: list[threading.Thread] = []
        self.closed = False
        (folder / "dns").mkdir(parents=True)
        (folder / "dns" / "sitecustomize.py").write_text(DNS)

    def create(self, namespace: str, plural: str, body: dict) -> dict:
        name = body["metadata"]["name"]
        with self.lock:
            if (namespace, plural, name) in self.objects:
                raise Refused(409, f'{plural} "{name}" already exists')
            try:
                import kubernetes_validate

                kubernetes_validate.validate(body, "1.31", strict=True)
            except ImportError:
                pass
            except Exception as error:
                raise Refused(422, f"{name} is invalid: {error}") from None
            body["metadata"] |= {"uid": str(uuid.uuid4()), "namespace": namespace}
            self.objects[namespace, plural, name] = body
            if plural == "jobs":
                body["status"] = {"failed": 0}
                self.threads.append(
                    threading.Thread(target=self._control, args=(namespace, name), daemon=True)
                )
                self.threads[-1].start()
            return body

    def logs(self) -> str:
        """What all pods printed, whole: a fast machine trains thousands of steps between two events."""
        return "".join(log.read_text(errors="replace") for log in sorted(self.folder.glob("*.log")))

    def get(self, namespace: str, plural: str, name: str) -> dict:
        with self.lock:
            if (namespace, plural, name) not in self.objects:
                raise Refused(404, f'{plural} "{name}" not found')
            return self.objects[namespace, plural, name]

    def delete(self, namespace: str, plural: str, name: str) -> dict:
        found = self.get(namespace, plural, name)
        found["metadata"]["deletionTimestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return found

    def evict(self, name: str, index: int) -> None:
        """The node is drained: the pod gets SIGTERM."""
        self._disrupt(name, index, signal.SIGTERM)

    def lose(self, name: str, index: int) -> None:
        """The node is lost: all processes of the pod are gone at once."""
        self._disrupt(name, index, signal.SIGKILL)

    def _disrupt(self, name: str, index: int, number: int) -> None:
        deadline = time.monotonic() + 240
        while True:  # it may just be replaced
            with self.lock:
                pod = self.pods.get((name, index))
                if pod is not None and pod.poll() is None:
                    self.disrupted.add(pod.pid)
                    break
            assert time.monotonic() < deadline, f"{name}: no pod {index}\n{self.logs()}"
            time.sleep(0.05)
        if number == signal.SIGKILL:
            os.killpg(pod.pid, number)
        else:
            pod.send_signal(number)

    def _control(self, namespace: str, name: str) -> None:
        """The Job controller."""
        job = self.objects[namespace, "jobs", name]
        spec, status, done = job["spec"], job["status"], set()
        grace = spec["template"]["spec"]["terminationGracePeriodSeconds"]
        told: float | None = None
        ending = ""
        while not self.closed:
            with self.lock:
                is_ending = bool(ending) or "deletionTimestamp" in job["metadata"]
                for index in range(spec["completions"]):
                    pod = self.pods.get((name, index))
                    if pod is None and index not in done and not is_ending:
                        self.pods[name, index] = self._start(job, index)
                    elif pod is not None and pod.poll() is not None:
                        del self.pods[name, index]
                        action = self._action(spec, pod)
                        if pod.returncode == 0:
                            done.add(index)
                        elif action == "FailJob":
                            ending = "PodFailurePolicy"
                        elif action != "Ignore":
                            status["failed"] += 1
                            ending = (
                                "BackoffLimitExceeded" if status["failed"] > spec["backoffLimit"] else ending
                            )
                alive = [pod for (owner, _), pod in self.pods.items() if owner == name]
                status["ready"], status["succeeded"] = len(alive), len(done)
                is_ending = bool(ending) or "deletionTimestamp" in job["metadata"]
                if is_ending and told is None:
                    told = time.monotonic()
                    for pod in alive:
                        pod.send_signal(signal.SIGTERM)
                if told and time.monotonic() > told + grace:
                    for pod in alive:
                        end(pod)
                if "deletionTimestamp" in job["metadata"] and not alive:
                    self._collect(job)
                    del self.objects[namespace, "jobs", name]
                    return
                kind = "Failed" if ending else "Complete" if len(done) == spec["completions"] else ""
                if kind and not alive and "conditions" not in status:
                    status["conditions"] = [{"type": kind, "status": "True", "reason": ending or "Completed"}]
            time.sleep(0.05)

    def _collect(self, owner: dict) -> None:
        """Delete what the owner owns."""
        for key, found in list(self.objects.items()):
            if any(
                each["uid"] == owner["metadata"]["uid"]
                for each in found["metadata"].get("ownerReferences", [])
            ):
                del self.objects[key]

    def _action(self, spec: dict, pod: Forked) -> str:
        """The first rule that fits the failed pod."""
        for rule in spec["podFailurePolicy"]["rules"]:
            if "onExitCodes" in rule and pod.returncode in rule["onExitCodes"]["values"]:
                return rule["action"]
            if "onPodConditions" in rule and pod.pid in self.disrupted:
                return rule["action"]
        return "Count"

    def _start(self, job: dict, index: int) -> Forked:
        template = job["spec"]["template"]["spec"]
        container = template["containers"][0]
        given = {"JOB_COMPLETION_INDEX": str(index)}
        for each in container["env"]:
            known = {"spec.nodeName": f"node-{index}"}
            is_field = "valueFrom" in each
            value = known[each["valueFrom"]["fieldRef"]["fieldPath"]] if is_field else each["value"]
            given[each["name"]] = expanded(value, given)
        _python, *command = (expanded(word, given) for word in container["command"])
        path = f"{self.folder / 'dns'}:{os.environ.get('PYTHONPATH', '')}"
        root = Path(__file__).resolve().parents[2]
        environment = {**os.environ, **given, "PYTHONPATH": f"{path}:{root}", "OMP_NUM_THREADS": "1"}
        has_volume = any("persistentVolumeClaim" in each for each in template["volumes"])
        place = self.folder if has_volume else tempfile.mkdtemp(prefix=f"pod-{index}-", dir=self.folder)
        with (self.folder / f"pod-{index}.log").open("a") as log:
            return fork(
                *command, env=environment, out=log, err=log, cwd=Path(place), new_session=True, children=True
            )

    def close(self) -> None:
        self.closed = True
        for thread in self.threads:
            thread.join()
        for pod in self.pods.values():
            end(pod)


def expanded(text: str, known: dict[str, str]) -> str:
    """$(NAME) is the variable's value if it is known, $$ a dollar sign."""
    return re.sub(
        r"\$\$|\$\(([^)]+)\)", lambda found: "$" if found[0] == "$$" else known.get(found[1], found[0]), text
    )


class _Handler(BaseHTTPRequestHandler):
    cluster: Cluster

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else {}
        path, _, query = self.path.partition("?")
        found = _PATH.fullmatch(path)
        try:
            if not found or self.headers.get("Authorization") != "Bearer the-token":
                raise Refused(403 if found else 404, "forbidden" if found else "no such resource")
            namespace, plural, name = found.groups()
            with self.cluster.lock:
                if self.command == "POST":
                    code, answer = 201, self.cluster.create(namespace, plural, body)
                elif self.command == "GET":
                    code, answer = 200, self.cluster.get(namespace, plural, name)
                else:
                    assert query == "propagationPolicy=Foreground"
                    code, answer = 200, self.cluster.delete(namespace, plural, name)
                content = json.dumps(answer).encode()
        except Refused as error:
            code = error.code
            content = json.dumps({"kind": "Status", "status": "Failure", "message": str(error)}).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster, and folder/kubeconfig for its clients."""
    behind = Cluster(folder)
    handler = type("Handler", (_Handler,), {"cluster": behind})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": address}}],
        "users": [{"name": "test", "user": {"token": "the-token"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "team"}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    try:
        yield behind
    finally:
        server.shutdown()
        behind.close()

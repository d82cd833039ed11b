"""A launch's settings: where, how many machines and processes; `configs/launch.yaml` fills it.

All other keys are the training run's; they are checked as such before anything is submitted. Bad values are
refused here, each in one line that names the key.
"""

import re
from dataclasses import dataclass, field

from configs.checks import one_of, require

KINDS = ("local", "slurm", "kubernetes")
FORMATS = ("job", "jobset", "trainjob")
# Slurm's time formats: minutes[:seconds], hours:minutes:seconds, days-hours[:minutes[:seconds]].
_TIME = re.compile(
    r"(?P<m>\d+)(?::(?P<s>\d+))?|(?P<H>\d+):(?P<M>\d+):(?P<S>\d+)|"
    r"(?P<D>\d+)-(?P<DH>\d+)(?::(?P<DM>\d+)(?::(?P<DS>\d+))?)?"
)
# Kubernetes' names, labels and quantities, as kubernetes.io/docs/concepts/overview/working-with-objects and
# kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity define them.
_SUBDOMAIN = r"(?<![a-z0-9.-])[a-z0-9]++(?:[.-]++[a-z0-9]++)*+"
_LABEL = r"(?<![\w./-])[A-Za-z0-9][\w./-]*+(?<![./_-])"
_VALUE = r"(?:[A-Za-z0-9][\w.-]{0,62}+(?<![._-]))?"
_QUANTITY = r"[0-9]++(?:\.[0-9]++)?(?:[KMGTPE]i|[mkMGTPE]|[eE][0-9]++)?"
_NAME = re.compile(_SUBDOMAIN)
# The form of a key's value, or of each item of its list, and how a message names it.
FORMS = {
    "exclude": (
        re.compile(r"[\w.-]+"),
        "the name of a node; of Slurm's gpu[1-3], `scontrol show hostnames` gives the names",
    ),
    "namespace": (_NAME, "the name of a namespace: lowercase letters, digits and -"),
    "volumes": (re.compile(rf"{_SUBDOMAIN}:/[^:]*"), "CLAIM:/path"),
    "secrets": (_NAME, "the name of a Secret"),
    "pull_secrets": (_NAME, "the name of a Secret"),
    "resources": (re.compile(f"{_LABEL}={_QUANTITY}", re.ASCII), "NAME=QUANTITY, such as memory=900Gi"),
    "gpu_resource": (re.compile(_LABEL, re.ASCII), "the name of a resource"),
    "shm": (re.compile(_QUANTITY), "a quantity, such as 16Gi"),
    "node_selector": (re.compile(f"{_LABEL}={_VALUE}", re.ASCII), "LABEL=VALUE"),
    "tolerations": (
        re.compile(f"{_LABEL}(?:={_VALUE})?(?::(?:NoSchedule|PreferNoSchedule|NoExecute))?", re.ASCII),
        "KEY[=VALUE][:EFFECT], with the effect NoSchedule, PreferNoSchedule or NoExecute",
    ),
    "priority": (_NAME, "the name of a priority class"),
    "service_account": (_NAME, "the name of a service account"),
    "runtime": (_NAME, "the name of a ClusterTrainingRuntime"),
}
OF_KUBERNETES = (*FORMS.keys() - {"exclude"}, "format", "port")
_IMAGE = re.compile(r"[\w.:/-]+(?:@[\w.+-]+:[0-9a-fA-F]{32,})?", re.ASCII)


@dataclass
class ClusterConfig:
    """Where to run; `configs/cluster/` fills it."""

    name: str = "local"  # local | slurm | kubernetes
    grace: int = 300  # seconds between the warning and the end, in which the run is saved
    exclude: list[str] = field(default_factory=list)  # Slurm, Kubernetes: nodes to leave out
    rendezvous: str | None = None  # local, on several machines: HOST:PORT of one of them
    partition: str | None = None  # Slurm's; null: its default
    time: str | None = (
        None  # Slurm's time limit of one job; the run resumes in the next; null: the partition's
    )
    setup: str | None = None  # a shell file that the job sources first
    environment: dict[str, str] = field(default_factory=dict)  # variables of the job
    sbatch: dict[str, str] = field(default_factory=dict)  # further options of sbatch, such as account
    # Kubernetes:
    format: str = "job"  # job | jobset (needs JobSet) | trainjob (needs Kubeflow Trainer)
    namespace: str | None = None  # null: the kubeconfig's
    volumes: list[str] = field(default_factory=list)  # CLAIM:/path; relative paths begin at the first
    secrets: list[str] = field(default_factory=list)  # Secrets whose entries become variables
    resources: list[str] = field(default_factory=list)  # a pod's limits, such as rdma/ib=1,memory=200Gi
    gpu_resource: str = "nvidia.com/gpu"  # what `gpus` counts
    shm: str = "16Gi"  # the size of /dev/shm, which takes memory
    node_selector: list[str] = field(default_factory=list)  # LABEL=VALUE
    tolerations: list[str] = field(default_factory=list)  # KEY[=VALUE][:EFFECT]
    priority: str | None = None  # a priority class
    service_account: str | None = None  # null: none, and no token in the pods
    pull_secrets: list[str] = field(default_factory=list)  # Secrets for the image's registry
    port: int = 29400  # of the first pod, where all pods meet
    runtime: str = "torch-distributed"  # trainjob: the ClusterTrainingRuntime

    def __post_init__(self) -> None:
        one_of("cluster", self.name, KINDS)
        require(self.grace >= 1, "cluster.grace", self.grace, "at least 1 second")
        if self.name == "slurm":
            require(
                self.rendezvous is None, "cluster.rendezvous", self.rendezvous, "null: Slurm's job has it"
            )
        if self.rendezvous is not None:
            require(
                bool(re.fullmatch(r"[\w.-]+:\d+|\[[0-9a-fA-F:]+\]:\d+", self.rendezvous)),
                "cluster.rendezvous",
                self.rendezvous,
                "HOST:PORT",
            )
        if self.time is not None:
            limit = seconds(self.time)
            require(limit > 0, "cluster.time", self.time, "Slurm's hours:minutes:seconds, or days-hours")
            require(limit > self.grace, "cluster.time", self.time, f"more than cluster.grace={self.grace} s")
        one_of("cluster.format", self.format, FORMATS)
        for key, (form, expected) in FORMS.items():
            given = getattr(self, key)
            for item in given if isinstance(given, list) else [] if given is None else [given]:
                require(bool(form.fullmatch(item)), f"cluster.{key}", item, expected)
        for part in zip(*(volume.split(":", 1) for volume in self.volumes)):  # claims, and then paths
            is_once = len({*part}) == len(part) and "/dev/shm" not in part
            require(
                is_once, "cluster.volumes", ",".join(self.volumes), "each claim and path once; not /dev/shm"
            )
        for key in ("resources", "node_selector"):
            names = [item.partition("=")[0] for item in getattr(self, key)]
            require(
                len({*names}) == len(names), f"cluster.{key}", ",".join(getattr(self, key)), "each name once"
            )
        require(1 <= self.port <= 65535, "cluster.port", self.port, "1 to 65535")
        for name in self.environment:
            require(
                bool(re.fullmatch(r"[A-Za-z_]\w*", name)), "cluster.environment", name, "a variable's name"
            )
        for name in self.sbatch:
            require(bool(re.fullmatch(r"[a-z][a-z-]*", name)), "cluster.sbatch", name, "a long option's name")


@dataclass
class LaunchConfig:
    """How many processes, and where."""

    cluster: ClusterConfig
    nodes: str = "1"  # machines, or MIN:MAX
    gpus: int = 0  # per machine
    processes: int | None = None  # per machine; null: one for each GPU, or one
    cpus: int | None = None  # per machine, for Slurm and Kubernetes; null: their default
    image: str | None = None  # Kubernetes: a container image with Relama (docs/clusters.md)
    max_restarts: int = 10  # of the workers, after one dies
    wait: bool = False  # Slurm, Kubernetes: return when the job has ended; fail unless the run has finished
    dry_run: bool = False  # print what would run and change nothing

    def __post_init__(self) -> None:
        valid = re.fullmatch(r"\d+(:\d+)?", self.nodes) and 1 <= self.min_nodes <= self.max_nodes
        require(bool(valid), "nodes", self.nodes, "at least 1, or MIN:MAX")
        require(self.gpus >= 0, "gpus", self.gpus, "0 or more")
        require(self.processes is None or self.processes >= 1, "processes", self.processes, "at least 1")
        require(self.cpus is None or self.cpus >= 1, "cpus", self.cpus, "at least 1")
        require(self.max_restarts >= 0, "max_restarts", self.max_restarts, "0 or more")
        if self.cluster.name == "kubernetes":
            is_named = bool(_IMAGE.fullmatch(self.image or ""))
            require(is_named, "image", self.image or "", "a container image, such as registry/relama:1")
            require(not self.is_elastic, "nodes", self.nodes, "one number with cluster=kubernetes")
            taken = {"gpus": self.cluster.gpu_resource, "cpus": "cpu"}
            for resource in self.cluster.resources:
                for key, name in taken.items():
                    is_free = resource.partition("=")[0] != name or not getattr(self, key)
                    require(is_free, "cluster.resources", resource, f"not what {key}= sets")
            lost = self.cluster.format == "trainjob" and [*self.cluster.secrets, self.cluster.priority or ""]
            require(
                not any(lost or []),
                "cluster.format",
                "trainjob",
                "no cluster.secrets or cluster.priority with it: a TrainJob has no place for them; put them "
                "into its runtime (cluster.runtime), or use cluster.format=jobset or job",
            )
        if self.cluster.name == "local" and self.max_nodes > 1 and not self.cluster.rendezvous:
            raise ValueError(
                f"nodes={self.nodes}: with cluster=local, several machines need cluster.rendezvous=HOST:PORT "
                "of one of them, and this command on each; or cluster=slurm"
            )

    @property
    def min_nodes(self) -> int:
        return int(self.nodes.partition(":")[0])

    @property
    def max_nodes(self) -> int:
        return int(self.nodes.rpartition(":")[2])

    @property
    def is_elastic(self) -> bool:
        return self.min_nodes < self.max_nodes

    @property
    def processes_per_node(self) -> int:
        return self.processes or self.gpus or 1


def seconds(time: str) -> int:
    """A Slurm time in seconds; 0 if it is not one."""
    match = _TIME.fullmatch(time)
    if not match:
        return 0
    part = {name: int(value or 0) for name, value in match.groupdict().items()}
    days, hours = part["D"], part["H"] + part["DH"]
    minutes = part["m"] + part["M"] + part["DM"]
    return ((days * 24 + hours) * 60 + minutes) * 60 + part["s"] + part["S"] + part["DS"]

"""A ladder's own keys; `configs/ladder.yaml` fills them. Every other key is train's, for all of its runs."""

from dataclasses import dataclass, field

from configs.checks import require


@dataclass
class LadderConfig:
    """Which runs to train, what to predict from them, and when to stop."""

    run: str = "ladder"  # a name under runs/, or a path: the folder of the ladder and of its runs
    sizes: list[str] = field(default_factory=list)  # parameters, such as 1M,2.5M,300M; at least 3
    tokens_per_parameter: list[float] = field(default_factory=lambda: [5.0, 10.0, 20.0])  # at least 2 values
    fit: list[str] = field(default_factory=list)  # instead of sizes=: finished runs to fit, without training
    width_per_layer: int = 64  # dim / n_layers, and the width of a head (LLaMA-7B and 13B: 128)
    seq_len: int = 256  # the paper's: 2048
    at_once: int | None = None  # runs that train at the same time; null: 1 here, all of a size on a cluster
    until: float | None = None  # stop when the next size's interval is as narrow as this share of its loss
    epochs: float = 4.0  # refuse runs that repeat a source more often (Muennighoff et al. 2023)
    launch: list[str] = field(default_factory=list)  # train through relama launch with these keys
    compute: float | None = None  # FLOPs of training to advise on; null: 100 times the largest run's
    served: float = 1e12  # tokens of inference to advise on
    replicates: int = 400  # of the bootstrap
    output: str | None = None  # the page; null: ladder.html in the ladder's folder; ladder.json is next to it

    def __post_init__(self) -> None:
        if bool(self.sizes) == bool(self.fit):
            raise ValueError(
                "sizes: expected parameters such as sizes=1.5M,3M,5M,9M, or fit=RUN,RUN,… of finished runs"
                if not self.sizes
                else "sizes: give sizes= or fit=, not both"
            )
        if self.sizes and len(self.parameters) < 3:
            raise ValueError(f"sizes={','.join(self.sizes)}: a fit needs at least 3 different sizes")
        if self.sizes and len(set(self.tokens_per_parameter)) < 2:
            raise ValueError(
                f"tokens_per_parameter={_listed(self.tokens_per_parameter)}: expected at least 2 different "
                "values; with one, the effect of more parameters cannot be told from that of more tokens"
            )
        for ratio in self.tokens_per_parameter:
            require(0 < ratio < float("inf"), "tokens_per_parameter", ratio, "above 0")
        for key in ("width_per_layer", "seq_len"):
            require(getattr(self, key) >= 1, key, getattr(self, key), "at least 1")
        require(self.at_once is None or self.at_once >= 1, "at_once", self.at_once, "at least 1")
        require(self.width_per_layer % 2 == 0, "width_per_layer", self.width_per_layer, "an even number")
        require(self.replicates >= 20, "replicates", self.replicates, "at least 20")
        require(self.until is None or 0 < self.until < 1, "until", self.until, "a share such as 0.02")
        for key in ("epochs", "served"):
            require(0 < getattr(self, key) < float("inf"), key, getattr(self, key), "above 0")
        require(self.compute is None or 0 < self.compute < float("inf"), "compute", self.compute, "above 0")

    @property
    def runs_at_once(self) -> int:
        is_cluster = any(word.startswith("cluster=") and word != "cluster=local" for word in self.launch)
        return self.at_once or (len(self.ratios) if is_cluster else 1)

    @property
    def parameters(self) -> list[float]:
        """`sizes` as numbers, ascending, each once."""
        return sorted({_number(size) for size in self.sizes})

    @property
    def ratios(self) -> list[float]:
        return sorted(set(self.tokens_per_parameter))


def _number(size: str) -> float:
    text = size.strip()
    unit = {"k": 1e3, "m": 1e6, "b": 1e9}.get(text[-1:].lower(), 0.0)
    try:
        number = float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        number = 0.0
    require(0 < number < float("inf"), "sizes", size, "parameters, such as 800k, 2.5M or 7B")
    return number


def _listed(values: list[float]) -> str:
    return ",".join(f"{value:g}" for value in values)

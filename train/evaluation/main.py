"""`relama evaluate weights=PATH suite=paper`: lm-eval's tasks on our weights, beside the paper's figures.

Two protocols, in two columns that are never mixed: the paper's (likelihood per character, or over "Answer:";
its task files are in configs/evaluation/paper) and the harness's usual one. Each task's result is a file in
the output folder: a command that was stopped goes on with the next task. Under torchrun the ranks share out
each task's requests, and with parallel.tp each copy of the model lies over several of them.
"""

import difflib
import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from configs.load import CONFIGS, entry, load
from data import folders
from data.errors import DataError
from model.formats.weights import FormatError, Weights
from train.config import RunError
from train.evaluation.mmlu import SUBJECTS, over_all_questions
from train.generation.inference import InferenceParallel, load_over, started
from train.ranks.setup import Ranks, first_rank_does, gather_objects
from train.recipe.facts import SIZES, size_of
from train.recipe.scores import PAPER_SCORES
from train.weights.open import open_weights, tokenizer_of


@dataclass(frozen=True)
class Benchmark:
    """A row of the table: its task file, its shots, and the task that the harness's users run."""

    name: str
    shots: int
    usual: str | None  # the harness's own task, as its file in lm_eval/tasks; None: it has none
    usual_metric: str = "acc,none"
    subjects: tuple[str, ...] = ()  # each a task of its own; their score is over all documents
    subject: str | None = None

    def parts(self) -> list["Benchmark"]:
        """Itself, or a benchmark of each subject."""
        return [replace(self, subject=subject, subjects=()) for subject in self.subjects] or [self]

    def file(self, protocol: str) -> Path:
        """Its result's, in the output folder."""
        name = f"{self.subject or self.name}-{self.shots}shot-{protocol}.json"
        return Path(self.name) / name if self.subject else Path(name)

    def local(self, benchmarks: str | None) -> Path | None:
        """Where its data lies in a folder of local benchmarks."""
        return Path(benchmarks) / self.name / (self.subject or "") if benchmarks else None


TABLE_3 = (
    Benchmark("boolq", 0, "super_glue/boolq/default"),
    Benchmark("piqa", 0, "piqa/piqa", "acc_norm,none"),
    Benchmark("siqa", 0, "siqa/siqa"),
    Benchmark("hellaswag", 0, "hellaswag/hellaswag", "acc_norm,none"),
    Benchmark("winogrande", 0, "winogrande/default"),
    Benchmark("arc_easy", 0, "arc/arc_easy", "acc_norm,none"),
    Benchmark("arc_challenge", 0, "arc/arc_challenge", "acc_norm,none"),
    Benchmark("openbookqa", 0, "openbookqa/openbookqa", "acc_norm,none"),
)
SUITES = {
    "table3": TABLE_3,
    "paper": (
        *TABLE_3,
        *(Benchmark("nq", k, "nq_open/nq_open", "exact_match,remove_whitespace") for k in (0, 1, 5, 64)),
        *(
            Benchmark("triviaqa", k, "triviaqa/default", "exact_match,remove_whitespace")
            for k in (0, 1, 5, 64)
        ),
        Benchmark("race_middle", 0, None),
        Benchmark("race_high", 0, None),  # the harness's `race` asks an article's last question alone
        Benchmark("mmlu", 5, "mmlu/default/mmlu_{}", subjects=SUBJECTS),
        Benchmark("gsm8k", 8, "gsm8k/gsm8k", "exact_match,strict-match"),
    ),
}
NOT_RUN = (
    "not run: MATH and GSM8k by majority (256 and 100 samples each), HumanEval and MBPP (run generated "
    "code), RealToxicityPrompts (a hosted service), TruthfulQA (a fine-tuned judge), WinoGender, CrowS-Pairs"
)
TASKS = CONFIGS / "evaluation" / "paper"
KNOWN = sorted({benchmark.name for benchmark in SUITES["paper"]})


@dataclass
class EvaluateConfig:
    """Which weights, on what."""

    weights: str  # a run folder, its name, a step folder, a Hugging Face folder or a Meta folder
    suite: str = "paper"  # paper | table3
    tasks: list[str] | None = None  # some of the suite's alone
    protocols: list[str] | None = None  # paper, usual; null: both
    benchmarks: str | None = None  # a folder of NAME/SPLIT.jsonl in the place of the Hub's data
    output: str | None = None  # null: the run's folder, evaluation/
    batch: int = 8
    limit: int | None = None  # documents of each task; null: all
    size: str | None = None  # 7b | 13b | 33b | 65b: the paper's column; null: by the model's shape
    tokenizer: str | None = None
    device: str = "auto"
    parallel: InferenceParallel = field(default_factory=InferenceParallel)

    def __post_init__(self) -> None:
        for key, chosen, choices in (
            ("suite", [self.suite], list(SUITES)),
            ("tasks", self.tasks or [], KNOWN),
            ("protocols", self.protocols or [], ["paper", "usual"]),
            ("size", [self.size] if self.size else [], list(SIZES)),
        ):
            for value in chosen:
                if value not in choices:
                    near = difflib.get_close_matches(value, choices, n=2, cutoff=0.4)
                    hint = f"did you mean {' or '.join(near)}? " if near else ""
                    raise ValueError(
                        f"{key}: {value}: no such choice; {hint}it is one of {', '.join(choices)}"
                    )
        for key in ("batch", "limit"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: expected at least 1")


def run(argv: list[str]) -> None:
    config = load("evaluate", EvaluateConfig, argv)
    try:
        import lm_eval  # noqa: F401
    except ImportError:
        raise RunError("relama evaluate needs lm-eval: pip install -e '.[eval]'") from None
    with started(config.parallel, config.device, copies=True) as ranks:
        _evaluate(config, ranks)


def _evaluate(config: EvaluateConfig, ranks: Ranks) -> None:
    weights = open_weights(Path(config.weights))
    tokenizer = tokenizer_of(weights, config.tokenizer)
    output = Path(config.output) if config.output else _default_output(weights)
    lm = None
    rows = []
    for benchmark in SUITES[config.suite]:
        if config.tasks and benchmark.name not in config.tasks:
            continue
        scores: dict[str, float] = {}
        for protocol in config.protocols or ["paper", "usual"]:
            if protocol == "usual" and benchmark.usual is None:
                continue
            results = {}
            for part in benchmark.parts():
                path = output / part.file(protocol)
                key = _identity(weights, part, protocol, config, tokenizer.fingerprint)
                result = first_rank_does(partial(_cached, path, key))
                if result is None:
                    from train.evaluation.harness import RelamaLM  # seconds of imports

                    if lm is None:
                        model = load_over(weights, ranks, config.parallel)
                        lm = RelamaLM(model, tokenizer, config.batch, ranks.layout)
                    found = score(lm, part, protocol, config.benchmarks, config.limit)
                    result = {"identity": key} | gather_objects(found)[0]
                    first_rank_does(partial(_keep, path, result))
                results[part.subject] = result
            if benchmark.subjects:
                result = over_all_questions(results)
                first_rank_does(partial(_keep, output / benchmark.file(protocol), result))
            scores[protocol] = result["score"]
        rows.append((benchmark, scores))
    size = config.size or size_of(weights.config)
    text = table(rows, size, weights, config)
    first_rank_does(partial(_write, output / "table.md", text))
    print(text, end="")


def score(lm, benchmark: Benchmark, protocol: str, local: str | None, limit: int | None) -> dict | None:
    """One task by one protocol: its score from 0 to 1, the metric's name and the number of documents.

    None on ranks to which lm-eval does not tell: each machine's first has it.
    """
    import lm_eval
    from jinja2 import UndefinedError
    from lm_eval.tasks import TaskManager

    from train.evaluation.tasks import build_task, harness_task

    usual = harness_task(benchmark.usual.format(benchmark.subject)) if benchmark.usual else None
    source = TASKS / f"{benchmark.name}.yaml" if protocol == "paper" else usual
    folder = benchmark.local(local)
    try:
        task = build_task(source, folder, benchmark.shots, benchmark.subject)
        found = lm_eval.simple_evaluate(
            lm,
            tasks=[task],
            num_fewshot=benchmark.shots,
            limit=limit,
            bootstrap_iters=0,
            log_samples=False,
            task_manager=TaskManager(include_defaults=False),  # the index of all tasks takes seconds
        )
    except (
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        UndefinedError,
    ) as error:  # of a document further down
        where = folder or "the Hub's data"
        raise RunError(
            f"{where}: not in {benchmark.name}'s format ({type(error).__name__}: {error}); see {TASKS}"
        ) from None
    if found is None:
        return None
    metrics = next(iter(found["results"].values()))
    if protocol == "usual":
        metric = benchmark.usual_metric
    else:
        metric = next(name for name in metrics if "," in name and "stderr" not in name)
    count = next(iter(found["n-samples"].values()))["effective"]
    return {"score": metrics[metric], "metric": metric, "documents": count}


def table(rows: list, size: str | None, weights: Weights, config: EvaluateConfig) -> str:
    """Markdown: the paper's figure, ours by its protocol, and ours by the harness's usual one."""
    lines = [
        f"# {weights.path}" + (f", the first {config.limit} documents of each task" if config.limit else ""),
        "",
        f"| task | shots | paper, {size or 'no such size'} | ours, paper's protocol | ours, harness's |",
        "|---|---|---|---|---|",
    ]
    for benchmark, scores in rows:
        published = PAPER_SCORES.get(size, {}).get((benchmark.name, benchmark.shots))
        cells = [f"{scores[p] * 100:.1f}" if p in scores else "–" for p in ("paper", "usual")]
        shown = "–" if published is None else f"{published:.1f}"
        lines.append(f"| {benchmark.name} | {benchmark.shots} | {shown} | {cells[0]} | {cells[1]} |")
    return "\n".join([*lines, "", NOT_RUN, ""])


def _default_output(weights: Weights) -> Path:
    if weights.step is None:
        raise RunError(f"weights={weights.path}: is no run of ours; give output=FOLDER for the results")
    return weights.path.parents[1] / "evaluation" / weights.path.name


def _identity(
    weights: Weights, benchmark: Benchmark, protocol: str, config: EvaluateConfig, tokenizer: str
) -> str:
    """What a cached result must agree on: weights, tokenizer, task file, data and limit."""
    files = sorted(path for path in weights.path.iterdir() if path.is_file())
    stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    task = (TASKS / f"{benchmark.name}.yaml").read_text() if protocol == "paper" else benchmark.usual
    local = benchmark.local(config.benchmarks)
    data = [
        (path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for path in (sorted(local.iterdir()) if local and local.is_dir() else [])
    ]
    parts = [str(weights.path.resolve()), stamps, task, benchmark.subject, benchmark.shots]
    parts += [str(local), data, config.limit, tokenizer]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _keep(path: Path, result: dict) -> None:
    _write(path, json.dumps(result, indent=1) + "\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    folders.write_whole(path, text)


def _cached(path: Path, identity: str) -> dict | None:
    try:
        saved = json.loads(path.read_text())
        whole = saved["identity"] == identity and {"score", "metric", "documents"} <= saved.keys()
        return saved if whole else None
    except (OSError, ValueError, KeyError):
        return None


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))

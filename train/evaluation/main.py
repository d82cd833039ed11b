"""`relama evaluate weights=PATH suite=paper`: lm-eval's tasks on our weights, next to the paper's scores.

Two protocols, in two columns that are never mixed: the paper's (likelihood per character, or relative to
"Answer:"; task files in configs/evaluation/paper) and the harness's usual one. Each result is a file in the
output folder, so a stopped command resumes with the next task; a task that fails does not stop the others.
`tasks=` also takes lm-eval's other tasks and your own task files, which have a table of their metrics.
Under torchrun the ranks share each task's requests; parallel.tp spreads each copy of the model over ranks.
"""

import difflib
import logging
import os
import socket
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from configs import terminal
from configs.load import entry, load
from configs.overrides import as_key
from data import folders
from data.errors import DataError
from model.formats.errors import FormatError
from train.config import RunError
from train.evaluation.any_task import AnyTask, refuse_unknown, score_any, table_of_any
from train.evaluation.mmlu import over_all_questions
from train.evaluation.results import Results, default_folder, table
from train.evaluation.suites import KNOWN, PROTOCOLS, SUITES, Benchmark
from train.generation.inference import InferenceParallel, load_over, started
from train.precision import CHOICES, MEASURED, inference_dtype
from train.ranks import identity
from train.ranks.setup import Ranks
from train.ranks.together import first_rank_does, gather_objects
from train.recipe.facts import SIZES, size_of
from train.weights.fetch import url_of
from train.weights.open import open_weights, tokenizer_of

if TYPE_CHECKING:
    from train.evaluation.harness import RelamaLM

SHOWN = 3  # failures that are named in the last line


@dataclass
class EvaluateConfig:
    """Which weights, on what."""

    weights: str  # a run's folder or name, RUN@STEP, a Hugging Face folder or a Meta folder
    suite: str = "paper"  # paper | table3
    tasks: list[str] | None = None  # of the suite, lm-eval's others, or task files (.yaml); null: the suite
    protocols: list[str] | None = None  # paper, usual; null: both
    benchmarks: str | None = None  # a folder of TASK/SPLIT.jsonl, or copies of the Hub's datasets
    output: str | None = None  # null: the run's folder, evaluation/
    batch: int = 8  # requests computed at once
    limit: int | None = None  # documents of each task; null: all
    size: str | None = None  # 7b | 13b | 33b | 65b: the paper's column; null: by the model's shape
    tokenizer: str | None = None  # null: the one that came with the weights
    device: str = "auto"  # auto | cpu | cuda
    dtype: str = "auto"  # for the weights and computation: auto (bf16 where it is faster) | fp32 | bf16
    parallel: InferenceParallel = field(default_factory=InferenceParallel)

    def __post_init__(self) -> None:
        for key, chosen, choices in (
            ("suite", [self.suite], list(SUITES)),
            ("protocols", self.protocols or [], list(PROTOCOLS)),
            ("size", [self.size] if self.size else [], list(SIZES)),
            ("dtype", [self.dtype], list(CHOICES)),
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
    config = load("evaluate", EvaluateConfig, as_key("weights", argv))
    if config.benchmarks and not Path(config.benchmarks).is_dir():
        raise RunError(f"benchmarks={config.benchmarks}: no such folder; expected one with TASK/SPLIT.jsonl")
    missing = "" if config.benchmarks else spare_retries_without_network()
    try:
        import lm_eval  # noqa: F401
    except ImportError:
        raise RunError("relama evaluate needs lm-eval: pip install -e '.[eval]'") from None
    if "LOGLEVEL" not in os.environ:  # lm-eval's own switch
        logging.getLogger("lm_eval").setLevel(logging.ERROR)
    _, others = _divide(config.tasks)
    refuse_unknown(others, KNOWN)
    with started(config.parallel, config.device, copies=True) as ranks:
        _evaluate(config, ranks, missing)


def _evaluate(config: EvaluateConfig, ranks: Ranks, missing: str) -> None:
    """Score the suite and print its table. Raises RunError at the end if a benchmark failed.

    `missing`: what to say of the network.
    """
    weights = open_weights(Path(config.weights))
    tokenizer = tokenizer_of(weights, config.tokenizer)
    folder = Path(config.output) if config.output else default_folder(weights)
    first_rank_does(partial(folders.refuse_unwritable, folder / "scores.md", folder))
    if url_of(Path(config.weights)) and not config.output and ranks.is_first:
        said = f"relama: the results are in the cache, {folder}; output=FOLDER keeps them elsewhere"
        print(said, file=sys.stderr)
    if missing and ranks.is_first:
        print(f"relama: {missing}", file=sys.stderr)
    dtype = inference_dtype(config.dtype, ranks, weights.config, MEASURED)
    results = Results(folder, weights, tokenizer.fingerprint, config.benchmarks, config.limit, dtype)

    @cache
    def lm() -> "RelamaLM":
        from train.evaluation.harness import RelamaLM  # slow, and not needed if all results are kept

        model = load_over(weights, ranks, config.parallel, dtype)
        return RelamaLM(model, tokenizer, config.batch, ranks.layout)

    names, others = _divide(config.tasks)
    chosen = [each for each in SUITES[config.suite] if config.tasks is None or each.name in names]
    rows, failures = [], []
    for benchmark in chosen:
        scores: dict[str, float] = {}
        try:
            for protocol in benchmark.protocols(config.protocols):
                scores[protocol] = _score(config, results, lm, benchmark, protocol)
        except RunError as error:
            failures.append(str(error))
        if scores:
            rows.append((benchmark, scores))
    found = {}
    for task in others:
        try:
            found[task.name] = _of_any(config, results, lm, task)
        except RunError as error:
            failures.append(str(error))
    text = table(rows, config.size or size_of(weights.config), weights, config.limit) if rows else ""
    text += ("\n" if text and found else "") + (table_of_any(found) if found else "")
    if text:
        results.keep_table(text)
        for line in text.splitlines():
            terminal.write(line)
    if failures:
        shown = "; ".join(failures[:SHOWN]) + f"; and {len(failures) - SHOWN} more" * (len(failures) > SHOWN)
        raise RunError(f"{len(failures)} of {len(chosen) + len(others)} tasks failed: {shown}")


def spare_retries_without_network() -> str:
    """Without a network, use only the Hub's cache, whose client would retry each file for 25 s; says so.

    Call it before anything imports that client, which reads the variable once.
    """
    if "HF_HUB_OFFLINE" in os.environ or urllib.request.getproxies():
        return ""
    host = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co")).hostname or ""
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        os.environ["HF_HUB_OFFLINE"] = "1"
        return (
            f"{host} cannot be reached ({error.strerror or error}); using only benchmarks in the Hub's cache "
            "(benchmarks=FOLDER reads local files)"
        )
    return ""


def _divide(tasks: list[str] | None) -> tuple[list[str], list[AnyTask]]:
    """The benchmarks of the suites among `tasks`, and the other tasks."""
    named = tasks or []
    return [name for name in named if name in KNOWN], [AnyTask(name) for name in named if name not in KNOWN]


def _of_any(
    config: EvaluateConfig, results: Results, lm: Callable[[], "RelamaLM"], task: AnyTask
) -> dict[str, Any]:
    """The result of a task outside the suite: kept, or else computed."""

    def compute() -> Any:  # a dict: the first rank has it
        with identity.waiting(task.name):
            return gather_objects(score_any(lm(), task, config.benchmarks, config.limit))[0]

    return results.of_any(task, compute)


def _score(
    config: EvaluateConfig,
    results: Results,
    lm: Callable[[], "RelamaLM"],
    benchmark: Benchmark,
    protocol: str,
) -> float:
    """A benchmark's score by one protocol, from 0 to 1: kept, or else computed."""
    from train.evaluation.tasks import score

    def of(part: Benchmark) -> dict:
        def compute() -> Any:  # a dict: the first rank has it
            with identity.waiting(f"{part.name}, {protocol} protocol"):
                return gather_objects(score(lm(), part, protocol, config.benchmarks, config.limit))[0]

        return results.of(part, protocol, compute)

    by_subject = {part.subject: of(part) for part in benchmark.parts()}
    if not benchmark.subjects:
        return by_subject[None]["score"]
    result = over_all_questions(by_subject)
    results.keep(benchmark, protocol, result)
    return result["score"]


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))

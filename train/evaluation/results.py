"""A checkpoint's scores: a JSON file per task and protocol, reused while its inputs are the same; a table."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from data import folders
from model.formats.weights import Weights
from train.config import RunError
from train.evaluation.any_task import AnyTask
from train.evaluation.suites import NOT_RUN, TASKS, Benchmark
from train.ranks.together import first_rank_does
from train.recipe.scores import PAPER_SCORES
from train.run.history import SCORES


class Results:
    """The results in `folder` of `weights` on the first `limit` documents (None: all) of each task."""

    def __init__(
        self,
        folder: Path,
        weights: Weights,
        tokenizer: str,
        benchmarks: str | None,
        limit: int | None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._folder, self._weights, self._tokenizer = folder, weights, tokenizer
        self._benchmarks, self._limit, self._dtype = benchmarks, limit, dtype

    def of(self, benchmark: Benchmark, protocol: str, compute: Callable[[], dict]) -> dict:
        """The result kept for `benchmark`, or else a new one, which is kept; all ranks call it."""
        path = self._folder / benchmark.file(protocol, self._limit)
        identity = self._identity(benchmark, protocol)
        return _of(path, identity, {"score", "metric", "documents"}, compute)

    def of_any(self, task: AnyTask, compute: Callable[[], dict]) -> dict:
        """The result kept for a task outside the suites, or else a new one; all ranks call it."""
        local = task.local(self._benchmarks)
        parts = [str(self._weights.path.resolve()), _stamps(self._weights.path), task.content(), self._limit]
        parts += [str(local), _stamps_below(local), self._tokenizer, str(self._dtype)]
        identity = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        return _of(self._folder / task.file(self._limit), identity, {"tasks"}, compute)

    def keep(self, benchmark: Benchmark, protocol: str, result: dict) -> None:
        path = self._folder / benchmark.file(protocol, self._limit)
        first_rank_does(partial(_write, path, json.dumps(result, indent=1) + "\n"))

    def keep_table(self, text: str) -> None:
        path = self._folder / (f"table-first{self._limit}.md" if self._limit else "table.md")
        first_rank_does(partial(_write, path, text))

    def _identity(self, benchmark: Benchmark, protocol: str) -> str:
        """A hash of all that a score depends on: weights, their dtype, tokenizer, task file, data, limit."""
        task = (
            (TASKS / f"{benchmark.name}.yaml").read_text(encoding="utf-8")
            if protocol == "paper"
            else benchmark.usual
        )
        local = benchmark.local(self._benchmarks)
        parts = [str(self._weights.path.resolve()), _stamps(self._weights.path), task, benchmark.subject]
        parts += [benchmark.shots, str(local), _stamps_below(local), self._limit, self._tokenizer]
        if self._dtype != torch.float32:  # which older results do not name
            parts.append(str(self._dtype))
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def default_folder(weights: Weights) -> Path:
    """evaluation/STEP in the run's folder. Raises RunError if the weights are not a run's."""
    if weights.step is None:
        raise RunError(f"weights={weights.path}: not a Relama run; give output=FOLDER for the results")
    return weights.path.parents[1] / SCORES / weights.path.name


def table(
    rows: list[tuple[Benchmark, dict[str, float]]], size: str | None, weights: Weights, limit: int | None
) -> str:
    """Markdown: the paper's figure, ours by its protocol, and ours by the harness's usual one."""
    lines = [
        f"# {weights.path}" + (f", the first {limit} documents of each task" if limit else ""),
        "",
        f"| task | shots | paper, {size or 'no such size'} | ours, paper's protocol | ours, harness's |",
        "|---|---|---|---|---|",
    ]
    for benchmark, scores in rows:
        published = PAPER_SCORES.get(size or "", {}).get((benchmark.name, benchmark.shots))
        cells = [f"{scores[p] * 100:.1f}" if p in scores else "–" for p in ("paper", "usual")]
        shown = "–" if published is None else f"{published:.1f}"
        lines.append(f"| {benchmark.name} | {benchmark.shots} | {shown} | {cells[0]} | {cells[1]} |")
    return "\n".join([*lines, "", NOT_RUN, ""])


def _stamps(folder: Path) -> list[tuple[str, int, int]]:
    """(name, size, time of change) of the files of a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    return _stamped(folder, files)


def _stamps_below(folder: Path | None) -> list[tuple[str, int, int]]:
    """The same of all files below a folder, but hidden ones: `hf download` keeps its own records there."""
    if folder is None or not folder.is_dir():
        return []
    files = folders.files_below(folder)
    return _stamped(folder, [path for path in files if not folders.is_hidden(path.relative_to(folder))])


def _stamped(folder: Path, files: list[Path]) -> list[tuple[str, int, int]]:
    of = {str(path.relative_to(folder)): path.stat() for path in files}
    return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in of.items()]


def _of(path: Path, identity: str, keys: set[str], compute: Callable[[], dict]) -> dict:
    """The result in `path` if it has this `identity` and these `keys`, or else a new one, which is kept."""
    result = first_rank_does(partial(_kept, path, identity, keys))
    if result is None:
        result = {"identity": identity} | compute()
        first_rank_does(partial(_write, path, json.dumps(result, indent=1) + "\n"))
    return result


def _kept(path: Path, identity: str, keys: set[str]) -> dict | None:
    try:
        saved = json.loads(path.read_text())
        return saved if saved["identity"] == identity and keys <= saved.keys() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    folders.write_whole(path, text)

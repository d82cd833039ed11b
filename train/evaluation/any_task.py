"""Any other task of lm-eval, a group of them, or a user's own task file: scored exactly as its file says."""

import hashlib
import importlib.metadata
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from configs.checks import near
from configs.plain_yaml import unread
from train.config import RunError
from train.ranks import identity
from train.ranks.together import all_ranks_do

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager

FILES = (".yaml", ".yml")


@dataclass(frozen=True)
class AnyTask:
    """`name`: a task, group or tag of lm-eval, or the path of a task file in its format."""

    name: str

    @property
    def is_file(self) -> bool:
        return Path(self.name).suffix in FILES

    def file(self, limit: int | None) -> Path:
        """The result's path in the output folder; two task files with the same name have different ones."""
        stem = Path(self.name).stem if self.is_file else self.name
        stem = re.sub(r"[^\w.-]", "_", stem)
        if self.is_file:
            stem += "-" + hashlib.sha256(str(Path(self.name).resolve()).encode()).hexdigest()[:8]
        return Path("tasks") / f"{stem}{f'-first{limit}' if limit else ''}.json"

    def content(self) -> str:
        """What identifies the task: its file with what that includes and reads, or lm-eval's version."""
        if self.is_file:
            text = Path(self.name).read_text(encoding="utf-8", errors="replace")
            return text + "".join(_beyond(self.name))
        return f"lm-eval {importlib.metadata.version('lm-eval')}: {self.name}"

    def local(self, benchmarks: str | None) -> Path | None:
        """The folder of its documents among local benchmarks, if it has one there."""
        folder = (
            Path(benchmarks) / (Path(self.name).stem if self.is_file else self.name) if benchmarks else None
        )
        return folder if folder and folder.is_dir() else None


def _beyond(task: str) -> Iterator[str]:
    """What a task file includes, and the size and time of change of each local file of its documents."""
    from lm_eval.tasks._yaml_loader import load_yaml

    whole = load_yaml(task, resolve_func=False)
    if "include" in load_yaml(task, resolve_func=False, recursive=False):
        yield json.dumps(whole, default=str)
    read = (whole.get("dataset_kwargs") or {}).get("data_files")
    for some in read.values() if isinstance(read, dict) else [read]:
        for file in map(Path, some if isinstance(some, list) else [some] if some else []):
            if file.is_file():
                yield f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}"


def refuse_unknown(tasks: list[AnyTask], suite: list[str], key: str = "tasks") -> None:
    """Raise RunError, naming the key, if lm-eval does not know a task. Its index takes seconds to read."""
    named = [task for task in tasks if not task.is_file]
    with identity.waiting("reading lm-eval's list of tasks"):
        known = _manager().task_index if named else {}
    for task in tasks:
        if task.is_file:
            _refuse_unreadable(task, key)
        if not task.is_file and task.name not in known:
            alike = near(task.name, [*suite, *known], n=3, cutoff=0.7)
            hint = f"did you mean {' or '.join(alike)}, " if alike else "expected "
            raise RunError(
                f"{key}={task.name}: no such task; {hint}one of the suite ({', '.join(suite)}), a task of "
                f"lm-eval (lm_eval ls tasks), or the path of a task file (.yaml){'?' if alike else ''}"
            )


def _refuse_unreadable(task: AnyTask, key: str) -> None:
    """Raise RunError if a task file or one that it includes is missing or not YAML; runs no code in it."""
    from lm_eval.tasks._yaml_loader import load_yaml

    expected = "expected a task file in lm-eval's format"
    if not Path(task.name).is_file():
        raise RunError(f"{key}={task.name}: no such file; {expected}")
    try:
        load_yaml(task.name, resolve_func=False)
    except OSError as error:
        raise RunError(f"{key}={task.name}: {error.filename}: {unread(error)}; {expected}") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise RunError(f"{key}={task.name}: not readable as YAML ({unread(error)}); {expected}") from None


def score_any(lm: Any, task: AnyTask, benchmarks: str | None, limit: int | None) -> dict | None:
    """`tasks`: each with its `shots`, `documents` and `metrics`; a group comes first, if it has a score.

    None on ranks that lm-eval does not tell. Raises RunError if the data cannot be read.
    """
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    try:
        found = simple_evaluate(
            lm,
            tasks=all_ranks_do(partial(_built, task, benchmarks)),
            limit=limit,
            bootstrap_iters=0,
            log_samples=False,
            task_manager=TaskManager(include_defaults=False),
        )
    except RunError:
        raise
    except Exception as error:  # task files have code
        raise _not_scored(task, error) from None
    if found is None:
        return None
    counts, shots = found.get("n-samples", {}), found.get("n-shot", {})
    results = {**found.get("groups", {}), **found.get("results", {})}
    return {
        "tasks": {
            name: {
                "shots": shots.get(name),
                "documents": counts.get(name, {}).get("effective"),
                "metrics": metrics,
            }
            for name, values in results.items()
            if (metrics := _metrics(values))
        }
    }


def first_score(result: Mapping[str, Any]) -> float | None:
    """The first metric of the first task, or of the group."""
    for found in result["tasks"].values():
        return next(iter(found["metrics"].values()))
    return None


def table_of_any(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: each task's metrics as lm-eval defines them."""
    lines = ["| task | shots | documents | metric | score |", "|---|---|---|---|---|"]
    for result in results.values():
        for name, found in result["tasks"].items():
            for metric, value in found["metrics"].items():
                shots, documents = ("–" if found[k] is None else found[k] for k in ("shots", "documents"))
                shown = metric.removesuffix(",none")
                lines.append(f"| {name} | {shots} | {documents} | {shown} | {value:.4g} |")
    return "\n".join([*lines, ""])


@cache
def _manager() -> "TaskManager":
    from lm_eval.tasks import TaskManager

    return TaskManager()


def _built(task: AnyTask, benchmarks: str | None) -> Any:
    """`_build`, with RunError for any of its errors."""
    try:
        return _build(task, benchmarks)
    except RunError:
        raise
    except Exception as error:  # the datasets library raises errors of many kinds
        raise _not_scored(task, error) from None


def _not_scored(task: AnyTask, error: Exception) -> RunError:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return RunError(f"tasks={task.name}: could not be scored ({type(error).__name__}: {line})")


def _build(task: AnyTask, benchmarks: str | None) -> Any:
    """What lm-eval evaluates: Tasks or a Group. Raises RunError."""
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._yaml_loader import load_yaml

    from train.evaluation.tasks import build_task, refuse_answers_out_of_reach

    local = task.local(benchmarks)
    if local is not None:
        path = Path(task.name) if task.is_file else _manager().task_index[task.name].yaml_path
        config = load_yaml(path, resolve_func=False) if path else {}
        if path and isinstance(config.get("task"), str):  # not a group, nor a task in Python
            return [build_task(path, local, config.get("num_fewshot") or 0)]
    manager = TaskManager(include_defaults=False) if task.is_file else _manager()
    built = manager.load([task.name])
    tasks = list(built.get("tasks", {}).values())
    if task.is_file:
        for each in tasks:
            if isinstance(each, ConfigurableTask):
                refuse_answers_out_of_reach(each, task.name)
    groups = built.get("groups", {}).values()
    return [next(iter(groups))] if groups else tasks


def _metrics(values: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in values.items()
        if "," in name and "stderr" not in name and isinstance(value, (int, float))
    }

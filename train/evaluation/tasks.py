"""A benchmark's score by lm-eval: our task file or the harness's own, on the Hub's data or local files."""

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import lm_eval.tasks
from jinja2 import UndefinedError
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from train.config import RunError
from train.evaluation.suites import TASKS, Benchmark
from train.ranks.together import all_ranks_do

SPLITS = ("train", "validation", "test", "dev")


def score(
    lm: LM, benchmark: Benchmark, protocol: str, benchmarks: str | None, limit: int | None
) -> dict | None:
    """One task by one protocol: `score` from 0 to 1, the `metric`'s name and the number of `documents`.

    None on ranks that lm-eval does not tell: the first of each machine has it. Raises RunError for data in
    another format.
    """
    usual = harness_task(benchmark.usual.format(benchmark.subject)) if benchmark.usual else None
    source = TASKS / f"{benchmark.name}.yaml" if protocol == "paper" or usual is None else usual
    folder = benchmark.local(benchmarks)
    try:
        found = simple_evaluate(
            lm,
            tasks=[all_ranks_do(partial(build_task, source, folder, benchmark.shots, benchmark.subject))],
            num_fewshot=benchmark.shots,
            limit=limit,
            bootstrap_iters=0,
            log_samples=False,
            task_manager=TaskManager(include_defaults=False),  # the index of all tasks takes seconds
        )
    except (KeyError, IndexError, TypeError, ValueError, UndefinedError) as error:  # from a later document
        raise RunError(
            f"{folder or 'the Hub'}: not in {benchmark.name}'s format "
            f"({type(error).__name__}: {error}); see {TASKS}"
        ) from None
    if found is None:
        return None
    (metrics,) = found.get("results", {}).values()
    is_score = (name for name in metrics if "," in name and "stderr" not in name)
    metric = benchmark.usual_metric if protocol == "usual" else next(is_score)
    (samples,) = found.get("n-samples", {}).values()
    return {"score": metrics[metric], "metric": metric, "documents": samples["effective"]}


class OverAnswer(ConfigurableTask):
    """`acc_mutual_info` as in the paper, relative to P(completion | "Answer:"); lm-eval's has no context."""

    def construct_requests(self, doc: dict, ctx: str | list[str], **kwargs):
        requests = super().construct_requests(doc, ctx, **kwargs)
        if "acc_mutual_info" in self._metric_fn_list:
            for request in requests if isinstance(requests, list) else [requests]:
                context, continuation = request.arguments
                request.arguments = (context or "Answer:", continuation)
        return requests


def harness_task(name: str) -> Path:
    """The file of one of the harness's own tasks."""
    return Path(lm_eval.tasks.__file__).parent / f"{name}.yaml"


def build_task(source: Path, local: Path | None, shots: int, subject: str | None = None) -> ConfigurableTask:
    """The task of a file, on the Hub's data or on `local`'s in the same format: SPLIT.jsonl, or a copy of it.

    `subject` fills in SUBJECT, in a file that serves many subjects. Raises RunError if the data is missing or
    unreadable.
    """
    config = load_yaml(source)
    config = {key: value for key, value in config.items() if key not in ("tag", "group")}
    config["num_fewshot"] = shots
    if subject:
        config |= {"task": f"{config['task'].partition('_')[0]}_{subject}", "dataset_name": subject}
    if local is not None:
        config |= _local(local, config, shots)
    try:
        task = OverAnswer(config=config)
    except Exception as error:  # the datasets library raises errors of many kinds
        where = (
            f"{local}"
            if local
            else f"{config['dataset_path']} (from the Hub; benchmarks=FOLDER for local files)"
        )
        line = (str(error).splitlines() or [type(error).__name__])[0]
        why = f"{config['task']}'s data could not be read ({line})"
        if local is not None:
            if config["dataset_path"] == "json":
                _refuse_other_lines(file for (file,) in config["dataset_kwargs"]["data_files"].values())
            why += f"; {source} names the fields that it reads"
        raise RunError(f"{where}: {why}") from None
    refuse_answers_out_of_reach(task, f"{local or config['dataset_path']}")
    examples = config.get("fewshot_split") or config["training_split"]
    if shots and len(task.dataset[examples]) < shots:
        raise RunError(
            f"{local or config['dataset_path']}: {len(task.dataset[examples])} documents in {examples}, and "
            f"{config['task']} needs {shots} for its shots; give more, or choose other tasks=…"
        )
    return task


def refuse_answers_out_of_reach(task: ConfigurableTask, where: str) -> None:
    """Refuse an answer that is not among the choices: lm-eval would warn, and count the question as wrong."""
    if task.OUTPUT_TYPE != "multiple_choice" or task.multiple_input:
        return
    for number, doc in enumerate(map(dict, task.eval_docs)):
        answer, choices = task.doc_to_target(doc), task.doc_to_choice(doc)
        place = int(str(answer)) if str(answer).strip().isdigit() else answer
        if place not in (range(len(choices)) if isinstance(place, int) else choices):
            raise RunError(
                f"{where}: document {number}: the answer {answer!r} is not one of its {len(choices)} choices"
            )


def _refuse_other_lines(files: Iterable[str]) -> None:
    """Raise RunError, naming the first line that is not a document, or a file without documents."""
    for file in files:
        number = 0
        with open(file, "rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    is_document = isinstance(json.loads(line), dict)
                except ValueError:
                    is_document = False
                if not is_document:
                    raise RunError(
                        f"{file}: line {number}: not JSON; expected a document, {{…}}, on each line"
                    )
        if not number:
            raise RunError(f"{file}: empty; expected documents, one per line")


def _local(folder: Path, config: dict, shots: int) -> dict:
    kind, files = _files(folder, config.get("dataset_name"))
    asked = config.get("test_split") or config.get("validation_split")
    wanted = {asked} | ({config.get("fewshot_split") or config.get("training_split")} if shots else set())
    for split in sorted(filter(None, wanted)):
        if split not in files:
            raise RunError(
                f"{folder / split}.jsonl: missing; expected {config['task']}'s documents, one per line, or "
                f"{split}-….parquet in a copy of {config.get('dataset_path', 'its dataset')}"
            )
    splits = {f"{kind}_split": None for kind in ("training", "validation", "test")}
    splits |= {key: config[key] for key in splits if config.get(key) in files}
    return splits | {"dataset_path": kind, "dataset_name": None, "dataset_kwargs": {"data_files": files}}


def _files(folder: Path, name: str | None) -> tuple[str, dict[str, list[str]]]:
    """How the documents are stored, json or parquet, and each split's files: SPLIT.jsonl, or a Hub dataset's.

    A dataset on the Hub has its Parquet files in a folder of the configuration `name`, or in one of any name
    if it has one configuration. Raises RunError if it has several and `name` is None.
    """
    lines = {split: [str(path)] for split in SPLITS if (path := folder / f"{split}.jsonl").is_file()}
    if lines:
        return "json", lines
    places = [folder / name] if name and (folder / name).is_dir() else [folder]
    if not name:
        places += sorted(path for path in folder.glob("*") if path.is_dir() and path.name not in SPLITS)
    found = {place: files for place in places if (files := _parquet(place))}
    if len(found) > 1:
        names = " and ".join(str(place.relative_to(folder)) for place in found)
        raise RunError(f"{folder}: {names} each have documents; keep one of them")
    return "parquet", next(iter(found.values()), {})


def _parquet(place: Path) -> dict[str, list[str]]:
    """The Parquet files of each split that has some."""
    found = {}
    for split in SPLITS:
        patterns = (f"{split}.parquet", f"{split}-*.parquet", f"{split}/*.parquet")
        if files := [str(path) for pattern in patterns for path in sorted(place.glob(pattern))]:
            found[split] = files
    return found

"""From a task file, or the harness's own task, to an lm-eval task on the Hub's data, or on local files."""

from pathlib import Path

import lm_eval.tasks
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml

from train.config import RunError

SPLITS = ("train", "validation", "test", "dev")


class OverAnswer(ConfigurableTask):
    """`acc_mutual_info` as the paper has it, over P(completion | "Answer:"); lm-eval's is over nothing."""

    def construct_requests(self, doc: dict, ctx: str, **kwargs):
        requests = super().construct_requests(doc, ctx, **kwargs)
        if "acc_mutual_info" in self._metric_fn_list:
            for request in requests:
                context, continuation = request.arguments
                request.arguments = (context or "Answer:", continuation)
        return requests


def harness_task(name: str) -> Path:
    """The file of a task of the harness's own."""
    return Path(lm_eval.tasks.__file__).parent / f"{name}.yaml"


def build_task(source: Path, local: Path | None, shots: int, subject: str | None = None) -> ConfigurableTask:
    """The task of a file; `local` holds SPLIT.jsonl in the data's own format, in the Hub's place.

    `subject` takes the place of SUBJECT, in a file that serves many.

    Raises RunError if the data is missing or is no JSON lines.
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
    except Exception as error:  # whatever the datasets library raises, the data could not be had
        where = (
            f"{local}"
            if local
            else f"{config['dataset_path']} (from the Hub; benchmarks=FOLDER for local files)"
        )
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"{where}: {config['task']}'s data could not be read ({line})") from None
    _refuse_answers_out_of_reach(task, f"{local or config['dataset_path']}")
    examples = config.get("fewshot_split") or config["training_split"]
    if shots and len(task.dataset[examples]) < shots:
        raise RunError(
            f"{local or config['dataset_path']}: {len(task.dataset[examples])} documents in {examples}, and "
            f"{config['task']} is asked with {shots} shots; give more, or other tasks=[…]"
        )
    return task


def _refuse_answers_out_of_reach(task: ConfigurableTask, where: str) -> None:
    """An answer that is none of the choices: lm-eval would warn, and count the question as wrong."""
    if task.OUTPUT_TYPE != "multiple_choice" or task.multiple_input:
        return
    for number, doc in enumerate(task.eval_docs):
        answer, choices = task.doc_to_target(doc), task.doc_to_choice(doc)
        place = int(answer) if str(answer).strip().isdigit() else answer
        if place not in (range(len(choices)) if isinstance(place, int) else choices):
            raise RunError(
                f"{where}: document {number}: the answer {answer!r} is none of its {len(choices)} choices"
            )


def _local(folder: Path, config: dict, shots: int) -> dict:
    files = {
        split: str(folder / f"{split}.jsonl") for split in SPLITS if (folder / f"{split}.jsonl").is_file()
    }
    asked = config.get("test_split") or config.get("validation_split")
    wanted = {asked} | ({config.get("fewshot_split") or config.get("training_split")} if shots else set())
    for split in sorted(wanted):
        if split not in files:
            raise RunError(
                f"{folder / split}.jsonl: is missing; expected {config['task']}'s documents, a line each"
            )
    splits = {f"{kind}_split": None for kind in ("training", "validation", "test")}
    splits |= {key: config[key] for key in splits if config.get(key) in files}
    return splits | {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}

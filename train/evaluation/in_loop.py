"""`evaluate.every=N`: benchmarks scored on the live weights while a run trains.

The weights are copied into a model for inference, the ranks share the requests, and the copy is dropped, so
training continues with the same bits. A task that fails is reported and left out.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict
from torch.distributed.tensor import DTensor, distribute_tensor

from data.tokens.tokenizer import Tokenizer
from model.llama import Llama
from model.parallelize.mesh import Layout, along
from model.parallelize.tensor import tensor_parallel
from train.config import RunError, TrainConfig
from train.config_groups import InLoopConfig
from train.evaluation.any_task import AnyTask, first_score, refuse_unknown, score_any
from train.evaluation.mmlu import over_all_questions
from train.evaluation.suites import KNOWN, SUITES, Benchmark
from train.generation.inference import refuse_indivisible
from train.precision import DTYPES
from train.ranks import identity
from train.ranks.setup import Ranks
from train.ranks.signals import Signals
from train.ranks.together import gather_objects


class InLoop:
    """A run's evaluations: after which steps they are due, and their scores."""

    def __init__(self, config: TrainConfig, ranks: Ranks) -> None:
        self._config, self._ranks = config, ranks

    def is_due(self, step: int) -> bool:
        every = self._settings.every
        return every > 0 and (step % every == 0 or step == self._config.last_step)

    def measure(
        self,
        live: nn.Module,
        tokenizer: Tokenizer,
        beat: Callable[[str], None],
        signals: Signals,
    ) -> dict:
        """{"evaluation": each task's score}, without those that failed; empty if a signal ended the run.

        All ranks call it.
        """
        from train.evaluation.harness import RelamaLM

        tp = self._ranks.layout.tp
        layout = Layout(dp_replicate=self._ranks.world_size // tp, tp=tp)
        with torch.no_grad():
            model = _copy(live, DTYPES[self._config.precision], self._ranks)
        lm = RelamaLM(model, tokenizer, self._settings.batch, layout)
        scores: dict[str, float] = {}
        for name, score in _tasks(self._settings):
            beat(f"evaluating {name}")
            lm.has_given_up = partial(_has_given_up, partial(beat, f"evaluating {name}"), signals)
            try:
                with _quiet(), identity.waiting(f"evaluating {name}"):
                    found = gather_objects(score(lm))[0]
                if found is not None:
                    scores[name] = found
            except RunError as error:
                identity.say(f"warning: evaluation of {name}: {error}; training continues")
            if signals.must_stop():
                return {}
        return {"evaluation": scores}

    @property
    def _settings(self) -> InLoopConfig:
        return self._config.evaluate


def _has_given_up(beat: Callable[[], None], signals: Signals) -> bool:
    beat()  # a task may take hours
    return signals.has_one()


def _tasks(settings: InLoopConfig) -> Iterator[tuple[str, Callable[[Any], float | None]]]:
    """Each task's name and what scores it: by the paper's protocol, if it is one of the paper's."""
    for name in settings.tasks:
        rows = [row for row in SUITES["paper"] if row.name == name]
        for row in rows:
            shown = f"{name}-{row.shots}shot" if len(rows) > 1 else name
            yield shown, lambda lm, row=row: _score_paper(lm, row, settings)
        if not rows:
            yield Path(name).stem, lambda lm, name=name: _score_any(lm, AnyTask(name), settings)


def _score_paper(lm: Any, row: Benchmark, settings: InLoopConfig) -> float | None:
    from train.evaluation.tasks import score

    by_subject = {
        part.subject: score(lm, part, "paper", settings.benchmarks, settings.limit) for part in row.parts()
    }
    found = {subject: result for subject, result in by_subject.items() if result is not None}
    return over_all_questions(found)["score"] if found else None


def _score_any(lm: Any, task: AnyTask, settings: InLoopConfig) -> float | None:
    result = score_any(lm, task, settings.benchmarks, settings.limit)
    return first_score(result) if result else None


def _copy(live: nn.Module, dtype: torch.dtype, ranks: Ranks) -> Llama:
    """The live weights in a model for inference, divided by `tp` alone; one full tensor is held at a time."""
    with torch.device("meta"):
        model = Llama(cast(Llama, live).config).to(dtype)  # a phase may have changed the run's rope_theta
    if tp := along(ranks.mesh, "tp"):
        tensor_parallel(model, tp, sequence=False)  # a single token cannot be divided
    model.to_empty(device=ranks.device)
    sources = get_model_state_dict(live)
    for name, target in model.named_parameters():
        source = cast(Tensor, sources[name])
        whole = (source.full_tensor() if isinstance(source, DTensor) else source).to(dtype)
        if isinstance(target, DTensor):
            whole = distribute_tensor(whole, target.device_mesh, target.placements)
        target.copy_(whole)
    return model.eval()


def refuse_impossible(config: TrainConfig) -> None:
    """Raise RunError for an unknown task, or a layout whose weights cannot be copied this way."""
    try:
        import lm_eval  # noqa: F401
    except ImportError:
        every = f"evaluate.every={config.evaluate.every}"
        raise RunError(f"{every} needs lm-eval: pip install -e '.[eval]', or evaluate.every=0") from None
    if config.parallel.tp != 1 and config.parallel.tensor == "fairscale":
        raise RunError(config.evaluate.conflict("parallel.tensor=fairscale"))
    refuse_indivisible(config.model, max(1, config.parallel.tp))
    benchmarks = config.evaluate.benchmarks
    if benchmarks and not Path(benchmarks).is_dir():
        raise RunError(f"evaluate.benchmarks={benchmarks}: no such folder")
    others = [AnyTask(name) for name in config.evaluate.tasks if name not in KNOWN]
    refuse_unknown(others, KNOWN, "evaluate.tasks")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without lm-eval's and datasets' bars and log lines."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
            yield
    finally:
        logging.disable(before)

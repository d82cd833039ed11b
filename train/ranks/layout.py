"""The layout of the started ranks that a run's configuration requests: how many are used, and how."""

import math
import sys

from model.config import LlamaConfig
from model.parallelize.mesh import DIMENSIONS, Layout, LayoutError, Limits, choose
from train.config import RunError, TrainConfig
from train.ranks import identity


def choose_layout(config: TrainConfig) -> Layout:
    """The layout of the started ranks; reports idle ones. Raises RunError if it is impossible."""
    world_size = identity.world_size()
    layout = layout_of(config, config.model, world_size)
    if layout.world_size < world_size and identity.is_first():
        print(
            f"relama: {world_size} ranks do not divide the batch of {config.batch_sequences} sequences "
            f"(micro_batch={config.micro_batch}): using {layout.world_size}, "
            f"leaving {world_size - layout.world_size} idle",
            file=sys.stderr,
        )
    return layout


def layout_of(config: TrainConfig, model: LlamaConfig, world_size: int) -> Layout:
    """The layout that `config` requests of `world_size` ranks. Raises RunError if `model` does not fit it."""
    wanted = Layout(**{name: getattr(config.parallel, name) for name in DIMENSIONS})
    try:
        return choose(wanted, world_size, limits_of(config, model))
    except LayoutError as error:
        raise RunError(str(error)) from None


def limits_of(config: TrainConfig, model: LlamaConfig) -> Limits:
    """What a layout of `config` with `model` must divide, in every phase."""
    timeline = config.timeline
    batches = timeline.micro_batches(config.micro_batch)
    return Limits(
        model=model,
        seq_len=timeline.longest,
        micro_batches=math.gcd(*batches),
        schedule=config.parallel.schedule,
        stages_per_rank=config.parallel.stages_per_rank,
        no_pipeline=config.parallel.no_pipeline or _no_evaluation(config),
        # validation has the run's own length
        lengths=(config.sequence_length, *(phase.seq_len for phase in timeline.phases)),
        batches=batches,
    )


def _no_evaluation(config: TrainConfig) -> str | None:
    """Why in-loop evaluation takes no pipeline, if the run has any."""
    evaluate = config.evaluate
    return (
        evaluate.conflict("parallel.pp, whose ranks have parts of the model only") if evaluate.every else None
    )


def is_idle(layout: Layout) -> bool:
    """Whether this process was started beyond what the layout uses."""
    return identity.rank() >= layout.world_size

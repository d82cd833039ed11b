"""A run's model in its layout, its parameters not yet filled."""

import torch

from model.llama import Llama
from model.parallelize.apply import parallelize
from model.parallelize.pipeline import Pipeline
from train.config import TrainConfig
from train.precision import DTYPES
from train.ranks import identity
from train.ranks.setup import Ranks


def build_model(config: TrainConfig, ranks: Ranks) -> Llama | Pipeline:
    """The model in the run's layout, with uninitialized parameters."""
    parallel = config.parallel
    with torch.device("meta"):
        model = Llama(config.model)
    built = parallelize(
        model,
        ranks.mesh,
        activation_checkpointing=parallel.activation_checkpointing,
        compile=parallel.compile,
        reshard=parallel.reshard,
        tensor=parallel.tensor,
        schedule=parallel.schedule,
        stages_per_rank=parallel.stages_per_rank,
        param_dtype=DTYPES[config.precision],
        reduce_dtype=torch.float32,
    )
    built.to_empty(device=ranks.device)
    if isinstance(built, Pipeline):
        identity.say(built.describe())
    return built

"""Turn `parallel=auto` into a layout, the same on all ranks, before any process group starts."""

import math
import os
import sys
from dataclasses import asdict, replace

import torch

from model.parallelize.auto import Choice, choose_auto, fixed
from model.parallelize.mesh import DIMENSIONS, Layout, LayoutError
from train.config import RunError, TrainConfig
from train.ranks import identity
from train.ranks.layout import limits_of
from train.ranks.setup import device_type
from train.recipe.facts import with_vocabulary


def settle(config: TrainConfig) -> TrainConfig:
    """`config` with a layout in place of `parallel=auto`; rank 0 prints why. Raises RunError if none fits."""
    parallel = config.parallel
    if not parallel.auto:
        return config
    world_size, ranks_per_node = identity.world_size(), identity.local_world_size()
    on_gpu = device_type(config.device) == "cuda"
    width = 4 if config.precision == "fp32" or (config.precision == "auto" and not on_gpu) else 2
    memory = _memory_per_rank(on_gpu, ranks_per_node)
    wanted, choice = _choose(config, world_size, ranks_per_node, memory=memory, width=width)
    if identity.is_first():
        print(
            f"relama: parallel=auto: {choice.layout} parallel.activation_checkpointing={choice.mode} "
            f"({choice.reason})",
            file=sys.stderr,
        )
    sizes = asdict(choice.layout)
    if choice.layout.world_size < world_size:  # what fills the world leaves the same ranks idle again
        sizes |= {name: getattr(fixed(wanted), name) for name in ("dp_replicate", "dp_shard")}
    return replace(
        config, parallel=replace(parallel, **sizes, activation_checkpointing=choice.mode, auto=False)
    )


def with_any_memory(config: TrainConfig, world_size: int, ranks_per_node: int) -> Layout:
    """What `parallel=auto` chooses where memory does not matter, as for machines that are not known yet.

    Raises RunError if the keys that are set fit no layout.
    """
    return _choose(config, world_size, ranks_per_node, memory=math.inf, width=2)[1].layout


def _choose(
    config: TrainConfig, world_size: int, ranks_per_node: int, *, memory: float, width: int
) -> tuple[Layout, Choice]:
    """The sizes that are wanted, and the choice. Raises RunError."""
    parallel = config.parallel
    wanted = Layout(**{name: getattr(parallel, name) for name in DIMENSIONS})
    try:
        return wanted, choose_auto(
            wanted,
            parallel.activation_checkpointing,
            world_size,
            limits_of(config, with_vocabulary(config.model)),
            memory=memory,
            ranks_per_node=ranks_per_node,
            micro_batch=config.micro_batch,
            reshard=parallel.reshard,
            tensor=parallel.tensor,
            width=width,
        )
    except LayoutError as error:
        raise RunError(str(error)) from None


def _memory_per_rank(on_gpu: bool, ranks_per_node: int) -> float:
    """Bytes in total, not free: equal machines give equal numbers, whatever else they are doing."""
    if on_gpu:
        return torch.cuda.get_device_properties(identity.local_rank()).total_memory
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / ranks_per_node

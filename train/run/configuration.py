"""What a run is: its configuration, from its newest checkpoint or config.yaml, and whether a command fits it.

The checkpoint decides, because it is what the command would continue. Old checkpoints hold no configuration,
only the order of the data; the rest then comes from config.yaml.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from configs.existence import exists, is_dir
from configs.load import ConfigError, from_tree, from_yaml
from configs.redact import redact, unmasked
from data.folders import run_path, run_word
from data.order import Order, block_of
from train.checkpoint.folder import newest_state
from train.config import RUN_IDENTITY, Refused, RunError, TrainConfig
from train.ranks import identity
from train.ranks.together import first_rank_does
from train.run import horizon, starts

if TYPE_CHECKING:
    import torch

NAME = "config.yaml"


def read_run_config(path: Path) -> TrainConfig:
    """The configuration of the run at `path`: config.yaml's, or if that fails, the newest checkpoint's.

    Raises RunError if neither exists or can be read.
    """
    try:
        return _of_file(path)
    except ConfigError as error:
        damage = str(error) if exists(path / NAME) else None
    state = newest_state(path / "checkpoints")
    if state and (saved := saved_config(path, state)):
        return saved
    if damage:
        raise RunError(f"{damage}; run the command that trains this run again to restore it")
    raise RunError(f"{path}: not a run folder (no config.yaml); expected runs/NAME of a training run")


def refuse_another_run(path: Path, config: TrainConfig, state: dict | None) -> None:
    """Raise RunError, naming each key, if `config` is not the run in `path` with the newest `state`."""
    if state and "order" not in state:
        raise RunError(
            f"{path}: imported weights, not a training run; choose a new run=NAME with init={path}"
        )
    if changed := changes(path, config, state):
        raise Refused(
            f"{path}: holds another run ({'; '.join(changed)}); choose a new run=NAME, "
            f"or rerun with the original values to resume (config={path / NAME} has them)"
            f"{_remedy(path, config, changed, state['step']) if state else ''}"
        )


def changes(path: Path, config: TrainConfig, state: dict | None) -> list[str]:
    """What `config` would change in the run at `path`, given its newest `state`: one line per key."""
    now = asdict(config)
    if state and "config" in state:  # secrets are masked there, and may be here
        state = {**state, "config": unmasked(state["config"], now)}
        if all(_at(state["config"], key) == _at(now, key) for key in RUN_IDENTITY):
            return []
    saved = saved_config(path, state) if state else None
    if not saved:
        saved = _from_view(path, has_checkpoint=state is not None)
    changed: list[str] = []
    if saved:
        moved = horizon.moved(saved, config, state["step"]) if state else None
        before = unmasked(asdict(moved or saved), now)
        for key in RUN_IDENTITY:
            changed += [redact(line) for line in _differences(key, _at(before, key), _at(now, key))]
    if state:
        named = {line.partition(":")[0] for line in changed}
        changed += [line for line in _order_differences(state, config) if line.partition(":")[0] not in named]
    return changed


def settle_horizon(config: TrainConfig, there: dict | None = None) -> TrainConfig:
    """`config` with the warm-up that its run began with, if `steps` alone would give another one.

    Only for schedules that let `steps` change. `there`: the state of a remote checkpoint not downloaded yet.
    All ranks call it.
    """
    path = run_path(config.run)
    if config.optim.schedule not in horizon.FREE:
        return config
    state = first_rank_does(lambda: newest_state(path / "checkpoints")) or there
    if state and "config" in state:
        state = {**state, "config": unmasked(state["config"], asdict(config))}
    saved = saved_config(path, state) if state else None
    return horizon.with_warmup_of(saved, config) if saved else config


def settle_precision(
    config: TrainConfig,
    device: "torch.device",
    say: Callable[[str], object] = identity.say,
    there: dict | None = None,
) -> TrainConfig:
    """`config` with a precision in place of `auto`: the run's own, if it has started. All ranks call it.

    `there`: the state of a remote checkpoint not downloaded yet. Reports the choice and its reason through
    `say`; if a run resumes on other hardware, also what `auto` would choose here.
    """
    import torch

    from train.precision import choose

    def decide() -> tuple[str, str]:
        path = run_path(config.run)
        saved = saved_config(path, there) if there else None
        recorded = saved.precision if saved else _recorded_precision(path)
        rows = config.micro_batch * config.sequence_length
        here = choose(config.precision, device, config.model, rows)
        if config.precision != "auto" or recorded in (None, here.name):
            return here.name, here.why
        return recorded, f"as this run began; a new run would use {here.name} here: {here.why}"

    name, why = first_rank_does(decide)
    if name == "bf16":
        say(f"precision: bf16 compute; fp32 weights, optimizer and reduction ({why})")
    else:
        say(f"precision: fp32 ({why})")
    if device.type == "cuda":  # bf16: TF32 for what is left in fp32
        torch.set_float32_matmul_precision("high" if name == "bf16" else "highest")
    return replace(config, precision=name)


def _remedy(path: Path, config: TrainConfig, changed: list[str], step: int) -> str:
    """How to get a different number of steps anyway; empty if `steps` is not among the changes."""
    if not any(line.startswith("steps:") for line in changed):
        return ""
    why = f"optim.schedule={config.optim.schedule} makes the rates of trained steps depend on steps"
    if config.steps < step:
        why = f"{step} steps are trained"
    elif config.optim.schedule in horizon.FREE:
        why = f"with steps={config.steps}, some of the {step} trained steps would have other rates or phases"
    return (
        f"; {why}: "
        f"`relama branch run={run_word(path)} at=STEP to=NEW steps={config.steps}` continues from a "
        "checkpoint"
    )


def _recorded_precision(folder: Path) -> str | None:
    """The precision of the run at `folder`; None if there is none, or it is damaged (refused later)."""
    try:
        return read_run_config(folder).precision if is_dir(folder) else None
    except (ConfigError, RunError):
        return None


def saved_config(path: Path, state: dict) -> TrainConfig | None:
    """The configuration in a checkpoint's state; None if an old version saved none. Raises RunError."""
    if "config" not in state:
        return None
    try:
        return from_tree(state["config"], TrainConfig)
    except ConfigError as error:
        raise RunError(
            f"{path}: the configuration in its checkpoint at step {state['step']} does not fit this version "
            f"({error}); resume with the version that wrote it"
        ) from None


def _of_file(path: Path) -> TrainConfig:
    """config.yaml's configuration, `precision` as the run trained. Raises ConfigError."""
    config = from_yaml(path / NAME, TrainConfig)
    if config.precision == "auto":  # made before precision was a key
        config.precision = "bf16" if starts.on_gpu(path) else "fp32"
    return config


def _from_view(path: Path, has_checkpoint: bool) -> TrainConfig | None:
    """config.yaml's configuration; None if missing or damaged, with a warning unless nothing exists yet."""
    saved = path / NAME
    try:
        return _of_file(path)
    except ConfigError as error:
        if exists(saved) and not has_checkpoint:
            identity.say(f"warning: {error}; no checkpoint depends on it, so it is written again")
        elif has_checkpoint:
            problem = error if exists(saved) else f"{saved}: missing"
            identity.say(
                f"warning: {problem}; compared only what the checkpoint holds (model, data, seed, seq_len, "
                "global_batch): make sure that optim, steps and init are this run's"
            )
    return None


def _order_differences(state: dict, config: TrainConfig) -> list[str]:
    """Where the data order of a checkpoint differs from the configuration's, one line per key."""
    order = Order.from_json(state["order"])
    segment, timeline = order.segments[0], config.timeline
    seed = "seed" if config.data_seed is None else "data_seed"
    there = {seed: order.seed, "seq_len": segment.seq_len, "data.weights": segment.block}
    here = {
        seed: config.order_seed,
        "seq_len": timeline.phases[0].seq_len,
        "data.weights": block_of(timeline.phases[0].weights),
    }
    if state["step"]:
        there["global_batch"] = state["tokens"] // state["step"]
        here["global_batch"] = timeline.tokens(state["step"]) // state["step"]
    return [line for key in there for line in _differences(key, there[key], here[key])]


def _at(tree: object, key: str) -> object:
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None  # an earlier version may lack the key
    return tree


def _differences(key: str, before: object, now: object) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = list(before) + [name for name in now if name not in before]
        return [
            line for name in keys for line in _differences(f"{key}.{name}", before.get(name), now.get(name))
        ]
    return [] if before == now else [f"{key}: {before} there, {now} requested"]

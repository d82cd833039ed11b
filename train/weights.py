"""`weights=PATH`: from a run or step folder to a whole checkpoint, or a plain model on one device."""

from pathlib import Path

import torch

from model.llama import Llama, LlamaConfig
from train import checkpoint
from train.config import RunError
from train.run_folder import run_path


def find_checkpoint(path: Path) -> tuple[Path, dict]:
    """The checkpoint at `path` (a step folder), or the newest whole one of the run there, and its state.

    Under a process group all ranks call it. Raises RunError if there is none, or if the one named is damaged.
    """
    if not path.exists() and run_path(str(path)).exists():
        path = run_path(str(path))  # a run's bare name
    if (path / "checkpoints").is_dir():
        found = checkpoint.newest_whole(path / "checkpoints")
        if found is None:
            raise RunError(f"{path}: no whole checkpoint in this run yet")
        return found
    if not (path / "state.json").exists():
        raise RunError(
            f"{path}: neither a run folder (runs/NAME) nor a checkpoint (runs/NAME/checkpoints/step-000123)"
        )
    problems = checkpoint.damage(path)
    if problems:
        raise RunError(f"{path}: damaged ({problems[0]}); choose another checkpoint of the run")
    return path, checkpoint.read_state(path)


def load_model(path: Path, device: torch.device) -> tuple[Llama, Path, int]:
    """A plain model with the weights at `path`, its run's folder, and the step they are from."""
    folder, state = find_checkpoint(path)
    with torch.device("meta"):
        model = Llama(LlamaConfig(**state["model"]))
    model.to_empty(device=device)
    checkpoint.load(folder, model, None)
    return model.eval(), folder.parents[1], state["step"]

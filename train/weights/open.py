"""`weights=PATH`: open weights of any format, and fill a model with them in any layout.

A run folder (its newest complete checkpoint), a step folder, a Hugging Face folder or a Meta folder: each
opens as `Weights`. torch.distributed.checkpoint, which knows the layout, loads them into a model; no rank
holds more than one full tensor besides its own shards.
"""

import re
import sys
import warnings
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from shlex import quote

import torch
from torch import Tensor, nn
from torch.distributed._shard._utils import narrow_tensor_by_index
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.storage import StorageReader
from torch.futures import Future

from configs.checks import near
from data.folders import run_path, runs_in
from data.tokens.store import tokenizer_in
from data.tokens.tokenizer import Tokenizer, fingerprint_of
from data.tokens.tokenizer_json import refuse_other_vocabulary
from model.config import LlamaConfig
from model.formats.huggingface import ADAPTER, is_huggingface, open_huggingface
from model.formats.meta import is_meta, open_meta
from model.formats.weights import Weights, parameter_shapes, untied
from model.llama import Llama
from train.checkpoint.folder import (
    complete_steps,
    damage,
    had_checkpoints,
    newest_complete,
    read_state,
    step_folder,
)
from train.checkpoint.reader import CheckpointReader
from train.checkpoint.tensors import load
from train.config import RunError
from train.ranks import identity
from train.weights.fetch import fetched, url_of

DCP = (
    "a distributed checkpoint of torch, but not a complete one of Relama; another trainer's has to be "
    "converted to Hugging Face's format (torchtitan: scripts/checkpoint_conversion/convert_to_hf.py)"
)
MEGATRON = "Megatron's checkpoint; export it to Hugging Face's format (Megatron Bridge: export_ckpt)"
# What is not read here, by a file that shows it, and what to give instead.
FOREIGN = {
    ADAPTER: "an adapter (LoRA), not a model; merge it into its model (PEFT's merge_and_unload) and give it",
    "*.gguf": "weights in GGUF, which is not read; get them in Hugging Face's format or Meta's",
    "lit_model.pth": "litgpt's weights; convert them (litgpt convert_from_litgpt) to Hugging Face's format",
    "latest_checkpointed_iteration.txt": MEGATRON,
    "mp_rank_*": MEGATRON,
    ".metadata": DCP,
    "step-*/.metadata": DCP,
}
PADDING = 1 / 32  # share of the tokenizer's pieces: with more surplus, it is another tokenizer's vocabulary


def open_weights(path: Path) -> Weights:
    """The weights at `path`, in any format. With a process group, all ranks call it.

    Raises RunError or FormatError, naming what is missing, damaged or unknown.
    """
    _say_what_is_hidden(path)
    url, path = url_of(path), _named(path)
    if not (path / "checkpoints").is_dir() and not (path / "state.json").exists():
        if is_huggingface(path):
            return open_huggingface(path)
        if is_meta(path):
            return open_meta(path)
    folder, state = find_checkpoint(path, url)
    config = LlamaConfig(**state["model"])
    return Weights(
        folder,
        config,
        _OneTensor(folder, config),
        tokenizer=_tokenizer_file(folder, state["tokenizer"]),
        step=state["step"],
        tokenizer_fingerprint=state["tokenizer"],
    )


def _tokenizer_file(checkpoint: Path, fingerprint: str) -> Path | None:
    """The run's tokenizer or, if that is damaged, the checkpoint's; None without either."""
    files = [tokenizer_in(checkpoint.parents[1]), tokenizer_in(checkpoint)]
    found = [path for path in files if path.is_file()]
    return next((path for path in found if fingerprint_of(path) == fingerprint), found[0] if found else None)


def find_checkpoint(path: Path, url: str | None = None) -> tuple[Path, dict]:
    """The checkpoint at `path` (a step folder), or the newest complete one of the run there, and its state.

    With a process group, all ranks call it. Raises RunError if there is none, or if the named one is damaged.
    `url`: where `path` was fetched from, if it was; a damaged copy is fetched again.
    """
    url, path = url or url_of(path), _named(path)
    if (path / "checkpoints").is_dir():
        found = newest_complete(path / "checkpoints")
        if found is None and had_checkpoints(path / "checkpoints"):
            raise RunError(f"{path}: all of its checkpoints are damaged; restore one of them from a copy")
        if found is None:
            raise RunError(f"{path}: no complete checkpoint in this run yet")
        return found
    if url is None:
        refuse_unknown(path)
    problems = damage(path)
    if problems and url:  # of the copy in the cache
        path = fetched(url, checked=True)
        refuse_unknown(path)
        problems = damage(path)
    if problems:
        raise RunError(f"{path}: damaged ({problems[0]}); choose another checkpoint of the run")
    return path, read_state(path)


def refuse_unknown(path: Path) -> None:
    """Raise RunError unless `path` leads to something that may be weights, or names a run."""
    path = _named(path)
    if path.exists() and _is_weights(path):
        return
    kinds = (
        "a run folder (runs/NAME) nor a checkpoint (runs/NAME/checkpoints/step-000123), nor Hugging Face's "
        "(config.json) or Meta's (params.json) weights"
    )
    if path.parent.name == "checkpoints" and (step := path.name.removeprefix("step-")).isdecimal():
        _step(path.parents[1], int(step))  # raises: it names the nearest
    if path.is_dir() and (runs := runs_in(path)):
        raise RunError(
            f"{path}: a folder of runs; choose one: {', '.join(quote(str(run)) for run in runs[:5])}"
        )
    if path.is_file() and (folder := next(filter(_is_weights, path.parents), None)):
        raise RunError(f"{path}: a file of the weights in {folder}; give that folder")
    if path.exists():
        raise RunError(f"{path}: {_foreign(path) or f'neither {kinds}'}")
    name, at, step = str(path).rpartition("@")
    if at and not name:
        raise RunError(f"{path}: expected RUN@STEP with the name of a run, such as demo{path}")
    if at and not step.isdecimal() and _named(Path(name)).is_dir():
        raise RunError(f"{path}: expected RUN@STEP with the number of a step, or only {name} for the newest")
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(path)) and not path.parent.exists():
        raise RunError(
            f"{path}: no such folder; for weights on the Hub: hf download {path} --local-dir FOLDER, then "
            "give the folder"
        )
    alike = near(path.name, (run.name for run in run_path("x").parent.glob("*")))
    hint = f"; did you mean {alike[0]}?" if alike else "; `relama runs` lists the runs here"
    raise RunError(f"{path}: no such file or folder, so neither {kinds}{hint}")


def _foreign(path: Path) -> str | None:
    """What `path` is, if it is known and not weights that are read here, and what to give instead."""
    inner = [*path.glob("*"), *path.glob("snapshots/*")]  # the Hub's cache has snapshots
    if found := sorted(filter(_is_weights, inner)):
        return f"its weights are in {quote(str(found[0]))}; give that folder"
    return next((what for name, what in FOREIGN.items() if path.match(name) or any(path.glob(name))), None)


def _named(path: Path) -> Path:
    """`path`; or, if no weights have that name, the run that does, or the step of a run that RUN@STEP names.

    A run's checkpoints folder stands for the run, and a URL for its copy in the cache.
    """
    if url := url_of(path):
        return fetched(url)
    if path.is_dir() and path.absolute().name == "checkpoints":
        return path.absolute().parent if path.parent == Path() else path.parent
    run = run_path(str(path))
    if path.exists() and (_is_weights(path) or not (run / "checkpoints").is_dir()):
        return path  # a folder with something else, such as corpora, does not hide the run of its name
    name, _, step = str(path).rpartition("@")
    if name and step.isdecimal() and (of := _named(Path(name))).is_dir():
        refuse_unknown(of)
        return _step(of, int(step))
    return _named(run) if run.exists() and run != path else path


def _say_what_is_hidden(path: Path) -> None:
    """Say on the first rank which is read if both a folder of weights and a run have the name `path`."""
    run = run_path(str(path))
    if url_of(path) or path == run or path.is_absolute() or not (run / "checkpoints").is_dir():
        return
    if path.exists() and _is_weights(path) and path.resolve() != run.resolve() and identity.is_first():
        print(
            f"relama: reading the weights in ./{path}, not the run {run}; give {run} for that",
            file=sys.stderr,
        )


def _is_weights(path: Path) -> bool:
    is_ours = (path / "checkpoints").is_dir() or (path / "state.json").exists()
    return is_ours or is_huggingface(path) or is_meta(path)


def _step(run: Path, step: int) -> Path:
    """A step's folder. Raises RunError that names the nearest ones if it was not kept."""
    folder = step_folder(run / "checkpoints", step)
    if not (run / "checkpoints").is_dir():
        raise RunError(f"{run}@{step}: {run} is not a run and has no steps; give {run}")
    if not folder.exists():
        kept = sorted(complete_steps(run / "checkpoints"), key=lambda other: abs(other - step))[:3]
        nearest = ", ".join(map(str, sorted(kept))) or "none"
        raise RunError(f"{run}@{step}: no checkpoint of this step; the nearest kept: {nearest}")
    return folder


def fill(model: nn.Module, weights: Weights) -> None:
    """Load `weights` into `model`, in its layout; all ranks call it."""
    reader = None if weights.step is not None else _Reader(weights)
    with identity.waiting(f"reading {weights.path}"):
        load(weights.path, model, None, reader=reader)


def as_tied(weights: Weights, tied: bool) -> Weights:
    """`weights` with one matrix as embedding and output if `tied`, else with two.

    Raises RunError if the two differ.
    """
    if weights.config.tie_word_embeddings == tied:
        return weights
    if not tied:
        return untied(weights)
    if not torch.equal(weights.read("tok_embeddings.weight"), weights.read("output.weight")):
        raise RunError(
            f"{weights.path}: its output differs from its embedding; set model.tie_word_embeddings=false"
        )
    return replace(weights, config=replace(weights.config, tie_word_embeddings=True))


def load_model(weights: Weights, device: torch.device, dtype: torch.dtype = torch.float32) -> Llama:
    """A plain model on one device in `dtype`, for inference; weights are rounded one tensor at a time."""
    with torch.device("meta"):
        model = Llama(weights.config).to(dtype)
    model.to_empty(device=device)
    fill(model, weights)
    return model.eval()


def tokenizer_of(weights: Weights, given: str | None = None, *, is_import: bool = False) -> Tokenizer:
    """The tokenizer that came with `weights`, or the `given` one, checked against them. Raises RunError.

    In an import, the weights may have a few rows without a piece (PADDING).
    """
    path = Path(given) if given else weights.tokenizer
    if path is None:
        raise RunError(
            f"{weights.path}: came without a tokenizer.model or tokenizer.json; set tokenizer=PATH"
        )
    tokenizer = Tokenizer(path)
    surplus = weights.config.vocab_size - tokenizer.vocab_size
    if 0 < surplus <= PADDING * tokenizer.vocab_size and weights.step is None:
        if not is_import:
            raise RunError(
                f"{path}: a vocabulary of {tokenizer.vocab_size}, but {weights.path} has "
                f"{weights.config.vocab_size}; relama import weights={quote(str(weights.path))} "
                "output=FOLDER removes the rows without a piece"
            )
    elif surplus:
        can_remove = surplus < 0 and path.suffix == ".json"
        removed = f", or remove the added tokens without a row in them ({-surplus}) from {path.name}"
        raise RunError(
            f"{path}: a vocabulary of {tokenizer.vocab_size}, but {weights.path} has "
            f"{weights.config.vocab_size}; set tokenizer=PATH to the tokenizer of these weights"
            f"{removed if can_remove else ''}"
        )
    if weights.tokenizer_fingerprint is None:  # else the copy beside the weights may be damaged
        refuse_other_vocabulary(tokenizer, weights.path)
    elif weights.tokenizer_fingerprint != tokenizer.fingerprint:
        raise RunError(f"{path}: not the tokenizer that {weights.path} was trained with; set tokenizer=PATH")
    return tokenizer


def same_tokenizer(weights: Weights, fingerprint: str, vocab_size: int) -> bool:
    """Whether the weights belong to that tokenizer; judged by size if they came without one."""
    if weights.tokenizer_fingerprint is None and weights.tokenizer is None:
        return weights.config.vocab_size == vocab_size
    return (weights.tokenizer_fingerprint or tokenizer_of(weights).fingerprint) == fingerprint


class _OneTensor:
    """Reads one tensor of a checkpoint."""

    def __init__(self, folder: Path, config: LlamaConfig) -> None:
        self._folder, self._shapes = folder, parameter_shapes(config)

    def __call__(self, name: str) -> Tensor:
        tensors = {"model": {name: torch.empty(self._shapes[name])}}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")  # it means to be alone
            dcp_load(tensors, storage_reader=CheckpointReader(self._folder), no_dist=True)
        return tensors["model"][name]


class _Reader(StorageReader):
    """Presents weights of another format to torch.distributed.checkpoint: each rank takes its shards."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def reset(self, checkpoint_id=None) -> None:
        pass

    def read_metadata(self, *args, **kwargs) -> Metadata:
        tensors = {}
        for name, shape in parameter_shapes(self._weights.config).items():
            size = torch.Size(shape)
            chunk = ChunkStorageMetadata(offsets=torch.Size([0] * len(size)), sizes=size)
            tensors[f"model.{name}"] = TensorStorageMetadata(TensorProperties(), size, [chunk])
        return Metadata(tensors)

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args, **kwargs) -> None:
        pass

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        by_name = sorted(plan.items, key=lambda item: item.storage_index.fqn)
        for fqn, items in groupby(by_name, key=lambda item: item.storage_index.fqn):
            tensor = self._weights.read(fqn.removeprefix("model."))
            for item in items:
                target = planner.resolve_tensor(item).detach()
                target.copy_(narrow_tensor_by_index(tensor, item.storage_offsets, item.lengths))
                planner.commit_tensor(item, target)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id) -> bool:
        return True


def model_state(weights: Weights) -> dict:
    """What `refuse_other_shape` compares."""
    return {"model": asdict(weights.config)}

"""`relama branch run=A at=STEP to=B key=value …`: a new run with A's past and a different future.

In: A's checkpoint of that step, read but not copied, and any of train's keys. Out: B's folder with
config.yaml, lineage.json and order.json; `relama train config=B/config.yaml` trains it.
"""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from configs import files, terminal
from configs.errors import UNWRITABLE, reason
from configs.load import ConfigError, entry, load, save
from configs.overrides import as_key, checked, items_of
from data import folders
from data.cache.store import open_store
from data.errors import DataError
from data.folders import find_run, run_path, run_word
from data.mixture import find_stores
from data.order import Order
from data.phases.grown import refuse_other_past
from data.phases.kept import Ranges, holes_of, merged
from data.phases.selection import select, shown, wanted_in
from data.tokens.store import TokenStore
from train.branch.chain import branched_config
from train.checkpoint.folder import complete_steps, fingerprint, pin, read_state, step_folder
from train.checkpoint.tensors import refuse_other_shape
from train.config import RunError, TrainConfig
from train.config_groups import OptimConfig
from train.order import branched, refuse_repeats
from train.phases.config import PhaseConfig
from train.resume import store_place
from train.run import configuration
from train.run.folder import refuse_step
from train.run.lineage import Lineage, Stretch, ancestors, shared


@dataclass
class BranchConfig:
    """Where the branch begins, and what the new run is called."""

    run: str  # the parent: a name under runs/, or a path
    at: int  # the last step that both have; the parent must have kept its checkpoint
    to: str  # the new run: a name under runs/, or a path
    without: str | None = None  # a file of documents to leave out from then on, as `relama find` takes them
    phases: dict[str, PhaseConfig] = field(default_factory=dict)  # what follows

    def __post_init__(self) -> None:
        if self.at < 1:
            raise ValueError(f"at={self.at}: expected a step of the parent, 1 or above")


KEYS = ("run", "at", "to", "without", "phases")


def run(argv: list[str]) -> None:
    mine, typed = split(as_key("run", argv))
    # Look for misspelled keys first: one of them may be the key that is missing.
    checked("train", TrainConfig, [word for word in typed if "=" in word], also=KEYS)
    asked = load("branch", BranchConfig, mine)
    folder, left_out = make(asked, typed)
    for sentence in left_out:
        terminal.write(f"relama: {sentence}")
    terminal.write(f"relama: {folder} continues from {find_run(asked.run)} after step {asked.at}")
    print(f"next: relama train config={shlex.quote(str(folder / configuration.NAME))}")


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """The branch's own arguments, and train's."""
    mine = [arg for arg in argv if arg.partition("=")[0].partition(".")[0] in KEYS or arg in ("-h", "--help")]
    return mine, [arg for arg in argv if arg not in mine]


def make(asked: BranchConfig, typed: list[str]) -> tuple[Path, list[str]]:
    """Make the run folder, complete or not at all; returns it and what it leaves out, in sentences.

    Raises RunError, ConfigError or DataError.
    """
    parent, folder = find_run(asked.run), run_path(asked.to)
    refuse_step(asked.to, "to")
    if folder.resolve() == parent.resolve():
        raise RunError(f"to={asked.to}: the run itself; choose a new name")
    if parent.resolve() in folder.resolve().parents:
        raise RunError(f"to={asked.to}: within the run's own folder; choose a name, or another path")
    _refuse_existing(folder)
    ancestors(parent)  # refuses a circle
    checkpoint, state = _checkpoint(parent, asked.at)
    # Old checkpoints hold no configuration; theirs is in config.yaml.
    saved = configuration.saved_config(parent, state) or configuration.read_run_config(parent)
    wanted = _wanted(saved, [*typed, f"run={asked.to}"])
    try:
        config = branched_config(saved, wanted, asked.phases, asked.at, folder.name, typed)
    except ValueError as error:
        raise RunError(str(error)) from None
    vocabulary = state["model"]["vocab_size"]
    refuse_other_shape(checkpoint, state, replace(config.model_at(asked.at), vocab_size=vocabulary))
    stores = _stores(config, asked.at)
    places = _places(parent)
    for source, store in stores.items():
        if source in state["fingerprints"]:
            refuse_other_past(store, state["fingerprints"][source], places.get(source))
        if store.tokenizer_fingerprint != state.get("tokenizer", store.tokenizer_fingerprint):
            raise RunError(
                f"{store.place}: made with another tokenizer than the run's; prepare {source} with the one "
                f"in {parent}"
            )
    left_out = _left_out(asked.without, stores)
    order, without = _order(asked, config, state, stores, left_out)
    lineage = Lineage(
        parent,
        asked.at,
        fingerprint(state),
        {source: store.fingerprint for source, store in stores.items()},
        without,
        _updates(parent, asked.at, saved.optim),
    )
    two_at_once = folders.locked(checkpoint.parent / "branches.lock", waiting=lambda: None)
    try:
        with two_at_once:
            pin(checkpoint, folder)  # first: a branch that exists must not lose it
    except FileNotFoundError:
        raise RunError(f"{checkpoint}: removed meanwhile by its run; branch from a later step") from None
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise RunError(
            f"{checkpoint.parent}: cannot be written ({reason(error)}), which a branch needs, to keep its "
            "parent's checkpoint; have its owner or mode changed, or begin with the weights alone: relama "
            f"train init={run_word(parent)}@{asked.at}"
        ) from None
    _write(folder, config, lineage, order, stores)
    sentences = list(shares(config, left_out))
    if asked.without and not sentences:
        sentences = [f"without={asked.without}: all of its documents are held out, so nothing is left out"]
    if (url := saved.checkpoint.remote) and not config.checkpoint.remote:
        sentences.append(f"checkpoint.remote={url} is for {parent} alone; give the branch a URL of its own")
    return folder, sentences


def _wanted(parent: TrainConfig, typed: list[str]) -> TrainConfig:
    """The parent's configuration with what was typed. Raises RunError or ConfigError."""
    tree = asdict(parent) | {"stop_at": None, "phases": {}}
    tree["checkpoint"]["remote"] = None  # a URL is for one run
    if any(word.startswith("data=") and word != "data=text" for word in typed):
        tree |= {"input": [], "source": None}  # of data=text alone
    wanted = load("train", TrainConfig, files.changed(tree, typed))
    _refuse_unused_weights(typed, wanted)
    return wanted


def _refuse_unused_weights(typed: list[str], wanted: TrainConfig) -> None:
    """Refuse the weight of a source that data.sources, which may be the parent's, leaves out."""
    chosen = wanted.data.chosen()
    for word in typed:
        if unused := [source for source in _weighted(word) if source not in chosen]:
            several = ",".join((*chosen, *unused))
            raise RunError(
                f"{word}: the run reads data.sources={','.join(chosen)}; add data.sources={several} to read "
                f"{', '.join(unused)} too, or leave out the weight"
            )


def _weighted(word: str) -> list[str]:
    """The sources to which an argument gives a weight: `data.weights.a=1`, `data.weights={a: 1}`."""
    key, _, value = word.partition("=")
    return items_of(value) if key == "data.weights" else re.findall(r"^data\.weights\.(.+)", key)


def _order(
    asked: BranchConfig,
    config: TrainConfig,
    state: dict,
    stores: dict[str, TokenStore],
    left_out: dict[str, Ranges],
) -> tuple[Order, dict[str, Ranges]]:
    """The branch's order, and all token ranges that it leaves out. Raises RunError if too little is left."""
    before = Order.from_json(state["order"])
    earlier = before.segments[-1].without
    without = {
        source: merged((*earlier.get(source, ()), *left_out.get(source, ())))
        for source in sorted({*earlier, *left_out})
    }
    try:
        order = branched(before, config, asked.at, stores, without or None)
        order.locate(config.timeline.steps.sample(config.steps) - 1)
    except ValueError as error:
        raise RunError(f"without={asked.without}: {error}" if asked.without else str(error)) from None
    refuse_repeats(order, config, asked.at)
    return order, without


def _updates(parent: Path, at: int, optim: OptimConfig) -> tuple[Stretch, ...]:
    """AdamW's updates before the branch, by the parent and by its own ancestors."""
    lineage = Lineage.read(parent)
    return (*(lineage.updates if lineage else ()), Stretch(at, optim.betas, optim.clip))


def _checkpoint(parent: Path, at: int) -> tuple[Path, dict]:
    """The parent's checkpoint of step `at`. Raises RunError with the nearest ones if it was not kept."""
    if not (parent / "checkpoints").is_dir():
        raise RunError(f"run={parent}: not a run with checkpoints; `relama runs` lists the runs here")
    steps = complete_steps(parent / "checkpoints")
    folder = step_folder(parent / "checkpoints", at)
    if at in steps:
        return folder, read_state(folder)
    near = ", ".join(map(str, sorted(sorted(steps, key=lambda step: abs(step - at))[:3]))) or "none"
    if folder.is_dir():
        raise RunError(f"at={at}: {folder} is damaged; restore it, or choose another: {near}")
    past = [f"; {run} has the steps up to {step}" for run, step in shared(parent) if at <= step]
    raise RunError(
        f"at={at}: {parent} has no checkpoint of this step; the nearest kept: {near}{''.join(past[-1:])}"
    )


def _stores(config: TrainConfig, at: int) -> dict[str, TokenStore]:
    """The token stores of the phases to come, and those of the past that are still there."""
    every = replace(config.data, weights=config.timeline.needed(config.corpora, at), sources=None)
    places = find_stores(config.corpora, every)
    return {source: open_store(place, cache=config.cache) for source, place in places.items()}


def _left_out(without: str | None, stores: dict[str, TokenStore]) -> dict[str, Ranges]:
    """The token ranges of the documents to leave out, by source. Raises RunError if there is no such file."""
    if without is None:
        return {}
    if not Path(without).is_file():
        raise RunError(f"without={without}: no such file; expected one that lists a document per line")
    return {source: shown(spans) for source, spans in select(stores, wanted_in(without, "without")).items()}


def shares(config: TrainConfig, ranges: dict[str, Ranges]) -> Iterator[str]:
    """What is left out of each source, and how much of it is other text in the same sequences."""
    length = config.timeline.phases[-1].seq_len
    for source, some in ranges.items():
        tokens = sum(b - a for a, b in some)
        sequences = sum(b - a for a, b in holes_of(some, length))
        other = max(0, sequences * length - tokens)
        yield (
            f"{source}: {tokens:,} tokens left out, in {sequences:,} sequences of {length:,}, with "
            f"{other:,} tokens of other text ({other / (sequences * length):.0%})"
        )


def _places(parent: Path) -> dict[str, Path]:
    """Where the parent's token stores are, as far as known."""
    try:
        known = json.loads((parent / "order.json").read_text(encoding="utf-8"))["stores"]
        return {source: Path(folder) for source, folder in known.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _refuse_existing(folder: Path) -> None:
    if folder.exists():
        raise RunError(f"{folder}: exists already; choose a new name with to=")


def _write(
    folder: Path, config: TrainConfig, lineage: Lineage, order: Order, stores: dict[str, TokenStore]
) -> None:
    with folders.filling(folder) as aside:
        _refuse_existing(folder)
        (aside / "checkpoints").mkdir()
        save(config, aside / configuration.NAME)
        known = {
            "order": order.to_json(),
            "global_batch": config.timeline.steps.to_json(),
            "stores": {source: store_place(store) for source, store in stores.items()},
            "fingerprints": lineage.fingerprints,
        }
        folders.write_whole(aside / "order.json", json.dumps(known, indent=1))
        lineage.write(aside, folder)
        lineage.checkpoint()  # the parent, if it is training, may have removed it meanwhile
        folders.commit_once(aside, folder)
    try:
        lineage.checkpoint()  # or just before the branch was complete; from now on it keeps it
    except RunError:
        shutil.rmtree(folder)
        raise


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, ConfigError))

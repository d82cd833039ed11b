"""Where a run continues: after its newest complete checkpoint, from given weights, or from the beginning.

Used when a run starts and when it rewinds. Refuses checkpoints of other data, another tokenizer or another
model.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from data.order import Order
from data.remote import is_remote
from data.tokens.store import TokenStore
from model.formats.weights import Weights
from model.initialize import initialize
from model.llama import Llama
from model.parallelize.pipeline import Pipeline
from train import decisions
from train.checkpoint import apart
from train.checkpoint.folder import (
    complete_steps,
    damage_seen_by_all,
    had_checkpoints,
    newest_complete,
    read_state,
    step_folder,
)
from train.checkpoint.tensors import load, refuse_other_shape
from train.config import Refused, RunError
from train.optimizer import build_optimizer
from train.order import branched, first_order, refuse_repeats
from train.preflight import Resolved
from train.ranks import identity, placement
from train.ranks.setup import Ranks
from train.ranks.together import all_ranks_do, first_rank_does, gather_objects
from train.recovery import Recovery
from train.run import history, markers, starts
from train.run.configuration import changes, refuse_another_run
from train.run.folder import RunFolder
from train.run.lineage import Lineage
from train.weights.open import as_tied, fill, model_state, open_weights, same_tokenizer
from train.weights.shape import shape_beside


@dataclass
class Resumed:
    """The last finished step, the optimizer after it, and the order of the data.

    `owed`: the step's line of metrics if its held-out losses or scores are still to be measured.
    """

    step: int
    optimizer: torch.optim.AdamW
    order: Order
    owed: dict | None
    checkpoint: Path | None  # of this run, from which it continues


def resume_or_start(
    run: Resolved,
    ranks: Ranks,
    folder: RunFolder,
    model: Llama | Pipeline,
    recovery: Recovery,
    arguments: list[str] | None,
    owes: Callable[[dict], bool],
) -> Resumed:
    """Fill `model` and `recovery`, and return the position; all ranks call it.

    `arguments` are those of the command that starts the run, None for a rewind. `owes`: whether a line of
    metrics lacks measurements. Raises RunError.
    """
    logged = first_rank_does(lambda: decisions.read_log(folder.path))
    if placement.away():
        all_ranks_do(lambda: placement.leads() and decisions.remove_abandoned(folder.checkpoints, logged))
    first_rank_does(lambda: decisions.remove_abandoned(folder.checkpoints, logged))
    optimizer = build_optimizer(model, run.config.optim)
    own = newest_complete(folder.checkpoints)
    if arguments is not None and placement.away():
        _refuse_newer_elsewhere(run, folder, own[1]["step"] if own else 0)
    lineage = first_rank_does(lambda: Lineage.read(folder.path))
    begun = lineage.step if lineage else 0
    if own:
        first_rank_does(lambda: refuse_another_run(folder.path, run.config, own[1]))
    elif arguments is not None:
        first_rank_does(lambda: _refuse_lost_checkpoints(run, folder, begun))
    found = own or (_of_parent(lineage) if lineage else None)
    if found:
        _continue_from(*found, run, folder, model, optimizer)
        other = first_rank_does(lambda: starts.other_device(folder.path, ranks.device))
        if other and arguments is not None:
            identity.say(f"warning: {other}: the last bits may differ from those of an undisturbed run")
    elif run.config.init:
        _start_from(open_weights(Path(run.config.init)), run, folder, model)
    else:
        with identity.waiting("drawing the initial weights"):
            initialize(model, run.config.seed)
        identity.say(f"starting {folder.path}")
    state = found[1] if found else {}
    step, order = _position(run, state, lineage)
    refuse_repeats(order, run.config, step)
    known = state.get("recovery")
    logged = first_rank_does(
        lambda: decisions.reconcile(folder.path, known["decisions"] if known else [])
    )  # read again: without a checkpoint it may have been set aside
    order = recovery.resume(known, logged, order)
    first_rank_does(lambda: _record(run, ranks, folder, step, order, arguments))
    if placement.away():
        all_ranks_do(lambda: placement.leads() and _record_elsewhere(run, folder))
    first_rank_does(lambda: history.set_aside_after(folder.path, step))
    owed = first_rank_does(lambda: folder.cut_metrics(step, state.get("owed"), begun, owes))
    return Resumed(step, optimizer, order, owed, own[0] if own else None)


def refuse_remote(run: Resolved, folder: RunFolder, state: dict) -> None:
    """Raise RunError if a checkpoint at checkpoint.remote with this `state` is not of this run."""
    url = str(run.config.checkpoint.remote)
    changed = changes(folder.path, run.config, state) if "order" in state else ["imported weights"]
    if changed:
        raise Refused(
            f"checkpoint.remote={url}: holds another run ({'; '.join(changed)}); choose another URL, or "
            f"rerun with the original values to continue that run ({url}/config.yaml has them)"
        )
    refuse_other_shape(url, state, run.config.model_at(state["step"]))
    _refuse_other_data(run, url, state)


def _continue_from(
    checkpoint: Path,
    state: dict,
    run: Resolved,
    folder: RunFolder,
    model: Llama | Pipeline,
    optimizer: torch.optim.AdamW,
) -> None:
    """Fill the model and AdamW's state from a checkpoint of this run or of its parent."""
    refuse_other_shape(checkpoint, state, run.config.model_at(state["step"]))
    _refuse_other_data(run, checkpoint, state)
    with apart.at_hand(checkpoint, folder.checkpoints) as here, identity.waiting(f"reading {checkpoint}"):
        load(here, model, optimizer)
    identity.say(f"resuming {folder.path} after step {state['step']}")


def _start_from(weights: Weights, run: Resolved, folder: RunFolder, model: Llama | Pipeline) -> None:
    """Fill the model from the weights of `init=`."""
    given = as_tied(weights, run.config.model.tie_word_embeddings)
    refuse_other_shape(weights.path, model_state(given), run.config.model, give=shape_beside(run.config.init))
    _refuse_other_tokenizer(run, weights)
    fill(model, given)
    identity.say(f"starting {folder.path} from the weights of {weights.path}")
    if weights.config.tie_word_embeddings and not given.config.tie_word_embeddings:
        identity.say(
            f"warning: {weights.path} has one matrix as embedding and output; here are two, which train "
            "separately (model.tie_word_embeddings=true keeps one)"
        )
    if repeated := _repeated(run, weights):
        identity.say(
            f"warning: {weights.path} was trained on the samples that this run begins with (of "
            f"{', '.join(repeated)}); data_seed={run.config.order_seed + 1} begins with others"
        )


def _position(run: Resolved, state: dict, lineage: Lineage | None) -> tuple[int, Order]:
    """The last finished step and the order of the data; `state` is a checkpoint's, empty without one."""
    if not state:
        return 0, first_order(run.config, run.train)
    step = state["step"]
    without = lineage.without if lineage and lineage.step == step else None
    # What is to come may have changed with the number of steps, or in a branch.
    return step, branched(Order.from_json(state["order"]), run.config, step, run.train, without)


def _repeated(run: Resolved, weights: Weights) -> list[str]:
    """The sources that this run reads in the same order as the run that trained the weights did."""
    if weights.step is None:  # not a Relama checkpoint
        return []
    parent = read_state(weights.path)
    if "order" not in parent:  # imported or averaged: not of one run
        return []
    before, now = Order.from_json(parent["order"]), first_order(run.config, run.train)
    same_length = before.seq_len(0) == now.seq_len(0)
    return [
        source
        for source, fingerprint in parent["fingerprints"].items()
        if fingerprint == run.fingerprints.get(source) and before.seed == now.seed and same_length
    ]


def _record(
    run: Resolved, ranks: Ranks, folder: RunFolder, step: int, order: Order, arguments: list[str] | None
) -> None:
    """Bring the run folder's other files in line with the position; the first rank calls it."""
    starts.started(folder.path, arguments, step, ranks)
    markers.clear(folder.path)
    _keep_tokenizer(run, folder)
    folder.write_config(replace(run.config, restart=False))  # of this start alone
    folder.write_command()
    folder.write_order(
        {
            "order": order.to_json(),
            "global_batch": run.config.timeline.steps.to_json(),
            "stores": {source: store_place(store) for source, store in run.train.items()},
            "fingerprints": run.fingerprints,
        }
    )


def _record_elsewhere(run: Resolved, folder: RunFolder) -> None:
    """Bring the folder of a machine that does not see the first rank's in line with the position."""
    markers.clear(folder.path)
    _keep_tokenizer(run, folder)


def _keep_tokenizer(run: Resolved, folder: RunFolder) -> None:
    any_store = next(iter(run.train.values()))
    folder.keep_tokenizer(any_store.tokenizer, run.tokenizer_fingerprint)


def store_place(store: TokenStore) -> str:
    return store.place if is_remote(store.place) else str(store.folder.resolve())


def _refuse_lost_checkpoints(run: Resolved, folder: RunFolder, begun: int) -> None:
    """Raise RunError if a run has lost all its checkpoints; with restart=true, set its past aside instead."""
    if not had_checkpoints(folder.checkpoints) and not starts.had_checkpoints(folder.path, begun):
        return
    if not run.config.restart:
        url = run.config.checkpoint.remote
        mend = f"move it away to download the newest of {url}" if url else "restore it"
        raise RunError(
            f"{folder.checkpoints}: no complete checkpoint, though this run had one; {mend}, or set "
            "restart=true to train again from step 0 (its metrics and decisions are kept under other names)"
        )
    folder.set_aside(folder.metrics, folder.path / decisions.LOG)


def _refuse_newer_elsewhere(run: Resolved, folder: RunFolder, step: int) -> None:
    """Raise RunError if a machine that shares no folder with the first has a later checkpoint than `step`.

    That machine was first in an earlier start, and failed before it had uploaded that one. All ranks call it.
    """
    here = all_ranks_do(
        lambda: max(complete_steps(folder.checkpoints), default=0) if placement.leads() else 0
    )
    newest, host = max(gather_objects((here, identity.node())))
    if newest > step and not run.config.restart:
        raise RunError(
            f"{step_folder(folder.checkpoints, newest)} on {host}: newer than step {step}, the newest on the "
            f"first rank's machine and at {run.config.checkpoint.remote}; copy it to {folder.checkpoints} "
            f"there to resume from it, or move it away to train again from step {step}"
        )


def _of_parent(lineage: Lineage) -> tuple[Path, dict]:
    """The checkpoint that a branch begins with, and its state as this run's; all ranks call it."""
    checkpoint, state = first_rank_does(lineage.checkpoint)
    if problems := damage_seen_by_all(checkpoint):
        raise RunError(f"{checkpoint}: damaged ({problems[0]}), and this run continues from it; restore it")
    known = state.get("recovery")
    recovery = known and {**known, "decisions": []}  # what the parent left out is in the order
    state = {key: value for key, value in state.items() if key != "owed"}
    return checkpoint, {**state, "recovery": recovery, "fingerprints": lineage.fingerprints}


def _refuse_other_data(run: Resolved, checkpoint: Path | str, state: dict) -> None:
    coming = {s for phase in run.config.timeline.phases if phase.end > state["step"] for s in phase.weights}
    for source, fingerprint in state["fingerprints"].items():
        if source not in run.train and source not in coming:
            continue  # only the past had it
        if run.fingerprints.get(source) != fingerprint:
            here = run.train[source].place if source in run.train else f"{run.config.corpora}/{source}"
            raise RunError(
                f"{here}: not the tokens that {checkpoint} was trained on ({fingerprint[:12]}… there); "
                "restore those, or start a new run=NAME with init= this checkpoint"
            )


def _refuse_other_tokenizer(run: Resolved, weights: Weights) -> None:
    if not same_tokenizer(weights, run.tokenizer_fingerprint, run.config.model.vocab_size):
        raise RunError(
            f"init={weights.path}: trained with another tokenizer than {run.config.corpora}; prepare the "
            f"tokens with theirs (relama prepare … stage=tokens tokenizer={weights.tokenizer or 'PATH'})"
        )

"""`relama launch check …`: measure the machines that a run would get, before paying for it.

It takes the launch's and the run's own keys, and starts as the run would. Every rank measures its machine
and its links, opens the data, and computes steps of the real model in its real layout on random tokens. The
first rank names what is slow or wrong, prints a table and writes hardware.json, which `relama plan` reads.
"""

import json
import platform
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import torch

from configs.errors import reason
from configs.load import entry, load
from configs.sizes import binary
from data.errors import DataError
from data.folders import run_path, write_whole
from train.check import buckets, measures, step, verdict
from train.config import RunError, TrainConfig
from train.metrics.hardware import cpu_name
from train.plan import needs
from train.plan.auto import settle
from train.precision import DTYPES
from train.preflight import open_data
from train.ranks import identity
from train.ranks.layout import choose_layout, is_idle, layout_of
from train.ranks.output import survive_broken_output
from train.ranks.rendezvous import tell_the_idle, wait_for_the_end
from train.ranks.setup import Ranks, die_with_parent, set_up, tear_down
from train.ranks.together import end_together, first_rank_does, gather_objects
from train.recipe.facts import with_vocabulary
from train.run.configuration import settle_precision

OUTPUT = Path("hardware.json")
PATIENCE = timedelta(minutes=10)


def run(argv: list[str]) -> int:
    config = settle(load("train", TrainConfig, argv))
    layout = choose_layout(config)
    if is_idle(layout):
        wait_for_the_end(identity.rank(), PATIENCE)
        return 0
    try:
        ranks = set_up(layout, config.device, config.threads, PATIENCE)
        config = settle_precision(config, ranks.device)
        code = end_together(_check(config, ranks))
        if code == 0 and ranks.is_first:
            tell_the_idle(range(ranks.world_size, identity.world_size()))
        return code
    finally:
        tear_down()


def _check(config: TrainConfig, ranks: Ranks) -> int:
    """Returns 1 if anything is slow or wrong."""
    mine = _of_this_rank(config, ranks)
    sizes = [size for size in gather_objects(mine.pop("vocab_size")) if size]
    mine["collectives"] = measures.collective_rates(ranks.device)
    nodes = gather_objects(mine["node"])
    leaders = [nodes.index(node) for node in dict.fromkeys(nodes)]
    mine["pairs"] = measures.pair_rates(leaders, ranks.device) if len(leaders) > 1 else {}
    known = replace(config.model, vocab_size=sizes[0]) if sizes else config.model
    config = replace(config, model=with_vocabulary(known))
    layout_of(config, config.model, ranks.world_size)
    steps = step.step_of_all(config, ranks)
    mine["step"] = steps[ranks.rank]
    found = gather_objects(mine)
    problems = verdict.problems(found) + step.problems_of(steps)
    first_rank_does(lambda: _write(config, ranks, found, problems))
    if ranks.is_first:
        print("\n".join(_table(found)))
        for problem in problems:
            print(f"problem: {problem}")
        if bad := verdict.bad_nodes(found):
            print(f"without them: relama launch … cluster.exclude={','.join(bad)}")
        print(f"wrote {OUTPUT.absolute()}: relama plan measured={OUTPUT} model=… world_size=…")
    # On every rank: torchrun on a node whose ranks succeed waits minutes for the others.
    return 1 if problems else 0


def _of_this_rank(config: TrainConfig, ranks: Ranks) -> dict:
    """What a rank measures on its own, while all others do the same."""
    found: dict = {"node": identity.node(), "problems": [], "tokens": None, "vocab_size": None}
    found["versions"] = {
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "CUDA": torch.version.cuda,
        "device": _device_name(ranks.device),
    }
    found["clock"] = measures.clock_offset()
    found["matrix"] = measures.matrix_rate(ranks.device, DTYPES[config.precision])
    found["memory"] = measures.memory_rate(ranks.device)
    found["free_memory"] = needs.available_memory()
    found |= dict.fromkeys(verdict.OF_NODES)
    if identity.local_rank() == 0:
        try:
            folder = run_path(config.run).parent
            found["disk_write"], found["disk_read"] = measures.disk_rates(folder)
        except OSError as error:
            found["problems"].append(f"disk: {error}")
        if url := config.checkpoint.remote:
            try:
                found["remote_write"], found["remote_read"] = buckets.checkpoint_rates(url)
            except (DataError, OSError) as error:
                found["problems"].append(f"checkpoint.remote: {error}")
    try:
        train, _ = open_data(config, ranks.layout)
        found["tokens"] = " ".join(store.fingerprint for store in train.values())
        found["vocab_size"] = next(iter(train.values())).vocab_size
        if identity.local_rank() == 0:
            found["tokens_read"] = buckets.tokens_rate(train.values())
    except (RunError, DataError, OSError) as error:
        found["problems"].append(f"data: {error}")
    return found


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def _table(found: list[dict]) -> list[str]:
    """Markdown: the ranks' own rates, then the collectives by size."""
    lines = ["| rank | node | matrix products | memory | free memory | disk: write, read | step |"]
    lines.append("|---|---|---|---|---|---|---|")
    for number, rank in enumerate(found):
        disk = [verdict.shown(rank[key], "B/s") for key in ("disk_write", "disk_read") if rank[key]]
        free = "–" if rank["free_memory"] is None else binary(rank["free_memory"])
        lines.append(
            f"| {number} | {rank['node']} | {verdict.shown(rank['matrix'], 'FLOP/s')} | "
            f"{verdict.shown(rank['memory'], 'B/s')} | {free} | {', '.join(disk) or '–'} | "
            f"{rank['step']['seconds']:.3g} s, {verdict.shown(rank['step']['flops_per_second'], 'FLOP/s')} |"
        )
    if any(rank[key] for rank in found for key in verdict.OF_BUCKETS):
        lines += ["", "| node | tokens: read | checkpoint.remote: write | read |", "|---|---|---|---|"]
        for rank in found:
            cells = [verdict.shown(rank[key], "B/s") if rank[key] else "–" for key in verdict.OF_BUCKETS]
            if any(rank[key] for key in verdict.OF_BUCKETS):
                lines.append(f"| {rank['node']} | {' | '.join(cells)} |")
    lines += ["", "| collective | " + " | ".join(binary(size) for size in measures.SIZES) + " |"]
    lines.append("|---|" + "---|" * len(measures.SIZES))
    for name, rates in found[0]["collectives"].items():
        cells = [verdict.shown(min(r["collectives"][name][size] for r in found), "B/s") for size in rates]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _write(config: TrainConfig, ranks: Ranks, found: list[dict], problems: list[str]) -> None:
    """hardware.json. `speed` is what `relama plan measured=` reads. Raises RunError."""
    slowest = min(rank["step"]["flops_per_second"] for rank in found)
    speed = {
        "shape": f"{config.model.n_layers} layers of width {config.model.dim}",
        "dim": config.model.dim,
        "compiled": config.parallel.compile,
        "flops_per_second": slowest,
        "mfu": slowest / found[0]["matrix"],
        "basis": f"measured by relama launch check on {ranks.world_size} ranks, the slowest of them",
    }
    content = {
        "device": found[0]["versions"]["device"],
        "ranks": ranks.world_size,
        "speed": [speed],
        "measured": found,
        "problems": problems,
    }
    try:
        write_whole(OUTPUT, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise RunError(f"{OUTPUT.absolute()}: cannot be written ({reason(error)})") from None


def main(argv: list[str] | None = None) -> int:
    die_with_parent()
    survive_broken_output()
    return entry(run, argv, errors=(RunError, DataError))


if __name__ == "__main__":
    sys.exit(main())

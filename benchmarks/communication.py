"""What each of 2,048 GPUs sends in a step: `python benchmarks/communication.py`.

The paper's four sizes, traced on fake ranks: on the default layout, with 8 ranks per matrix (33B, with 52
heads: 4), and, if the layout uses copies with fewer shards so that FSDP2 need not pad, also without copies.
Each is compared with the least that the layout allows: each block's weights once for the forward and once
for the backward of every micro-batch, the ends once, gradients reduced once (a shard's once more over its
copies), and under tensor parallelism the sequence gathered and scattered twice in a block's forward and
twice in its backward. Ring algorithms throughout; no other algorithm sends less.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from configs.load import load
from model.parallelize.mesh import Layout
from train.plan.layout import settle_layout, trace
from train.plan.main import PlanConfig

SIZES = ("7b", "13b", "33b", "65b")
BF16, FP32 = 2, 4


def least_bytes(config: PlanConfig, layout: Layout) -> float:
    """Bytes that a rank must send in a step, by the layout alone (HSDP × tp, nothing checkpointed)."""
    model, tp, dp, copies = config.model, layout.tp, layout.dp_shard, layout.dp_replicate
    assert dp and copies and config.seq_len  # settled
    micro_batches = config.micro_batches // layout.dp_size
    block = (4 * model.dim**2 + 3 * model.dim * model.hidden_dim) / tp + 2 * model.dim
    ends = 2 * model.vocab_size * model.dim / tp + model.dim
    gathered = micro_batches * BF16 * (2 * model.n_layers * block + ends)
    reduced = FP32 * (model.n_layers * block + ends)
    weights = (gathered + reduced) * (dp - 1) / dp + 2 * reduced / dp * (copies - 1) / copies
    sequence = config.micro_batch * config.seq_len * model.dim * BF16 * (tp - 1) / tp
    # Forward and backward: 4 per block each; the embedding's and the head's once each.
    return weights + micro_batches * sequence * (8 * model.n_layers + 4)


def rows(sizes: tuple[str, ...], world_size: int) -> list[tuple]:
    """(size, layout, micro-batches, GB sent, least GB, ratio)."""
    found = []
    for size in sizes:
        heads = load("plan", PlanConfig, [f"model={size}"]).model.n_heads  # 33B has 52: at most 4 ranks
        for tp in (1, max(n for n in (2, 4, 8) if heads % n == 0)):
            arguments = [f"model={size}", f"world_size={world_size}", f"parallel.tp={tp}"]
            config = load("plan", PlanConfig, arguments)
            layout, _, _ = settle_layout(config)
            found.append(row(size, config, layout))
            if (layout.dp_replicate or 1) > 1:  # and without copies
                layout, _, _ = settle_layout(
                    load("plan", PlanConfig, [*arguments, "parallel.dp_replicate=1"])
                )
                found.append(row(size, config, layout))
    return found


def row(size: str, config: PlanConfig, layout: Layout) -> tuple:
    """One line of the table, traced in its own process, because DTensor remembers deleted groups."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        sent = process.submit(sent_in_a_step, config, layout).result()
    least = least_bytes(config, layout)
    return size, str(layout), config.micro_batches // layout.dp_size, sent / 1e9, least / 1e9, sent / least


def sent_in_a_step(config: PlanConfig, layout: Layout) -> float:
    """The bytes that a rank sends in a step."""
    return trace(config, layout, ("none",))["none"].sent


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--world-size", type=int, default=2048)
    arguments = parser.parse_args()
    print("| size | layout | micro-batches a rank | GB sent | least | ratio |")
    print("|---|---|---|---|---|---|")
    for size, layout, count, sent, least, ratio in rows(
        tuple(arguments.sizes.split(",")), arguments.world_size
    ):
        name = layout.replace("parallel.", "")
        print(f"| {size} | {name} | {count} | {sent:.1f} | {least:.1f} | {ratio:.3f} |", flush=True)


if __name__ == "__main__":
    main()

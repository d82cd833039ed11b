"""Speed and memory of the loader at any sample number: `python benchmarks/loader.py`.

Three tables: the loader against the training step that consumes it (the small model); one loader far into
a run; and sources of 10^5 to 10^9 sequences. Files are sparse, so the disk is not measured.
Memory is the process's own (RssAnon): the system can reclaim mapped file pages.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from data.loader import Loader
from data.order import Order
from data.tokens.store import DOCUMENT, TOKENIZERS, VERSION, TokenStore, manifest_checksum

TABLE_1 = {
    "commoncrawl": 67.0,
    "c4": 15.0,
    "github": 4.5,
    "wikipedia": 4.5,
    "books": 4.5,
    "arxiv": 2.5,
    "stackexchange": 2.0,
}
SEQ_LEN, MICRO_BATCH, GLOBAL_BATCH = 512, 4, 16  # of the small model
SHORT = 16  # tokens of a sequence, so that a sparse file can hold 10^9 of them


def sparse_store(folder: Path, source: str, n_tokens: int, shards: int = 4) -> TokenStore:
    """A store of that many zeros, which take no disk space."""
    folder.mkdir(parents=True)
    (folder / TOKENIZERS[0]).write_bytes(b"")
    made = []
    for i in range(shards):
        size = n_tokens * (i + 1) // shards - n_tokens * i // shards
        with open(folder / f"train-{i:05d}.bin", "wb") as file:
            file.truncate(2 * size)
        np.array([(size, 0, 0)], DOCUMENT).tofile(folder / f"train-{i:05d}.docs")
        names = {"file": f"train-{i:05d}.bin", "documents_file": f"train-{i:05d}.docs"}
        made.append({**names, "tokens": size, "documents": 1, "bytes": 0, "xxh3": "", "documents_xxh3": ""})
    manifest = {
        "version": VERSION,
        "source": source,
        "dtype": "<u2",
        "tokenizer": {"fingerprint": "", "vocab_size": 32000, "bos_id": 1, "eos_id": 2},
        "text_files": [],
        "splits": {"train": {"tokens": n_tokens, "documents": shards, "bytes": 0, "shards": made}},
    }
    (folder / "manifest.json").write_text(json.dumps({**manifest, "xxh3": manifest_checksum(manifest)}))
    return TokenStore.open(folder)


def own_memory() -> float:
    """MiB of this process's private memory."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def order_over(stores: dict[str, TokenStore], seq_len: int) -> Order:
    sizes = {source: store.n_sequences(seq_len) for source, store in stores.items()}
    weights = {source: TABLE_1[source] for source in stores}
    return Order.start(seed=0, weights=weights, n_sequences=sizes, seq_len=seq_len)


def measure(
    stores: dict[str, TokenStore], seq_len: int, start: int, samples: int
) -> tuple[float, float, float]:
    """Samples per second of the loader, microseconds of one `locate`, MiB, from sample `start` on."""
    order = order_over(stores, seq_len)
    first = start // GLOBAL_BATCH
    with Loader(order, stores, micro_batch=MICRO_BATCH, global_batch=GLOBAL_BATCH) as loader:
        begin = time.perf_counter()
        for _ in loader.batches(first, first + samples // GLOBAL_BATCH):
            pass
        seconds = time.perf_counter() - begin
    begin = time.perf_counter()
    for n in range(start, start + 5000):
        order.locate(n)
    return samples / seconds, (time.perf_counter() - begin) / 5000 * 1e6, own_memory()


def against_the_trainer(stores: dict[str, TokenStore], threads: int) -> None:
    code = (
        "import time, torch, train_step\n"
        f"torch.set_num_threads({threads})\n"
        "shape = train_step.SHAPES['a']\n"
        "step = train_step.relama_step(shape, 'fp32')\n"
        "tokens = torch.randint(0, 32000, (shape.batch, shape.model.max_seq_len + 1))\n"
        "times = []\n"
        "for _ in range(4):\n"
        "    begin = time.perf_counter()\n"
        "    step(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())\n"
        "    times.append(time.perf_counter() - begin)\n"
        "print(shape.tokens / min(times))\n"
    )
    folder = Path(__file__).resolve().parent
    finished = subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, stdout=subprocess.PIPE)
    consumed = float(finished.stdout.split()[-1])
    loaded = max(measure(stores, SEQ_LEN, 0, 20_000)[0] for _ in range(3)) * SEQ_LEN
    print(f"the small model's step consumes {consumed:12,.0f} tokens/s on {threads} threads, best of 4")
    ratio = loaded / consumed
    print(f"the loader brings               {loaded:12,.0f} tokens/s, {ratio:,.0f}× (target: at least 100×)")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="of the training step")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        stores = {source: sparse_store(root / source, source, 4_000_000) for source in TABLE_1}
        against_the_trainer(stores, arguments.threads)

        print(f"\nseven sources, sequences of {SEQ_LEN}: far into a run")
        print(f"{'from sample':>14}{'tokens/s':>14}{'locate':>12}{'own memory':>14}")
        for power in range(5, 10):
            speed, micros, memory = measure(stores, SEQ_LEN, 10**power, 20_000)
            print(f"{10**power:14,}{speed * SEQ_LEN:14,.0f}{micros:9.1f} µs{memory:10.1f} MiB")

        print(f"\none source of as many sequences of {SHORT}")
        print(f"{'sequences':>14}{'samples/s':>14}{'locate':>12}{'own memory':>14}")
        for power in range(5, 10):
            store = sparse_store(root / f"of-{power}", "c4", 10**power * SHORT + 1)
            speed, micros, memory = measure({"c4": store}, SHORT, 10**power // 2, 20_000)
            print(f"{store.n_sequences(SHORT):14,}{speed:14,.0f}{micros:9.1f} µs{memory:10.1f} MiB")


if __name__ == "__main__":
    main()

"""What uploading checkpoints adds to the step time: `python benchmarks/buckets/upload.py [KEY=VALUE …]`.

The same run with and without checkpoint.remote, in turn: one thread computes, and moto's S3 server, behind a
proxy with 30 ms of latency and 50 MB/s, has the other core. Compared is the mean time of a step once the
first save has begun, saves included. Run it from the repository's root, installed editable, on idle cores.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.buckets import Chaos, credentials, make_bucket, moto

EVERY, STEPS, TURNS = 20, 60, 2
KEYS = ("model=tiny", "data=sample", "threads=1", "validate.every=0", f"checkpoint.every={EVERY}")


def seconds_per_step(run: Path, *keys: str) -> float:
    command = [sys.executable, "-m", "launch.cli", "train", *KEYS, f"steps={STEPS}", f"run={run}", *keys]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    tokens = lines[1]["tokens"] - lines[0]["tokens"]
    late = [line for line in lines if line["step"] > EVERY] or lines
    return mean(tokens / line["tokens_per_second"] for line in late)


def main(typed: list[str]) -> None:
    logging.disable(logging.INFO)
    found: dict[str, list[float]] = {"local": [], "uploaded": []}
    with tempfile.TemporaryDirectory() as folder, moto() as place:
        os.environ.update(credentials(place))
        make_bucket("runs")
        with Chaos(place, latency=0.03, bytes_per_second=50e6) as proxy:
            os.environ["AWS_ENDPOINT_URL"] = "http://{}:{}".format(*proxy.place)
            typed = [f"corpora={folder}/corpora", *typed]
            seconds_per_step(Path(folder, "first"), *typed, "stop_at=2")  # prepares the sample
            for turn in range(TURNS):
                for name, times in found.items():
                    run = Path(folder, f"{name}-{turn}")
                    remote = [f"checkpoint.remote=s3://runs/{turn}"] if name == "uploaded" else []
                    times.append(seconds_per_step(run, *typed, *remote))
            sent = proxy.requests["PUT"]
    for name, times in found.items():
        print(f"{name:>10}: {mean(times):.4f} s per step ({', '.join(f'{each:.4f}' for each in times)})")
    extra = (mean(found["uploaded"]) - mean(found["local"])) * EVERY
    for every in (EVERY, 1000):
        print(f"saved every {every:,} steps: {extra / (mean(found['local']) * every):+.2%} of the step time")
    print(f"{sent} objects were sent in {TURNS} runs")


if __name__ == "__main__":
    main(sys.argv[1:])

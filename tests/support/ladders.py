"""Folders of a ladder's runs as if they had been trained: they obey a known law."""

import json
import math
from dataclasses import replace

from configs.load import save
from data.mixture import DataConfig
from train.config import TrainConfig
from train.ladder import family
from train.ladder.law import Law

LAW = Law(E=1.8, log_A=math.log(60), log_B=math.log(90), alpha=0.36, beta=0.34)
WORDS = [
    "sizes=60k,130k,280k,500k",
    "width_per_layer=16",
    "seq_len=64",
    "tokens_per_parameter=5,10,20",
    "replicates=60",
]
RULE = dict(vocab_size=512, width_per_layer=16, seq_len=64)


def config_of(rung: family.Rung) -> TrainConfig:
    return TrainConfig(
        model=replace(rung.model),
        data=DataConfig(name="mix", weights={"books": 1.0}),
        steps=rung.steps,
        global_batch=rung.global_batch,
        optim=replace(TrainConfig.__dataclass_fields__["optim"].default_factory(), lr=rung.lr),
    )


def leave_run(path, rung, loss, data="one", train=None):
    """A finished run whose held-out loss is `loss`."""
    path.mkdir(parents=True)
    config = config_of(rung)
    save(config, path / "config.yaml")
    (path / "order.json").write_text(json.dumps({"fingerprints": {"books": data}}))
    losses = train or [6 - 3 * min(1.0, step / 40) for step in range(1, rung.steps + 1)]
    with open(path / "metrics.jsonl", "w") as file:
        for step, value in enumerate(losses, 1):
            line = {"step": step, "loss": value, "grad_norm": 1.0, "lr": rung.lr, "tokens": step}
            line |= {"tokens_per_second": 1.0, "mfu": None, "seconds": {"total": 0.1}}
            if step == rung.steps:
                line["validation"] = {
                    "books": {
                        **{"loss": loss, "perplexity": 1.0, "bits_per_byte": loss / 2},
                        **{"tokens": 9, "sequences": 1, "of_sequences": 1},
                    }
                }
            file.write(json.dumps(line) + "\n")
    (path / "finished.json").write_text(json.dumps({"step": rung.steps, "at": "now"}))

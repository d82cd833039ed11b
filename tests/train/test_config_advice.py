"""What a refusal of training's keys proposes is accepted, with the rest of the command as it was."""

import re

import pytest

from configs.load import ConfigError, load
from train.config import TrainConfig
from train.config_groups import ParallelConfig

RUN = ["model=tiny", "data=sample", "steps=100", "micro_batch=1", "global_batch=4096"]


def key_of(word: str) -> str:
    return word.lstrip("-").partition("=")[0]


def changed(words: list[str], other: list[str]) -> list[str]:
    """The command with `other` in place of the same keys; `-KEY` leaves one out."""
    keys = {key_of(word) for word in other}
    return [word for word in words if key_of(word) not in keys] + [w for w in other if w[0] != "-"]


# What is typed, what the refusal proposes, and each way to do it.
KEYS = [
    ("optim.warmup_steps=200", "below steps=100 (null scales it)", "=null | =99"),
    ("optim.decay_steps=10", "expected optim.schedule=wsd with it", "optim.schedule=wsd"),
    (
        "optim.warmup_steps=99 optim.schedule=wsd",
        "optim.decay_steps=10: expected 1 to",
        "optim.decay_steps=1",
    ),
    ("stop_at=200", "expected 1 to steps=100", "=100 | steps=200"),
    ("steps=2000000000", "expected at most 1,000,000,000", "=1000000000"),
    ("seq_len=512", "expected at most model.max_seq_len=256", "=256 | model.max_seq_len=512"),
    ("global_batch=1000 seq_len=64 micro_batch=4", "(the nearest: 1024)", "=1024"),
    ("global_batch=1 seq_len=64", "(the nearest: 64)", "=64"),
    ("data=text", "expected your own text for data=text (input=FILE, or", "input=a.txt | input=a.txt,b.txt"),
    ("input=a.txt", "expected data=text with it", "data=text"),
    ("source=mine input=a.txt", "expected data=text with it", "data=text"),
    ("data=text input=a.txt source=a/b", "letters, digits, _ and -", "source=a_b-2"),
    ("profile=true profile_steps=[200,300]", "which ends after step 100", "profile_steps=[99,100]"),
    ("evaluate.every=10", "expected tasks, such as piqa,hellaswag", "evaluate.tasks=piqa,hellaswag"),
    ("checkpoint.keep_every=15 checkpoint.every=10", "a multiple of checkpoint.every=10", "=0 | =20"),
    ("checkpoint.verify=10 checkpoint.every=10", "fewer steps than checkpoint.every=10", "=0 | =9"),
    ("checkpoint.remote=bucket/run", "a URL (s3://BUCKET/RUN)", "=s3://BUCKET/RUN"),
    ("checkpoint.upload_mbps=0", "a number above 0, or null", "=0.5 | =null"),
    (
        "data.sources=poems",
        "the choices are: python_code, python_docs (add your own with data.weights.poems=…)",
        "data.weights.poems=1 | =python_docs",
    ),
    (
        "data.weights.python_docs=0",
        "leave a source out with data.sources=A,B",
        "-data.weights.python_docs data.sources=python_code",
    ),
    ("data.sources=[]", "expected some of: python_code, python_docs", "=python_code | =[python_docs]"),
    ("parallel.stages_per_rank=3 parallel.pp=2 parallel.schedule=zbv", "null or 2 with", "=null | =2"),
    (
        "parallel.stages_per_rank=1 parallel.pp=2 parallel.schedule=interleaved",
        "expected null or 2 or more with",
        "=null | =2 | =3",
    ),
    ("parallel.schedule=half", "expected one of gpipe, 1f1b", "=gpipe | =1f1b"),  # without parallel.pp, too
    ("parallel.stages_per_rank=-3", "expected null or 1 with", "=null | =1"),
    ("threads=100000", "expected at most 1024", "=null | =1024"),
    ("global_batch=1000000000000000000000000", "expected at most 1,000,000,000,000,000", "=4096"),
    ("optim.eps=inf", "expected above 0, and finite", "=0.1"),
    ("optim.weight_decay=inf", "expected 0 or above, and finite", "=0 | =0.1"),
    ("watchdog.timeout=inf", "expected 0 (off) to 100000000 (seconds)", "=0 | =100000000"),
]
PHASES = [
    ("phases.b.until_step=9 phases.a.until_step=9", "expected a later end", "=10"),
    ("phases.a.until_step=200", "but the run has steps=100", "=100 | steps=200"),
    (
        "phases.a.seq_len=32 phases.b.seq_len=64",
        "give until_step, until_tokens or until_share (only the last phase may omit them)",
        "phases.a.until_step=9 | phases.a.until_tokens=40960 | phases.a.until_share=0.5",
    ),
    (
        "phases.a.until_step=3 phases.a.until_share=0.5",
        "until_step and until_share both say where it ends; give one of them",
        "-phases.a.until_step | -phases.a.until_share",
    ),
    ("phases.a.seq_len=512", "at most model.max_seq_len=256", "=256 | model.max_seq_len=512"),
    ("phases.a.global_batch=256000000000000000", "expected at most 1,000,000,000,000,000", "=1024"),
    ("phases.a.global_batch=1000", "= 256 × 1 = 256 tokens", "=1024"),
    (
        "phases.a.sources=poems,python_docs",
        "for others give phases.a.weights.NAME=… for each of the phase's sources",
        "phases.a.weights.poems=1 phases.a.weights.python_docs=1 | =python_docs",
    ),
    ("phases.a.until_step=3 phases.b.lr=0.1", "expected schedule= with it", "phases.b.schedule=linear"),
    (
        "phases.a.schedule=linear",
        "set optim.schedule=linear instead, or set these for a later phase",
        "-phases.a.schedule optim.schedule=linear | "
        "-phases.a.schedule phases.a.until_step=9 phases.b.schedule=linear",
    ),
    (
        "phases.a.schedule=1-sqrt",
        "set optim.schedule=wsd optim.decay_shape=1-sqrt instead",
        "-phases.a.schedule optim.schedule=wsd optim.decay_shape=1-sqrt",
    ),
    (
        "phases.a.schedule=cosine phases.a.lr=0.0001",
        "set optim.schedule=cosine, optim.lr and optim.min_lr_ratio instead",
        "-phases.a.schedule -phases.a.lr optim.schedule=cosine optim.lr=0.001 optim.min_lr_ratio=0.1",
    ),
    (
        "phases.a.lr=0.0001",
        "set optim.lr and optim.min_lr_ratio instead",
        "-phases.a.lr optim.lr=0.001 optim.min_lr_ratio=0.1",
    ),
]


@pytest.mark.parametrize(("typed", "proposal", "mends"), [*KEYS, *PHASES], ids=lambda text: text[:40])
def test_each_way_out_of_a_refusal_is_accepted(typed, proposal, mends):
    words = changed(RUN, typed.split())
    with pytest.raises(ConfigError) as refused:
        load("train", TrainConfig, words)
    assert proposal in str(refused.value)
    for mend in mends.split(" | "):
        mend = key_of(typed) + mend if mend[0] == "=" else mend
        load("train", TrainConfig, changed(words, mend.split()))


@pytest.mark.parametrize(
    ("schedule", "stages"),
    [("zero_bubble", None), ("zero_bubble", 1), ("zero_bubble", 2), ("zbv", 2), ("dualpipe", None)],
)
@pytest.mark.parametrize(
    "other", [{"compile": True}, {"activation_checkpointing": "full"}, {"reshard": "always"}]
)
def test_a_schedule_that_conflicts_with_another_key_gives_way_or_that_key_does(schedule, stages, other):
    keys = {"pp": 2, "schedule": schedule, "stages_per_rank": stages, **other}
    with pytest.raises(ValueError) as refused:
        ParallelConfig(**keys)
    proposal = r"set parallel\.(\w+)=(\w+), or parallel\.schedule=(\w+)(?: or (\w+))?$"
    found = re.search(proposal, str(refused.value))
    assert found, refused.value
    key, value, *schedules = found.groups()
    ParallelConfig(**{**keys, key: {"false": False}.get(value, value)})
    for name in filter(None, schedules):
        ParallelConfig(**{**keys, "schedule": name})

"""Command-line arguments become a typed config, or one line that says why not."""

import signal

import pytest

from configs.load import ConfigError, entry, from_yaml, load, save
from data.prepare.config import PrepareConfig
from train.config import TrainConfig

REFUSED = {
    "optim.lrr=1": ["optim.lrr", "optim.lr"],
    "+optim.lrr=1": ["optim.lrr", "optim.lr"],
    "+nonsense=1": ["nonsense", "unknown key", "--help lists all"],
    "nonsense=1": ["nonsense", "unknown key"],
    "model=9b": ["model=9b", "7b", "tiny"],
    "optim=sgd": ["optim=sgd", "adamw"],
    "optimizer=adamw": ["optimizer"],
    "steps=many": ["steps=many", "expected an integer"],
    "steps=1.5": ["steps=1.5", "expected an integer"],
    "steps=0": ["steps=0"],
    "optim.betas=[0.9]": ["optim.betas"],
    "optim.lr=-1": ["optim.lr", "above 0"],
    "optim.lr=nan": ["optim.lr", "above 0"],
    "optim.lr=50": ["optim.lr", "at most 1"],
    "optim.warmup_steps=300": ["optim.warmup_steps", "steps=300"],
    "global_batch=1000": ["global_batch=1000", "multiple of"],
    "global_batch=0": ["global_batch=0"],
    "micro_batch=3": ["global_batch", "micro_batch"],
    "micro_batch=0": ["micro_batch=0"],
    "seq_len=512": ["seq_len=512", "model.max_seq_len=256"],
    "seq_len=0": ["seq_len=0"],
    "model.n_heads=3": ["model.n_heads", "model.dim"],
    "model.dim=four": ["model.dim", "four"],
    "data.sources=[wikipedia]": ["data.sources", "wikipedia", "python_code"],
    "data.weights.python_code=0": ["data.weights.python_code"],
    "parallel.activation_checkpointing=some": ["parallel.activation_checkpointing", "selective"],
    "parallel.dp_shard=0": ["parallel.dp_shard"],
    "parallel={pp:2,schedule:zigzag}": ["parallel.schedule=zigzag", "interleaved"],
    "logger.wandb=yes_please": ["logger.wandb", "offline"],
    "stop_at=1000": ["stop_at=1000", "steps=300"],
    "device=tpu": ["device=tpu", "cuda"],
    "profile_steps=[5,3]": ["profile_steps"],
    "checkpoint=5": ["checkpoint"],
    "steps": ["steps", "key=value"],
    "--steps=3": ["--steps"],
    "steps=": ["steps"],
    "steps=[": ["steps=["],
    "~optim": ["~optim", "key=value"],
    "steps=1,2": ["steps=1,2", "one value"],
    "steps=range(1,3)": ["steps=range", "one value"],
    "model=/data/llama": ["model=/data/llama", "init=PATH"],
    "data=/my/text": ["data=/my/text", "recipe=text"],
    "lr=1": ["lr: unknown key", "did you mean optim.lr?"],
    "batch_size=8": ["did you mean micro_batch or global_batch?"],
    "epochs=3": ["did you mean steps?"],
    "max_steps=3": ["did you mean steps?"],
    "grad-clip=1": ["did you mean optim.clip?"],
    "n_layers=3": ["did you mean model.n_layers?"],
    "optim.betas=a,b": ["optim.betas", "expected a number"],
    "data.weights.mine=much": ["data.weights.mine=much", "expected a number"],
    "validate=5": ["validate=5", "validate.every"],
    "run=${nothing}": ["run=${nothing}: ", "not found"],
    "run=s3://bucket/run": ["run=s3://bucket/run", "expected a local folder"],
    "data=[mix,sample]": ["data=[mix,sample]", "no such choice"],
    "steps=null": ["steps=null: expected an integer"],
    "steps=5.0": ["expected an integer in digits: steps=5"],
    "optim.lr=3e\u22124": ["optim.lr=3e\u22124: expected a number"],
    "optim.betas=(0.9,0.95)": ["optim.betas=(0.9,0.95): expected a list such as 1,2"],
    "profile=(": ["profile=(: expected true or false"],
    "data.weights.a.b=1": ["data.weights.a={'b': 1}: expected a number"],
    "phases={a: {until_step: 2}}": ["phases={a: {until_step: 2}}: has a key", "phases.KEY=VALUE"],
    "parallel={tpp: 2}": ["parallel={tpp: 2}: has a key that configs/parallel", "parallel.KEY=VALUE"],
    "data.weights.python_code=null": ["data.weights.python_code=null: expected a number"],
}


@pytest.mark.parametrize("override", REFUSED)
def test_impossible_values_are_refused_in_one_line_that_names_the_key(override):
    with pytest.raises(ConfigError) as caught:
        load("train", TrainConfig, [override])
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for word in REFUSED[override]:
        assert word in message


@pytest.mark.parametrize(
    ("model", "lr", "steps"),
    [("7b", 3.0e-4, 238419), ("13b", 3.0e-4, 238419), ("33b", 1.5e-4, 333786), ("65b", 1.5e-4, 333786)],
)
def test_the_papers_sizes_bring_the_papers_settings(model, lr, steps):
    config = load("train", TrainConfig, [f"model={model}", "data=mix"])
    assert (config.optim.lr, config.steps, config.global_batch, config.seq_len) == (lr, steps, 2**22, 2048)
    assert config.optim.warmup_steps == 2000
    assert sum(config.data.weights.values()) == pytest.approx(100)


def test_your_own_source_joins_a_mixture_by_name():
    config = load("train", TrainConfig, ["data=mix", "data.weights.mine=5", "data.sources=[c4,mine]"])
    assert config.data.weights == {"c4": 15.0, "mine": 5.0}


def test_a_small_runs_warm_up_is_scaled_down():
    assert load("train", TrainConfig, ["steps=50"]).optim.warmup_steps == 5


def test_the_command_line_wins_over_the_size():
    config = load("train", TrainConfig, ["model=7b", "optim.lr=0.001", "steps=5000"])
    assert (config.optim.lr, config.steps) == (0.001, 5000)


def test_a_saved_config_reads_back_unchanged(tmp_path):
    config = load("train", TrainConfig, ["model=7b", "data=mix", "data.sources=[c4,books]"])
    save(config, tmp_path / "config.yaml")
    assert from_yaml(tmp_path / "config.yaml", TrainConfig) == config
    assert list(config.data.weights) == ["c4", "books"]


def test_a_damaged_saved_config_is_refused_by_name(tmp_path):
    for text in ("steps: [", "- 1", "steps: many", "unknown: 1"):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(ConfigError):
            from_yaml(tmp_path / "config.yaml", TrainConfig)


@pytest.mark.parametrize(
    "value",
    [
        *("/tmp/ünï", "/tmp/a(b)", "a,b", "a~/b c", "it's", '"a', "东京", "a:b", "a=b", "{a}", "[a]", "$a"),
        *("a\\", "a\\b", "\\'a\\\\", "1e5", "007", "true"),
    ],
)
def test_a_string_is_taken_as_the_shell_passes_it(value):
    assert load("train", TrainConfig, [f"corpora={value}"]).corpora == value


def test_null_quotes_and_interpolations_mean_the_same_as_in_hydra():
    assert load("train", TrainConfig, ["corpora='a,b'"]).corpora == "a,b"
    assert load("train", TrainConfig, ["corpora=${run}/x", "run=é"]).corpora == "é/x"


@pytest.mark.parametrize(
    ("arguments", "key", "expected"),
    [
        (["data=mix", "data.sources=c4,books"], "sources", ["c4", "books"]),
        (["data=mix", "data.sources=c4"], "sources", ["c4"]),
        (["data=mix", "data.sources='c4',\"books\""], "sources", ["c4", "books"]),
        (["data=mix", "data.sources=[c4,books]"], "sources", ["c4", "books"]),
        (["data=mix", "data.sources=null"], "sources", None),
        # data.sources={c4,books} in bash; a list in brackets replaces what was given before it
        (["data=mix", "data.sources=c4", "data.sources=books"], "sources", ["c4", "books"]),
        (
            ["data=mix", "data.sources=c4,arxiv", "seed=1", "data.sources=books"],
            "sources",
            ["c4", "arxiv", "books"],
        ),
        (["data=mix", "data.sources=[c4]", "+data.sources=books"], "sources", ["c4", "books"]),
        (["data=mix", "data.sources=c4", "data.sources=[books]"], "sources", ["books"]),
        (["data=mix", "data.sources=c4", "data.sources=null", "data.sources=arxiv"], "sources", ["arxiv"]),
    ],
)
def test_lists_need_no_brackets(arguments, key, expected):
    assert getattr(load("train", TrainConfig, arguments).data, key) == expected


def test_lists_of_numbers_need_no_brackets_either():
    config = load("train", TrainConfig, ["optim.betas=0.8,0.9", "profile_steps=5,7"])
    assert (config.optim.betas, config.profile_steps) == ([0.8, 0.9], [5, 7])


def test_files_in_braces_are_all_prepared():
    written = ["recipe=text", "source=a", "input=a.txt", "input=b.txt"]  # input={a,b}.txt
    assert load("prepare", PrepareConfig, written).input == ["a.txt", "b.txt"]


def test_ctrl_c_is_one_line_and_exit_code_130(capsys):
    def verb(argv):
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    try:
        assert entry(verb, []) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.strip() == "relama: interrupted"


def test_a_value_with_a_newline_is_refused_with_what_was_expected(capsys):
    with pytest.raises(ConfigError, match=r"source=a b: expected letters"):
        load("prepare", PrepareConfig, ["recipe=text", "source=a\nb", "input=x"])

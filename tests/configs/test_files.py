"""`config=FILE` gives a command the keys of a YAML file."""

import os
from pathlib import Path

import pytest

from configs.files import expand
from configs.load import ConfigError, entry, load, to_yaml
from configs.redact import unmasked
from launch.main import main as launch
from train.config import TrainConfig
from train.generation.main import GenerateConfig


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return f"config={path}"


def test_nested_and_dotted_keys_and_groups_are_read(tmp_path):
    word = write(tmp_path / "my.yaml", "model: small\noptim: {lr: 0.001, betas: [0.8, 0.9]}\nseed: 7\n")
    config = load("train", TrainConfig, expand([word, "data=sample"]))
    assert (config.optim.lr, config.optim.betas, config.seed) == (0.001, [0.8, 0.9], 7)
    assert config.model == load("train", TrainConfig, ["model=small"]).model


def test_what_is_typed_wins_at_any_position_and_replaces_a_group(tmp_path):
    word = write(tmp_path / "my.yaml", "model: {dim: 64, n_heads: 2}\nsteps: 5\nseed: 3\n")
    assert expand(["steps=9", word]) == ["model.dim=64", "model.n_heads=2", "seed=3", "steps=9"]
    assert expand([word, "model=7b"]) == ["steps=5", "seed=3", "model=7b"]
    other = write(tmp_path / "other.yaml", "seed: 4\n")
    assert expand([word, other])[-2:] == ["steps=5", "seed=4"]


def test_a_runs_own_config_gives_the_same_run(tmp_path):
    config = load("train", TrainConfig, ["model=tiny", "data=mix", "run=a b", "optim.lr=0.002", "steps=50"])
    word = write(tmp_path / "config.yaml", to_yaml(config))
    assert load("train", TrainConfig, expand([word])) == config


def test_texts_reach_the_command_unchanged(tmp_path):
    text = 'it\'s [1, 2] = {a: b}, $x, "quoted" \\ end'
    word = write(tmp_path / "my.yaml", f"weights: runs/a,b\nprompt: >-\n  {text}\n")
    config = load("generate", GenerateConfig, expand([word]))
    assert (config.weights, config.prompt) == ("runs/a,b", text)


def test_launch_takes_its_own_keys_and_trains_from_the_file(tmp_path, capsys):
    word = write(tmp_path / "my.yaml", "processes: 2\nmodel: tiny\nsteps: 5\nrun: x\n")
    assert launch([word, "dry_run=true"]) == 0
    printed = capsys.readouterr().out
    assert "--nproc-per-node=2" in printed and "steps=5" in printed and "processes" not in printed


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "my.yaml: cannot be read (No such file or directory)"),
        ("a: [1", "my.yaml: not readable as YAML (line 1: "),
        ("- a", "my.yaml: expected KEY: VALUE lines"),
        ("", "my.yaml: empty; expected KEY: VALUE lines"),
        ("steps=5", "my.yaml: expected KEY: VALUE lines"),
        ("model: tiny\n\tsteps: 5", "my.yaml: not readable as YAML (line 2: found character '\\t'"),
        ("steps: 5\nsteps: 6", "my.yaml: not readable as YAML (line 2: found duplicate key steps)"),
        ("steps: 5\n---\nseed: 6", "my.yaml: not readable as YAML (line 2: found another document)"),
        ("config: other.yaml", "my.yaml: it names another file (config: …); type config= once for each"),
        ("steps: 1e9", "steps=1000000000.0: expected an integer in digits: steps=1000000000"),
        ("optim: {lrr: 1}", "optim.lrr: unknown key; did you mean optim.lr?"),
        ("steps: many", "steps=many: expected an integer"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(content, expected, tmp_path, capsys):
    if content is not None:
        (tmp_path / "my.yaml").write_text(content)

    def verb(arguments: list[str]) -> None:
        load("train", TrainConfig, arguments)

    assert entry(verb, [f"config={tmp_path / 'my.yaml'}"]) == 1
    error = capsys.readouterr().err
    assert expected in error and len(error.splitlines()) == 1


def test_an_error_names_the_file_that_gave_its_key(tmp_path, capsys):
    def verb(arguments: list[str]) -> None:
        load("train", TrainConfig, arguments)

    one = write(tmp_path / "one.yaml", "seed: 1\noptim: {lrr: 1}\nmodel: {dim: 33}\n")
    two = write(tmp_path / "two.yaml", "optim.lrr: 2\n")
    for arguments, expected in {
        (one,): f"{one}: optim.lrr: unknown key",
        (one, two): f"{two}: optim.lrr: unknown key",  # the later file wins
        (one, "optim.lrr=3"): "optim.lrr: unknown key",  # typed
        (one, "stepz=3", "optim.lrr=3"): "stepz: unknown key",
        (one, "model=tiny", "optim=adamw", "model.n_heads=3"): "model.n_heads=3: must divide",
    }.items():
        assert entry(verb, list(arguments)) == 1
        assert capsys.readouterr().err.startswith(f"relama: error: {expected}"), arguments


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi")
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (BOMB, "my.yaml: it has more than 100,000 values"),
        ("a: &a [*a]\n", "my.yaml: not readable as YAML"),
        ("[" * 50_000, "my.yaml: not readable as YAML"),
        ("run: x" + " " * (1 << 20), "my.yaml: cannot be read (larger than 1 MiB)"),
        (
            "run: ${oc.env:HOME}\n",
            "my.yaml: it refers to another value ('${oc.env:HOME}'); write the value itself",
        ),
        ("data: {sources: [a, '***']}\n", "my.yaml: data.sources was masked as a secret (***)"),
    ],
)
def test_a_file_from_anyone_neither_hangs_nor_reads_the_environment(tmp_path, content, expected):
    with pytest.raises(ConfigError) as refused:
        expand([write(tmp_path / "my.yaml", content)])
    assert expected in str(refused.value)


def test_a_file_below_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "my.yaml", "seed: 7\n")
    assert expand(["config=~/my.yaml"]) == ["seed=7"]


def test_a_path_below_home_is_refused_without_one(homeless):
    with pytest.raises(ConfigError, match=r"^~/my\.yaml: this user has no home folder; give a path"):
        expand(["config=~/my.yaml"])


def test_an_empty_config_is_no_folder():
    with pytest.raises(ConfigError, match=r"^config=: empty; expected a YAML file of keys$"):
        expand(["config="])


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "my.yaml")
    with pytest.raises(ConfigError, match="a pipe or a device"):
        expand([f"config={tmp_path / 'my.yaml'}"])


def test_a_masked_value_is_the_typed_one_if_it_fits():
    masked = {"init": "https://***@host/b?token=***", "sources": ["***", "b"], "seed": 3, "other": "***x"}
    known = {"init": "https://me:pw@host/b?token=1", "sources": ["a", "b"], "seed": 4, "other": "xy"}
    assert unmasked(masked, known) == {**known, "seed": 3, "other": "***x"}
    assert unmasked("a***a", "a") == "a***a" and unmasked("a***b***", "acbd") == "acbd"

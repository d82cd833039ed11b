"""A model on several ranks gives the same tokens and scores as on one rank, on each of them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

import train.evaluation.main
import train.generation.chat
import train.generation.main
import train.generation.sampling
import train.weights.import_
from data.tokens.tokenizer import Tokenizer
from data.tokens.tokenizer_json import hugging_face_files
from model.config import LlamaConfig
from model.formats.huggingface import write_huggingface
from model.formats.meta import write_meta
from model.formats.weights import Weights
from model.initialize import initialize
from model.llama import Llama
from model.parallelize import mesh as meshes
from model.parallelize.mesh import Layout
from tests.support.evaluation import Kind
from tests.support.fork_server import python
from tests.support.narrow import as_a, present
from tests.support.ranks import run_ranks
from train.generation.inference import InferenceParallel, load_over
from train.ranks.setup import Ranks
from train.weights.open import load_model, open_weights, tokenizer_of

pytest.importorskip("lm_eval")
pytestmark = pytest.mark.distributed

TEXTS = ["def", "import os, sys", "class A(object):\n", "a longer text, to be read at once: " * 3, "x"]
TASK = [{"goal": f"Catch {n} fish", "sol1": "a rod", "sol2": "a large net", "label": n % 2} for n in range(5)]


@pytest.fixture(scope="module")
def folders(corpora, tmp_path_factory) -> dict[str, Path]:
    """One model in the three formats."""
    root = tmp_path_factory.mktemp("inference")
    tokenizer = Tokenizer(corpora / "python_docs" / "tokens" / "tokenizer.model")
    config = LlamaConfig(
        dim=32, n_layers=2, n_heads=2, vocab_size=tokenizer.vocab_size, multiple_of=64, max_seq_len=256
    )
    model = Llama(config)
    initialize(model, seed=1)
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    tensors["output.weight"] = tensors["output.weight"] * 20  # so that no greedy token depends on rounding
    weights = Weights(Path("memory"), config, tensors.__getitem__)
    extra = hugging_face_files(tokenizer, config.max_seq_len)
    write_huggingface(weights, root / "hf", dtype=torch.float32, shard_bytes=10**9, extra=extra)
    write_meta(weights, root / "meta", shards=2, dtype=torch.float32, tokenizer=tokenizer.path)
    assert train.weights.import_.main([f"weights={root / 'hf'}", f"output={root / 'run'}"]) == 0
    return {name: root / name for name in ("hf", "meta", "run")}


def continued(model: Llama, tokenizer: Tokenizer, temperature: float) -> list[tuple[int, int]]:
    prompts = [[tokenizer.bos_id, *tokenizer.encode(text).tolist()] for text in TEXTS]
    generator = torch.Generator().manual_seed(7)
    options = {"max_tokens": 12, "temperature": temperature, "top_p": 0.95, "eos_id": tokenizer.eos_id}
    return list(train.generation.sampling.generate(model, prompts, generator=generator, **options))


def answers(lm) -> list[list]:
    """Answers to one of each kind of lm-eval's requests."""
    from lm_eval.api.instance import Instance

    def ask(kind: Kind, arguments: list[tuple]) -> list:
        return [Instance(kind, {}, each, number) for number, each in enumerate(arguments)]

    settings = {"until": ["\n"], "do_sample": False, "max_gen_toks": 8}
    return [
        lm.loglikelihood(ask("loglikelihood", [(text, " and") for text in TEXTS]), disable_tqdm=True),
        lm.loglikelihood_rolling(ask("loglikelihood_rolling", [(text * 9,) for text in TEXTS]), True),
        lm.generate_until(ask("generate_until", [(text, settings) for text in TEXTS]), disable_tqdm=True),
    ]


def on_ranks(folders: dict[str, Path]) -> dict[str, list]:
    """Two copies, each over two ranks, for every format and both kinds of tensor parallelism."""
    from train.evaluation.harness import RelamaLM

    layout, cpu = Layout(dp_replicate=2, tp=2), torch.device("cpu")
    mesh = meshes.build(layout, "cpu")
    ranks = Ranks(dist.get_rank(), 4, cpu, mesh, layout)
    found = {}
    for kind in ("dtensor", "fairscale"):
        model = tokenizer = None
        for name, folder in folders.items():
            weights = open_weights(folder)
            tokenizer = tokenizer_of(weights)
            model = load_over(weights, ranks, InferenceParallel(2, kind))
            found[f"{name} by {kind}"] = [continued(model, tokenizer, t) for t in (0.0, 0.8)]
        model = present(model)
        fairscales = any("fairscale." in base.__module__ for base in type(model.output).__mro__)
        assert fairscales == (kind == "fairscale")
        wq = dict(model.named_parameters())["layers.0.attention.wq.weight"]
        assert as_a(DTensor, wq).to_local().shape == (16, 32)
        found[f"scores by {kind}"] = answers(RelamaLM(model, present(tokenizer), 2, layout))
    return found


def test_tokens_and_scores_over_four_ranks_are_those_of_one(folders):
    from train.evaluation.harness import RelamaLM

    weights = open_weights(folders["hf"])
    model, tokenizer = load_model(weights, torch.device("cpu")), tokenizer_of(weights)
    tokens = [continued(model, tokenizer, temperature) for temperature in (0.0, 0.8)]
    assert len(tokens[0]) > 40 and tokens[0] != tokens[1]
    pairs, rolling, texts = answers(RelamaLM(model, tokenizer, 3))
    for rank in run_ranks(on_ranks, 4, folders):
        for name, found in rank.items():
            if not name.startswith("scores"):
                assert found == tokens, name
                continue
            assert [greedy for _, greedy in found[0]] == [greedy for _, greedy in pairs]
            assert [score for score, _ in found[0]] == pytest.approx([score for score, _ in pairs], rel=1e-5)
            assert found[1] == pytest.approx(rolling, rel=1e-5)
            assert found[2] == texts and any(texts)


def launched(verb: str, *arguments: str, forked: bool = False) -> subprocess.CompletedProcess[str]:
    return python("-m", "launch.cli", "launch", verb, "processes=2", *arguments, children=forked)


def test_the_verbs_on_several_ranks_print_the_same_as_one_process(folders, tmp_path, capsys):
    arguments = [f"weights={folders['meta']}", "prompt=def", "max_tokens=8", "temperature=0", "dtype=fp32"]
    assert train.generation.main.main(arguments) == 0
    expected = capsys.readouterr().out
    there = launched("generate", *arguments, "parallel.tp=2", "parallel.tensor=fairscale")
    assert there.returncode == 0 and there.stdout == expected, there.stderr

    (tmp_path / "piqa").mkdir()
    for split in ("train", "validation"):
        (tmp_path / "piqa" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TASK))
    arguments = [f"weights={folders['hf']}", "tasks=[piqa]", f"benchmarks={tmp_path}", "protocols=[paper]"]
    arguments.append("dtype=fp32")
    assert train.evaluation.main.main([*arguments, f"output={tmp_path / 'alone'}"]) == 0
    table = capsys.readouterr().out
    there = launched("evaluate", *arguments, f"output={tmp_path / 'two'}", forked=True)
    assert there.returncode == 0 and there.stdout.endswith(table), there.stdout + there.stderr
    assert there.stdout.count("| piqa |") == 1
    results = [
        json.loads((tmp_path / name / "piqa-0shot-paper.json").read_text()) for name in ("alone", "two")
    ]
    assert results[0]["score"] == results[1]["score"] and results[0]["documents"] == results[1]["documents"]


@pytest.mark.parametrize(
    ("verb", "world_size", "overrides", "message"),
    [
        (train.generation.main.main, 2, [], "parallel.tp=1: the world size is 2; expected as many"),
        (train.generation.main.main, 2, [], "`unset RANK WORLD_SIZE MASTER_ADDR MASTER_PORT`"),
        (train.generation.main.main, 1, ["parallel.tp=2"], "parallel.tp=2: the world size is 1"),
        (train.evaluation.main.main, 3, ["parallel.tp=2"], "the world size is 3; expected a multiple"),
        (train.generation.main.main, 1, ["parallel.tp=0"], "parallel.tp=0: expected at least 1"),
        (train.generation.main.main, 1, ["parallel.tensor=megatron"], "expected one of dtensor, fairscale"),
    ],
)
def test_ranks_that_do_not_fit_are_refused(
    folders, monkeypatch, tmp_path, capsys, verb, world_size, overrides, message
):
    join = {"RANK": 0, "WORLD_SIZE": world_size, "MASTER_ADDR": "localhost", "MASTER_PORT": 1}
    for name, value in join.items():  # no process group is needed to refuse
        monkeypatch.setenv(name, str(value))
    arguments = ["prompt=x"] if verb is train.generation.main.main else [f"output={tmp_path}"]
    assert verb([f"weights={folders['hf']}", *arguments, *overrides]) == 1
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("verb", [train.generation.main, train.generation.chat, train.evaluation.main])
def test_a_world_size_that_another_tool_has_left_is_named(folders, monkeypatch, tmp_path, capsys, verb):
    monkeypatch.setenv("WORLD_SIZE", "2")
    arguments = {
        train.generation.main: ["prompt=x"],
        train.evaluation.main: [f"output={tmp_path}"],
    }
    assert verb.main([f"weights={folders['hf']}", *arguments.get(verb, [])]) == 1
    error = capsys.readouterr().err
    assert "WORLD_SIZE=2: set in the environment without RANK" in error and "`unset WORLD_SIZE`" in error
    assert len(error.splitlines()) == 1


def test_heads_that_cannot_be_divided_are_refused_by_name(folders):
    no_ranks: Any = None
    with pytest.raises(
        train.generation.main.RunError, match=r"^parallel\.tp=4: does not divide .* n_heads=2"
    ):
        load_over(open_weights(folders["hf"]), no_ranks, InferenceParallel(4))

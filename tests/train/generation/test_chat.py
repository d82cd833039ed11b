"""A text written in turns: what `generate` would write, commands that do as they say, a full context."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from data.tokens.tokenizer import Tokenizer
from model.config import LlamaConfig
from model.initialize import initialize
from model.llama import Llama
from tests.support.runs import REPOSITORY, relama
from train.generation.chat import Chat, ChatConfig, converse, until
from train.generation.prompts import stream
from train.generation.sampling import generate


@pytest.fixture(scope="module")
def tokenizer(corpora) -> Tokenizer:
    return Tokenizer(corpora / "python_docs" / "tokens" / "tokenizer.model")


@pytest.fixture(scope="module")
def model(tokenizer) -> Llama:
    config = LlamaConfig(
        dim=32, n_layers=2, n_heads=2, vocab_size=tokenizer.vocab_size, multiple_of=64, max_seq_len=96
    )
    model = Llama(config)
    initialize(model, seed=1)
    return model


@pytest.fixture
def chat(model, tokenizer) -> Chat:
    return Chat(model, tokenizer, ChatConfig(weights="", max_tokens=12, seed=7))


def test_the_first_turn_is_what_generate_writes(chat, model, tokenizer, capsys):
    turn = "".join(chat.say("The return value"))
    prompt = [tokenizer.bos_id, *map(int, tokenizer.encode("The return value"))]
    drawn = generate(
        model,
        [prompt],
        max_tokens=12,
        temperature=0.8,
        top_p=0.95,
        generator=torch.Generator().manual_seed(7),
        eos_id=tokenizer.eos_id,
    )
    stream(tokenizer, "The return value", prompt, (token for _, token in drawn))
    assert capsys.readouterr().out == f"The return value{turn}\n"
    assert chat.text == "The return value" + turn


def test_any_number_of_turns_fits_the_context(chat, model):
    for number in range(20):
        assert len("".join(chat.say(f"line {number} of a longer text"))) > 0
    assert chat.text.count("of a longer text") == 20  # all that is shown is kept


def test_commands_do_what_they_say(chat, capsys):
    converse(chat, iter(["def f(x):", "/again", "/again"]))
    assert len(chat.turns) == 2
    converse(chat, iter(["    return", "/undo"]))
    assert len(chat.turns) == 2
    converse(chat, iter(["//usr/bin", "/text"]))
    assert chat.text.splitlines()[-1].startswith("/usr/bin") or "/usr/bin" in chat.text
    converse(chat, iter(["/new"]))
    assert chat.text == ""
    capsys.readouterr()
    converse(chat, iter(["/again", "/temperature 0", "/temperature hot", "/top_p", "/stop \\n", "/nothing"]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "nothing to draw again: type a line first",
        "temperature = 0.0",
        "temperature=hot: expected a number from 0 to 1000",
        "top_p = 0.95",
        "stop = '\\n'",
    ]
    assert lines[5] == "/nothing: no such command" and "/max_tokens" in "\n".join(lines[6:])  # the help
    converse(chat, iter(["/help"]))
    assert capsys.readouterr().out.startswith("Type a line")
    converse(chat, iter(["a", "/quit", "b"]))
    assert chat.turns[0] == "a" and len(chat.turns) == 2


@pytest.mark.parametrize("stop", [None, "ab", "aab", "c"])
@pytest.mark.parametrize("cuts", [(1,) * 9, (3, 3, 3), (9,), (2, 5, 2)])
def test_a_turn_ends_before_the_stop_wherever_its_pieces_end(stop, cuts):
    text, parts, at = "xaaababab", [], 0
    for cut in cuts:
        parts.append(text[at : at + cut])
        at += cut
    assert "".join(until(stop, iter(parts))) == (text.partition(stop)[0] if stop else text)


@pytest.mark.parametrize(
    "key", ["temperature=-1", "top_p=0", "max_tokens=0", "temperature=nan", "dtype=int4"]
)
def test_impossible_settings_are_refused(key):
    name, _, value = key.partition("=")
    setting: Any = {name: value if name == "dtype" else float(value)}
    with pytest.raises(ValueError, match=rf"{name}=.*expected"):
        ChatConfig(weights="x", **setting)


def test_a_pipe_is_a_conversation(tokenizer, model, tmp_path: Path):
    from data.tokens.tokenizer_json import hugging_face_files
    from model.formats.huggingface import write_huggingface
    from model.formats.weights import Weights

    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    weights = Weights(Path("memory"), model.config, tensors.__getitem__)
    extra = hugging_face_files(tokenizer, model.config.max_seq_len)
    write_huggingface(weights, tmp_path / "hf", dtype=torch.float32, shard_bytes=10**9, extra=extra)
    done = subprocess.run(
        [*relama("chat"), f"weights={tmp_path / 'hf'}", "max_tokens=4", "dtype=fp32"],
        cwd=REPOSITORY,
        input="import os\n/temperature 0\n/again\n",
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "temperature = 0.0" in done.stdout

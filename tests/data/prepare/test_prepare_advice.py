"""What a refusal to prepare proposes can be done, and helps."""

import re
import shutil
from pathlib import Path

import pytest

from data.main import main
from data.tokens.store import TokenStore
from data.tokens.tokenizer import Tokenizer
from data.tokens.train_tokenizer import main as tokenizer_main


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("texts")
    first, second = folder / "first.txt", folder / "second.txt"
    first.write_text("\n".join(f"This line is number {n}, and has some words in it." for n in range(200)))
    second.write_text("\n".join(f"Another one, {n}, is made of other words." for n in range(200)))
    return first, second


@pytest.fixture
def prepared(texts, model_file, tmp_path, monkeypatch) -> list[str]:
    """The command that made corpora/mine of the first text, without its input."""
    monkeypatch.chdir(tmp_path)
    command = ["recipe=text", "source=mine", "corpora=corpora", f"tokenizer={model_file}", "engine.workers=1"]
    assert main([*command, f"input={texts[0]}"]) == 0
    return command


def test_other_text_can_be_prepared_in_each_way_that_the_refusal_names(prepared, texts, capsys):
    other = [*prepared, f"input={texts[1]}"]
    assert main(other) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith("move it away, choose another output=, or make tokens from it with stage=tokens")
    tokens = TokenStore.open(Path("corpora/mine/tokens")).fingerprint
    assert main([*prepared, "stage=tokens"]) == 0
    assert TokenStore.open(Path("corpora/mine/tokens")).fingerprint == tokens
    assert main([*other, "output=elsewhere"]) == 0
    shutil.move("corpora/mine", "away")
    assert main(other) == 0
    made, there = (TokenStore.open(Path(f"{at}/tokens")).fingerprint for at in ("corpora/mine", "elsewhere"))
    assert made == there != tokens


def test_other_tokens_can_be_made_in_each_way_that_the_refusal_names(prepared, texts, capsys):
    command = [*prepared, f"input={texts[0]}"]
    for mend in ("give replace=true", "move it away", "give the original settings"):
        assert main([*command, "heldout=0.9"]) == 1
        assert mend in capsys.readouterr().err.splitlines()[-1]
        if mend == "move it away":
            shutil.move("corpora/mine/tokens", "away")
        assert (
            main(
                [
                    *command,
                    "heldout=0.001" if "original" in mend else "heldout=0.9",
                    *(["replace=true"] if "replace" in mend else []),
                ]
            )
            == 0
        )
        shutil.rmtree("corpora/mine/tokens")
        assert main(command) == 0


def test_a_tokenizer_of_too_many_pieces_is_made_with_the_number_that_is_proposed(prepared, capsys):
    mixture = ["data.weights.mine=1", "data.sources=mine", "corpora=corpora", "output=tokenizer.model"]
    assert tokenizer_main([*mixture, "vocab_size=30000"]) == 1
    (most,) = re.findall(r"give more text or vocab_size=(\d+)", capsys.readouterr().err)
    assert tokenizer_main([*mixture, f"vocab_size={most}"]) == 0
    assert Tokenizer(Path("tokenizer.model")).vocab_size == int(most)
    assert tokenizer_main([*mixture, "vocab_size=300"]) == 1
    assert "move it away, give another output=, or give replace=true" in capsys.readouterr().err
    shutil.copy("tokenizer.model", "kept.model")
    assert tokenizer_main([*mixture, "vocab_size=300", "replace=true"]) == 0
    assert tokenizer_main([*mixture[:-1], "output=another.model", "vocab_size=300"]) == 0
    Path("tokenizer.model").rename("away.model")
    assert tokenizer_main([*mixture, "vocab_size=300"]) == 0
    sizes = {name: Tokenizer(Path(f"{name}.model")).vocab_size for name in ("tokenizer", "another", "kept")}
    assert sizes == {"tokenizer": 300, "another": 300, "kept": int(most)}


def test_all_sources_say_that_a_tokenizer_is_used_though_other_pieces_are_asked_for(
    texts, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("all.yaml").write_text(f"mine: {texts[0]}\n")
    command = ["recipe=all", "input=all.yaml", "corpora=corpora", "data.weights.mine=1", "engine.workers=1"]
    assert main([*command, "vocab_size=300"]) == 0
    capsys.readouterr()
    for asked, said in ((300, 0), (310, 1)):
        assert main([*command, f"vocab_size={asked}"]) == 0
        assert capsys.readouterr().err.count("exists, with 300 pieces instead of vocab_size=310") == said

"""A tokenizer.json of more than 65,536 pieces from the text to the export: nothing needs SentencePiece."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import data.explain
import data.main
import train.evaluation.validate
import train.generation.main
import train.recipe.audit
import train.report.main
import train.weights.export
import train.weights.import_
from data.tokens.store import TokenStore
from data.tokens.tokenizer import Tokenizer
from tests.support.json_tokenizer import byte_pairs
from tests.support.runs import metrics, succeed
from train.config import RunError
from train.weights.open import load_model, open_weights, tokenizer_of

WORDS = [
    f"{a}{b}{c}" for a in ("ka", "lo", "mi", "tur") for b in ("ra", "sel", "bo") for c in ("", "n", "dim")
]
MINE = ["data=mix", "data.weights.mine=1", "data.sources=[mine]", "global_batch=128"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a tokenizer, a corpus made with it, and a run on that."""
    root = tmp_path_factory.mktemp("made")
    path = byte_pairs(root / "given")
    draw = np.random.default_rng(0)
    (root / "texts").mkdir()
    for number in range(20):
        text = " ".join(draw.choice(WORDS, 400)) + f"\n\nnaïve café {number} <|end_of_text|> 你好\n"
        (root / "texts" / f"{number}.txt").write_text(text)
    arguments = ["recipe=text", "source=mine", f"input=[{root / 'texts'}]", f"corpora={root / 'corpora'}"]
    assert data.main.main([*arguments, f"tokenizer={path}", "heldout=0.2", "engine.workers=1"]) == 0
    arguments = [f"corpora={root / 'corpora'}", f"run={root / 'run'}", "steps=4", "optim.warmup_steps=1"]
    arguments += ["checkpoint.every=2", "validate.every=2", "model.n_kv_heads=1"]
    succeed(*MINE, *arguments, "stop_at=2")
    assert "after step 2" in succeed(*MINE, *arguments).stdout
    return root


def test_the_store_has_32_bits_and_gives_the_texts_back(made):
    folder = made / "corpora" / "mine" / "tokens"
    tokenizer = Tokenizer(folder / "tokenizer.json")
    assert tokenizer.fingerprint == Tokenizer(made / "given" / "tokenizer.json").fingerprint
    texts = {path.read_text() for path in (made / "texts").iterdir()}
    found = set()
    for split in ("train", "heldout"):
        store = TokenStore.open(folder, split)
        store.verify()
        assert store.dtype == np.dtype("<u4") and store.vocab_size == 65536 + 259
        assert store.read(0, store.n_tokens).max() > 65_536
        for span in store.documents(0, store.n_tokens):
            ids = store.read(span.start, span.stop)
            assert (ids[0], ids[-1]) == (tokenizer.bos_id, tokenizer.eos_id)
            found.add(tokenizer.decode(ids))
    assert {text.strip() for text in found} == {text.strip() for text in texts}


def test_the_resumed_run_learns_and_measures_bytes(made):
    lines = metrics(made / "run")
    assert lines[-1]["loss"] < lines[0]["loss"] < 1.1 * np.log(65536 + 259)
    measured = lines[-1]["validation"]["mine"]
    assert 0 < measured["bits_per_byte"] < 17


def test_the_verbs_read_the_run(made, capsys, monkeypatch):
    monkeypatch.chdir(made)
    assert (
        train.generation.main.main(["weights=run", "prompt=kara milo", "max_tokens=4", "temperature=0"]) == 0
    )
    assert "kara milo" in capsys.readouterr().out
    assert data.explain.main(["run=./run", "step=1", "limit=2"]) == 0
    assert "| " in capsys.readouterr().out
    assert train.evaluation.validate.main(["weights=run", "sequences=2"]) == 0
    assert "mine" in capsys.readouterr().out
    assert train.recipe.audit.main(["run=./run"]) == 0
    out = capsys.readouterr().out
    assert "tokenizer format: a tokenizer.json; LLaMA: SentencePiece" in out and "65795; LLaMA: 32000" in out
    assert train.report.main.main(["run=./run", "samples=always", "output=page.html"]) == 0
    assert (made / "run" / "samples.jsonl").read_text().count("\n") >= 3


def test_the_export_is_transformers_and_comes_back_to_start_a_run(made, capsys, monkeypatch):
    monkeypatch.chdir(made)
    assert train.weights.export.main(["weights=run", "format=hf", "output=hf"]) == 0
    assert train.weights.export.main(["weights=run", "format=meta", "output=meta"]) == 0
    assert json.loads((made / "meta" / "params.json").read_text())["vocab_size"] == 65536 + 259
    theirs, reads = AutoModelForCausalLM.from_pretrained("hf"), AutoTokenizer.from_pretrained("hf")
    ours = load_model(open_weights(made / "run"), torch.device("cpu"))
    tokenizer = Tokenizer(made / "run" / "tokenizer.json")
    ids = reads("kara 你好 <|end_of_text|>", return_tensors="pt")["input_ids"]
    assert ids[0].tolist() == [tokenizer.bos_id, *tokenizer.encode("kara 你好 <|end_of_text|>")]
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, ours(ids), rtol=1e-4, atol=1e-5)
    for folder in ("hf", "meta"):
        assert train.weights.import_.main([f"weights={folder}", f"output=back-{folder}"]) == 0
        assert Tokenizer(made / f"back-{folder}" / "tokenizer.json").fingerprint == tokenizer.fingerprint
    arguments = [f"corpora={made / 'corpora'}", f"run={made / 'next'}", "steps=2", "model.n_kv_heads=1"]
    done = succeed(*MINE, *arguments, f"init={made / 'back-hf'}")
    assert "from the weights of" in done.stdout


def test_a_damaged_copy_in_a_checkpoint_does_not_matter_if_the_runs_is_intact(made):
    checkpoint = open_weights(made / "run").path
    copy = checkpoint / "tokenizer.json"
    content = copy.read_bytes()
    try:
        for damaged in (b"", content[:1000], content.replace(b'"kara"', b'"karx"')):
            copy.write_bytes(damaged)
            tokenizer = tokenizer_of(open_weights(checkpoint))
            assert tokenizer.path == made / "run" / "tokenizer.json"
    finally:
        copy.write_bytes(content)


def test_an_added_token_without_a_row_in_the_weights_can_be_removed(made, tmp_path):
    """As transformers leaves a pad token that was added without resizing the embeddings."""
    path = tmp_path / "tokenizer.json"
    content = json.loads((made / "given" / "tokenizer.json").read_text())
    shutil.copyfile(made / "given" / "tokenizer_config.json", tmp_path / "tokenizer_config.json")
    path.write_text(json.dumps(content))
    ours = open_weights(made / "run")
    smaller = replace(ours.config, vocab_size=ours.config.vocab_size - 1)
    weights = replace(ours, path=tmp_path, config=smaller, tokenizer_fingerprint=None, step=None)
    with pytest.raises(RunError, match=r"or remove the added tokens without .* \(1\) from tokenizer\.json"):
        tokenizer_of(weights, str(path))
    content["added_tokens"].pop()
    path.write_text(json.dumps(content))
    assert tokenizer_of(weights, str(path)).vocab_size == smaller.vocab_size


def test_a_tokenizer_that_loses_text_is_refused_before_anything_is_made(made, capsys):
    content = json.loads((made / "given" / "tokenizer.json").read_text()) | {"normalizer": {"type": "NFC"}}
    (made / "lossy").mkdir()
    (made / "lossy" / "tokenizer.json").write_text(json.dumps(content))
    arguments = ["recipe=text", "source=lossy", f"input=[{made / 'texts'}]", f"corpora={made / 'corpora'}"]
    assert data.main.main([*arguments, f"tokenizer={made / 'lossy' / 'tokenizer.json'}"]) == 1
    error = capsys.readouterr().err
    assert "does not round-trip" in error and error.count("\n") == 1
    assert not (made / "corpora" / "lossy" / "text").exists()

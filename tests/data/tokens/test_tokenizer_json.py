"""The tokenizer as AutoTokenizer loads it gives our ids on every document and on arbitrary strings."""

import json

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

import data.main
from data.errors import DataError
from data.tokens.tokenizer import Tokenizer
from data.tokens.tokenizer_json import (
    hugging_face_files,
    is_plain_bpe,
    refuse_other_vocabulary,
    why_not_exportable,
)
from train.weights.export import _tokenizer_files

CHARACTERS = 4000  # of each document


@pytest.fixture(scope="module")
def both(shared_data, tmp_path_factory):
    """LLaMA's own tokenizer: ours, and as AutoTokenizer loads the exported files."""
    ours = Tokenizer(shared_data / "tokenizer" / "llama-tokenizer.model")
    folder = tmp_path_factory.mktemp("hf")
    for name, content in hugging_face_files(ours, 2048).items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return ours, AutoTokenizer.from_pretrained(folder), folder


def test_ids_match_ours_on_every_real_document(both, shared_data):
    ours, theirs, _ = both
    count = 0
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file() or path.suffix in (".gz", ".bz2", ".7z", ".model", ".bin", ".ftz"):
            continue
        text = path.read_bytes()[: 4 * CHARACTERS].decode(errors="replace")[:CHARACTERS]
        assert theirs.encode(text) == [ours.bos_id, *ours.encode(text)], path
        count += 1
    assert count > 90


PIECES = [
    "<s>",
    "</s>",
    "<unk>",
    "<0x0A>",
    " ",
    "  ",
    "\u2581",
    "a",
    "aa",
    "é",
    "\n",
    "\r\n",
    "\t",
    "1",
    "好",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.characters(exclude_categories=["Cs"])), max_size=30))
def test_ids_match_ours_on_any_string(both, parts):
    """Literal control tokens remain text, spaces are kept, and BOS occurs once."""
    ours, theirs, _ = both
    text = "".join(parts)
    ids = theirs.encode(text)
    assert ids == [ours.bos_id, *ours.encode(text)]
    assert theirs.decode(ids, skip_special_tokens=True) == ours.decode(ids)


def test_a_plain_bpe_needs_no_trial(both):
    assert is_plain_bpe(both[0]) and why_not_exportable(both[0]) is None


def test_special_tokens_are_known(both):
    ours, theirs, _ = both
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.model_max_length) == (1, 2, 2048)
    assert len(theirs) == ours.vocab_size


@pytest.mark.parametrize(
    "options",
    [
        {"model_type": "unigram"},
        {"normalization_rule_name": "nfkc"},
        {"normalization_rule_name": "nmt_nfkc"},
        {"user_defined_symbols": ["are"]},
        {"treat_whitespace_as_suffix": True},
        {"remove_extra_whitespaces": True, "normalization_rule_name": "identity"},
        {"model_type": "word", "vocab_size": 400, "hard_vocab_limit": False},
    ],
    ids=str,
)
def test_a_tokenizer_whose_ids_cannot_be_kept_is_reported_before_it_is_used_and_exported_alone(
    options, tmp_path, capsys
):
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"words and more words {i} are here" for i in range(500)))
    settings = {"model_type": "bpe", "vocab_size": 310, "byte_fallback": True, "minloglevel": 2} | options
    sentencepiece.SentencePieceTrainer.train(input=str(text), model_prefix=str(tmp_path / "it"), **settings)
    tokenizer = Tokenizer(tmp_path / "it.model")
    with pytest.raises(DataError, match=r"(no tokenizer\.json|none) is written"):
        hugging_face_files(tokenizer, 256)
    assert not is_plain_bpe(tokenizer)
    why = why_not_exportable(tokenizer)
    assert why and str(tmp_path / "it.model") in why and "\n" not in why
    assert _tokenizer_files(tokenizer, 256) == {"tokenizer.model": (tmp_path / "it.model").read_bytes()}
    assert f"warning: {why}; the weights are exported with tokenizer.model alone" in capsys.readouterr().out
    arguments = ["recipe=text", "source=mine", f"input={text}", f"corpora={tmp_path}", "engine.workers=1"]
    data.main.main([*arguments, f"tokenizer={tmp_path / 'it.model'}"])
    assert f"warning: for models of these tokens, format=hf exports only weights: {why}" in "".join(
        capsys.readouterr()
    )


def test_a_tokenizer_json_of_other_pieces_is_refused_by_name(both, tmp_path):
    ours, _, folder = both
    refuse_other_vocabulary(ours, folder)
    theirs = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocab = theirs["model"]["vocab"]
    vocab["ing"], vocab["the"] = vocab["the"], vocab["ing"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(theirs))
    with pytest.raises(DataError, match=r"differs from .*: the id of '.+' is \d+ here and \d+ there"):
        refuse_other_vocabulary(ours, tmp_path)

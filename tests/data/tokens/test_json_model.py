"""A tokenizer.json gives the ids of the tokenizers library, keeps every text, and is refused otherwise."""

import json
import pickle
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from data.errors import DataError
from data.tokens.tokenizer import PROBES, Tokenizer
from data.tokens.tokenizer_json import hugging_face_files
from tests.support.json_tokenizer import SPECIAL, byte_pairs

PARTS = [
    "a",
    "Bo",
    " ",
    "\n",
    "\t",
    "'s",
    "'LL",
    "1",
    "22",
    "é",
    "你",
    "🙂",
    "\u0301",
    "\u2028",
    "\0",
    "ﬁ",
    "²",
    *SPECIAL,
]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return byte_pairs(tmp_path_factory.mktemp("tokenizer"), 5000)


def drawn_texts() -> list[str]:
    draw = random.Random(0)
    return ["".join(draw.choices(PARTS, k=draw.randint(0, 30))) for _ in range(2000)]


@pytest.mark.parametrize("faster", [True, False])
def test_ids_are_those_of_the_library_and_every_text_comes_back(path, real_texts, faster, monkeypatch):
    if not faster:
        monkeypatch.setitem(sys.modules, "gigatoken", None)
    tokenizer, library = Tokenizer(path), tokenizers.Tokenizer.from_file(str(path))
    library.encode_special_tokens = True
    if faster:
        pytest.importorskip("gigatoken")
    assert tokenizer.backend == ("gigatoken" if faster else "tokenizers"), tokenizer.backend_note
    for text in (*PROBES, *drawn_texts(), *real_texts[:20]):
        ids = tokenizer.encode(text)
        assert ids.tolist() == library.encode(text, add_special_tokens=False).ids, repr(text[:100])
        assert tokenizer.decode(ids) == text
        stream = np.array([tokenizer.bos_id, *ids, tokenizer.eos_id])
        assert tokenizer.text_bytes(stream) == len(text.encode())


def test_bos_and_eos_come_from_the_config_or_known_names_and_never_from_a_text(path, tmp_path):
    unnamed = Tokenizer(byte_pairs(tmp_path / "unnamed", 5000, names=False))
    for tokenizer in (Tokenizer(path), unnamed):
        assert tokenizer.vocab_size == 256 + 5000 + 3
        assert (tokenizer.bos_id, tokenizer.eos_id) == (5256, 5257)
        assert tokenizer.encode(f"a{SPECIAL[1]}b").max() < 5256
        assert tokenizer.decode([5256, *tokenizer.encode("a b"), 5257]) == "a b"
    assert unnamed.fingerprint == Tokenizer(path).fingerprint
    copied = pickle.loads(pickle.dumps(unnamed))
    assert copied.encode("ab cd").tolist() == unnamed.encode("ab cd").tolist()


def test_the_fingerprint_follows_what_determines_the_ids(path, tmp_path):
    original = Tokenizer(path).fingerprint
    content = json.loads(path.read_text())
    other = tmp_path / "tokenizer.json"
    other.write_text(json.dumps(content | {"truncation": None, "padding": None}, indent=3))
    assert Tokenizer(other).fingerprint == original
    other.with_name("tokenizer_config.json").write_text(json.dumps({"eos_token": SPECIAL[2]}))
    assert Tokenizer(other).fingerprint != original
    other.with_name("tokenizer_config.json").unlink()
    content["model"]["merges"].pop()
    other.write_text(json.dumps(content))
    assert Tokenizer(other).fingerprint != original


def test_the_export_of_a_sentencepiece_model_is_a_tokenizer_with_its_ids(tokenizer, tmp_path, real_texts):
    files = hugging_face_files(tokenizer, 64)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_text(str(files[name]))
    ours = Tokenizer(tmp_path / "tokenizer.json")
    assert (ours.vocab_size, ours.bos_id, ours.eos_id) == (tokenizer.vocab_size, 1, 2)
    for text in (*PROBES, *real_texts[:20]):
        ids = ours.encode(text)
        assert ids.tolist() == tokenizer.encode(text).tolist()
        stream = np.array([1, *ids, 2])
        assert ours.text_bytes(stream) == tokenizer.text_bytes(stream)


def test_pieces_that_are_also_added_tokens_are_counted_as_they_are_shown(tokenizer, tmp_path):
    """As in Gemma's files: runs of spaces and of line ends are added tokens and not special."""
    content = json.loads(str(hugging_face_files(tokenizer, 64)["tokenizer.json"]))
    content["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    content["decoder"]["decoders"] = [one for one in content["decoder"]["decoders"] if one["type"] != "Strip"]
    pieces = content["model"]["vocab"]
    spaces, lines = ("▁" * 2, "\n" * 2)
    assert spaces in pieces
    pieces[lines] = len(pieces)
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    content["added_tokens"] += [{"id": pieces[run], "content": run, **plain} for run in (spaces, lines)]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    added = Tokenizer(tmp_path / "tokenizer.json")
    for text in ("a  b  \n\n\nc", *PROBES):
        ids, shown = added.encode(text), text.replace("▁", " ")
        assert added.decode(ids) == shown
        assert added.text_bytes(np.array([added.bos_id, *ids, added.eos_id])) == len(shown.encode())
    assert added.encode("a  \n\n").tolist()[1:] == [pieces[spaces], pieces[lines]]


def test_transformers_reads_the_export_with_bos_in_front(path, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = Tokenizer(path)
    for name, content in hugging_face_files(tokenizer, 64).items():
        (tmp_path / name).write_text(str(content))
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for text in (*PROBES[1:], *drawn_texts()[:200]):
        assert theirs(text)["input_ids"] == [tokenizer.bos_id, *tokenizer.encode(text)], repr(text)
    assert Tokenizer(tmp_path / "tokenizer.json").fingerprint == tokenizer.fingerprint


def altered(path: Path, folder: Path, how: str) -> Path:
    made = tokenizers.Tokenizer.from_file(str(path))
    if how == "NFC":
        made.normalizer = normalizers.NFC()
    elif how == "lower case":
        made.normalizer = normalizers.Lowercase()
    elif how == "words":
        made = tokenizers.Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        made.add_special_tokens(SPECIAL)
    elif how == "stripped":
        made.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    folder.mkdir()
    other = folder / "tokenizer.json"
    made.save(str(other))
    if how == "not special":
        content = json.loads(other.read_text())
        content["added_tokens"] = []
        other.write_text(json.dumps(content))
    elif how == "unknown name":
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<stop>"}))
    elif how == "torn config":
        (folder / "tokenizer_config.json").write_text("{")
    elif how == "torn":
        other.write_text(other.read_text()[:1000])
    elif how == "other JSON":
        other.write_text("[1]")
    return other


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("NFC", "does not round-trip: "),
        ("lower case", "does not round-trip: "),
        ("words", "does not round-trip: "),
        ("stripped", "does not round-trip: "),
        (
            "not special",
            "bos_token=None: not a special token of this file; name one in tokenizer_config.json",
        ),
        ("unknown name", "eos_token=<stop>: not a special token"),
        ("torn config", "tokenizer_config.json: not readable"),
        ("torn", "not a tokenizer.json of the tokenizers library"),
        ("other JSON", "not a tokenizer.json of the tokenizers library"),
    ],
)
def test_a_tokenizer_that_loses_text_or_has_no_bos_and_eos_is_refused_in_one_line(
    path, tmp_path, how, message
):
    other = altered(path, tmp_path / "other", how)
    with pytest.raises(DataError) as refusal:
        Tokenizer(other)
    assert message in str(refusal.value) and str(other.parent) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_llama_3s_tiktoken_file_is_refused_with_what_to_give(tmp_path):
    (tmp_path / "tokenizer.model").write_text("IQ== 0\nIg== 1\nIw== 2\n")
    with pytest.raises(
        DataError, match=r"not a SentencePiece model; Llama 3's is tiktoken's: give the tokenizer\.json"
    ):
        Tokenizer(tmp_path / "tokenizer.model")


@pytest.mark.parametrize(
    ("pad", "kept"),
    [
        (SPECIAL[2], SPECIAL[2]),
        ({"content": SPECIAL[2]}, SPECIAL[2]),
        ("<unknown>", None),
        (None, None),
        ([], None),
    ],
)
def test_an_export_keeps_the_pad_token_that_the_config_names(pad, kept, path, tmp_path):
    from transformers import AutoTokenizer

    config = json.loads(path.with_name("tokenizer_config.json").read_text())
    shutil.copyfile(path, tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"pad_token": pad}))
    tokenizer = Tokenizer(tmp_path / "tokenizer.json")
    assert tokenizer.fingerprint == Tokenizer(path).fingerprint
    (tmp_path / "out").mkdir()
    for name, content in hugging_face_files(tokenizer, 64).items():
        (tmp_path / "out" / name).write_text(str(content))
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert (theirs.pad_token, theirs.bos_token, theirs.eos_token) == (kept, *SPECIAL[:2])

"""A tokenizer has LLaMA's settings, restores every text, and is reproducible."""

import shutil

import pytest
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from data.documents import Document, write_documents
from data.errors import DataError
from data.mixture import DataConfig
from data.tokens.tokenizer import PROBES, Tokenizer
from data.tokens.train_tokenizer import TokenizerConfig, main, refuse_lossy, sample_texts, train_tokenizer

# docs/recipe.md §3, as the model file names them.
RECIPE = {
    "model_type": 2,  # BPE
    "character_coverage": 0.99995,
    "input_sentence_size": 200_000_000,
    "shuffle_input_sentence": True,
    "max_sentence_length": 4192,
    "max_sentencepiece_length": 16,
    "seed_sentencepiece_size": 1_000_000,
    "split_digits": True,
    "split_by_number": True,
    "split_by_whitespace": True,
    "split_by_unicode_script": True,
    "allow_whitespace_only_pieces": True,
    "byte_fallback": True,
    "hard_vocab_limit": True,
    "unk_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "pad_id": -1,
}
THEIR_OWN = {"input", "input_format", "model_prefix", "num_threads", "vocab_size"}


def specs(path) -> tuple:
    model = sentencepiece_model_pb2.ModelProto()  # pyright: ignore[reportAttributeAccessIssue]  # generated
    model.ParseFromString(path.read_bytes())
    return model.trainer_spec, model.normalizer_spec, model.pieces


def test_the_settings_are_those_of_the_recipe(model_file):
    trainer, normalizer, pieces = specs(model_file)
    assert {key: getattr(trainer, key) for key in RECIPE} == pytest.approx(RECIPE)
    assert (normalizer.name, normalizer.add_dummy_prefix) == ("identity", True)
    assert not normalizer.remove_extra_whitespaces
    assert trainer.num_threads == 16  # on any machine, because it is written into the model
    assert [piece.piece for piece in pieces[:4]] == ["<unk>", "<s>", "</s>", "<0x00>"]
    assert [piece.type for piece in pieces[3:259]] == [6] * 256 and len(pieces) == 600


def test_every_setting_is_that_of_llamas_own_model(model_file, shared_data):
    ours, theirs = specs(model_file), specs(shared_data / "tokenizer" / "llama-tokenizer.model")
    for our, their in zip(ours[:2], theirs[:2]):
        names = {field.name for field in their.DESCRIPTOR.fields} - THEIR_OWN
        assert {n: str(getattr(our, n)) for n in names} == {n: str(getattr(their, n)) for n in names}


def test_the_same_text_and_seed_make_the_same_bytes(tmp_path, real_texts, model_file):
    again = train_tokenizer(iter(real_texts), tmp_path / "again.model", vocab_size=600)
    assert again.read_bytes() == model_file.read_bytes()


def test_digits_stand_alone_and_no_piece_holds_a_newline(tokenizer):
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer.path))
    pieces = [processor.id_to_piece(i) for i in range(259, tokenizer.vocab_size)]
    assert not any("\n" in piece for piece in pieces)
    assert not any(len(piece.strip("\u2581")) > 1 for piece in pieces if any(map(str.isdigit, piece)))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"remove_extra_whitespaces": True}, "two  spaces"),
        ({"normalization_rule_name": "nmt_nfkc"}, "ﬁ"),
        ({"byte_fallback": False}, "你"),
        ({"byte_fallback": False}, "a\nb"),
    ],
)
def test_a_tokenizer_that_loses_text_is_refused_in_one_line(tmp_path, real_texts, settings, text):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter("".join(real_texts).splitlines()),
        model_prefix=str(tmp_path / "lossy"),
        vocab_size=600,
        model_type="bpe",
        minloglevel=2,
        **{"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "byte_fallback": True}
        | settings,
    )
    lossy = Tokenizer(tmp_path / "lossy.model")
    for texts in ([text], PROBES):  # the text itself, and the probes that are always tried
        with pytest.raises(DataError, match="does not round-trip") as refused:
            refuse_lossy(lossy, texts)
        assert "became" in str(refused.value) and "\n" not in str(refused.value)


def test_only_the_mark_of_a_space_may_be_lost_and_is_counted(tokenizer):
    assert refuse_lossy(tokenizer, [*PROBES, "a\u2581b", "\u2581\u2581"]) == 3 + "".join(PROBES).count(
        "\u2581"
    )


def test_a_model_that_loses_text_is_not_left_behind(tmp_path, real_texts, monkeypatch):
    import data.tokens.train_tokenizer

    monkeypatch.setitem(data.tokens.train_tokenizer.SETTINGS, "remove_extra_whitespaces", True)
    with pytest.raises(DataError, match="does not round-trip"):
        train_tokenizer(real_texts, tmp_path / "tokenizer.model", vocab_size=600)
    assert list(tmp_path.iterdir()) == []


def test_text_in_long_lines_is_said_to_be_left_out(tmp_path):
    with pytest.raises(DataError, match=r"no text to train on; 5,000 bytes are in lines above 4,192 bytes"):
        train_tokenizer(["x" * 5000], tmp_path / "tokenizer.model", vocab_size=600)


def test_the_round_trip_is_tried_on_texts_from_the_entire_sample(tmp_path, real_texts, monkeypatch):
    import data.tokens.train_tokenizer

    tried = []
    monkeypatch.setattr(data.tokens.train_tokenizer, "CHECKED", 10)
    monkeypatch.setattr(
        data.tokens.train_tokenizer, "refuse_lossy", lambda tokenizer, texts: tried.extend(texts) or 0
    )
    texts = [f"{i} {text}" for i, text in enumerate(real_texts)]
    train_tokenizer(texts, tmp_path / "tokenizer.model", vocab_size=600)
    numbers = sorted(texts.index(text) for text in tried if text not in PROBES)
    assert len(numbers) == 10 and numbers[-1] > len(texts) / 2 > numbers[0]


def test_too_little_text_is_reported_with_values_that_would_work(tmp_path, real_texts):
    output = tmp_path / "tokenizer.model"
    output.write_text("the one that was there")
    with pytest.raises(DataError, match="vocab_size=30000: too little text") as refused:
        train_tokenizer(real_texts, output, vocab_size=30_000)
    assert "\n" not in str(refused.value) and output.read_text() == "the one that was there"
    most = int(str(refused.value).rpartition("vocab_size=")[2])
    assert Tokenizer(train_tokenizer(real_texts, output, vocab_size=most)).vocab_size == most


def test_more_characters_than_pieces_are_reported_with_the_number_needed(tmp_path):
    texts = ["".join(map(chr, range(0x4E00, 0x4E00 + 400))) * 3]
    with pytest.raises(DataError, match=r"vocab_size=300: .* take \d+ pieces; give more than that"):
        train_tokenizer(texts, tmp_path / "tokenizer.model", vocab_size=300)


@pytest.mark.parametrize("texts", [[], [""], ["\n\n"], ["x" * 5000]])
def test_missing_text_is_reported_in_one_line(tmp_path, texts):
    with pytest.raises(DataError, match="no text to train on"):
        train_tokenizer(texts, tmp_path / "tokenizer.model", vocab_size=600)
    assert list(tmp_path.iterdir()) == []


def test_lines_too_long_for_sentencepiece_are_counted(tmp_path, real_texts, capsys):
    train_tokenizer([*real_texts, "é" * 2500], tmp_path / "tokenizer.model", vocab_size=600)
    assert "ignored 5,000 bytes in lines above 4192 bytes" in capsys.readouterr().err


def test_training_skips_nul_in_a_text(tmp_path, real_texts):
    path = train_tokenizer(["a\0b"] * 500 + real_texts, tmp_path / "tokenizer.model", vocab_size=600)
    tokenizer = Tokenizer(path)
    assert tokenizer.decode(tokenizer.encode("a\0b")) == "a\0b"
    assert 3 in tokenizer.encode("a\0b")  # the byte's piece; NUL has no other


def config(root, **changes) -> TokenizerConfig:
    weights = DataConfig("mix", {"prose": 3.0, "code": 1.0})
    return TokenizerConfig(**{"data": weights, "corpora": str(root), "max_bytes": 8000} | changes)


def test_text_is_sampled_by_weight(corpora, documents):
    of_source = {document.text: document.record % 2 for document in documents}
    sizes = [0, 0]
    for text in sample_texts(config(corpora)):
        sizes[of_source[text]] += len(text.encode())
    longest = max(len(document.text.encode()) for document in documents)
    assert 6000 <= sizes[0] < 6000 + longest and 2000 <= sizes[1] < 2000 + longest


def test_only_chosen_sources_are_read(corpora):
    chosen = DataConfig("mix", {"prose": 3.0, "absent": 1.0}, sources=["prose"])
    assert sum(len(text) for text in sample_texts(config(corpora, data=chosen))) >= 7900


def test_a_source_with_too_little_text_gives_all_of_it_and_this_is_reported(corpora, documents, capsys):
    texts = list(sample_texts(config(corpora, max_bytes=10**9)))
    assert sorted(texts) == sorted(document.text for document in documents)
    assert "prose has only" in (output := capsys.readouterr().err) and "code has only" in output


def test_the_verb_writes_a_tokenizer_and_prints_the_next_command(tmp_path, corpora, capsys):
    root = shutil.copytree(corpora, tmp_path / "corpora")
    arguments = [
        "data.weights.prose=1",
        "data.weights.code=1",
        "data.sources=[prose,code]",
        f"corpora={root}",
    ]
    assert main([*arguments, "vocab_size=500"]) == 0
    path = root / "tokenizer" / "tokenizer.model"
    assert Tokenizer(path).vocab_size == 500
    assert f"relama prepare recipe=… stage=tokens tokenizer={path}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["corpora=nowhere"], "nowhere/commoncrawl/text: no cleaned text"),
        (["vocab_size=100"], "vocab_size=100: expected at least 300"),
        (["max_bytes=0"], "max_bytes=0: expected at least 1"),
        (["threads=0"], "threads=0: expected at least 1"),
        (["vocab=100"], "vocab: unknown key; "),
        (["data=other"], "data=other: no such choice"),
    ],
)
def test_invalid_settings_are_refused_in_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_text_that_is_there_is_named_with_its_keys(tmp_path, capsys):
    write_documents([Document("a", "mine", "text", "f", 0)], tmp_path / "mine" / "text")
    assert main([f"corpora={tmp_path}"]) == 1
    assert (
        "; or choose what is there with data=mix data.weights.mine=1 data.sources=mine\n"
        in capsys.readouterr().err
    )
    assert main([f"corpora={tmp_path / 'mine'}"]) == 1
    assert "mine is one source: give the folder that it is in\n" in capsys.readouterr().err


def test_an_unwritable_output_is_refused_in_one_line(tmp_path, capsys, real_texts):
    write_documents([Document("a", "s", "\n".join(real_texts), "f", 0)], tmp_path / "s" / "text")
    (tmp_path / "file").write_text("")
    arguments = [
        "data.weights.s=1",
        "data.sources=[s]",
        f"corpora={tmp_path}",
        f"output={tmp_path}/file/t.model",
    ]
    assert main([*arguments, "vocab_size=600"]) == 1
    assert "cannot be written" in capsys.readouterr().err.splitlines()[-1]


def test_a_tokenizer_is_replaced_only_on_request(tmp_path, documents, capsys):
    write_documents(documents, tmp_path / "mine" / "text")
    arguments = [f"corpora={tmp_path}", "data.weights.mine=1", "data.sources=mine", "vocab_size=600"]
    path = tmp_path / "tokenizer" / "tokenizer.model"
    assert main(arguments) == 0
    first = path.read_bytes()
    assert main(arguments) == 0
    assert "already exists with these settings" in capsys.readouterr().err
    assert main([*arguments[:-1], "vocab_size=500"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "made with a different vocab_size" in error and "replace=true" in error
    assert path.read_bytes() == first
    assert main([*arguments[:-1], "vocab_size=500", "replace=true"]) == 0
    assert Tokenizer(path).vocab_size == 500
    path.with_name(path.name + ".json").unlink()
    assert main([*arguments[:-1], "vocab_size=500"]) == 1
    assert "no record of its settings" in capsys.readouterr().err

"""The audit of a mixture shows the contents of its stores, the paper's figures, and what is missing."""

import json
import shutil
from pathlib import Path

import pytest

from configs.load import load
from data.audit import TABLE_1, AuditConfig, audit, main, table
from data.documents import Document, write_documents
from data.tokens.build import build_store
from data.tokens.store import read_manifest
from data.tokens.tokenizer import Tokenizer
from data.tokens.train_tokenizer import train_tokenizer
from tests.support.narrow import present

LENGTH = 100_000
SIZES = {"commoncrawl": 40, "c4": 12, "github": 8, "wikipedia": 4, "books": 4, "arxiv": 4, "stackexchange": 4}


def make_store(root: Path, source: str, texts: list[str], tokenizer) -> dict:
    documents = [
        Document(f"{source}:{i}", source, text, "dump", i, f"https://{source}.org/{i}")
        for i, text in enumerate(texts)
    ]
    write_documents(documents, root / source / "text")
    return build_store(
        root / source / "text", root / source / "tokens", tokenizer, source=source, heldout=0.2
    )


@pytest.fixture(scope="module")
def seven(tmp_path_factory, real_texts, tokenizer) -> Path:
    """A store of a few documents for each source of Table 1."""
    root = tmp_path_factory.mktemp("seven")
    for number, (source, size) in enumerate(SIZES.items()):
        texts = (real_texts * 2)[7 * number : 7 * number + size]
        make_store(root, source, texts, tokenizer)
    return root


@pytest.fixture
def copy(seven, tmp_path) -> Path:
    return shutil.copytree(seven, tmp_path / "corpora")


def audited(corpora: Path, *arguments: str):
    return audit(load("audit", AuditConfig, [f"corpora={corpora}", *arguments]))


def outcome(arguments: list[str], capsys) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def one_line(err: str) -> str:
    assert err.count("\n") == 1 and err.startswith("relama: error: ")
    return err


def test_each_source_has_what_its_manifest_says(seven):
    found = audited(seven, f"tokens={LENGTH}")
    assert [row.source for row in found.rows] == list(TABLE_1)
    for row in found.rows:
        splits = read_manifest(seven / row.source / "tokens")["splits"]
        train, heldout = splits["train"], splits["heldout"]
        assert (row.tokens, row.documents) == (train["tokens"], train["documents"])
        assert (row.heldout_tokens, row.heldout_documents) == (heldout["tokens"], heldout["documents"])
        assert row.bytes_per_token == train["bytes"] / train["tokens"]
        assert row.share == pytest.approx(TABLE_1[row.source].share)
        seen = present(row.epochs) * present(row.tokens)
        assert seen == pytest.approx(LENGTH * TABLE_1[row.source].share)
    assert sum(row.share for row in found.rows) == pytest.approx(1)


def test_the_papers_own_corpus_is_seen_as_often_as_the_paper_says():
    implied = {"commoncrawl": 853e9, "c4": 198e9, "github": 98e9, "wikipedia": 26e9, "books": 28e9}
    implied |= {"arxiv": 33e9, "stackexchange": 27e9}  # docs/recipe.md §1: unique tokens
    assert sum(paper.share for paper in TABLE_1.values()) == pytest.approx(1)
    for source, paper in TABLE_1.items():
        assert 1.4e12 * paper.share / implied[source] == pytest.approx(paper.epochs, rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "length"),
    [
        ([], 1.4e12),
        (["tokens=1e12"], 1e12),
        (["steps=1000"], 1000 * (1 << 22)),
        (["steps=10", "global_batch=4096"], 40960),
    ],
)
def test_the_length_comes_from_tokens_or_steps_or_the_paper(seven, arguments, length):
    found = audited(seven, *arguments)
    assert found.length == length
    row = found.rows[0]
    assert row.epochs == pytest.approx(length * row.share / row.tokens)


def test_your_own_mixture_has_no_length_until_it_is_given(seven, capsys):
    own = ["data.weights={novels: 1}", "data.sources=[novels]"]
    assert audited(seven, *own).length is None and audited(seven, *own).rows[0].epochs is None
    assert audited(seven, *own, "steps=10", "global_batch=4096").length == 40960
    code, out, _ = outcome([f"corpora={seven}", *own], capsys)
    assert code == 0 and "give steps= or tokens= to see the epochs" in out and "1.4T tokens)" in out


def test_missing_sources_are_named_and_present_ones_are_shown(copy, capsys):
    shutil.rmtree(copy / "wikipedia")
    (copy / "arxiv" / "tokens" / "manifest.json").unlink()
    code, out, err = outcome([f"corpora={copy}", "tokens=1000"], capsys)
    assert code == 0 and err == ""
    missing = [line for line in out.split("\n") if line.startswith("! MISSING")]
    assert [line.split()[2] for line in missing] == ["wikipedia", "arxiv", "Books3,"]
    (row,) = [line for line in out.split("\n") if line.startswith("c4 ")]
    tokens = read_manifest(copy / "c4" / "tokens")["splits"]["train"]["tokens"]
    assert row.split()[1:4] == [f"{tokens:,}", "15.0%", "15.0%"]


def test_books3_is_mentioned_whenever_books_are_requested(seven):
    assert any("Books3" in note for note in audited(seven, "tokens=1000").notes)
    assert not any("Books3" in note for note in audited(seven, "tokens=1000", "data.sources=[c4]").notes)


def test_a_source_repeated_more_than_in_the_paper_is_reported_beyond_the_tolerance(seven):
    rows = audited(seven, f"tokens={LENGTH}").rows
    limits = {row.source: 1.5 * present(row.paper).epochs * present(row.tokens) / row.share for row in rows}
    for source, limit in limits.items():
        for length, expected in ((0.99 * limit, False), (1.01 * limit, True)):
            findings = audited(seven, f"tokens={length}").findings
            assert any(line.startswith(f"REPEATED: {source} ") for line in findings) == expected
    assert audited(seven, f"tokens={0.99 * min(limits.values())}").findings == []


def test_shares_off_table_1_are_reported_beyond_the_tolerance(seven):
    assert audited(seven, "tokens=1000", "data.weights.c4=15.5").findings == []
    (line,) = audited(seven, "tokens=1000", "data.weights.c4=17").findings
    assert line.startswith("SHARE: c4 is 16.7% of the mixture, and 15.0% in the paper")
    (line,) = audited(seven, "tokens=1000", "data.weights.c4=13").findings
    assert line.startswith("SHARE: c4 is 13.3% of the mixture")
    assert audited(seven, "tokens=1000", "data.weights.c4=17", "share_tolerance=0.2").findings == []


def test_omitted_sources_and_unused_stores_are_reported(copy, real_texts, tokenizer):
    make_store(copy, "novels", real_texts[:3], tokenizer)
    found = audited(copy, "tokens=1000", "data.sources=[commoncrawl,c4]", "share_tolerance=9")
    assert found.findings == [
        "MISSING: the mixture lacks github, wikipedia, books, arxiv, stackexchange (Table 1)"
    ]
    assert found.notes[-1] == (
        "not in the mixture, but has a token store: arxiv, books, github, novels, stackexchange, wikipedia"
    )


def test_your_own_source_is_listed_without_the_papers_figures(copy, real_texts, tokenizer):
    make_store(copy, "novels", real_texts[:3], tokenizer)
    found = audited(copy, "tokens=1000", "+data.weights.novels=1")
    row = found.rows[-1]
    assert row.source == "novels" and row.tokens and row.paper is None and found.findings == []
    (cells,) = [line.split() for line in table(found) if line.startswith("novels")]
    assert cells[2:4] == ["1.0%", "–"]


def test_strict_is_an_error_in_one_line_only_when_something_is_off(copy, capsys):
    assert outcome([f"corpora={copy}", "tokens=1000", "strict=true"], capsys)[0] == 0
    code, out, err = outcome([f"corpora={copy}", "tokens=1e9", "strict=true"], capsys)
    assert code == 1 and "REPEATED: c4" in one_line(err) and "! REPEATED: c4" in out
    shutil.rmtree(copy / "github")
    code, out, err = outcome([f"corpora={copy}", "tokens=1000", "strict=true"], capsys)
    assert code == 1 and "strict=true: MISSING: github has no token store" in one_line(err)
    assert out.startswith("the mixture over 1,000 tokens")


def test_json_is_printed_and_written_with_the_same_figures(seven, tmp_path, capsys):
    arguments = [f"corpora={seven}", f"tokens={LENGTH}", f"output={tmp_path / 'audit.json'}"]
    code, out, _ = outcome([*arguments, "json=true"], capsys)
    assert code == 0 and json.loads(out) == json.loads((tmp_path / "audit.json").read_text())
    found = audited(seven, f"tokens={LENGTH}")
    assert json.loads(out)["rows"][1]["tokens"] == found.rows[1].tokens
    assert json.loads(out)["findings"] == found.findings and json.loads(out)["length"] == LENGTH
    code, out, _ = outcome(arguments, capsys)
    assert code == 0 and out.startswith("the mixture over")


def test_stores_of_two_tokenizers_are_refused(copy, real_texts, tmp_path, capsys):
    other = Tokenizer(train_tokenizer(real_texts[:40], tmp_path / "other.model", vocab_size=400))
    shutil.rmtree(copy / "arxiv")
    make_store(copy, "arxiv", real_texts[:3], other)
    capsys.readouterr()
    code, _, err = outcome([f"corpora={copy}"], capsys)
    assert code == 1 and "stores have different tokenizers" in one_line(err)


def test_a_damaged_store_is_refused_by_name(copy, capsys):
    manifest = copy / "c4" / "tokens" / "manifest.json"
    whole = manifest.read_text()
    for content in (
        "",
        "{",
        "[]",
        "{}",
        whole.replace('"version": 1', '"version": 2'),
        whole[:-9],
        "\0" * 99,
    ):
        manifest.write_text(content)
        code, _, err = outcome([f"corpora={copy}"], capsys)
        assert code == 1 and str(manifest) in one_line(err)
    digits = whole.index('"tokens":') + 10
    manifest.write_text(whole[:digits] + "9" + whole[digits:])
    assert "altered" in one_line(outcome([f"corpora={copy}"], capsys)[2])
    manifest.write_text(whole)
    shard = next((copy / "c4" / "tokens").glob("train-*.bin"))
    shard.write_bytes(shard.read_bytes()[:-2])
    assert str(shard) in one_line(outcome([f"corpora={copy}"], capsys)[2])


def test_a_store_without_a_training_token_is_missing(copy, real_texts, tokenizer):
    shutil.rmtree(copy / "arxiv")
    (text,) = real_texts[:1]
    document = Document("arxiv:0", "arxiv", text, "dump", 0)
    write_documents([document], copy / "arxiv" / "text")
    build_store(copy / "arxiv" / "text", copy / "arxiv" / "tokens", tokenizer, source="arxiv", heldout=1.0)
    found = audited(copy, "tokens=1000")
    assert found.findings == ["MISSING: arxiv has no tokens to train on"]
    assert any(line.startswith("arxiv ") for line in table(found))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["corpora=nowhere"], "corpora=nowhere: no such folder"),
        (["tokens=0"], "tokens=0"),
        (["tokens=inf"], "tokens=inf"),
        (["steps=0"], "steps=0"),
        (["steps=5", "tokens=5"], "give either tokens or steps"),
        (["global_batch=0", "steps=1"], "global_batch=0"),
        (["share_tolerance=-1"], "share_tolerance=-1"),
        (["epochs_tolerance=nan"], "epochs_tolerance=nan"),
        (["data=none"], "data is one of: mix, sample"),
        (["data.sources=[c5]"], "'c5' has no weight"),
        (["tolerance=1"], "tolerance: unknown key"),
        (["tokens=1T"], "tokens=1T: expected"),
        (["output=/nowhere/a.json"], "output=/nowhere/a.json: cannot be written"),
    ],
)
def test_invalid_settings_are_refused_in_one_line(seven, arguments, part, capsys):
    corpora = [] if arguments[0].startswith("corpora") else [f"corpora={seven}"]
    code, _, err = outcome([*corpora, *arguments], capsys)
    assert code == 1 and part in one_line(err)

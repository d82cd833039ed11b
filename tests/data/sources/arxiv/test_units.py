"""The papers of an input are found and read in any packaging."""

import gzip
import json

import pytest

from data.documents import Document, Drop
from data.errors import DataError
from data.sources.arxiv import names
from data.sources.arxiv import recipe as arxiv
from tests.support.papers import CLEANED, PAPER, cleaned, folder, packed, paper, texts


def test_a_bulk_tar_gives_every_paper_and_counts_the_rest(tmp_path):
    members = {
        "0704/0704.0001.gz": paper(),
        "0704/0704.0002.gz": gzip.compress(packed({"main.tex": PAPER, "a.eps": "%!PS", "refs.bib": "x"})),
        "0704/0704.0003.pdf": b"%PDF-1.4",
        "0704/0704.0004.gz": gzip.compress(b"%PDF-1.4"),
        "0704/0704.0005.gz": gzip.compress(b"%!PS-Adobe"),
        "0704/0704.0006.gz": paper("%auto-ignore\nThis paper has been withdrawn.\n"),
        "0704/0704.0007.gz": gzip.compress(packed({"a.pdf": "%PDF", "readme.html": "x"})),
        "0704/0704.0008.gz": gzip.compress(b""),
        "0704/0704.0009.gz": paper("This paper has been withdrawn by the authors, for an error in Lemma 2."),
        "0704/hep-th9901001.gz": paper(),
        "0704/0704.0010.gz": gzip.compress(packed({"fig.xyz": b"\xff" * 9})),
    }
    path = tmp_path / "arXiv_src_0704_001.tar"
    path.write_bytes(packed(members))
    found = cleaned(path)
    assert [item.record for item in found] == list(range(11))
    assert {item.file for item in found} == {str(path)}
    assert [item.text if isinstance(item, Document) else item.reason for item in found] == [
        CLEANED,
        CLEANED,
        "PDF only",
        "PDF only",
        "PostScript only",
        "withdrawn",
        "PDF only",
        "empty",
        "withdrawn",
        CLEANED,
        "no TeX",
    ]
    assert found[0].url == "https://arxiv.org/abs/0704.0001"
    assert found[9].url == "https://arxiv.org/abs/hep-th/9901001"
    assert found[0].licence == ""
    assert not any(item.malformed for item in found if isinstance(item, Drop))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("0704.0001.gz", paper()),
        ("0704.0001.tar.gz", gzip.compress(packed({"x/main.tex": PAPER}))),
        ("0704.0001.tgz", gzip.compress(packed({"main.tex": PAPER}))),
        ("0704.0001.tar", packed({"figures/a.pdf": "%PDF", "main.tex": PAPER})),
        ("0704.0001v2.tex", PAPER.encode()),
        ("arXiv-0704.0001v1.tar.gz", gzip.compress(packed({"main.tex": PAPER}))),
    ],
)
def test_one_paper_in_each_wrapping(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path / name, tmp_path):
        (document,) = cleaned(path)
        assert (document.text, document.url) == (CLEANED, "https://arxiv.org/abs/0704.0001")


def test_folders_are_papers_and_folders_of_archives_are_searched(tmp_path):
    folder(tmp_path / "one", {"main.tex": PAPER, "sections/a.tex": "x"})
    assert arxiv.inputs(tmp_path / "one") == [tmp_path / "one"]
    folder(
        tmp_path / "shelf",
        {"b/deep/er/x.tex": PAPER, "a/main.tex": PAPER, "a/old/main.tex": "x", ".git/z.tex": "z"},
    )
    assert arxiv.inputs(tmp_path / "shelf") == [tmp_path / "shelf" / "a", tmp_path / "shelf" / "b"]
    assert texts(tmp_path / "shelf") == [CLEANED, CLEANED]
    folder(tmp_path / "src", {"0704/0704.0001.gz": paper(), "0704/0704.0002.pdf": b"%PDF", "x.jsonl": "{}"})
    assert texts(tmp_path / "src") == [CLEANED, "dropped: PDF only", "dropped: malformed record"]
    folder(tmp_path / "plain", {"a.tex": "\\magnification=1000 text\\bye", "b.tex": "% nothing"})
    assert arxiv.inputs(tmp_path / "plain") == [tmp_path / "plain"]


def test_a_stray_file_does_not_make_a_shelf_a_paper_nor_a_supplement_a_paper_a_shelf(tmp_path):
    stray = folder(
        tmp_path / "stray", {"notes.tex": PAPER, "a/a.tex": PAPER, "b/b.tex": PAPER, "img/x.png": b"x"}
    )
    assert [unit.name for unit in arxiv.inputs(stray)] == ["a", "b", "notes.tex"]
    named = folder(tmp_path / "named", {"notes.tex": PAPER, "0704.0001/a.tex": PAPER})
    assert [unit.name for unit in arxiv.inputs(named)] == ["0704.0001", "notes.tex"]
    style = folder(tmp_path / "style", {"style.tex": "\\def\\a{b}", "a/a.tex": PAPER})
    assert [unit.name for unit in arxiv.inputs(style)] == ["a"]
    supplement = folder(tmp_path / "supplement", {"main.tex": PAPER, "supplement/s.tex": PAPER})
    assert arxiv.inputs(supplement) == [supplement]


def test_rows_of_latex_are_read(tmp_path):
    path = tmp_path / "arxiv.jsonl"
    lines = [
        {"text": PAPER, "meta": {"arxiv_id": "hep-ex/0408102", "language": "en"}},
        {"text": "\\section{A} a\r\n% c\r\nb", "meta": {"url": "http://arxiv.org/abs/1712.01076v2"}},
        {"text": "", "meta": {}},
        {"other": 1},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, second, third, fourth = cleaned(path)
    assert (first.text, first.url) == (CLEANED, "https://arxiv.org/abs/hep-ex/0408102")
    assert json.loads(first.meta)["language"] == "en"
    assert (second.text, second.url) == ("\\section{A} a\nb\n", "https://arxiv.org/abs/1712.01076")
    assert third.reason == "empty"
    assert fourth.malformed


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("1202.3665", "1202.3665"),
        ("1501.00001v3", "1501.00001"),
        ("arXiv-1501.00001v3.tar.gz", "1501.00001"),
        ("0704.0001.gz", "0704.0001"),
        ("hep-th9901001", "hep-th/9901001"),
        ("hep-th_9901001v2", "hep-th/9901001"),
        ("math.GT0309136.gz", "math/0309136"),
        ("math-ph0309136", "math-ph/0309136"),
        ("cond-mat/0309136", "cond-mat/0309136"),
        ("0713.0001", ""),  # there is no month 13
        ("1202.366512", ""),
        ("paper9901001", ""),
        ("hott-book", ""),
        ("v1.2", ""),
    ],
)
def test_the_page_of_a_paper_comes_from_its_name(name, url):
    assert names.arxiv_url(name) == (f"https://arxiv.org/abs/{url}" if url else "")


def test_missing_inputs_are_refused_by_name(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    for name, words in {"missing": "no such file", "empty": "nothing here", "a.txt": "nothing here"}.items():
        with pytest.raises(DataError, match=words):
            arxiv.inputs(tmp_path / name)

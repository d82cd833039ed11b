"""ArXiv's tars, archives and folders in, the text of each paper out; whatever else they hold is counted."""

import gzip
import io
import itertools
import json
import random
import re
import tarfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.documents import Document, Drop, Record
from data.errors import DataError
from data.sources import rows
from data.sources.arxiv import files as latex_files
from data.sources.arxiv import recipe as arxiv
from data.sources.arxiv.files import Paper, decode

PAPER = """\\documentclass{article}
\\newcommand{\\R}{\\mathbb{R}}
\\begin{document}
\\title{T}\\maketitle
\\section{Introduction}
Let $x\\in\\R$. % a comment
\\bibliography{refs}
\\end{document}
"""
CLEANED = "\\section{Introduction}\nLet $x\\in\\mathbb{R}$.\n"


def packed(files: dict[str, str | bytes]) -> bytes:
    """A tar of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            content = content if isinstance(content, bytes) else content.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def paper(text: str = PAPER) -> bytes:
    return gzip.compress(text.encode())


def folder(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def cleaned(path: Path) -> list[Document | Drop]:
    """What becomes of every paper at a path."""
    items = (item for unit in arxiv.inputs(path) for item in arxiv.read(unit))
    return [item if isinstance(item, Drop) else arxiv.clean(item) for item in items]


def texts(path: Path) -> list[str]:
    return [item.text if isinstance(item, Document) else f"dropped: {item.reason}" for item in cleaned(path)]


def one(files: dict[str, str | bytes]) -> str:
    """The text of a paper's one main file, comments off and inputs in their places."""
    mains = Paper({name: text if isinstance(text, bytes) else text.encode() for name, text in files.items()})
    (main,) = mains.mains()
    return mains.text(main)


# ---- units


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
    assert arxiv.arxiv_url(name) == (f"https://arxiv.org/abs/{url}" if url else "")


def test_inputs_that_are_not_there_are_refused_by_name(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    for name, words in {"missing": "no such file", "empty": "nothing here", "a.txt": "nothing here"}.items():
        with pytest.raises(DataError, match=words):
            arxiv.inputs(tmp_path / name)


# ---- the main file


WHOLE = "\\documentclass{article}\n\\begin{document}\nBODY\n\\end{document}"


@pytest.mark.parametrize(
    ("files", "mains"),
    [
        ({"a.tex": WHOLE, "b.tex": "\\section{B}"}, ["a.tex"]),
        ({"x/y/z/a.TEX": WHOLE, "b.tex": "x"}, ["x/y/z/a.TEX"]),
        ({"a.tex": WHOLE, "ms.tex": WHOLE, "main.tex": WHOLE}, ["ms.tex"]),
        ({"a.tex": WHOLE, "main.tex": WHOLE}, ["main.tex"]),
        ({"a.tex": WHOLE, "0704.0001.tex": WHOLE}, ["0704.0001.tex"]),
        ({"a.tex": WHOLE.replace("BODY", "\\input{b}"), "b.tex": WHOLE}, ["a.tex"]),
        ({"b.tex": WHOLE, "a.tex": WHOLE.replace("BODY", "\\import{}{b}")}, ["a.tex"]),
        ({"b.tex": WHOLE, "a.tex": WHOLE}, ["a.tex", "b.tex"]),  # two roots, two papers
        ({"p/main.tex": WHOLE, "q/main.tex": WHOLE}, ["p/main.tex", "q/main.tex"]),
        ({"a.tex": WHOLE, "sub/b.tex": WHOLE}, ["a.tex"]),
        ({"a.tex": WHOLE, "b.tex": WHOLE, "00README.XXX": "b.tex toplevelfile\na.tex ignore\n"}, ["b.tex"]),
        ({"a.tex": WHOLE, "b.tex": WHOLE, "00README.XXX": "nohypertex\na.tex ignore\n"}, ["b.tex"]),
        (
            {
                "a.tex": WHOLE,
                "b.tex": WHOLE,
                "00README.json": json.dumps(
                    {"sources": [{"filename": "b.tex", "usage": "toplevel"}, {"filename": "a.tex"}]}
                ),
            },
            ["b.tex"],
        ),
        (
            {
                "a.tex": WHOLE,
                "b.tex": WHOLE,
                "00README.yaml": "sources:\n- filename: b.tex\n  usage: toplevel\n",
            },
            ["b.tex"],
        ),
        ({"a.tex": "%auto-ignore\n" + WHOLE, "b.tex": WHOLE}, ["b.tex"]),
        ({"a.tex": "% " + WHOLE.replace("\n", "\n% "), "b.tex": WHOLE}, ["b.tex"]),
        ({"fig.tex": WHOLE.replace("{article}", "{standalone}"), "z.tex": WHOLE}, ["z.tex"]),
        ({"a.tex": "\\documentclass{x}\n\\input{b}", "b.tex": "\\begin{document}\\end{document}"}, ["a.tex"]),
        ({"a.tex": "\\documentstyle[12pt]{article}\\begin{document}", "b.tex": "x"}, ["a.tex"]),
        ({"a.tex": "\\input harvmac\ntext\\bye", "b.tex": "macros"}, ["a.tex"]),
        ({"a.tex": "text \\input b", "b.tex": "text"}, ["a.tex"]),
        ({"paper": WHOLE}, ["paper"]),
        (
            {"a.tex": WHOLE.replace("BODY", "\\input{b}"), "b.tex": WHOLE.replace("BODY", "\\input{a}")},
            ["a.tex", "b.tex"],
        ),
        ({"my.sty": WHOLE, "readme.txt": "x", "data": "y"}, []),
        ({}, []),
    ],
)
def test_the_main_file_is_found(files, mains):
    for order in itertools.islice(itertools.permutations(files.items()), 6):
        found = Paper({name: text.encode() for name, text in order}, "0704.0001").mains()
        assert found == mains


def test_several_roots_are_several_papers(tmp_path):
    a, b = PAPER.replace("Let", "A let"), PAPER.replace("Let", "B let")
    folder(tmp_path / "0704.0001", {"a/a.tex": a, "b/b.tex": b, "style.tex": "\\def\\x{y}"})
    found = cleaned(tmp_path)
    assert [item.text for item in found] == [CLEANED.replace("Let", "A let"), CLEANED.replace("Let", "B let")]
    assert len({item.id for item in found}) == 2


# ---- \input


def test_files_go_in_input_order():
    files = {
        "main.tex": "\\documentclass{a}\\begin{document}\n\\include{z}\n\\input{sub/y.tex}\n"
        "\\input x\n\\subfile{w}\nend\n",
        "z.tex": "Z \\input{sub/deep}",
        "sub/y.tex": "Y % a comment at the end",
        "sub/deep.tex": "DEEP",
        "x.tex": "X",
        "w.tex": "\\documentclass[main]{subfiles}\n\\begin{document}\nW\n\\end{document}\nafter",
        "a.tex": "not input",
    }
    text = one(files)
    assert re.findall(r"[A-Z]+", text.partition("{document}")[2]) == ["Z", "DEEP", "Y", "X", "W"]
    assert text.endswith("end\n")
    assert "comment" not in text


def test_import_reads_relative_to_its_folder():
    files = {
        "main.tex": "\\documentclass{a}\\begin{document}\\import{one/}{a}\\subimport{two}{b.tex}",
        "one/a.tex": "A\\subimport{in/}{c}",
        "one/in/c.tex": "C",
        "two/b.tex": "B",
    }
    assert re.findall("[A-Z]", one(files).partition("{document}")[2]) == ["A", "C", "B"]


@pytest.mark.parametrize(
    "command",
    [
        "\\input{../outside}",
        "\\input{sub/../../outside}",
        "\\input{/etc/passwd}",
        "\\input{missing}",
        "\\import{../}{outside}",
        "\\import{/etc/}{passwd}",
        "\\input{main}",
        "\\verb|\\input{z}|",
        "\\newinput{z}",
    ],
)
def test_what_is_not_in_the_paper_is_not_followed(command):
    text = f"\\documentclass{{a}}\n\\begin{{document}}\n{command}\n"
    assert one({"main.tex": text, "z.tex": "Z"}) == text


def test_a_commented_input_is_not_read_nor_what_follows_endinput():
    files = {
        "main.tex": "\\documentclass{a}\\begin{document}\n% \\input{z}\n\\input{y}",
        "z.tex": "Z",
        "y.tex": "Y\\endinput Z",
    }
    assert one(files).endswith("\nY")


def test_definitions_of_the_papers_own_packages_are_read(tmp_path):
    files = {
        "main.tex": "\\documentclass[12pt]{mine}\n\\usepackage{amsmath,sub/macros}\n"
        "\\begin{filecontents}{more.tex}\n"
        "\\def\\three{3}\n\\end{filecontents}\n\\input{more}\n\\begin{document}\n\\section{A}\n\\one\\two\\three\\four",
        "mine.cls": "\\LoadClass{article}\n\\def\\one{1}\\def\\@x{y}\\endinput\n\\def\\one{0}",
        "sub/macros.sty": "\\RequirePackage{other}\n\\newcommand\\two{2}",
        "other.sty": "\\newcommand\\four{4}",
    }
    folder(tmp_path / "p", files)
    assert texts(tmp_path / "p") == ["\\section{A}\n1234\n"]


def test_inputs_that_explode_are_dropped(tmp_path):
    levels = {f"f{i}.tex": f"\\input{{f{i + 1}}}" * 12 + "x" * 1000 for i in range(12)}
    main = "\\documentclass{a}\\begin{document}\\input{f0}"
    folder(tmp_path / "p", {"main.tex": main, **levels})
    begin = time.process_time()
    (dropped,) = cleaned(tmp_path / "p")
    assert (dropped.reason, dropped.malformed) == ("too large", True)
    assert time.process_time() - begin < 10


def test_one_file_input_too_often_is_too_large(tmp_path):
    often = "\\input{a}" * (latex_files.MAX_INPUTS + 1)
    folder(tmp_path / "p", {"main.tex": WHOLE.replace("BODY", often), "a.tex": "a"})
    assert texts(tmp_path / "p") == ["dropped: too large"]


def test_a_long_chain_of_inputs_ends(tmp_path):
    chain = {f"f{i}.tex": f"\\input{{f{i + 1}}}" for i in range(1000)}
    folder(tmp_path / "p", {"main.tex": WHOLE.replace("BODY", "\\input{f0}"), **chain})
    assert texts(tmp_path / "p") == [f"\\input{{f{latex_files.MAX_DEPTH - 1}}}\n"]


# ---- encodings


NAMES = {
    "latin1": "latin-1",
    "cp1252": "cp1252",
    "ansinew": "cp1252",
    "latin2": "iso8859-2",
    "koi8-r": "koi8-r",
    "cp1251": "cp1251",
    "cp1250": "cp1250",
    "latin9": "iso8859-15",
    "applemac": "mac_roman",
    "cp850": "cp850",
}
WORDS = {"latin2": "Łódź, Žižka", "koi8-r": "Привет", "cp1251": "Привет", "cp1250": "Łódź"}


@pytest.mark.parametrize("name", NAMES)
def test_a_declared_encoding_is_kept(name):
    words = WORDS.get(name, "Erdős é"[-1] + " für Gödel")
    text = (
        f"\\documentclass{{a}}\n% \\usepackage[utf8]{{inputenc}}\n\\usepackage[{name}]{{inputenc}}\n{words}"
    )
    assert decode(text.encode(NAMES[name])) == text
    assert decode(words.encode(NAMES[name]), text.encode(NAMES[name])) == words  # declared in the main file
    assert decode(text.encode()) == text  # UTF-8 whatever it says


def test_what_is_not_declared_is_utf8_else_windows_1252_byte_by_byte():
    assert decode("für “Gödel”".encode("cp1252")) == "für “Gödel”"
    assert decode("中 ".encode() + "ü".encode("latin-1") + "é".encode()) == "中 üé"
    assert decode(bytes(range(1, 256)).replace(b"\r", b"")).encode() != b""
    assert decode(b"\xef\xbb\xbfa\r\nb\rc\0d") == "a\nb\ncd"
    assert decode("\ufeffä".encode("utf-16-le")) == decode("\ufeffä".encode("utf-16-be")) == "ä"
    for name in ("nonsense", "utf8x", "punycode", "unicode_escape", "zip"):
        assert decode(b"\\inputencoding{%s} \\n \xe9" % name.encode()).endswith("\\n é")


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_decoded(content):
    decode(content).encode()


def test_each_file_has_its_own_encoding(tmp_path):
    main = WHOLE.replace("\\begin", "\\usepackage[latin2]{inputenc}\n\\begin", 1)
    main = main.replace("BODY", "\\section{Ł}\n\\input{a}\\input{b}")
    folder(
        tmp_path / "p", {"main.tex": main.encode("iso8859-2"), "a.tex": "ś".encode("iso8859-2"), "b.tex": "ö"}
    )
    assert texts(tmp_path / "p") == ["\\section{Ł}\nśö\n"]


# ---- RedPajama's mistakes (RECIPE §2), none of them ours


@pytest.mark.parametrize(
    ("mistake", "body", "kept"),
    [
        ("\\paragraph never matches", "\\paragraph{A} text", "\\paragraph{A} text"),
        ("\\subparagraph never matches", "x \\subparagraph{A} text", "\\subparagraph{A} text"),
        ("the character before % goes", "\\section{A} last%comment\n", "\\section{A} last"),
        ("a non-ASCII value loses the paper", "\\def\\G{Gödel}\\section{A} \\G", "\\section{A} Gödel"),
        (
            "arguments are not expanded",
            "\\newcommand{\\v}[1]{\\bf #1}\\section{A} \\v{x}",
            "\\section{A} \\bf x",
        ),
        ("no section, no text", "We show.", "We show."),
        (
            "a backslash in a value is a regex escape",
            "\\def\\a{\\1\\g}\\section{A} \\a",
            "\\section{A} \\1\\g",
        ),
    ],
)
def test_redpajamas_mistakes_are_not_repeated(tmp_path, mistake, body, kept):
    folder(tmp_path / "p", {"main.tex": WHOLE.replace("BODY", body)})
    assert texts(tmp_path / "p") == [kept + "\n"], mistake


def test_redpajamas_lost_encodings_and_tar_order_are_not_repeated(tmp_path):
    files = {
        "a_last.tex": "\\section{Last}",
        "main.tex": WHOLE.replace("BODY", "\\section{Fürst}\n\\input{z_next}\\input{a_last}").encode(
            "latin-1"
        ),
        "z_next.tex": "\\section{Next}\n",
    }
    (tmp_path / "0704.0001.gz").write_bytes(gzip.compress(packed(files)))
    assert texts(tmp_path) == ["\\section{Fürst}\n\\section{Next}\n\\section{Last}\n"]


# ---- bad input


def bulk(tmp_path: Path, members: dict[str, bytes]) -> Path:
    path = tmp_path / "arXiv_src_0704_001.tar"
    path.write_bytes(packed(members))
    return path


def test_damaged_papers_are_set_aside_and_the_next_is_read(tmp_path):
    whole = gzip.compress(packed({"main.tex": PAPER, "b.tex": "".join(map(chr, range(40, 120))) * 99}))
    flipped = bytearray(packed({"a.tex": PAPER, "main.tex": PAPER}))
    flipped[1024 + 512 * (len(PAPER) // 512)] ^= 0xFF  # in the second member's header
    members = {
        "0704/0704.0001.gz": whole[: len(whole) // 2],
        "0704/0704.0002.gz": whole[:40] + bytes(40) + whole[80:],
        "0704/0704.0003.gz": whole[:-4] + b"1234",
        "0704/0704.0004.gz": gzip.compress(packed({"main.tex": PAPER})[:600]),
        "0704/0704.0005.gz": gzip.compress(bytes(flipped)),
        "0704/0704.0006.gz": b"\x1f\x8b",
        "0704/0704.0007.gz": b"\x1f\x8bnothing of the kind",
        "0704/0704.0008.gz": paper(),
    }
    found = cleaned(bulk(tmp_path, members))
    assert [item.reason for item in found[:-1]] == ["malformed paper"] * 7
    assert all(item.malformed and item.detail.startswith("0704/0704.000") for item in found[:-1])
    assert [item.record for item in found] == list(range(8))
    assert found[-1].text == CLEANED


@pytest.mark.parametrize("cut", [1200, 1800, 2560])  # in the second's header, in its bytes, at its end
def test_a_bulk_tar_that_breaks_off_gives_what_came_before(tmp_path, cut):
    noise = gzip.compress(random.Random(1).randbytes(1200))
    path = bulk(tmp_path, {"0704.0001.gz": paper(), "0704.0002.gz": noise[:1024]})
    path.write_bytes(path.read_bytes()[:cut])
    found = []
    with pytest.raises(rows.UNREADABLE):
        found.extend(arxiv.read(path))
    assert next(arxiv.read(path)).url == "https://arxiv.org/abs/0704.0001"


def test_a_bulk_tar_of_many_members_takes_no_more_memory(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number in range(5000):
            member = tarfile.TarInfo(f"folder{number}")
            member.type = tarfile.DIRTYPE
            tar.addfile(member)
    path = tmp_path / "arXiv_src_0704_001.tar"
    path.write_bytes(buffer.getvalue())
    tracemalloc.start()
    assert list(arxiv.read(path)) == []
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory < 1 << 20


def test_a_damaged_header_does_not_pass_for_the_end(tmp_path):
    path = bulk(tmp_path, {"0704.0001.gz": paper(), "0704.0002.gz": paper(), "0704.0003.gz": paper()})
    content = bytearray(path.read_bytes())
    content[1024 + 100] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(tarfile.TarError, match="damaged header at byte 1024"):
        list(arxiv.read(path))


def test_single_files_that_are_damaged_are_unreadable(tmp_path):
    whole = gzip.compress(packed({"main.tex": PAPER}))
    for name, content in {
        "a.gz": whole[:50],
        "b.tar.gz": b"no gzip",
        "c.tar": b"no tar",
        "d.tar": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        try:
            (item,) = arxiv.read(tmp_path / name)
        except rows.UNREADABLE:
            continue
        assert isinstance(item, Record) == (name == "b.tar.gz") or isinstance(item, Drop)


def test_members_that_link_climb_or_are_devices_are_never_followed(tmp_path):
    (tmp_path / "secret.tex").write_text("secret")

    def archive(name: str, kind: bytes, link: str = "", content: bytes = b"") -> bytes:
        buffer = io.BytesIO(packed({"main.tex": WHOLE.replace("BODY", f"\\section{{A}}\n\\input{{{name}}}")}))
        with tarfile.open(fileobj=buffer, mode="a") as tar:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, link, len(content)
            tar.addfile(member, io.BytesIO(content))
        return gzip.compress(buffer.getvalue())

    secret = str(tmp_path / "secret.tex")
    hostile = {
        "1": archive("x.tex", tarfile.SYMTYPE, secret),
        "2": archive("x.tex", tarfile.LNKTYPE, secret),
        "3": archive("x.tex", tarfile.LNKTYPE, "main.tex"),
        "4": archive("x.tex", tarfile.CHRTYPE),
        "5": archive("x.tex", tarfile.FIFOTYPE),
        "6": archive("../x.tex", tarfile.REGTYPE, content=b"climbs"),
        "7": archive(secret, tarfile.REGTYPE, content=b"climbs"),
    }
    found = cleaned(bulk(tmp_path, {f"0704.000{name}.gz": content for name, content in hostile.items()}))
    assert len(found) == 7
    assert all(
        re.fullmatch(r"\\section\{A\}\n\\input\{.*x\.tex\}\n|.*secret\.tex\}\n", item.text, re.DOTALL)
        for item in found
    )
    assert not any("climbs" in item.text or "secret\n" in item.text for item in found)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arXiv_src_0704_001.tar", "secret.tex"]


def test_in_a_bulk_tar_too(tmp_path):
    buffer = io.BytesIO(packed({"../0704.0001.gz": paper(), "0704.0002.gz": paper()}))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
            member = tarfile.TarInfo("0704.0003.gz")
            member.type, member.linkname = kind, "0704.0002.gz"
            tar.addfile(member)
    path = tmp_path / "arXiv_src_0704_001.tar"
    path.write_bytes(buffer.getvalue())
    assert Counter(texts(path)) == {"dropped: not a file inside": 4, CLEANED: 1}


def test_a_linked_file_in_a_folder_is_not_followed(tmp_path):
    (tmp_path / "secret.tex").write_text("secret")
    root = folder(
        tmp_path / "p", {"main.tex": WHOLE.replace("BODY", "\\section{A}\n\\input{x}\\input{y/secret}")}
    )
    (root / "x.tex").symlink_to(tmp_path / "secret.tex")
    (root / "y").symlink_to(tmp_path)
    (root / "z").symlink_to(root)
    assert texts(root) == ["\\section{A}\n\\input{x}\\input{y/secret}\n"]


def bomb(size: int, head: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


def peak(path: Path) -> tuple[int, list]:
    tracemalloc.start()
    try:
        found = cleaned(path)
        return tracemalloc.get_traced_memory()[1], found
    finally:
        tracemalloc.stop()


def test_bombs_are_read_within_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(arxiv, "MAX_TEX", 1 << 20)
    monkeypatch.setattr(arxiv, "MAX_UNPACKED", 16 << 20)
    figure = tarfile.TarInfo("figure.eps")
    figure.size = 64 << 20
    tex = tarfile.TarInfo("main.tex")
    tex.size = 2 << 20
    long_name = tarfile.TarInfo("x")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 64 << 20
    extended = tarfile.TarInfo("x")
    extended.type, extended.size = tarfile.XHDTYPE, 64 << 20
    members = {
        "0704.0001.gz": bomb(64 << 20, b"\\documentclass"),
        "0704.0002.gz": bomb(64 << 20, figure.tobuf()),
        "0704.0003.gz": bomb(2 << 20, tex.tobuf()),
        "0704.0004.gz": bomb(64 << 20, long_name.tobuf()),
        "0704.0005.gz": bomb(64 << 20, extended.tobuf()),
        "0704.0006.gz": gzip.compress(packed({f"{i}.txt": "" for i in range(300)} | {"main.tex": PAPER})),
        "0704.0007.gz": paper(),
    }
    memory, found = peak(bulk(tmp_path, members))
    assert [item.reason if isinstance(item, Drop) else item.text for item in found] == [
        *["too large"] * 3,
        *["malformed paper"] * 2,
        CLEANED,
        CLEANED,
    ]
    assert all(item.malformed for item in found[:5])
    assert memory < 16 << 20


def test_an_archive_of_too_many_files_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(arxiv, "MAX_FILES", 100)
    (tmp_path / "a.gz").write_bytes(gzip.compress(packed({f"{i}.eps": "" for i in range(200)})))
    assert [(item.reason, item.malformed) for item in cleaned(tmp_path)] == [("too large", True)]


def test_a_paper_folder_of_too_much_tex_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(arxiv, "MAX_TEX", 1000)
    folder(tmp_path / "p", {"main.tex": PAPER, "data.tex": "x" * 1000})
    assert texts(tmp_path / "p") == ["dropped: too large"]


def test_macros_that_explode_drop_the_paper(tmp_path):
    names = [f"x{chr(97 + level)}" for level in range(16)]
    chain = "".join(f"\\def\\{a}{{\\{b}\\{b}}}" for a, b in itertools.pairwise(names)) + "\\def\\xp{boom}"
    folder(tmp_path / "p", {"main.tex": WHOLE.replace("BODY", chain + "\\section{A}" + "\\xd" * 2000)})
    assert texts(tmp_path / "p") == ["dropped: macros explode"]


@pytest.mark.parametrize("text", ["", " \n", "%", "% only a comment\n", WHOLE.replace("BODY", "")])
def test_a_paper_without_text_is_empty(tmp_path, text):
    folder(tmp_path / "p", {"main.tex": text})
    assert texts(tmp_path / "p") == ["dropped: empty"]


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300), st.integers(0, 1500), st.booleans())
def test_whatever_bytes_a_member_has_the_next_paper_is_read(tmp_path_factory, noise, place, is_tar):
    good = bytearray(packed({"main.tex": PAPER}))
    good[place : place + len(noise)] = noise
    hostile = gzip.compress(bytes(good)) if is_tar else bytes(noise)
    path = bulk(tmp_path_factory.mktemp("bulk"), {"0704.0001.gz": hostile, "0704.0002.gz": paper()})
    found = list(arxiv.read(path))
    assert found[-1].url == "https://arxiv.org/abs/0704.0002"
    assert all(isinstance(item, Drop) or isinstance(arxiv.clean(item), Document | Drop) for item in found)


# ---- real samples


@pytest.fixture(scope="module")
def real(shared_data) -> dict[str, Document]:
    """The documents of the samples by the paper's folder and main file."""
    found = {}
    for item in cleaned(shared_data / "arxiv"):
        assert isinstance(item, Document), item
        meta = json.loads(item.meta)
        found[f"{meta.get('name')}/{meta.get('main')}" if "main" in meta else meta["arxiv_id"]] = item
    return found


def test_the_samples_are_all_kept(real):
    assert len(real) == 5 + 19 + 11
    urls = {document.url for document in real.values()}
    assert {f"https://arxiv.org/abs/{name}" for name in ("1202.3665", "1603.07285", "hep-ex/0408102")} < urls
    assert not any("\\documentclass" in document.text for document in real.values())


def test_the_hott_books_chapters_come_in_their_input_order(real):
    book = real["hott-book/main.tex"].text
    assert book.startswith("\\chapter*{Preface}\n")
    assert re.findall(r"^\\(?:chapter|part)\*?\{(.*)\}$", book, re.MULTILINE) == [
        "Preface",
        "Introduction",
        "Foundations",
        "Type theory",
        "Homotopy type theory",
        "Sets and logic",
        "Equivalences",
        "Induction",
        "Higher inductive types",
        "Homotopy \\texorpdfstring{$n$}{n}-types",
        "Mathematics",
        "Homotopy theory",
        "Category theory",
        "Set theory",
        "Real numbers",
        "Appendix",
        "Formal type theory",
        "Index of symbols",
    ]


def test_the_hott_books_macros(real):
    book = real["hott-book/main.tex"].text
    # \define{(propositionally) equal}, \jdeq, \id[A]{a}{b}, \nat
    assert "we say that $a$ and $b$ are \\textbf{(propositionally) equal}." in book
    assert "we write it as $a\\equiv b : A$ or simply $a \\equiv b$." in book
    assert "we have a type ``$\\ensuremath{a =_{A} b}$''" in book
    assert "shorthand for ``let $x$ be a thing and assume that $x\\in\\ensuremath{\\mathbb{N}}$''" in book
    assert not re.search(r"\\(?:define|jdeq|idtype|nat|refl|UU|transfib)(?![A-Za-z])", book)
    assert "\\prd{" in book  # it looks ahead for what follows, so it stays as it is written


def test_the_astropy_papers_own_files_and_macros(real, shared_data):
    text = real["1801.02634/main.tex"].text
    assert text.startswith("\\section{Introduction} \\label{sec:intro}\nAll modern astronomical research")
    # \package{GitHub} is \texttt{GitHub}\xspace; author.tex is before the first section, registry.tex after
    assert "support astronomical functionality in the \\texttt{Python} programming language." in text
    assert "Price-Whelan}" not in text.partition("\\appendix")[0]
    authors = Paper(
        {path.name: path.read_bytes() for path in (shared_data / "arxiv" / "1801.02634").iterdir()}
    )
    assert "\\author[0000-0003-0872-7098]{A. M. Price-Whelan}" in authors.text("main.tex")
    assert "\\href{https://github.com/aplpy/aplpy}{APLpy} & Yes" in text
    assert "Hans Moritz Günther" in text
    assert "\\bibliography" not in text
    assert text.index("\\section{Conclusion") < text.index(
        "aplpy/aplpy"
    )  # the appendix follows the bibliography


def test_other_samples_by_eye(real):
    emcee = real["1202.3665/ms.tex"].text
    assert (
        "marginalized probability function \\ensuremath{p(\\ensuremath{\\Theta} | \\ensuremath{D})}" in emcee
    )
    assert "% pip install emcee" in emcee  # a shell's prompt in a listing, not a comment
    guide = real["1603.07285/conv_arithmetic.tex"].text
    assert guide.startswith("\\chapter{Introduction}\n\nDeep convolutional neural networks (CNNs)")
    line = real["hogg-recipes/straightline/straightline.tex"].text
    assert line.startswith(
        "\\section*{Data analysis recipes:\\ \\\\\n  Fitting a model to data\\footnotemark}\n"
    )
    assert "The notes begin on page~\\pageref{note:first}" in line  # \notename s, of ../hogg_style.tex
    assert real["1711.11276"].text.startswith("\\section{Robbins quartic equation}\n\n$$x^4+x^2-Tx+1=0.$$")
    letter = real["hogg-recipes/modelselection/mml.tex"].text
    assert letter.startswith("Imagine that we want to communicate")  # it has no section

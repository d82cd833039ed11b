"""Each file is decoded as it declares, and any bytes can be decoded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources.arxiv.files import decode
from tests.support.papers import WHOLE, folder, texts

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
    assert decode(text.encode()) == text  # UTF-8, whatever it declares


def test_an_undeclared_encoding_is_utf8_else_windows_1252_byte_by_byte():
    assert decode("für “Gödel”".encode("cp1252")) == "für “Gödel”"
    assert decode("中 ".encode() + "ü".encode("latin-1") + "é".encode()) == "中 üé"
    assert decode(bytes(range(1, 256)).replace(b"\r", b"")).encode() != b""
    assert decode(b"\xef\xbb\xbfa\r\nb\rc\0d") == "a\nb\ncd"
    assert decode("\ufeffä".encode("utf-16-le")) == decode("\ufeffä".encode("utf-16-be")) == "ä"
    for name in ("nonsense", "utf8x", "punycode", "unicode_escape", "zip"):
        assert decode(b"\\inputencoding{%s} \\n \xe9" % name.encode()).endswith("\\n é")


@pytest.mark.parametrize("codec", ["euc_jp", "cp932", "iso2022_jp", "utf-8"])
def test_a_class_of_platex_declares_japanese(codec):
    text = "\\documentclass[a4j]{jsarticle}\n本論文では、表示の能力を述べる。ｶﾅ"[
        : -2 if codec == "iso2022_jp" else None
    ]
    assert decode(text.encode(codec)) == text
    assert decode("これは表です".encode(codec), text.encode(codec)) == "これは表です"


def test_other_classes_declare_no_japanese():
    text = "\\documentclass{jmlr}\nThéorème, für Gödel"
    assert decode(text.encode("cp1252")) == text
    text = text.replace("jmlr", "jarticle")
    assert decode(text.encode("cp1252")) == text


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

"""HTTP responses as crawlers store them: encodings correct, wrong, unknown, truncated and broken."""

import gzip
import random
import time
import zlib

import pytest

pytest.importorskip("brotli", reason="brotli is not installed (pip install -e '.[data]')")

import brotli

from data.sources.commoncrawl.members import zstd
from data.sources.commoncrawl.response import ResponseError, parse_response
from data.sources.commoncrawl.warc import MAX_RECORD

WORDS = ["river", "garden", "window", "letter", "morning", "harbor", "winter", "candle"]
HTML = b"<html><body><p>" + " ".join(random.Random(0).choices(WORDS, k=900)).encode() + b"</p></body></html>"
TYPE = "Content-Type: text/html\r\n"


def bare(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def chunked(data: bytes, size: int = 99, end: bytes = b"\r\n", extension: bytes = b"") -> bytes:
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x%s%s%s%s" % (len(part), extension, end, part, end) for part in parts) + b"0" + 2 * end


def response(body: bytes, *headers: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return (
        f"{status}\r\n{TYPE}{''.join(header + chr(13) + chr(10) for header in headers)}\r\n".encode() + body
    )


PACKED = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}


@pytest.mark.parametrize("name", PACKED)
def test_true_encodings_are_undone_without_a_note(name):
    for body, headers in (
        (PACKED[name](HTML), [f"Content-Encoding: {name}"]),
        (PACKED[name](HTML), [f"content-encoding:{name.upper()}"]),
        (chunked(PACKED[name](HTML)), [f"Content-Encoding: {name}", "Transfer-Encoding: chunked"]),
        (chunked(PACKED[name](HTML)), [f"Transfer-Encoding: {name}, chunked"]),
        (gzip.compress(PACKED[name](HTML)), [f"Content-Encoding: {name}, gzip"]),
    ):
        page = parse_response(response(body, *headers))
        assert (page.body, page.note) == (HTML, ""), headers


def test_chunks_with_extensions_bare_line_ends_and_any_size_are_undone():
    for body in (
        chunked(HTML, 1),
        chunked(HTML, 10**6),
        chunked(HTML, end=b"\n"),
        chunked(HTML, extension=b";a=b"),
    ):
        assert parse_response(response(body, "Transfer-Encoding: chunked")).body == HTML


@pytest.mark.parametrize(
    ("header", "body", "note"),
    [
        # another encoding than the one named
        ("Content-Encoding: gzip", brotli.compress(HTML), "content-encoding"),
        ("Content-Encoding: gzip", bare(HTML), "content-encoding"),
        ("Content-Encoding: br", zlib.compress(HTML), "content-encoding"),
        ('Content-Encoding: "gzip"', gzip.compress(HTML), ""),
        ("Content-Encoding: gzip;q=1.0", gzip.compress(HTML), ""),
        ("Content-Encoding: base64", HTML, "content-encoding"),
        # one that no header names, or a second one
        ("Server: x", brotli.compress(HTML), "content-encoding"),
        ("Server: x", zlib.compress(HTML), "content-encoding"),
        ("Server: x", chunked(HTML), "transfer-encoding"),
        ("Content-Encoding: gzip", chunked(gzip.compress(HTML)), "content-encoding and transfer-encoding"),
        ("Content-Encoding: gzip", chunked(HTML), "content-encoding and transfer-encoding"),
        ("Transfer-Encoding: chunked, chunked", chunked(HTML), "transfer-encoding"),
        # empty lines before the body
        ("Transfer-Encoding: chunked", b"\r\n" + chunked(HTML), "transfer-encoding"),
        ("Content-Encoding: gzip", b"\r\n" + gzip.compress(HTML), "content-encoding"),
    ],
)
def test_an_encoding_is_recognized_by_the_body_if_no_header_names_it_truly(header, body, note):
    page = parse_response(response(body, header))
    assert page.body == HTML
    assert page.note == (f"wrong {note}" if note else "")


@pytest.mark.parametrize("text", [b"64\r\nonly text", b"abc\r\n<p>short</p>", b"5\r\nhello\r\n0\r\n\r\n"])
def test_text_that_begins_like_a_chunk_is_left(text):
    assert parse_response(response(text, "Server: x")).body == text


def test_empty_lines_before_the_status_line_are_skipped():
    assert parse_response(b"\r\n\r\n" + response(HTML)).status == 200


@pytest.mark.parametrize(
    "name",
    ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "none", "utf-8", "UTF-8", "text/html", "chunked"],
)
@pytest.mark.parametrize("header", ["Content-Encoding", "Transfer-Encoding"])
def test_a_wrong_encoding_leaves_the_bytes_and_is_noted(header, name):
    page = parse_response(response(HTML, f"{header}: {name}"))
    assert page.body == HTML
    assert page.note == f"wrong {header.lower()}"


@pytest.mark.parametrize(
    "text", [b"xylophone " * 99, b"ab\r\nnot a chunk " * 60, b"0x12 " * 99, "Größe ".encode() * 99]
)
@pytest.mark.parametrize("name", [*PACKED, "chunked"])
def test_text_that_resembles_an_encoding_is_left(text, name):
    assert parse_response(response(text, f"Content-Encoding: {name}")).body == text


def test_identity_and_missing_encodings_get_no_note():
    for header in ("Content-Encoding: identity", "Content-Encoding:", "Transfer-Encoding: identity"):
        page = parse_response(response(HTML, header))
        assert (page.body, page.note) == (HTML, "")


@pytest.mark.parametrize(("name", "body"), [("gzip", zlib.compress(HTML)), ("deflate", gzip.compress(HTML))])
def test_gzip_and_zlib_are_each_read_under_the_other_name(name, body):
    assert parse_response(response(body, f"Content-Encoding: {name}")).body == HTML
    assert parse_response(response(bare(HTML), "Content-Encoding: deflate")).body == HTML


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_a_packed_body_without_its_header_is_unpacked_and_noted(pack):
    for body, headers in (
        (pack(HTML), []),
        (pack(HTML), ["Content-Encoding: none"]),
        (gzip.compress(pack(HTML)), ["Content-Encoding: gzip"]),
    ):
        page = parse_response(response(body, *headers))
        assert page.body == HTML and page.note == "wrong content-encoding"


@pytest.mark.parametrize("name", ["gzip", "deflate", "br"])
def test_a_truncated_body_gives_the_text_before_the_cut(name):
    pack = PACKED[name]
    body = pack(HTML)
    for share in (0.5, 0.9):
        page = parse_response(response(body[: int(len(body) * share)], f"Content-Encoding: {name}"))
        assert HTML.startswith(page.body) and len(page.body) > 100


def test_a_truncated_chunked_body_gives_the_text_before_the_cut():
    body = chunked(HTML)
    for size in (50, 150, 1000):
        page = parse_response(response(body[:size], "Transfer-Encoding: chunked"))
        assert HTML.startswith(page.body) and len(page.body) > size * 0.8 - 10


def test_damage_inside_a_compressed_body_gives_the_text_before_it():
    body = bytearray(gzip.compress(HTML * 20, 1))
    body[len(body) // 2 :] = b"\xff" * (len(body) - len(body) // 2)
    page = parse_response(response(bytes(body), "Content-Encoding: gzip"))
    assert (HTML * 20).startswith(page.body[:-300]) and len(page.body) > 1000
    wrong_sum = gzip.compress(HTML)[:-8] + b"\1" * 8
    assert HTML.startswith(parse_response(response(wrong_sum, "Content-Encoding: gzip")).body[:-1])


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_bytes_that_are_neither_packed_nor_text_are_refused(name):
    noise = random.Random(1).randbytes(4000)
    with pytest.raises(ResponseError, match="neither decoded nor read as stored"):
        parse_response(response(noise, f"Content-Encoding: {name}"))


@pytest.mark.parametrize("text", [HTML.decode().encode("utf-16-le"), HTML.replace(b"river", b"ri\0ver", 1)])
def test_a_page_with_zero_bytes_is_not_read_as_binary(text):
    assert parse_response(response(text, "Content-Encoding: gzip")).body == text


def test_an_interim_response_is_skipped():
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    page = parse_response(interim + response(HTML))
    assert (page.status, page.content_type, page.body) == (200, "text/html", HTML)
    assert parse_response(b"HTTP/1.1 100 Continue\r\n\r\n").status == 0


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, brotli.compress, zstd.compress])
def test_a_bomb_is_refused(pack):
    name = {gzip.compress: "gzip", zlib.compress: "deflate", brotli.compress: "br"}.get(pack, "zstd")
    with pytest.raises(ResponseError, match="unpacks to more"):
        parse_response(response(pack(b"\0" * (2 * MAX_RECORD)), f"Content-Encoding: {name}"))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("HTTP/1.1 200 OK", 200),
        ("HTTP/2 200", 200),
        ("http/1.0 404 Not", 404),
        ("HTTP/1.1 200", 200),
        ("junk", 0),
    ],
)
def test_status_lines(status, expected):
    assert parse_response(response(HTML, status=status)).status == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Content-Type: TEXT/HTML;charset="utf-8"', ("text/html", "utf-8")),
        ("content-type : text/html ; Charset = Latin-1", ("text/html", "Latin-1")),
        ("X-A: b\r\n c\r\nContent-Type: image/png", ("image/png", "")),
        ("X-A: \xe9\r\nContent-Type: text/html", ("text/html", "")),
        ("Server: x", ("text/html", "")),
        ("Content-Type: text/html charset=utf-8", ("text/html", "utf-8")),
        ("Content-Type: text/html, text/html", ("text/html", "")),
        ("Content-Type: */*", ("text/html", "")),
        ("Content-Type: unknown/unknown; charset=x", ("text/html", "x")),
        ("Content-Type: application/pdf", ("application/pdf", "")),
    ],
)
def test_content_types(header, expected):
    page = parse_response(f"HTTP/1.1 200 OK\r\n{header}\r\n\r\n".encode("latin-1") + HTML)
    assert (page.content_type, page.charset, page.body) == (*expected, HTML)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"\xef\xbb\xbf \n<!DOCTYPE html><p>x", "text/html"),
        (b"<!-- a --><html>", "text/html"),
        (b"%PDF-1.4", ""),
        (b"<?xml version='1.0'?><rss>", ""),
        (b"plain text", ""),
    ],
)
def test_a_missing_type_is_sniffed(body, expected):
    assert parse_response(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n" + body).content_type == expected


@pytest.mark.parametrize("declared", ["html", '"text/html"', "text/html/", "text", "charset=utf-8"])
def test_what_is_no_type_is_treated_as_missing(declared):
    stored = b"HTTP/1.1 200 OK\r\nContent-Type: " + declared.encode() + b"\r\n\r\n"
    assert parse_response(stored + HTML).content_type == "text/html"
    assert parse_response(stored + b"\x89PNG\r\n").content_type == ""


def test_xhtml_that_is_sent_as_xml_is_a_page_and_other_xml_is_not():
    prolog = (
        b'<?xml version="1.0"?>\n<!-- a --><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x">\n'
    )
    for kind in ("application/xml", "text/xml; charset=utf-8"):
        stored = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode()
        for body in (prolog + HTML, b"\xef\xbb\xbf" + HTML, b'<html xmlns="x">'):
            assert parse_response(stored + body).content_type == "text/html"
        for body in (b"<?xml version='1.0'?><rss><html/></rss>", b"<feed/>"):
            assert parse_response(stored + body).content_type == kind.partition(";")[0]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r\r\n"])
@pytest.mark.parametrize("empty_line", [True, False])
def test_the_body_begins_after_any_line_ends_or_at_the_first_tag(end, empty_line):
    head = end.join(["HTTP/1.1 200 OK", "Content-Type: text/html", "X: <a>", ""]) + end * empty_line
    page = parse_response(head.encode() + HTML)
    assert (page.content_type, page.body) == ("text/html", HTML)


def test_a_head_of_carriage_returns_alone_takes_linear_time():
    begin = time.process_time()
    page = parse_response(b"HTTP/1.1 200 OK" + b"\r" * 3_000_000)
    assert (page.status, page.body) == (200, b"")
    assert time.process_time() - begin < 2  # a square would take hours

"""Books: Project Gutenberg's plain texts without their headers, and the user's own (docs/recipe.md §2).

In: Gutenberg's files in any layout of folders (`1342-0.txt`, `pg1342.txt`, `pandp12.txt`; also the mirrors'
`.zip` and `.gz`), the user's own `.txt`, or rows such as PG19's. Out: a document for each book, with its
line breaks, as in the paper's sources. Editions of one book are found later, by content
(`data/dedup/containment.py`).
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from configs.sizes import binary
from data.documents import Document, Drop, Record
from data.errors import raise_passing
from data.sources import text
from data.sources.books import gutenberg
from data.sources.books.decoding import decode
from data.sources.files import limits, packed, rows
from data.sources.files.limits import Expansion

VERSION = 15  # increase when the same input gives different text
DUPLICATES = "contained"

MAX_BYTES = (
    32 << 20
)  # maximum size of a book: Webster's dictionary has 28 MB; only the human genome is larger
MIN_CHARACTERS = 100  # minimum of a Gutenberg book: shorter files only point to others
MAX_DIRECTORY = 8 << 20  # maximum bytes of a zip's directory: some hundred thousand members
PUBLIC_DOMAIN = "public domain in the USA"
AUSTRALIAN = "public domain in Australia"  # but perhaps not in the USA, which has a longer term
CANADIAN = "public domain in Canada"  # likewise
COPYRIGHTED = "copyrighted, as Project Gutenberg distributes it"

_TEXTS = (".txt", ".txt.utf-8", ".txt.utf8")
_PACKED = tuple(rows.COMPRESSIONS)
_OTHER_FORMATS = (".epub", ".mobi", ".azw", ".azw3", ".fb2", ".pdf", ".djvu", ".doc", ".docx", ".odt", ".rtf")
_OTHER_FORMATS += (".html", ".htm", ".md")
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.zst", ".7z", ".rar")
_NO_BOOKS = re.compile(
    r"(?:readme|licen[cs]e|copying)(?:[-._]\w+)?(?:\.txt(?:\.utf-?8)?)?(?:\.(?:gz|zst|zip))?", re.IGNORECASE
)
_INPUT = "Gutenberg's .txt, .zip or .gz, your own .txt, rows (.jsonl, .parquet), or a folder of these"

_GUTENBERG_URL = re.compile(
    r"gutenberg\.(?:org|net)/(?:ebooks|files|etext|cache/epub)/(\d{1,9})", re.IGNORECASE
)
_NUMBERED = re.compile(r"(\d{1,6})(?:-\d{1,2})?$")  # 1342, 1342-0, 1342-8
_PG_NUMBERED = re.compile(r"pg-?(\d{1,6})(?:\W|_|$)", re.IGNORECASE)  # pg1342
_MEDIA = re.compile(r"\S\.(?:mp3|ogg|m4b|m4a|wav|spx|midi?|mpe?g|avi|iso)\b", re.IGNORECASE)
_MEDIA_LENGTH = 20_000  # maximum characters of an index of such files


_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")  # DOS's end of a file among them
_CONTROLS = [chr(code) for code in range(128) if _CONTROL.match(chr(code))]
_MOST_CONTROLS = 0.001  # share of a book's characters


def inputs(path: Path) -> list[Path]:
    """The files to read; in a folder, also files that `read` drops with a reason."""
    if path.is_file() and _is_book(path):
        return [path]
    found = [file for file in rows.visible_files(path) if _is_book(file) or _is_other(file)]
    if all(_is_other(file) for file in found):
        raise rows.expected(path, _INPUT)
    return found


def read(path: Path) -> Iterator[Record | Drop]:
    """The one book of a text file, each text of a zip, each row of a file of rows."""
    if _NO_BOOKS.fullmatch(path.name):
        return iter([Drop("named as a note or a license", str(path), 0, path.name)])
    if _is_other(path):
        advice = "; unpack it" * path.name.lower().endswith(_ARCHIVES)
        return iter([Drop("not a supported format", str(path), 0, path.name + advice)])
    if rows.has_rows(path):
        return text.read_rows(path)
    if path.name.lower().endswith(".zip"):
        return _read_zip(path)
    return _read_text(path)


def clean(record: Record, *, source: str = "books", copyrighted: bool = False) -> Document | Drop:
    """The book itself; `copyrighted` also keeps those that Gutenberg distributes by permission."""
    text = packed.with_line_feeds(record.text.replace("\ufeff", "")).replace("\r", "\n")
    if any(map(text.__contains__, _CONTROLS)):  # far faster than a search for one pattern
        if len(_CONTROL.findall(text)) > len(text) * _MOST_CONTROLS:
            return record.drop("binary")
        text = _CONTROL.sub("", text)
    text = text.rstrip("\n ")
    book = gutenberg.open_book(text + "\n")
    is_abroad = book.is_australian or book.is_canadian
    number = None if is_abroad else book.number or _number(record, book.is_gutenberg)
    if book.is_gutenberg:
        if not book.text:
            return record.drop("only license text" if text else "empty")
        if book.copyrighted and not copyrighted:
            return record.drop("copyrighted", f"Gutenberg's number {number}")
        if len(book.text) < MIN_CHARACTERS:
            return record.drop(f"shorter than {MIN_CHARACTERS} characters", str(len(book.text)))
        if len(book.text) < _MEDIA_LENGTH and len(_MEDIA.findall(book.text)) > 1:
            return record.drop("an index of sound or film")
    title = record.meta.get("title") or record.meta.get("short_book_title") or book.title  # PG19's
    known = {"title": title, "author": book.author, "language": book.language}
    known |= {"released": book.released, "edition": book.edition}
    license = PUBLIC_DOMAIN if book.is_gutenberg or number else ""
    license = AUSTRALIAN if book.is_australian else CANADIAN if book.is_canadian else license
    cleaned = replace(
        record,
        url=f"https://www.gutenberg.org/ebooks/{number}" if number else record.url,
        licence=COPYRIGHTED if book.copyrighted else record.licence or license,
        meta=record.meta | {name: value for name, value in known.items() if value},
    )
    body = book.text.strip("\n").rstrip()
    return cleaned.document(source, body and body + "\n")


def _read_text(path: Path) -> Iterator[Record | Drop]:
    with rows.open_plain(path) as file:
        yield _record(path, 0, file.read(limits.record_bytes(MAX_BYTES) + 1), {})


def _read_zip(path: Path) -> Iterator[Record | Drop]:
    """The texts of a zip, each read into bounded memory; nothing is written."""
    if _directory_bytes(path) > MAX_DIRECTORY:
        yield Drop("malformed record", str(path), 0, "a zip of too many members", malformed=True)
        return
    limit, expansion = limits.record_bytes(MAX_BYTES), Expansion(path.stat().st_size)
    with zipfile.ZipFile(path) as members:
        found = [
            (number, member)
            for number, member in enumerate(members.infolist())
            if member.filename.lower().endswith(_TEXTS) and not member.is_dir() and not _is_hidden(member)
        ]
        if not found:
            # Gutenberg's weekly bulk file is a tar in a zip.
            inner = next((one for one in members.namelist() if one.lower().endswith(_ARCHIVES)), "")
            detail = f"{len(members.infolist())} members"
            detail += f", one of which is {inner[:60]}; unpack both, and give their folder" if inner else ""
            yield Drop("no plain text in it", str(path), 0, detail)
        for number, member in found:
            if _NO_BOOKS.fullmatch(_parts(member)[-1]):
                yield Drop("named as a note or a license", str(path), number, member.filename)
                continue
            try:
                with members.open(member) as file:
                    raw = file.read(limit + 1)
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
                raise_passing(error)
                detail = f"{member.filename}: {type(error).__name__}: {error}"
                # Zips of the 1990s may be imploded, which Python does not unpack.
                detail += "; `unzip` unpacks it" * isinstance(error, NotImplementedError)
                yield Drop("malformed record", str(path), number, detail, malformed=True)
                continue
            expansion.add(len(raw))
            yield _record(path, number, raw, {"member": member.filename})


def _parts(member: zipfile.ZipInfo) -> list[str]:
    return member.filename.replace("\\", "/").split("/")


def _is_hidden(member: zipfile.ZipInfo) -> bool:
    """Whether a member is hidden, as in folders, or one of those that macOS adds for each file."""
    return any(part == "__MACOSX" or (part[:1] == "." and part.strip(".")) for part in _parts(member))


def _directory_bytes(path: Path) -> int:
    """The size that a zip claims for its member list; opening the zip reads the whole list."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (64 << 10) - 22))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    return int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0  # zip64: 4 GiB


def _record(path: Path, number: int, raw: bytes, meta: dict) -> Record | Drop:
    limit = limits.record_bytes(MAX_BYTES)
    if len(raw) > limit:
        detail = f"{meta.get('member', '')} a text above {binary(limit)}".strip()
        return Drop("malformed record", str(path), number, detail, malformed=True)
    other = packed.other_format(raw)
    if not other and packed.is_page(raw):
        other = "HTML or XML; fetch the plain text"
    if other:
        return Drop("malformed record", str(path), number, f"not text but {other}", malformed=True)
    content = decode(raw)
    if content is None:
        detail = "its encoding is not known: neither UTF-8, nor Windows-1252, nor what it says itself"
        detail += f"; {packed.CONVERT}"
        return Drop("malformed record", str(path), number, detail, malformed=True)
    return Record(str(path), number, content, meta=meta)


def _number(record: Record, is_gutenberg: bool) -> int | None:
    """Gutenberg's number from the row's URL or, for a Gutenberg book, from the file's name."""
    found = _GUTENBERG_URL.search(record.url)
    if found:
        return int(found[1])
    if record.url or ("member" not in record.meta and rows.has_rows(Path(record.file))):
        return None
    name = Path(record.meta.get("member", record.file).replace("\\", "/")).name.split(".")[0]
    found = _PG_NUMBERED.match(name) or (is_gutenberg and _NUMBERED.match(name))
    return int(found[1]) if found else None


def _is_book(path: Path) -> bool:
    name = path.name.lower()
    plain = name.removesuffix(next(filter(name.endswith, _PACKED), ""))
    is_numbered = plain != name and re.fullmatch(r"(?:pg)?\d+(?:-\d+)?", plain) is not None
    return rows.has_rows(path) or plain.endswith(_TEXTS) or name.endswith(".zip") or is_numbered


def _is_other(path: Path) -> bool:
    return path.name.lower().endswith((*_OTHER_FORMATS, *_ARCHIVES))

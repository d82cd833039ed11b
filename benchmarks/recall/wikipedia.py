"""How much of Wikipedia's prose is kept, and how much noise: `python benchmarks/recall/wikipedia.py`.

The independent reader is mwparserfromhell. `prose`: the output of its strip_code for a page without tables,
notes, pictures and galleries. `templates`: the positional values in templates inside a paragraph, except
notes, citations, and codes of languages and units; a reader sees most of these values. Words outside prose,
all values and formulas are not text. `--against CLONE` also measures another version.
"""

import re
from collections import Counter
from contextlib import suppress
from functools import cache
from pathlib import Path

import mwparserfromhell  # pyright: ignore[reportMissingImports]
from common import SHARED, Figures, report, words
from mwparserfromhell.nodes import Template  # pyright: ignore[reportMissingImports]

from data.documents import Record
from data.sources import wikipedia

FOLDER = SHARED / "wiki"
INPUTS = [
    FOLDER / "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    FOLDER / "ericlief-test.xml.bz2",
    FOLDER / "bgwiki-latest-pages-articles-shortened.xml.bz2",
]
_NO_TEXT = {"ref", "references", "gallery", "table", "timeline", "imagemap", "score", "hiero"}
_NO_LINK = re.compile(
    r"\s*(file|image|ficheiro|imagem|файл|картинка|category|categoria|категория|[a-z-]{2,12}):", re.I
)
_NOTE = re.compile(
    r"cit|ref|sfn|harv|efn|note|nota|rp\b|isbn|issn|doi|oclc|cn\b|fact|carece|clarify|when|who|which|page|dead|flag"
    r"|icon|anchor|coord|main|see|further|about|redirect|use |portal|commons|legend|respell|ipac?-|audio|bar"
    r"|chart|#tag|official|update|verify|failed|full\b|where|by whom",
    re.I,
)
_CODE = re.compile(r"\s*(?:[a-z]{1,4}\d?|e\d+\w+|ALA|DIN)?\s*")
_IN_PARAGRAPH = re.compile(r"[^\W\d_].*", re.DOTALL)


def _page(text: str) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """The words of the prose, of templates in paragraphs, and of everything else that may be kept."""
    code = mwparserfromhell.parse(re.sub(r"</?su[bp]\b[^<>]*>", " ", text))
    formulas = " ".join(
        str(node.contents) for node in code.filter_tags() if str(node.tag).lower() in ("math", "chem")
    )
    hidden = [node for node in code.filter_tags() if str(node.tag).strip().lower() in _NO_TEXT]
    hidden += [node for node in code.filter_wikilinks() if _NO_LINK.match(str(node.title))]
    for node in hidden:
        with suppress(ValueError):  # inside one that has been removed
            code.remove(node)
    inline, values = [], []
    for template in code.filter_templates(recursive=False):
        values.append(_values(template))
        line = str(code)[: str(code).find(str(template))].rpartition("\n")[2]
        if (
            _IN_PARAGRAPH.search(line)
            and "\n" not in str(template)
            and not _NOTE.match(str(template.name).strip())
        ):
            shown = [argument for argument in template.params if not argument.showkey]
            inline += [
                _plain(argument.value) for argument in shown if not _CODE.fullmatch(str(argument.value))
            ]
        code.remove(template)
    prose = words(str(code.strip_code(normalize=True, collapse=True)))
    return prose, words(" ".join(inline)), words(" ".join([formulas, *values]))


def _values(template: Template) -> str:
    """The text of a template's arguments, without their names."""
    return " ".join(_plain(argument.value, keep=True) for argument in template.params)


def _plain(value: object, keep: bool = False) -> str:
    """An argument without markup; `keep`: including the text of templates in it."""
    return str(mwparserfromhell.parse(str(value)).strip_code(keep_template_params=keep))


@cache
def _pages() -> dict[tuple[str, int], tuple[str, tuple[Counter[str], Counter[str], Counter[str]]]]:
    records = [record for path in INPUTS for record in wikipedia.read(path) if isinstance(record, Record)]
    return {(item.file, item.record): (str(item.meta["title"]), _page(item.text)) for item in records}


def judge(texts: dict[tuple[str, int], str]) -> dict[str, Figures]:
    """The figures of prose and of templates in paragraphs."""
    prose, templates = Figures(), Figures()
    for key, (title, (text, inline, other)) in _pages().items():
        given = words(texts.get(key, ""))
        allowed = text + other + words(title)
        prose.add(text, allowed, given)
        templates.add(inline, inline, given - text)
    templates.given = templates.foreign = 0  # every other word of the page is foreign to a template
    return {"prose": prose, "templates": templates}


if __name__ == "__main__":
    report("wikipedia", list(map(Path, INPUTS)), judge)

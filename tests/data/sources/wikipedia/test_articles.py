"""Constructs that real articles of many Wikipedias hold, and what their readers see."""

import pytest

from data.sources.wikipedia.wikitext import wikitext_to_text

CASES = [
    # links, tags and magic words as careless editors write them
    ("en", "Ask [http://[2001:db8::1]/x the server] or [//[::1]:80/ it].", "Ask the server or it."),
    ("en", "__notoc__ One __ToC__ two __init__.\n__БезОгл__", "One two __init__."),
    ("en", "<h2>A title\nover two</h2>\nText <h3>of</h3>", "A title over two\n\nText"),
    ("en", "One <!-- never\nclosed.", "One"),
    ("en", "To do:\n<ol>\n  <li>rest\n  <li>eat\n</ol>\n<ul><li>a</li><li>b</li></ul>",
     "To do:\n\n1. rest\n2. eat\n\n- a\n- b"),
    # a note at the end of a line takes its comma along
    ("fr", "* ''Le Pont'', 1950, {{ISBN|1}} {{BNF|2}}\n* ''L'Île'', 1951, {{ISBN|3}}.\nFin, {{OCLC|4}}",
     "- Le Pont, 1950\n- L'Île, 1951.\nFin"),
    ("en", "By the river,{{sfn|A}}\nit is, {{sfn|B}}{{sfn|C}} so.", "By the river,\nit is, so."),
    # abbreviations before a word
    ("pl", "'''Most''' ({{niem.|Brücke}}, {{łac.|pons}}) jest.", "Most (niem. Brücke, łac. pons) jest."),
    ("ru", "Анна ({{род.|1950}}, {{ур.|Мост}}) поёт.", "Анна (род. 1950, ур. Мост) поёт."),
    # the last word of a line that is no item of a list
    ("en", "He came from the town of {{placename|York}}\n\nThe end. {{remark|Kim}}",
     "He came from the town of York\n\nThe end."),
    ("pl", "Kościół stoi tu od dawna, {{XIX wiek}}", "Kościół stoi tu od dawna, XIX wiek"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "wikitext", "text"), CASES)
def test_a_page_reads_as_on_its_site(language, wikitext, text):
    assert wikitext_to_text(wikitext, language=language) == text

"""Bold and italics: MediaWiki's rule for apostrophes, and a transcription of it as the oracle."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources.wikipedia.quotes import line_without_quotes, without_quotes
from data.sources.wikipedia.wikitext import wikitext_to_text

LINES = {
    "a possessive after italics": ("The ''Gazette'''s editor and ''Clipper'''s crew", None),
    "one possessive": ("The ''Gazette'''s editor", "The Gazette's editor"),
    "an elided article": ("on lit l'''Odyssée'' ici", "on lit l'Odyssée ici"),
    "a longer elided word": ("dell'''Eneide'' e altro", "dell'Eneide e altro"),
    "a single letter comes before a word": ("mot'''a'' et l'''b'' c", "mota et lb c"),
    "a single letter, odd": ("mot''' et d'''Oc'' '''fin", "mot et d'Oc fin"),
    "only after a space": ("say '''this'' now", "say 'this now"),
    "four are one and bold": ("''''rock'''' music", "'rock' music"),
    "six are one and five": ("''''''both'''''", "'both"),
    "balanced marks": ("'''bold''' ''italic'' '''''both'''''", "bold italic both"),
    "bold within italics": ("''a '''b''' c''", "a b c"),
    "one apostrophe": ("rock 'n' roll isn't dead", "rock 'n' roll isn't dead"),
}
EXPECTED = {"a possessive after italics": "The Gazettes editor and Clippers crew"}


@pytest.mark.parametrize("name", LINES)
def test_a_line_shows_what_mediawiki_shows(name):
    line, text = LINES[name]
    assert line_without_quotes(line) == EXPECTED.get(name, text) == shown_by_the_rule(line)


def test_each_line_is_read_by_itself():
    assert without_quotes("l'''A'' x\n\n'''b''' c") == "l'A x\n\nb c"
    assert wikitext_to_text("Only l'''Odyssée''.\n\nThe ''Mail'''s [[page]].") == (
        "Only l'Odyssée.\n\nThe Mail's page."
    )


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("un '<nowiki/>''journal'' ancien", "un 'journal ancien"),
        ("L<nowiki>'</nowiki>'''opéra''' joue", "L'opéra joue"),
        ("L<nowiki></nowiki>'''opéra''' joue", "Lopéra joue"),
        ("L{{'}}'''opéra''' joue", "L'opéra joue"),
        ("the ''Star''{{'s}} cover, ''Sun''{{'}} too", "the Star's cover, Sun' too"),
        ("''the <b>'</b>old''", "the 'old"),
        ("''a''<ref>x</ref>''b'' c", "ab c"),
        ("dans l'[[Iliade|''Iliade'']] on", "dans l'Iliade on"),
        ("a '[[Word|''word'' here]] b", "a 'word here b"),
        ("''[[O'Neill|O']]'' said", "O' said"),
        ("[[a|l'''B'']] and '''c'''", "l'B and c"),
        ("'''one ''two<br>three'' four'''", "one two\nthree four"),
        ("&#39;''x''&#39;", "'x'"),
    ],
)
def test_an_apostrophe_in_text_is_not_markup(wikitext, text):
    assert wikitext_to_text(wikitext) == text


def shown_by_the_rule(line: str) -> str:
    """MediaWiki's Parser::doQuotes on UTF-8, step by step as its comments describe, without the tags."""
    parts = re.split(rb"(''+)", line.encode())
    bold = italics = 0
    for i in range(1, len(parts), 2):
        length = len(parts[i])
        if length == 4:
            parts[i - 1] += b"'"
            parts[i] = b"'''"
        elif length > 5:
            parts[i - 1] += b"'" * (length - 5)
            parts[i] = b"'''''"
        length = len(parts[i])
        italics += length in (2, 5)
        bold += length in (3, 5)
    if bold % 2 == 1 and italics % 2 == 1:
        single = multi = space = -1
        for i in range(1, len(parts), 2):
            if len(parts[i]) != 3:
                continue
            before = parts[i - 1]
            if before[-1:] == b" ":
                space = i if space == -1 else space
            elif (before[-2:-1] if len(before) > 1 else before[:1]) == b" ":
                single = i
                break
            elif multi == -1:
                multi = i
        chosen = single if single > -1 else multi if multi > -1 else space
        if chosen > -1:
            parts[chosen] = b"''"
            parts[chosen - 1] += b"'"
    return b"".join(parts[::2]).decode()


@given(
    st.lists(st.sampled_from(["'", "''", "'''", "'''''", " ", "a", "l", "é", "Ж", "mot ", "x."]), max_size=24)
)
@settings(max_examples=1000, deadline=None)
def test_any_line_is_read_as_the_documented_rule_reads_it(parts):
    line = "".join(parts)
    assert line_without_quotes(line) == shown_by_the_rule(line)

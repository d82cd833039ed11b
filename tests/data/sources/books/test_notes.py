"""Transcribers' notes and notices are removed in any language; the book's own notes are kept."""

import pytest

from data.documents import Document, Record
from data.sources.books import gutenberg, header
from data.sources.books import recipe as books
from tests.support.books import BODY, FIRST_LINE, SMALL_PRINT, gutenberg_file
from tests.support.cpu_time import takes_over
from tests.support.narrow import as_a

NOTES = [
    "Transcriber's Note:\n\n    Two words were mended.\n\n    A table was moved.",
    "TRANSCRIBER'S NOTES\n\n  * Hyphens are as printed.\n\n  * A map was left out.",
    "Note de transcription\n\nL'orthographe de 1880 est gardée.",
    "Notes sur la transcription: les fautes évidentes ont été corrigées.",
    "Anmerkungen zur Transkription\n\nDruckfehler wurden stillschweigend berichtigt.",
    "[Hinweise zur Transkription:\n\nDer Text folgt der ersten Ausgabe.]",
    "Opmerkingen van de transcribent\n\nDe oude spelling is behouden.",
    "Aantekeningen van de bewerker\n\nEen drukfout is hersteld.",
    "Nota del transcriptor\n\nSe han corregido las erratas.",
    "Notas del Transcriptor: se respeta la ortografía del original.",
    "Produit par A. Bénévole pour tous",
    "[Note au lecteur de ce fichier digital:\nSeules les erreurs évidentes ont été corrigées.]",
    "Transcriber's Note: dashes are as printed.\n\nObvious errors of the printer were corrected.",
    "Note du transcripteur: l'orthographe est celle de 1880.\n\n   Les erreurs ont été corrigées.",
    "Transkriberarens anmärkning: stavningen har behållits.",
    "Nota de transcrição: a ortografia é a do original.",
    "+" + "-" * 70 + "+\n| Transcriber's Note: spelling is as printed. |\n+" + "-" * 70 + "+",
]


@pytest.mark.parametrize("note", NOTES)
def test_a_transcribers_note_above_the_book_is_removed_entirely(note):
    assert gutenberg.open_book(gutenberg_file(f"{note}\n\n{BODY}")).text == BODY


LONG = BODY + "\n\n" + "It rained on the quay all that day.\n\n" * 60


@pytest.mark.parametrize("note", NOTES[:10] + NOTES[11:])
def test_a_note_below_the_book_is_removed_and_the_footnotes_below_it_kept(note):
    whole = gutenberg_file(f"{LONG.strip()}\n\n{note}\n\nFOOTNOTES\n\n[1] Of Kent.")
    assert gutenberg.open_book(whole).text == f"{LONG.strip()}\n\nFOOTNOTES\n\n[1] Of Kent."
    assert gutenberg.open_book(gutenberg_file(f"{LONG.strip()}\n\n{note}")).text == LONG.strip()


@pytest.mark.parametrize(
    "notice", ["[NOTE: there is more at the end of the\nfile. X.Y.]", "   [See the HTML version]"]
)
def test_a_bracket_about_the_file_is_removed_above_the_book_too(notice):
    for above in ("", "Produced by A. Volunteer\n\n\n"):
        assert gutenberg.open_book(gutenberg_file(f"{above}{notice}\n\n\n{BODY}")).text == BODY


def _box(*lines: str, frame: str = "+-|", width: int = 70) -> str:
    corner, rule, side = frame
    rows = [f"{side} {line.ljust(width - 2)} {side}" for line in lines]
    return "\n".join([corner + rule * width + corner, *rows, corner + rule * width + corner])


BOXES = [
    _box("TRANSCRIBER'S NOTE", "", "The contents were added."),
    _box("", "Transcriber's Notes".center(66), "", "Page 3: 'teh' was 'the'.", "", frame="+=|"),
    _box("Anmerkungen zur Transkription:", "", "Druckfehler wurden berichtigt.", frame="***"),
    "    " + _box("Transcriber's Note: spelling is as printed.", width=60).replace("\n", "\n    "),
]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("below", ["", "FOOTNOTES\n\n[1] Of Kent.", f"CHAPTER II\n\n{LONG.strip()}"])
def test_a_note_in_a_box_is_removed_wherever_it_is(box, below):
    body = f"{LONG.strip()}\n\n{box}\n\n{below}".strip()
    expected = f"{LONG.strip()}\n\n{below}".strip()
    assert gutenberg.open_book(gutenberg_file(body)).text == expected


def test_the_rule_above_a_note_goes_with_it_if_footnotes_follow():
    note = f"{'-' * 60}\n\nTranscriber's Note:\n\nSome errors were corrected."
    whole = gutenberg_file(f"{LONG.strip()}\n\n{note}\n\nFOOTNOTES\n\n[1] Of Kent.")
    assert gutenberg.open_book(whole).text == f"{LONG.strip()}\n\nFOOTNOTES\n\n[1] Of Kent."


def test_the_book_s_own_boxes_are_kept():
    boxes = [_box("Corn  1870  33", "Oats  1880  44"), _box("The transcriber's notes lay open.", "He read.")]
    body = "\n\n".join([LONG.strip(), *boxes, LONG.strip()])
    assert gutenberg.open_book(gutenberg_file(body)).text == body


@pytest.mark.parametrize(
    "notice",
    [
        "<<THIS ELECTRONIC EDITION MAY BE COPIED FREELY, SO LONG AS NO CHARGE\nIS MADE FOR IT.>>",
        "<<This e-text is given by the Library of Somewhere.>>",
        "[This electronic text may be copied by anyone who likes it.]",
        "[Transcriber's Note: the next page is torn in the original.]",
        "[See also the HTML version, which has the maps]",
        "[NOTE: A few sentences to begin with are listed at the end of the file. X.Y.]",
        "[Italics are between underscores. Footnotes follow each act.]",
        "ETEXT EDITOR'S BOOKMARKS:\n\nA quay is never dry\nRain has no master\nWe are all passengers",
        "     PG EDITOR'S BOOKMARKS FOR ALL VOLUMES:\n\n\n     A quay is never dry\n     Rain has no master",
        "**This is a volume of a Project Gutenberg Etext, made by volunteers**",
    ],
)
def test_notices_between_the_acts_are_removed_and_other_brackets_kept(notice):
    own = "<<Enter the king and all his train.>>\n\n[Note by the author: the electronic eel is real.]"
    acts = [f"ACT {number}\n\n{own}\n\n{BODY}" for number in "123"]
    text = gutenberg.open_book(gutenberg_file(f"\n\n{notice}\n\n".join(acts))).text
    assert notice not in text
    assert text.split() == " ".join(acts).split()


@pytest.mark.parametrize(
    "line",
    [
        "End of the etext project, he said, laughing.",
        "The end of the e-text, she thought, was near.",
        "Fin de Project Gutenberg, wrote the clerk.",
    ],
)
def test_a_sentence_of_the_book_does_not_end_it(line):
    body = f"{BODY}\n\n{line}\n\nCHAPTER II\n\n{BODY}"
    assert gutenberg.open_book(gutenberg_file(body)).text == body


@pytest.mark.parametrize("small_print", [SMALL_PRINT, SMALL_PRINT.replace("***START**", "")])
def test_small_print_below_the_book_does_not_remove_it(small_print):
    whole = f"{FIRST_LINE}\nMay, 1999  [Etext #4321]\n\n{BODY}\n\n\n{small_print}"
    assert books.clean(Record("x.txt", 0, whole)).text == BODY + "\n"


def test_gutenberg_australias_header_ends_at_its_rule():
    top = "Project Gutenberg Australia\n\nTitle: Nu\nAuthor: A. Author\neBook No.: 0100.txt\n\n"
    top += "Our ebooks are made from editions\nin the public domain in Australia.\n\n" + "-" * 60 + "\n\n"
    top += "A Project Gutenberg of Australia eBook\n\nTitle: Nu\nAuthor: A. Author\n\n"
    below = "\n\nThis site is full of FREE ebooks - Project Gutenberg Australia\n"
    for whole in (top + BODY + "\n", top + BODY + below, "A Project Gutenberg of Australia eBook\n\n" + BODY):
        assert gutenberg.open_book(whole).text == BODY
    document = as_a(Document, books.clean(Record("0100.txt", 0, top + BODY + below)))
    assert document.licence == "public domain in Australia" and not document.url


def test_gutenberg_australias_header_without_a_rule_ends_above_the_book():
    top = "Project Gutenberg Australia\n\nTitle: Nu\nAuthor: A. Author\neBook No.: 0100.txt\n\n"
    top += "Copyright laws are changing.\nCheck those of your country.\n\nThis eBook may be\ncopied.\n\n"
    top += "To contact Project Gutenberg of Australia go to http://gutenberg.net.au\n\n\n"
    below = "\n\nThis site is full of FREE ebooks - Project Gutenberg Australia\n"
    assert gutenberg.open_book(top + BODY + below).text == BODY


def test_what_follows_a_note_inside_the_book_is_kept():
    note = "Transcriber's Note: spelling is as printed."
    text = f"{LONG.strip()}\n\n{note}\n\n" + "He went on, and nobody followed.\n\n" * 3
    assert gutenberg.open_book(gutenberg_file(text.strip())).text == text.strip()


@pytest.mark.parametrize(
    ("header", "declared"),
    [
        ("Release Date: May, 1999 [EBook #4321]", ("1999-05", None)),
        ("Release Date: May 3, 1999\nLast Updated: March 10, 2018", ("2018-03-10", None)),
        ("Release date: May 3, 1999 [eBook #1]\n                Most recently updated: October 9, 2024",
         ("2024-10-09", None)),
        ("January, 1994  [Etext #98]\n[Most recently updated August 18, 2002]", ("2002-08-18", None)),
        ("Edition: 12\nRelease Date: Jun, 1998  [EBook #1342]", ("1998-06", 12)),
        ("Release Date: Someday, 1998", ("", None)),
    ],
)  # fmt: skip
def test_the_edition_is_what_the_header_declares(header, declared):
    start = "*** START OF THE PROJECT GUTENBERG EBOOK NU ***\n\n"
    book = gutenberg.open_book(f"The Project Gutenberg EBook of Nu\n\n{header}\n\n{start}{BODY}\n")
    assert (book.released, book.edition, book.text) == (*declared, BODY)


@pytest.mark.parametrize(
    "unit",
    [
        "project gutenberg ",
        "project gutenberg's a by ",
        "Title: ",
        "\n  x",
        "* ",
        "<<a ",
        "**a",
        " \t",
        "by ",
    ],
)
def test_headers_cost_no_more_than_their_length(unit):
    def read(text: str) -> None:
        gutenberg.open_book(text)
        header._FIRST_LINE.search(text)
        header._TITLE_LINE.match(text)

    small, large = (
        "Project Gutenberg's Voyage, by A\n\n" + unit * (length // len(unit)) for length in (50_000, 200_000)
    )
    assert not takes_over(8, lambda: read(large), lambda: read(small))  # a square takes 16 times as long

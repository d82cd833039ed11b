"""Makers' paragraphs under rarer headings; headers of Canada and Australia; authors' own parts are kept."""

import pytest

from data.sources.books.gutenberg import open_book
from tests.support.books import LAKE, STORY, lake_with


@pytest.mark.parametrize(
    "heading",
    [
        "Preparer's Note",
        "PROOFREADER'S NOTES",
        "Digital Transcriber's Note:",
        "eBook Transcriber's Notes",
        "Project Gutenberg Editor's Note:",
        "Transcriber's Amendments:",
        "Transcriber’s Endnotes",
        "TRANSCRIBER'S CORRECTIONS",
        "Transcriber's Notes and Errata",
        "Transcriber's Notes on the Text",
        "TRANSCRIBER'S NOTE--Corrections",
        "Transcriber's and Editor's Notes",
        "A Note from the Digitizer",
        "Notes to this e-text",
        "A Note on the Electronic Text",
        "Typographical errors corrected in text:",
        "Corrections made to printed original.",
        "Liste der Korrekturen",
        "Remarques sur la transcription",
        "Σημείωση του μεταγραφέα",
        "Σημειώσεις του μεταγραφέα",
        "Nota a la edición digital",
        "Note sur la version numérique",
        "Bemærkninger til e-bogen",
        "Lista de erratas corregidas",
        "*** Transcriber's Notes ***",
    ],
)
def test_a_note_under_any_of_these_headings_is_removed(heading):
    note = f"{heading}\n\n    Page 9: mil changed to mill\n\n    Page 12: lak changed to lake"
    assert lake_with(below=f"\n\n\n{note}") == LAKE
    assert lake_with(above=f"{heading}\n\nTwo misprints of the original were corrected.\n\n\n\n") == LAKE


@pytest.mark.parametrize(
    "own",
    [
        "COLOPHON\n\nThis book was set by hand at the Lake Press.",
        "CORRECTIONS\n\nThe author begs pardon: the lake lies north of the mill.",
        "The keeper's notes\n\nThe water rose on Monday.",
        "Anmärkningar\n\nSjön ligger norr om kvarnen.",
        "CORRECTIONS\n\nThe printer made errors in the spelling of names.",
        "REMARQUES SUR LA TRANSCRIPTION DES NOMS\n\nLes noms sont écrits comme on les entend.",
        "A note from the proofreader lay on the desk.",
        "Scanner notes hung in the radio room of the OCR by the lake.",
        "OCR by night is slow, he said.",
        "Produit rare, le poisson du lac se vend cher.",
        "Fremstillet af Naturen selv laa Søen der.",
        "NOTES ON THE TEXT OF THE OLD DEEDS\n\nThe mill was sold in 1702.",
    ],
)
def test_an_author_s_part_under_a_like_heading_is_kept(own):
    assert lake_with(below=f"\n\n\n{own}") == f"{LAKE}\n\n\n{own}"
    assert lake_with(above=f"{own}\n\n\n") == f"{own}\n\n\n{LAKE}"


CHANGES = "".join(
    f"Der alte Mann ging zur Müle {n}\nDer alte Mann ging zur Mühle [{n}]\n\n" for n in range(120)
)


@pytest.mark.parametrize(
    ("note", "is_makers"),
    [
        (f"[ Im folgenden werden alle geänderten Textzeilen angeführt.\n\n{CHANGES}]", True),
        (f"[Anmerkungen zur Transkription: Es wurde geändert:\n\n{CHANGES}]", True),
        (f"[Transcriber's Note: Two lines were\nmended.]\n\n{STORY[0]}\n\n[Finis.]", False),
        (f"[ Im folgenden werden die Wege zum See beschrieben.\n\n{CHANGES}]", False),
    ],
)
def test_a_long_list_of_changes_in_brackets_at_the_end_is_removed(note, is_makers):
    found = lake_with(below=f"\n\n\n{note}")
    assert found.startswith(LAKE)
    assert (found == LAKE) == is_makers
    assert (STORY[0] in found[len(LAKE) :]) == (STORY[0] in note)


@pytest.mark.parametrize(
    ("bracket", "is_makers"),
    [
        ("This electronic edition was copied from the site of a society.\n\nIt may be read by all.", True),
        ("The lake is drawn from the north.\n\nIt has no electronic light.", False),
    ],
)
def test_brackets_of_several_paragraphs_below_the_title_go_if_they_are_about_the_edition(bracket, is_makers):
    found = lake_with(above=f"The Lake\n\nAnn Author\n\n\n[{bracket}]\n\n\n")
    assert found.startswith("The Lake\n\nAnn Author\n\n")
    assert (bracket not in found) == is_makers
    assert found.endswith(LAKE)


FRONT = "The Lake\n\nBy Ann Author\n\n\nFor a friend.\n\n\n"


@pytest.mark.parametrize(
    "notes",
    [
        "Original Preparer's Note\n\n    Some Greek was transcribed in brackets.\n\n\n"
        "    Preparer's Note--Unicode Edition\n\n    It is restored in this etext.\n\n\n\n",
        "Transcriber's Notes on the E-text:\n\nThis e-text follows the first edition.\n\n"
        "The author liked capitals.\n\n\n",
        "Transcriber's note\n\n\nErrors of the printer are listed at the end.\n\n\n\n",
    ],
)
def test_notes_below_the_title_go_up_to_the_next_wider_gap(notes):
    assert lake_with(above=f"{FRONT}{notes}") == FRONT + LAKE


@pytest.mark.parametrize(
    "own",
    [
        "Transcriber's Note\n\nSo runs the tale of the old man, who wrote it down.\n\n\n",
        "Transcriber's Note\n\n",  # no gap to tell where it ends
        "The Editor's Note\n\nThe spelling of the printer is kept.\n\n\n",
    ],
)
def test_a_part_below_the_title_that_is_not_surely_a_note_is_kept(own):
    assert lake_with(above=f"{FRONT}{own}") == FRONT + own + LAKE


def test_lines_of_a_web_page_s_tags_around_a_book_are_removed():
    assert lake_with(above="</pre>\n", below="\n\n<pre>\n\n</pre>\n") == LAKE
    assert lake_with(above="<pre>\n\nProduced by A. Volunteer\n\n\n") == LAKE


def test_paragraphs_about_the_ebook_below_a_note_s_first_one_are_removed():
    above = "Transcriber's Notes: Italics are in _underscores_.\n\nThis ebook has sidenotes.\n\n"
    assert lake_with(above=f"{above}Other notes are at the end of this e-book.\n\n\n\n") == LAKE


def test_a_sentence_on_the_scanned_version_above_a_book_is_removed():
    assert lake_with(above="Cette version numérisée suit l'édition de 1850.\n\n\n") == LAKE


@pytest.mark.parametrize(
    "colophon",
    [
        "Colofon\n\n\nBeschikbaarheid\n\nDit eBoek valt onder de licentie van Project Gutenberg.\n\n"
        "Codering\n\nDe spelling is die van het boek.\n\nVerbeteringen\n\n  9   mil   mill\n",
        "Anmärkningar:\n\nOriginalets stavning har behållits.\n",
        "Bemærkninger:\n\nOriginalens stavemåde er bevaret.\n",
        "COLOPHON\n\nAvailability\n\nThis eBook is for anyone; see the Project Gutenberg License.\n\n"
        "Corrections\n\n  Page   Source   Correction\n  9      mil      mill\n",
    ],
)
def test_a_colophon_about_the_electronic_text_is_removed(colophon):
    assert lake_with(below=f"\n\n\n\n{colophon}") == LAKE


@pytest.mark.parametrize(
    "credit",
    [
        "The cover image was created by the transcriber and is placed in the public domain.",
        "OCR by A. Volunteer",
        "Digital edition by A. Volunteer",
        "Special thanks to A. Volunteer for scanning the text.",
        "Este eBook fue producido por A. Volunteer",
        "Ce texte a été produit par Jean Exemple",
        "Numérisation : Jean Exemple",
        "Digitalisiert von Hans Muster",
        "Este texto fue digitalizado por Juan Ejemplo",
        "Dit boek is geproduceerd door Jan Voorbeeld",
        "Produceret af Jens Eksempel",
        "Zeskanowane przez Jana Przykład",
        "Παραγωγή: Α. Παράδειγμα",
        "Project Runeberg publishes Nordic books.\nhttp://runeberg.org/",
    ],
)
def test_rarer_credits_above_a_book_are_removed(credit):
    assert lake_with(above=credit + "\n\n\n") == LAKE


def test_credits_below_a_picture_are_removed_and_the_picture_is_kept():
    picture = "[Illustration: the lake at dawn]\n\n"
    assert lake_with(above=picture + "Produced by A. Volunteer\n\n\n") == picture + LAKE
    assert (
        lake_with(above=picture + "THE LAKE\n\nby A. Author\n\n")
        == f"{picture}THE LAKE\n\nby A. Author\n\n{LAKE}"
    )


@pytest.mark.parametrize(
    "below",
    [
        "Updated editions will replace the previous one--the old editions will\nbe renamed.\n",
        "Information about Project Gutenberg (one page)\n\nWe count the hours that a text takes.\n",
        "Section 1. General Terms of Use and Redistributing Project Gutenberg-tm\nworks\n\n1.A. By reading\n",
        "Ende des Projektes Gutenberg-Etextes Der See\n",
        "Koniec Projektu Gutenberg Jezioro\n",
    ],
)
def test_a_license_without_its_end_mark_is_removed(below):
    assert lake_with(foot=f"\n\n\n{below}") == LAKE


@pytest.mark.parametrize(
    "line",
    [
        "Updated editions will replace the previous one, wrote the clerk.",
        "Section 1. General Terms of Use and Redistributing water",
        "We are now trying to release all our birds, she said.",
        "## End of the Project Gutenberg began in 1971",
    ],
)
def test_a_sentence_like_a_license_s_ends_no_book_of_your_own(line):
    mine = f"{LAKE}\n\n{line}\n\n{LAKE}\n"
    assert open_book(mine).text == mine


def test_a_french_book_of_canada_has_its_header_and_last_line_removed():
    head = (
        "* Livre électronique du Projet Gutenberg Canada *\n\n"
        "Le présent livre électronique est offert à tous.\nVoir gutenberg.ca.\n\n"
        "Cette oeuvre appartient au domaine public canadien.\n\n"
        "Titre: Le lac\nAuteur: A. Auteur\nDate de la première publication: 1890\n"
        "Lieu et date de l'édition utilisée comme modèle pour ce livre électronique: Pau, 1890\n\n"
        "Ce livre électronique a été créé par: X et Y\n\n\n"
    )
    for last in ("[Fin de Le lac, par A. Auteur]", "[Fin du _lac_]"):
        found = open_book(f"{head}{LAKE}\n\n\n{last}\n")
        assert found.text == LAKE and found.is_canadian
    assert (
        open_book(f"{head}{LAKE}\n\n[Fin de la page.]\n\n{LAKE}").text
        == f"{LAKE}\n\n[Fin de la page.]\n\n{LAKE}"
    )


def test_australia_s_banner_is_removed_with_its_lines_about_the_site():
    head = (
        "Project Gutenberg of Australia\na house of letters\n\nBROWSE the shelves\n\nor SEARCH them\n\n"
        "Title: The Lake\neBook No.: 01.txt\n\nTo contact Project Gutenberg of Australia write to us\n\n"
        "GO TO Project Gutenberg Australia HOME PAGE\n\n\n"
    )
    for last in ("", "\n\n\nThis site is full of FREE ebooks - Project Gutenberg Australia\n"):
        assert open_book(head + "A short tale of the lake. " * 9 + last).text.startswith("A short tale")
        assert open_book(head + LAKE + last).text == LAKE


MOVED = """Project Gutenberg Etexts are usually created from multiple editions.

We are now trying to release all our etexts one year in advance
of the official dates.

Please note neither this listing nor its contents are final til
midnight of the last day of the month of any such announcement.

Most people start at our Web sites, which list what is new before
it is announced, and whose addresses are in our newsletter too.

You can get up-to-date donation information there.

***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***
Why is this "Small Print!" statement here?

*END THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.10/04/01*END*
"""
NAMED = "The Project Gutenberg Etext of The Lake, by A. Author\n***This file should be named lak.txt***\n\n"


@pytest.mark.parametrize(
    "last", ["", "End of The Project Gutenberg Etext of The Lake, by A. Author\n\n", NAMED]
)
@pytest.mark.parametrize("above", ["", NAMED, NAMED + "This etext was produced by A. Volunteer.\n\n"])
@pytest.mark.parametrize("text", [LAKE, "\n\n".join([LAKE] * 9), LAKE[:3000]])
def test_a_header_without_a_mark_whose_small_print_moved_to_the_end_is_removed_with_it(text, above, last):
    head = (
        "The Project Gutenberg Etext of The Lake, by A. Author\n#2 in our series by A. Author\n\n"
        "Copyright laws are changing all over the world.\n\n"
        "We have moved most of the information of this etext to the end.\n\n"
        "Find out how to donate at the bottom of this file.\n\n\n"
        "Title: The Lake\n\nRelease Date: November, 2003 [Etext #4688]\n\nEdition: 10\n\n"
    )
    assert open_book(f"{head}{above}{text}\n\n\n{last}{MOVED}").text == text


def test_a_director_s_notes_with_verses_are_removed_up_to_his_signature():
    notes = (
        "Project Gutenberg's Etext of The Lake, by A. Author\n\n\nExecutive Director's Notes:\n\n"
        "So stands the first printing:\n\n  Keeper. Who goes vpon the lake?\n  Man. Stand\nyour name\n\n"
        "   Keep. Alas\n\n***\n\nLetters were short.\n\nThey used others.\n\n(and more)\n\n"
        "M. Name\nProject Gutenberg\nExecutive Director\n\n\n***\n\n\n"
    )
    assert lake_with(above=notes) == LAKE
    own = notes.partition("Project Gutenberg\n")[0].partition("\n\n\n")[2] + "\n\n"
    assert lake_with(above=own) == own + LAKE


@pytest.mark.parametrize("n_lines", [1, 4, 8])
def test_a_mark_whose_title_has_many_lines_is_removed_whole(n_lines):
    title = "THE LAKE" + "\nAND MANY OTHER WATERS" * n_lines
    marks = [f"*** {word} OF THE PROJECT GUTENBERG EBOOK {title} ***" for word in ("START", "END")]
    assert open_book(f"Title: The Lake\n\n{marks[0]}\n\n\n{LAKE}\n\n\n{marks[1]}\n\nx\n").text == LAKE


@pytest.mark.parametrize(
    "notice",
    [
        "[TN: torn]",
        "[T/N: the page is torn]",
        "[Trans. Note: the page is torn]",
        "[_Transcriber's note: the page is torn_]",
        "[Transcriber's note: the page says [sic] and is torn]",
        "<Transcriber's note: the page is torn>",
        "*Transcriber's note*: the page is torn at its edge.",
    ],
)
def test_a_notice_between_paragraphs_is_removed_however_it_is_marked(notice):
    long = [LAKE] * 4
    assert lake_with(above=LAKE + "\n\n" + notice + "\n\n", below="\n\n".join(["", *long])) == "\n\n".join(
        [LAKE, LAKE, *long]
    )


@pytest.mark.parametrize("own", ["[sic]", "[T.N.T.]", "[The note: torn [sic] by him]", "[Tr. note, he said]"])
def test_a_book_s_own_brackets_are_kept(own):
    assert lake_with(above=f"{LAKE}\n\n{own}\n\n") == f"{LAKE}\n\n{own}\n\n{LAKE}"

"""Credits below a book, notes in brackets above it, and notes whose heading a book's own note may have."""

import pytest

from tests.support.books import LAKE, lake_with


@pytest.mark.parametrize(
    "note",
    [
        "[ Anmerkungen zur Transkription:\n\n    Der Text folgt der Ausgabe von 1912.\n\n    Ende. ]",
        "[Transcriber's Note:\n\nThe spelling has been kept.]",
        "[Note du transcripteur:\n\nOn a suivi l'édition de 1880.]",
    ],
)
def test_a_note_ends_with_its_bracket_and_the_book_begins_below(note):
    assert lake_with(above=note + "\n\n\n") == LAKE
    assert lake_with(above=note + "\n\n") == LAKE


@pytest.mark.parametrize(
    "credits",
    [
        "-----\nTa lektura, podobnie jak inne, jest dostępna na stronie wolnelektury.pl.\n\n"
        "Utwór opracowany został w ramach projektu Wolne Lektury.\n\nTen utwór jest w domenie publicznej.\n\n"
        "Tekst opracowany na podstawie: A. Nowak, Jezioro, Warszawa 1890.\n\nWydawca: Fundacja X",
        "Publikacja zrealizowana w ramach projektu Wolne Lektury (http://wolnelektury.pl).\n\n"
        "Opracowanie redakcyjne i przypisy: Anna Nowak.",
        "Produced by Ann Lee and the Online Distributed Proofreading Team",
        "Text file produced by Ann Lee, https://www.pgdp.net\n\nHTML file produced by B Lee",
        "This file was produced from scans.\n\nHTML version by B Lee, https://www.gutenberg.org",
        "    *    *    *\n\nTranscribed from the 1890 edition by B Lee, email blee@lake.example",
    ],
)
def test_credits_below_a_book_are_removed(credits):
    assert lake_with(below=f"\n\n\n\n{credits}") == LAKE
    assert lake_with(above=f"{credits}\n\n\n") == LAKE


@pytest.mark.parametrize(
    "own",
    [
        "THE END",
        "Printed by B Lee in the Strand.",
        "Prepared by hand, it lasted.",  # nobody is named who made the file
        "Ten utwór był jej ostatnim.",
        "She wrote to the Wolne Lektury, and then the lake was quiet.\n\nAnd so it stayed.",
    ],
)
def test_the_last_words_of_a_book_are_kept(own):
    assert lake_with(below=f"\n\n\n{own}") == f"{LAKE}\n\n\n{own}"


@pytest.mark.parametrize(
    "note",
    [
        "Note: The tonic system has been changed, otherwise the spelling of the book is as in the original.",
        "Σημείωση: Το τονικό σύστημα έχει αλλάξει. Κατά τα άλλα έχει διατηρηθεί η ορθογραφία του βιβλίου.",
        "Notering:\n\nStavningen är bibehållen i enlighet med originalet.",
        "[This text is intended for those who cannot use the UTF-8 version of it.]",
    ],
)
def test_a_note_above_a_book_about_its_text_is_removed(note):
    assert lake_with(above=f"{note}\n\n\n") == LAKE


@pytest.mark.parametrize("own", ["Note: the lake is mine.", "Nota: este romance foi escrito em 1870."])
def test_the_author_s_own_note_above_a_book_is_kept(own):
    assert lake_with(above=f"{own}\n\n\n").startswith(own)


@pytest.mark.parametrize(
    "note",
    [
        "Uwagi do transkrypcji\n\nZachowano dawną pisownię.",
        "    Weitere Anmerkungen zur Transkription\n\nFehler wurden korrigiert.\n\nS. 3: mil -> mill",
        "Additional Transcriber's Notes\n\nThe lake was misspelt.",
    ],
)
def test_a_note_below_a_book_under_its_heading_is_removed(note):
    assert lake_with(below=f"\n\n\n\n{note}") == LAKE

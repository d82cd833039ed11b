"""Makers' notes in other languages; the book next to a note is not cut with it."""

import pytest

from data.sources.books.gutenberg import open_book
from tests.support.books import LAKE, LAKE_FOOT, LAKE_HEAD, STORY, lake_with


@pytest.mark.parametrize(
    "note",
    [
        "Transcriber's Note:\n\nThe spelling has been kept.\n\n\n",
        "TRANSCRIPTION NOTES\n\n    Page 3: mil, now mill.\n\n    Page 9: lak, now lake.\n\n\n",
        "Anmerkungen zur Transkription\n\nDer Text folgt der Ausgabe von 1912.\n\n"
        "Druckfehler wurden korrigiert.\n\n\n",
        "Note du transcripteur\n\nOn a suivi l'édition de 1880.\n\n\n",
        "Nota de editor: Devido a erros tipográficos, a grafia foi mantida como no original.\n\n\n",
        "Nota de editor: Devido a erros tipográficos, a grafia foi mantida como no original.\n\n"
        "                        Ana Ponte (Maio 2008)\n\n\n",
        "Tämän e-kirjan ovat tuottaneet Aino Laine ja Eero Lehto\n\n\n",
        "Noter fra transskribenten:\n\nStavemåden følger originalen.\n\n\n",
        "Au lecteur\n\nCette version électronique suit l'édition de 1880.\n\nElle est complète.\n\n\n",
        "########################\n\n    Anmerkungen zur Transkription\n\n    Die Schrift ist Fraktur.\n\n"
        "        gesperrt: +Plus+\n\n########################\n\n\n",
        "QUESTO E-BOOK:\n\nTITOLO: Il lago\nAUTORE: Neri, Ugo\nNOTE: grazie a X\n\n"
        "DIRITTI D'AUTORE: no\n\nLICENZA: si veda\nhttp://example.org\n\n"
        "TRATTO DA: Il lago. - Pavia, 1890\n\nCODICE ISBN: mancante\n\n"
        "1a EDIZIONE ELETTRONICA DEL: 9 maggio 2001\n\nINDICE DI AFFIDABILITA': 1\n\n"
        "ALLA EDIZIONE ELETTRONICA HANNO CONTRIBUITO:\nUgo Bianchi\n\nREVISIONE:\nUgo Bianchi\n\n"
        "PUBBLICATO DA:\nUgo Bianchi\n\n\n",
    ],
)
def test_a_note_above_a_book_of_short_paragraphs_is_removed_and_the_book_is_complete(note):
    assert lake_with(above=note) == LAKE


@pytest.mark.parametrize(
    "note",
    [
        "Anmärkningar till den elektroniska utgåvan:\n\nNågra ord har ändrats.",
        "Noter fra transskribenten:\n\nStavemåden er bevaret.",
        "Uwagi do wydania elektronicznego:\n\nPoprawiono literówki.",
        "Noto de la transskribinto:\n\nEraroj estas korektitaj.",
        "       *       *       *       *       *\n\n"
        "Transcriber's note:\n\n  Old words were kept.\n\n    *    *    *",
        "Nota del transcriptor:\n\n  Se han corregido erratas.",
        "[Transcriber's Notes: Old words were kept.\n\nThe cover is new.]",
        "*** Note sur la version électronique ***\n\nL'orthographe est conservée.",
        "Poznámky přepisovatele\n\nZjevné chyby byly opraveny.",
        "Lista de erros corrigidos\n\n\nAqui estão todos os erros:\n\n\n  +------+------+\n"
        "  | mil  | mill |\n  +------+------+",
        "LIJST VAN AANGEBRACHTE CORRECTIES\n\n  mil -> mill",
        "Liste des modifications effectuées:\n\n  p. 9: «lak» en «lac»",
    ],
)
def test_a_note_below_a_book_is_removed_with_its_rules(note):
    assert lake_with(below=f"\n\n{note}\n") == LAKE


@pytest.mark.parametrize(
    "note",
    ["Transcriber's Note: Spelling follows the original.", "[Transcriber's Note: Two pages\n\nare missing.]"],
)
def test_a_note_between_the_title_page_and_the_book_is_removed(note):
    title = "THE LAKE\n\nBY\n\nA. AUTHOR\n\n\n"
    long = "\n\n".join([LAKE] * 4)
    assert open_book(f"{LAKE_HEAD}{title}{note}\n\n\n{long}{LAKE_FOOT}").text == title + long


def test_an_authors_own_words_to_the_reader_are_kept():
    words = "Au lecteur\n\nCe livre a été écrit au bord du lac, sans ordre ni plan.\n\n\n"
    assert lake_with(above=words) == words + LAKE


@pytest.mark.parametrize(
    "fields",
    [
        "This eBook is for the use of anyone anywhere.\n\nTitle: The Lake\n\nAuthor: A. Author\n\n",
        "Title: The Lake\n\nRelease Date: May, 1999\n\n",
    ],
)
def test_a_header_without_its_mark_is_removed_with_its_fields(fields):
    first = "The Project Gutenberg EBook of The Lake, by A. Author\n\n"
    assert open_book(first + fields + LAKE).text == LAKE
    assert open_book(first + LAKE + "\n\nTitle: Mine").text == LAKE + "\n\nTitle: Mine"


def test_footnotes_on_either_side_of_a_note_are_kept_and_a_sentence_about_them_is_not():
    notes = "FOOTNOTES:\n\n[1] The lake lies in the north."
    about = "Transcriber's Notes:\n\nFootnotes were moved to the end of the book."
    assert lake_with(below=f"\n\n{notes}\n\n\n{about}\n") == f"{LAKE}\n\n{notes}"
    assert lake_with(below=f"\n\n{about}\n\n\n{notes}\n") == f"{LAKE}\n\n{notes}"


@pytest.mark.parametrize(
    "line",
    [
        "Fim do Projecto Gutenberg de O Lago, de Ana Autora",
        "Fin del proyecto Gutenberg EBook de El Lago",
        "Slut på Project Gutenberg EBook Sjön",
        "Fine del Progetto Gutenberg, Il Lago",
        "Einde van Project Gutenberg's Het Meer",
        "Ende dieses Projekt Gutenberg Etextes Der See",
    ],
)
def test_the_last_line_is_removed_in_each_language(line):
    assert lake_with(foot=f"\n\n\n{line}\n") == lake_with(foot=f"\n\n{line}{LAKE_FOOT}") == LAKE


def test_a_rule_below_a_book_without_a_note_and_an_editor_s_own_note_are_kept():
    assert lake_with(below="\n\n    *    *    *").endswith("*    *    *")
    own = "Nota do editor: este romance foi escrito em Lisboa, em 1870.\n\n\n"
    assert lake_with(above=own).startswith("Nota do editor")


def test_the_end_of_a_small_print_alone_at_the_end_is_no_text():
    assert lake_with(foot="\n\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n") == LAKE


NOTES = [  # in more languages, and under headings that a book's own notes have too
    "Notes au lecteur:\n\nL'orthographe et la ponctuation de l'original ont été conservées.",
    "Nota di trascrizione\n\nLa punteggiatura è quella originale; sono stati corretti i refusi.",
    "Huomautus tekstin muokkaajalta:\n\n  Kirjan oikeinkirjoitus on säilytetty, painovirheet korjattu.",
    "Julkaisijan huomautus:\n\nPainovirheet on korjattu. Oikeinkirjoitus on säilytetty.",
    "Transkriboijan huomautukset\n\nIlmeiset painovirheet on korjattu ja välimerkit yhtenäistetty.",
    "Megjegyzés:\n\nA tartalomjegyzék a 200. oldalon található.",
    "A szöveg átírójának megjegyzése:\n\n  A nyomdahibákat javítottuk, az eredeti helyesírást megtartottuk.",
    "Javítások.\n\nAz eredeti szöveg helyesírásán nem változtattunk.",
    "Transkriberingsnoter\n\nStavningen har bevarats. Uppenbara tryckfel har rättats.",
    "Noter fra afskriveren:\n\nStavemåden er bevaret, åbenbare trykfejl er rettet.",
    "Uwagi do wersji elektronicznej\n\nZachowano pisownię oryginału, poprawiono błędy drukarskie.",
    "Transcriber's note: Az eredeti helyesíráson nem változtattunk.",
]


@pytest.mark.parametrize("note", NOTES)
def test_a_note_in_any_of_these_languages_is_removed_above_and_below(note):
    assert lake_with(above=note + "\n\n\n\n\n") == LAKE
    assert lake_with(below="\n\n\n\n\n" + note) == LAKE


@pytest.mark.parametrize(
    "own",
    [
        "Megjegyzés.\n\nEz a szerző saját megjegyzése a tóról és az őréről.",
        "HUOMAUTUKSIA:\n\n[1] Järven vanha nimi.",
        "Note to the reader\n\nI lived on this lake before I wrote of it.",
        "JEGYZETEK\n\n[1] A tó régi neve.",
    ],
)
def test_the_author_s_own_notes_are_kept(own):
    assert own in lake_with(below="\n\n\n" + own)
    assert own in lake_with(above=own + "\n\n\n")


@pytest.mark.parametrize(
    "notice",
    [
        "[Transcriber: this word is illegible]",
        "[TN: a page is missing here]",
        "{Transcriber's note: the original has two chapters IV}",
        "(Transcriber's Note: the original page was torn\nand is not complete)",
    ],
)
def test_a_notice_in_any_brackets_is_removed(notice):
    middle = "\n\n".join(STORY[:40]) + "\n\n" + notice + "\n\n" + "\n\n".join(STORY[40:])
    assert open_book(LAKE_HEAD + middle + LAKE_FOOT).text == LAKE
    assert "(the keeper's note)" in open_book(LAKE_HEAD + LAKE + "\n\n(the keeper's note)" + LAKE_FOOT).text


@pytest.mark.parametrize(
    "line",
    [
        "Fine dell'ebook Project Gutenberg The Lake",
        "Slutet på Project Gutenberg EBook av The Lake",
        "Project Gutenbergin e-kirjan The Lake loppu",
        "A Project Gutenberg The Lake című e-könyv vége",
    ],
)
def test_the_last_line_ends_the_book_in_more_languages(line):
    assert lake_with(below=f"\n\n\n{line}\n").strip() == LAKE


@pytest.mark.parametrize(
    "credit",
    [
        "Tämän e-kirjan tuottivat Tuula ja Projekti Lönnrot",
        "Dit eBoek is geproduceerd door Jan",
        "Produzido por Rita Farinha",
        "Prodotto da Claudio Paganelli",
        "Készítették: Albert László",
    ],
)
def test_credits_in_more_languages_are_removed(credit):
    assert lake_with(above=credit + "\n\n\n\n") == LAKE


def test_a_dated_line_below_a_note_may_be_the_books():
    above = "Nota de editor: Devido a erros tipográficos, a grafia foi mantida como no original.\n\n"
    title = "        Poesias (1857)\n\n"
    assert lake_with(above=above + title) == (title + LAKE).lstrip("\n")
    assert lake_with(below="\n\nErros de minha vida\n\nA lista deles é longa.").endswith(
        "A lista deles é longa."
    )

"""Functions, behavior switches and plural forms, which each Wikipedia names or counts in its own language."""

import pytest

from data.documents import Drop, Record
from data.sources.wikipedia.recipe import LANGUAGES, clean
from data.sources.wikipedia.templates.separators import written
from data.sources.wikipedia.wikitext import Namespaces, wikitext_to_text

# MediaWiki's names of lc, PAGENAME, #if, FORCETOC and REDIRECT in each language.
NAMES = """
bg МБ СТРАНИЦА #if СЪССЪДЪРЖАНИЕ пренасочване
ca MINUS NOMPÀGINA #if FORÇATAULA REDIRECCIÓ
cs MALÁ NÁZEVSTRANY #když VŽDYOBSAH PŘESMĚRUJ
da LC PAGENAME #if FORCETOC REDIRECT
de KLEIN SEITENNAME #if INHALTSVERZEICHNIS_ERZWINGEN WEITERLEITUNG
en LC PAGENAME #if FORCETOC REDIRECT
es MINUS NOMBREDEPAGINA #si FORZAR_TDC REDIRECCIÓN
fr MINUS NOMPAGE #si FORCERSOMMAIRE REDIRECTION
hr MS IMESTRANICE #if UKLJUČISADRŽAJ Preusmjeri
hu KISBETŰ OLDALNEVE #ha LEGYENTARTALOMJEGYZÉK ÁTIRÁNYÍTÁS
it LC TITOLOPAGINA #se FORCETOC RINVIA
nl KL PAGINANAAM #als INHOUD_DWINGEN DOORVERWIJZING
pl MAŁE NAZWASTRONY #if ZESPISEM PATRZ
pt MINUSCULA NOMEDAPAGINA #se FORCARTDC REDIRECIONAMENTO
ro MINUSCULA NUMEPAGINA #if FORTEAZACUPRINS REDIRECTEAZA
ru МАЛЕНЬКИМИ_БУКВАМИ НАЗВАНИЕ_СТРАНИЦЫ #если ОБЯЗАТЕЛЬНОЕ_ОГЛАВЛЕНИЕ перенаправление
sl LC PAGENAME #if VSILIKAZALOVSEBINE PREUSMERITEV
sr ЛЦ ИМЕСТРАНИЦЕ #if ФОРСИРАНИСАДРЖАЈ Преусмери
sv LB SIDNAMN #om ALLTIDINNEHÅLLSFÖRTECKNING OMDIRIGERING
uk НР НАЗВА_СТОРІНКИ #якщо ОБОВ_ЗМІСТ ПЕРЕНАПРАВЛЕННЯ
"""


@pytest.mark.parametrize("row", NAMES.strip().splitlines())
def test_each_language_names_functions_and_switches(row):
    language, lower, title, condition, switch, redirect = row.split()
    for name in (lower, lower.lower()):
        wikitext = f"x {{{{{name}:ABC}}}} {{{{{condition}:1|y|z}}}} {{{{{title}}}}}.\n__{switch}__"
        assert wikitext_to_text(wikitext, "T", language=language) == "T\n\nx abc y T."
    for name in (redirect, redirect.lower()):
        meta = {"title": "T", "language": language, "namespaces": Namespaces()}
        page = clean(Record("a.xml", 1, f"#{name} [[B]]", meta=meta))
        assert isinstance(page, Drop) and page.reason == "redirect"


def test_only_mediawikis_own_words_between_underscores_are_switches():
    text = "PHP has __FILE__ and __DIR__, Python __main__."
    assert wikitext_to_text(f"__NOTOC__{text} __DISAMBIG__ __НЕКАТ__") == text


# What MediaWiki 1.39 shows for {{plural:NUMBER|a|b|c|d}} with these numbers.
COUNTED = [
    "0",
    "1",
    "2",
    "5",
    "11",
    "12",
    "21",
    "22",
    "101",
    "102",
    "104",
    "119",
    "1000",
    "1.5",
    "0.1",
    "1.0",
]
FORMS = {
    **dict.fromkeys(("bg", "ca", "de", "en", "es", "hu", "it", "nl", "sv"), "babbbbbbbbbbbbba"),
    "da": "babbbbbbbbbbbaaa",
    "fr": "aabbbbbbbbbbbaaa",
    "pt": "aabbbbbbbbbbbbba",
    "cs": "dabddddddddddcca",
    "pl": "cabccccbcbbccdda",
    **dict.fromkeys(("ru", "uk"), "cabcccababbccdda"),
    **dict.fromkeys(("hr", "sr"), "cabcccababbcccaa"),
    "ro": "babbbbccbbbbcbba",
    "sl": "dabdddddabcddcca",
}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_noun_has_the_form_for_its_number(language):
    point = written("0.5", language)[1]  # a number is written as the language does
    for number, form in zip(COUNTED, FORMS[language], strict=True):
        local = number.replace(".", point)
        shown = wikitext_to_text(f"x {{{{plural:{local}|a|b|c|d}}}} y", language=language)
        assert shown == f"x {form} y", number


def test_a_form_may_be_for_one_number_alone():
    for number, text in (("0", "none"), ("1", "a cat"), ("12", "a dozen"), ("13", "cats")):
        shown = wikitext_to_text(f"x {{{{plural:{number}|0=none|a cat|cats|12=a dozen}}}} y", language="en")
        assert shown == f"x {text} y"
    assert wikitext_to_text("x {{plural:1,234|a cat|cats}} y", language="en") == "x cats y"
    assert wikitext_to_text("x {{plural:1.000.000|a|b|c}} y", language="ro") == "x c y"


# What MediaWiki 1.39 shows.
FUNCTIONS = {
    "{{#expr: 7 mod 3 + 2.5 div 2}}": "2.25",
    "{{#expr: 2.5 round 0}} {{#expr: -3 mod 2 + 1}} {{#expr: 1/3}}": "3 0 0.33333333333333",
    "{{#ifexpr: 2 > 1 and 1 <> 1.0 or 3 <= 3|y|n}} {{#ifexpr:|y|n}}": "y n",
    "{{#ifeq: 01 | 1.0 |y|n}} {{#ifeq: a | A |y|n}}": "y n",
    "{{#switch: 01 | 2 = a | 1 | 3 = b | c }} {{#switch: x | #default | y = a | z = b }}": "b a",
    "a{{#expr: 1.2.3 }} {{#expr: 2 2 }} {{#expr: 1e5 }}": "a",
    "{{#iferror: 5 | bad | good }} {{#iferror: 5 | bad }}": "good 5",
}


@pytest.mark.parametrize("wikitext", FUNCTIONS)
def test_a_function_has_mediawikis_value(wikitext):
    assert wikitext_to_text(f"x {wikitext} y", language="en") == f"x {FUNCTIONS[wikitext]} y"

"""Numbers with the separators that each Wikipedia writes, and what templates of figures show."""

import pytest

from data.sources.wikipedia.recipe import LANGUAGES
from data.sources.wikipedia.templates.separators import written
from data.sources.wikipedia.wikitext import wikitext_to_text

# {{formatnum:1234567.8}} and {{formatnum:1234}} on each Wikipedia
WRITTEN = {
    "en": "1,234,567.8 1,234",
    **dict.fromkeys(("ca", "da", "de", "hr", "nl", "ro", "sl", "sr"), "1.234.567,8 1.234"),
    **dict.fromkeys(("cs", "fr", "hu", "it", "pt", "sv"), "1 234 567,8 1 234"),
    **dict.fromkeys(("bg", "es", "pl", "ru", "uk"), "1 234 567,8 1234"),
}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_number_has_its_languages_separators(language):
    shown = wikitext_to_text("a {{formatnum:1234567.8}} {{formatnum:1234}} b", language=language)
    assert shown == f"a {WRITTEN[language]} b"
    for number in ("12", "-987654321", "0.001", "100000"):
        plain = wikitext_to_text(f"{{{{formatnum:{written(number, language)}|R}}}}", language=language)
        assert plain == number


def test_what_is_no_plain_number_stays():
    for number in ("12,345", "1.234.567", "1990–1995", "x", "5 000", "1e6"):
        assert wikitext_to_text(f"a {{{{formatnum:{number}}}}} b", language="de") == f"a {number} b"
    assert wikitext_to_text("a {{formatnum:-12345.6|NOSEP}} b", language="de") == "a −12345.6 b"
    assert (
        wikitext_to_text("a {{formatnum:-12345.6}} {{formatnum:.5}} b", language="de") == "a −12.345,6 ,5 b"
    )
    assert wikitext_to_text("a {{formatnum:12345.6}} b") == "a 12345.6 b"


FIGURES = [
    ("fr", "Il a {{unité|12345.5|km}}, {{unité|5 000|km2}} et {{nombre|70000|habitants}}.",
     "Il a 12 345,5 km, 5 000 km² et 70 000 habitants."),
    ("fr", "De {{unité|1000|à=2000|m}} à {{unité|5|e=1000|m}}.", "De 1 000 à 2 000 m à 5×10^1000 m."),
    ("de", "Es hat {{FormatNum|70000}} und {{nts|4000}} Orte.", "Es hat 70.000 und 4.000 Orte."),
    ("en", "It has {{nts|70000}} and {{convert|{{formatnum:4000}}|km}}.", "It has 70,000 and 4,000 km."),
    ("en", "It is {{formatnum:{{#expr:1000*2}}}} long.", "It is 2,000 long."),
    ("it", "Copre {{M|25||km2}} e {{M|7|k|m}}, {{M|9|CO2}}.", "Copre 25 km² e 7 km, 9 CO2."),
    ("it", "Copre {{M|70000|u=km}}, {{M|5.5|e=3|u=m}} e {{M|70000|k|m}}.",
     "Copre 70 000 km, 5,5×10^3 m e 70 000 km."),
    ("ru", "Там {{num|70000|км}}, {{число|12345,67}} и {{число|70003|дом|дома|домов}}.",
     "Там 70 000 км, 12 345,67 и 70 003 дома."),
    ("uk", "Там {{num|70000.5|км}} і {{num|7000}}.", "Там 70 000,5 км і 7000."),
    ("es", "Mide {{unidad|70000|km}}, {{unidad|7000|m}} y {{unidad|−70.25|°C}}.",
     "Mide 70 000 km, 7000 m y −70,25 °C."),
    ("pt", "Tem {{unidade|70000|km}}.", "Tem 70 000 km."),
    ("ca", "Fa {{unitats|70000|km|h|-1}}, {{xifra|7000|m}} i {{nombre|70000}}.",
     "Fa 70.000 km h^-1, 7.000 m i 70.000."),
    ("hu", "Ez {{szám|70000|km}} és {{szám|7000}} volt.", "Ez 70 000 km és 7000 volt."),
    ("de", "Es hat {{Zahl|70000}} Orte.", "Es hat 70.000 Orte."),
    ("pt", "Tem {{fmtn|70000|km²}} e {{fmtn|9000}} casas.", "Tem 70 000 km² e 9 000 casas."),
    ("es", "Pagó {{US$|7 millones}} por ello.", "Pagó US$ 7 millones por ello."),
    # formulas, ships, roads
    ("en", "{{chem2|SO4(2-)}}, {{chem2|CuSO4*5H2O}}, {{chem2|2H2 + O2 -> 2H2O}}, {{chem2|^{14}C}} "
     "and {{chem2|K+}}.",
     "SO4^2-, CuSO4·5H2O, 2H2 + O2 → 2H2O, 14C and K+."),
    ("en", "The {{sclass|Iowa|battleship|0}} ship, the {{sclass|Iowa|battleship|4}} "
     "and the {{sclass2|Iowa|ship|5}}.",
     "The Iowa-class ship, the Iowa class and the Iowa."),
    ("en", "Take {{jct|state=NY|I|90|dir1=east}} or {{jct|state=TX|US|59|SR|7}}.",
     "Take I-90 east or US 59 / SR 7."),
    ("en", "The {{SubSup|x|1|2}} of {{fbu|21|Norway}}, {{as of|2015|post=,}} rose.",
     "The x1^2 of Norway, As of 2015, rose."),
    ("ru", "{{Врезка|Заголовок=Т|Содержание=Вот текст.}}", "Вот текст."),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FIGURES)))
def test_a_figure_is_written_as_in_its_wikipedia(number):
    language, wikitext, text = FIGURES[number]
    assert wikitext_to_text(wikitext, language=language) == text

"""Templates whose text is a country, a citation, a name in several scripts or a computed age."""

import pytest

from data.sources.wikipedia.templates import countries
from data.sources.wikipedia.wikitext import wikitext_to_text

SENTENCES = {
    "en": [
        ("{{GER}} beat {{flag|BRA}}, {{fb|NED}} and {{flagIOC|KEN|2004 Summer}}.",
         "Germany beat Brazil, Netherlands and Kenya."),
        ("{{flagicon|FRA}} Anne and {{flag|Atlantis}} left; {{ru|RSA}} and {{URS}} stayed.",
         "Anne and Atlantis left; South Africa and Soviet Union stayed."),
        ("The boat {{ARM|Hidalgo}} left {{ARM}}.", "The boat ARM Hidalgo left Armenia."),
        ("{{Harvtxt|Okoro|2003}} doubts it.", "Okoro (2003) doubts it."),
        ("See {{harvtxt|Lim|Berg|Diaz|Otto|1988|pp=4–6}}.", "See Lim et al. (1988, pp. 4–6)."),
        ("It holds,{{harvnb|Lim|1988}} as shown {{harv|Lim|1988}}.", "It holds, as shown."),
        ("In {{harvnb|Lim|Berg|1988}} the proof is short.", "In Lim & Berg 1988 the proof is short."),
        ("{{harvs|txt|first=Ada|last=Lim|year1=1971|year2=1973}}.", "Ada Lim (1971, 1973)."),
        ("A stew ({{korean|hangul=찌개|rr=jjigae}}) of fish.", "A stew (Korean: 찌개; RR: jjigae) of fish."),
        ("A stew ({{langx|ko|hangul=찌개}}) of fish.", "A stew (Korean: 찌개) of fish."),
        ("It is {{unheard of|pinyin=chá|hanzi=茶}} there.", "It is chá, 茶 there."),
        ("He was {{age|3 May 1901|2 May 1950}}, she {{age|1901-05-03|1950-05-03}}.", "He was 48, she 49."),
        ("It took {{age in days|1999|12|31|2001|1|1}} days.", "It took 367 days."),
        ("A dam of {{INRConvert|40|l}} and {{convert|9|sqkm|sqmi}}.", "A dam of ₹40 lakh and 9 km²."),
        ("A {{resize|80%|small}} word.", "A small word."),
        # Of two arguments the first, unless it is a setting; a figure may need its rule.
        ("They met {{unheard of|Maria|1990}} at noon.", "They met Maria at noon."),
        ("The {{unheard of|la|lex}} law and a {{unheard of|#ff0000|red}} one.", "The lex law and a red one."),
        ("It cost {{unheard of|5|c}} then.", "It cost then."),
    ],
    "de": [
        ("{{DEU}} schlug {{AUT|#}} Linz und {{CHE}}.", "Deutschland schlug Linz und Schweiz."),
        ("Wien ({{huS|Bécs}}, {{skS|Viedeň}})", "Wien (ungarisch Bécs, slowakisch Viedeň)"),
        ("Das Wort wird {{Lautschrift|haʊs}} oder [{{IPA|haʊs}}] gesprochen.",
         "Das Wort wird [haʊs] oder [haʊs] gesprochen."),
    ],
    "fr": [
        ("{{Allemagne}} et {{Italie}} jouent.", "Allemagne et Italie jouent."),
        ("Le n{{o|7}} est la 2{{nde}} fois.", "Le no 7 est la 2nde fois."),
    ],
    "it": [
        ("Pesa {{M|5|k|g}}, è lungo {{M|3||m}} a {{M|80|u=km/h}}.",
         "Pesa 5 kg, è lungo 3 m a 80 km/h."),
        ("{{Calcio Torino}} e {{Naz|CA|ESP}} vincono.", "Torino e Spagna vincono."),
        ("{{Bandiera|ESP}} Ana di {{Bandiera|ESP|nome}} e {{bandiera|Veneto|nome}} vincono.",
         "Ana di Spagna e Veneto vincono."),
    ],
    "pt": [("{{ARG}} e {{CHLb}} Santiago vencem.", "Argentina e Santiago vencem.")],
    "nl": [("{{Vlagland|BE}} won van {{NLD-VLAG}} Utrecht.", "België won van Utrecht.")],
    "ru": [("{{GBR}} и {{Флагификация|USA}} спорят.", "Великобритания и Соединенные Штаты спорят.")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "source", "text"), [(key, *pair) for key, pairs in SENTENCES.items() for pair in pairs]
)
def test_the_sentence_reads_as_in_its_wikipedia(language: str, source: str, text: str) -> None:
    assert wikitext_to_text(source, "", None, language) == text


def test_every_country_has_a_name_in_each_of_the_paper_s_languages_and_no_code_is_given_twice() -> None:
    from data.sources.wikipedia.recipe import LANGUAGES

    head, *rows = countries._NAMES.read_text(encoding="utf-8").splitlines()
    assert set(head.split("\t")[1:]) == LANGUAGES
    fields = [row.split("\t") for row in rows]
    assert all(len(row) == len(LANGUAGES) + 1 and all(row) for row in fields)
    codes = [code for row in fields for code in row[0].split()]
    assert len(codes) == len(set(codes)) > 400

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
    ("de", "* ''Das Buch.'' {{OCLC|5}}.\n* ''Ein Buch'' {{OCLC|5}}.", "- Das Buch.\n- Ein Buch."),
    ("en", "It is so[{{efn|x}}] and ({{lang|fr|}}) [sic].", "It is so and [sic]."),
    ("en", "A {{H:title|Thing|word}} here {{crossref|(see [[Bar]])}}, {{see below|B}}. {{see below}}",
     "A word here (see Bar), (B)."),
    ("hu", "A ''Haus'' ({{ny|de}}) szép, {{ny|en}} és [http://a.hu honlap] {{lang|hu}}.",
     "A Haus szép, és honlap."),
    ("bg", "Това ({{lang|de}}) е {{lang|de|Haus}}.", "Това е на немски: Haus."),
    ("de", "Es ist{{BibISBN|3170032631|Seite=4}} so, {{BibDOI|10.1/x}} wie hier.", "Es ist so, wie hier."),
    ("en", "By the river,{{sfn|A}}\nit is, {{sfn|B}}{{sfn|C}} so.", "By the river,\nit is, so."),
    # abbreviations before a word
    ("pl", "'''Most''' ({{niem.|Brücke}}, {{łac.|pons}}) jest.", "Most (niem. Brücke, łac. pons) jest."),
    ("ru", "Анна ({{род.|1950}}, {{ур.|Мост}}) поёт.", "Анна (род. 1950, ур. Мост) поёт."),
    # words with the name of their language
    ("en", "({{lang-de|Brücke}}, {{langx|la|pons|label=none}}, {{lang-ko|hangul=다리}}, {{lang-qq|x}})",
     "(German: Brücke, pons, Korean: 다리, x)"),
    ("en", "({{lang-sr-Latn|most}}, {{langx|pt-BR|ponte}}, {{lang-rus|мост|most}})",
     "(Serbian: most, Portuguese: ponte, Russian: мост, romanized: most)"),
    ("fr", "Le pont ({{lang-de|Brücke}}) et {{lang|la|pons}}.", "Le pont (en allemand : Brücke) et pons."),
    ("es", "El puente ({{lang-de|Brücke}}).", "El puente (en alemán: Brücke)."),
    ("ca", "El pont ({{lang-de|Brücke}}).", "El pont (en alemany: Brücke)."),
    ("pt", "A ponte ({{langx|de|Brücke}}; {{lang-fr|''pont''}}).",
     "A ponte (em alemão: Brücke; em francês: pont)."),
    ("it", "Il ponte ({{russo|мост|most}}).", "Il ponte (in russo: мост, traslitterato: most)."),
    ("ro", "Podul (în {{de|Brücke}}; {{de}}).", "Podul (în germană Brücke)."),
    ("sv", "Bron ({{lang-de|Brücke}}).", "Bron (tyska: Brücke)."),
    ("da", "Broen ({{lang-de|Brücke}}).", "Broen (tysk: Brücke)."),
    ("cs", "Most ({{Vjazyce|de}} ''Brücke'', {{vjazyce2|la|pons}}, {{cizojazyčně|en|bridge}}).",
     "Most (německy Brücke, latinsky pons, bridge)."),
    ("sl", "Most ({{jezik-de|Brücke}}, {{lang-la|pons}}).", "Most (nemško Brücke, latinsko pons)."),
    ("hu", "A híd ({{lang-de|Brücke}}).", "A híd (németül: Brücke)."),
    ("hr", "Most ({{lang-de|Brücke}}, {{jez-lat|pons}}).", "Most (njem. Brücke, lat. pons)."),
    ("sr", "Мост ({{јез-нем|Brücke}}, {{јез-енгл|bridge}}, {{lang-la|pons}}).",
     "Мост (нем. Brücke, енгл. bridge, лат. pons)."),
    ("ru", "Мост ({{lang-de|Brücke}}, {{lang-la2|pons}}, {{lang|en|bridge}}).",
     "Мост (нем. Brücke, pons, bridge)."),
    ("uk", "Міст ({{lang-de|Brücke}}, {{lang-ko|hangul=다리}}).", "Міст (нім. Brücke, кор. 다리)."),
    ("bg", "Мост ({{lang|de|Brücke}}, {{lang-la|pons}}).", "Мост (на немски: Brücke, на латински: pons)."),
    ("sr", "Мост је овде {{сфн|Ана|1950}}", "Мост је овде"),
    # the last word of a line that is no item of a list
    ("en", "He came from the town of {{placename|York}}\n\nThe end. {{remark|Kim}}",
     "He came from the town of York\n\nThe end."),
    ("pl", "Kościół stoi tu od dawna, {{XIX wiek}}", "Kościół stoi tu od dawna, XIX wiek"),
    # dates with a qualifier, of births and deaths, and what only looks like one
    ("fr", "En {{date||août|1988|en sport}}, le {{date|1er mai 1950|au cinéma}}.",
     "En août 1988, le 1er mai 1950."),
    ("ru", "Анна ({{дата рождения|5|5|1950}}; {{дата смерти|1|2|2000|5|5|1950}}).",
     "Анна (5 мая 1950; 1 февраля 2000)."),
    ("sr", "Рођен {{датум рођења|да|1950|5|1}}", "Рођен 1. маја 1950."),
    ("pl", "Ustawa ({{Dziennik Ustaw|1990|1|2}}, {{Monitor Polski|2016|1043}}) działa.",
     "Ustawa (Dz.U. z 1990 r. poz. 2, M.P. z 2016 r. poz. 1043) działa."),
    # figures, codes and icons
    ("ro", "La {{alt|120}}, pe {{dim|12|km<sup>2</sup>}}, cu {{plural|56|locuitor|locuitori}} și "
     "{{plural|1|an|ani}}.", "La 120 m altitudine, pe 12 km², cu 56 de locuitori și 1 an."),
    ("pl", "Ma {{tys.|5}} osób (w tym {{ludność|Most}} dzieci).", "Ma 5 tys. osób."),
    ("fr", "Voir la {{RFC|1459|titre=Pont}} et {{langue avec nom|de|en allemand|Brücke}}.",
     "Voir la RFC 1459 et en allemand : Brücke."),
    ("da", "Se {{sprogikon|en}} broen.", "Se broen."),
    ("en", "In {{AD|500}} or 50 {{BC}}: {{lang-zh|中国}}, {{ko-hhrm|서울|漢|Seoul}}.",
     "In AD 500 or 50 BC: Chinese: 中国, Korean: 서울; Hanja: 漢; RR: Seoul."),
    ("en", "See [[https://a.b/c]] and [[http://a.b c]].", "See and [c]."),
    ("ro", "A jucat cu {{ROM}}, nu cu {{ROU}}.", "A jucat cu România, nu cu România."),
    # tags written as functions, blocks of code, tables and templates with a brace too many
    ("en", "It is {{#tag:math|x^2}}{{#tag:ref|a note|name=b}}, x{{#tag:sup|2}} or {{#tag:nowiki|[[c]]}}.",
     "It is $x^2$, x^2 or c."),
    ("en", "Run <pre>ls</pre> or <syntaxhighlight lang=sh inline>cd</syntaxhighlight> now:\n"
     "* this <source lang=sh>\npwd\n</source>", "Run\nls\nor cd now:\n- this\npwd"),
    ("en", "One.\n{{{!}} class=x\n{{!}} a\n{{!}}}\nTwo {{{small|b}} c.<ref>x</ ref> d", "One.\n\nTwo b c. d"),
    ("de", "Es sind {{ZahlExp|5,97|suffix=(25)|post=eV}} oder {{ZahlExp|1,5|6|post=kJ}}.",
     "Es sind 5,97(25) eV oder 1,5·10^6 kJ."),
    # quotations and poems by their names, densities
    ("pl", "{{Cytat blokowy|Most stoi tu od stu lat.|Ana}}\n{{Wiersz|Most stoi,\nrzeka płynie dalej.}}",
     "Most stoi tu od stu lat.\nMost stoi,\nrzeka płynie dalej."),
    ("sr", "{{Оквир за цитат|Мост је овде већ дуго.|Ана}}", "Мост је овде већ дуго."),
    ("en", "It has {{pop density|3645257|640081.87|km2|sqmi|prec=1}}, not {{pop density|5|20|km2}}.",
     "It has 5.7/km², not 0.25/km²."),
    # only a note is between two sentences or clauses
    ("en", "It fell.<ref>x</ref>Then it rose.<ref>x</ref><ref name=y/>[[Ann]],{{sfn|A}}Bob.{{sfn|A}}End",
     "It fell. Then it rose. Ann, Bob. End"),
    ("en", "Of 1,<ref>x</ref>000 in v.<ref>x</ref>2, e.<ref>x</ref>g. a<ref>x</ref>b.",
     "Of 1,000 in v.2, e.g. ab."),
    # parameters outside a template, names that are none, tables and entities of careless editors
    ("en", "The {{{1|old {{small|stone}}}}} bridge {{{2|{{{3|holds}}}}}}{{{4}}} {{#if:{{{5|}}}|a|well}}.",
     "The old stone bridge holds well."),
    ("en", "* Word: {{==Turkish\n\nThe bridge is old.\n* Its arch}}\nEnd",
     "- Word: ==Turkish\n\nThe bridge is old.\n- Its arch\nEnd"),
    ("en", "<center>{| class=\"wikitable\" style=\"margin: 0\"\n|-\n| a\n|}</center>\nText.", "Text."),
    ("sv", "Det är {{formatnum:3}}&nbsp[[grad]].", "Det är 3 grad."),
    ("sr", "Реч -{{{lang|en|word}}}- и -{{{јез-нем|Wort}}}- су -{R|ту}-.", "Реч word и нем. Wort су ту."),
    # readings above words, labels of sounds, marks of sections
    ("en", "<ruby>橋<rt>hashi</rt></ruby>, <ruby>川<rp>(</rp><rt>kawa</rt><rp>)</rp></ruby> <ruby>山<rt>y",
     "橋(hashi), 川(kawa) 山y"),
    ("de", "Die <phonos ipa=\"x\">Brücke</phonos> ist <Abschnitt Anfang=a />alt<Abschnitt Ende=a />.",
     "Die Brücke ist alt."),
    # a sign without its amount
    ("en", "The old bridge cost US${{Inflation|US|5|1950}} then, or about £{{Inflation|UK|2|1950}} of today.",
     "The old bridge cost then, or about of today."),
    # links without a label, alone or in brackets; a list after an empty line
    ("en", "A bridge ([http://a.b], [http://c.d] or [http://e.f]) from [http://a.b], as here [http://a.b].",
     "A bridge from, as here."),
    ("en", "# one\n# two\n\n# one again", "1. one\n2. two\n\n1. one again"),
    # tables after a tag for transclusion; what is known of an article's namespace
    ("en", "One\n<onlyinclude>{|\n| a\n|}</onlyinclude>\nTwo", "One\n\nTwo"),
    ("en", "In {{#if:{{NAMESPACE}}|a page|an article}} of {{SITENAME}} on {{#dateformat:2 May 1950}}.",
     "In an article of Wikipedia on 2 May 1950."),
    # lists in columns, whose first argument may be their number or width
    ("en", "Parts:\n{{columns-list|2|\n* arch\n* pier\n}}\n{{col-list|30em|* deck}}",
     "Parts:\n- arch\n- pier\n- deck"),
    ("es", "Partes:\n{{Lista de columnas|2|\n* arco\n* pila}}", "Partes:\n\n- arco\n- pila"),
    ("pl", "Części:\n{{Układ wielokolumnowy|szerokość=200px|zawartość=\n* łuk}}", "Części:\n\n- łuk"),
    ("sv", "Delar:\n{{flerkolumnslista|\n* båge\n}}\n{{Sidebar list|content=\n* x}}", "Delar:\n\n- båge"),
    ("en", "Cast:\n{{castlist|\n* Ann as Bob\n}}\n{{xyz|#one\n#two}}\nA {{xyz|#5}} b {{xyz|*}} c.",
     "Cast:\n\n- Ann as Bob\n\n1. one\n2. two\n\nA b c."),
    # boxes and centered text on lines of their own
    ("en", "{{Block indent|em=2|The bridge stands.}}\n{{Collapse|It is old.|title=x}}",
     "The bridge stands.\nIt is old."),
    ("fr", "{{Centrer|Le pont tient.}}\n{{Théorème|Il est vieux.}}\n{{Théorème|Pont|Il tient.}}",
     "Le pont tient.\nIl est vieux.\nPont. Il tient."),
    ("ru", "{{Центр|Мост стоит.}}\n{{Скрытый|title=x|content=Он стар.}}", "Мост стоит.\nОн стар."),
    ("it", "{{Approfondimento|titolo=x|contenuto=Il ponte regge.}}\n{{Riquadro|È vecchio.}}",
     "Il ponte regge.\nÈ vecchio."),
    ("de", "Zeichen: {{Farblegende|red|Brücke}} und so.", "Zeichen: Brücke und so."),
    ("en", "It had a band, \"{{xyz}}\", and \"a\"{{efn|x}} \"b\" or “{{xyz}}”.",
     "It had a band, and \"a\" \"b\" or."),
]  # fmt: skip


@pytest.mark.parametrize(("language", "wikitext", "text"), CASES)
def test_a_page_reads_as_on_its_site(language, wikitext, text):
    assert wikitext_to_text(wikitext, language=language) == text


@pytest.mark.parametrize("name", ["PAGENAME", "SEITENNAME", "NOMPAGE", "НАЗВА_СТОРІНКИ"])
def test_the_page_s_name_is_known_by_the_names_of_its_language(name):
    assert wikitext_to_text(f"Here is {{{{{name}}}}}.", "York") == "York\n\nHere is York."

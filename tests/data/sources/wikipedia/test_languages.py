"""Dates, eras, measures, names and notes in the templates of each language, and what no table lists."""

import pytest

from data.sources.wikipedia.templates.dates import calendar
from data.sources.wikipedia.templates.functions import plural
from data.sources.wikipedia.wikitext import wikitext_to_text

DATES = {
    "en": "August 1, 1850", "de": "1. August 1850", "nl": "1 augustus 1850", "sv": "1 augusti 1850",
    "da": "1. august 1850", "fr": "1er août 1850", "es": "1 de agosto de 1850", "ca": "1 d'agost de 1850",
    "it": "1º agosto 1850", "pt": "1 de agosto de 1850", "ro": "1 august 1850", "pl": "1 sierpnia 1850",
    "cs": "1. srpna 1850", "hr": "1. kolovoza 1850.", "sl": "1. avgust 1850", "hu": "1850. augusztus 1.",
    "ru": "1 августа 1850", "uk": "1 серпня 1850", "bg": "1 август 1850", "sr": "1. августа 1850.",
}  # fmt: skip

SENTENCES = [
    # dates with words, in ISO's form, with the year first, in templates that no table lists
    ("fr", "Vers {{date|12|mars|1850|en art}}, le {{date-|1er mai 1900}}.",
     "Vers 12 mars 1850, le 1er mai 1900."),
    ("pl", "Od {{data|1850-08-01}} i {{xyz|7|9|1900}} jest.", "Od 1 sierpnia 1850 i 7 września 1900 jest."),
    ("es", "El {{Fecha de inicio|1850|8|9}} y {{fecha|9|8}} fue.",
     "El 9 de agosto de 1850 y 9 de agosto fue."),
    ("en", "On {{date|1850-08-09|dmy}} and {{dts|1850|8|9}} or {{start date|1850|8}}.",
     "On 9 August 1850 and August 9, 1850 or August 1850."),
    ("sv", "Hon, {{född datum|1850|8|9}}, kom.", "Hon, 9 augusti 1850, kom."),
    ("da", "Han, {{født|9|august|1850}}, kom.", "Han, 9. august 1850, kom."),
    ("fr", "Né le {{date|1 août 1850}} et mort le {{date-|9 mai 1900-}} ici.",
     "Né le 1er août 1850 et mort le 9 mai 1900 ici."),
    ("de", "Am {{FormatDate|1850-08-09}}, im {{FormatDate|1850-08-0}} und {{Datum|Anfang|2|1850}} da.",
     "Am 9. August 1850, im August 1850 und Anfang Februar 1850 da."),
    ("it", "Il {{xyz|1850-08-01}} arriva.", "Il 1º agosto 1850 arriva."),
    # a number and its noun as the name, forms of nouns, words in other scripts
    ("nl", "In de {{19e eeuw}} was het.", "In de 19e eeuw was het."),
    ("pl", "To {{XIX wiek}} i {{2. połowa}} tego.", "To XIX wiek i 2. połowa tego."),
    ("fr", "Louis {{XIV}} est roi, {{Louis}} aussi.", "Louis XIV est roi, aussi."),
    ("ru", "Там {{число|3|дом|дома|домов}} и {{num|21|год|года|лет}} есть.", "Там 3 дома и 21 год есть."),
    ("uk", "Там {{xyz|5|день|дні|днів}} є.", "Там 5 днів є."),
    ("pl", "Są {{liczba|2|dom|domy|domów}} tam.", "Są 2 domy tam."),
    ("fr", "Le mot {{xyz|λόγος|lógos|parole}} et {{xyz|a|b|c}} là.", "Le mot λόγος et là."),
    ("it", "La città di {{xyz|北京|Běijīng}} cresce.", "La città di 北京 cresce."),
    ("ru", "Слово {{xyz|мост|most|a}} или {{xyz|λόγος|lógos|word}} есть.", "Слово мост или λόγος есть."),
    # numbers with signs, fractions after figures, eras with a century
    ("es", "El {{n.º|5}} y el {{№|6}} van.", "El n.º 5 y el № 6 van."),
    ("fr", "Le {{n°}}5 et la {{p.}}7 là.", "Le nº 5 et la p. 7 là."),
    ("en", "It is 3{{frac|1|2}} or 5{{sfrac|1|4}} or {{frac|7|8}} long.",
     "It is 3 1/2 or 5 1/4 or 7/8 long."),
    ("it", "Vince {{Naz|PV|ITA|F}} e {{Naz|CA|FRA}} perde.", "Vince Italia e Francia perde."),
    ("hu", "Ez {{szám|5|km}} és {{szám|7000}} volt.", "Ez 5 km és 7000 volt."),
    ("pt", "No {{séc|V|a.C.}} e em {{-ac|300}} houve.", "No século V a.C. e em 300 a.C. houve."),
    ("en", "The {{ce|CO2}} of 50 {{CE}} on {{rint|london|bank}} trains.", "The CO2 of 50 CE on trains."),
    ("nl", "Volgens {{wie|een kenner}} is het{{wanneer|2011}} zo.", "Volgens een kenner is het zo."),
    ("ru", "Вода{{'}} и зам{{ударение|о}}к.", "Вода́ и замо́к."),
    ("fr", "Il a ({{âge|1950|5|1}} ans) ici.", "Il a ici."),
    # two calendars
    ("de", "Am {{JULGREGDATUM|1|3|1900|Link=1}} dort.", "Am 17. Februar jul. / 1. März 1900 greg. dort."),
    ("cs", "Dne {{JULGREG|12|3|1850}} tam.", "Dne 28. února jul. / 12. března 1850 greg. tam."),
    ("ru", "Он {{СС3|12.3.1850}}, {{СС2|15|мая|1850|3}} и {{СС|13|3|1850}} жил.",
     "Он 12 (24) марта 1850, 3 (15) мая 1850 и 1 (13) марта 1850 жил."),
    ("ru", "Он {{СС3|29.2.1900}}, {{СС3|30.8.1850}} и {{СС3|весной}} жил.",
     "Он 29 февраля (13 марта) 1900, 30 августа (11 сентября) 1850 и весной жил."),
    ("fr", "Le {{date|15|mars|-44}}, en {{date|mars -44}}, à la {{2de}}.",
     "Le 15 mars 44 av. J.-C., en mars 44 av. J.-C., à la 2de."),
    # in January the year differs
    ("de", "Am {{JULGREGDATUM|7|1|1900}} dort.", "Am 26. Dezember 1899 jul. / 7. Januar 1900 greg. dort."),
    ("ru", "Он {{СС3|22.12.1914}} и {{OldStyleDate|4|января|1915|22|декабря|1914}} жил.",
     "Он 22 декабря 1914 (4 января 1915) и 22 декабря 1914 (4 января 1915) жил."),
    ("ru", "Он {{OldStyleDate|5|июня|1890|24 мая}} и {{СС|13|1|1900}} жил.",
     "Он 24 мая (5 июня) 1890 и 1 (13) января 1900 жил."),
    ("en", "Born {{OldStyleDateDY|17 January|1706|6 January 1705}} or {{OldStyleDateNY|3 May|22 April}}.",
     "Born 17 January 1706 [O.S. 6 January 1705] or 3 May [O.S. 22 April]."),
    ("en", "From {{Ma|250|65}} or {{mya|66.0|error=0.1}}, it is {{mya|66|million years old}}.",
     "From 250 to 65 million years ago or 66.0 ± 0.1 million years ago, it is 66 million years old."),
    ("en", "{{Chinese|t=書|p=shū}}\nA {{zh|t=書|p=shū}} is ({{Ma|Cambrian}}) old.",
     "A traditional Chinese: 書; pinyin: shū is old."),  # the first is a box
    ("en", "Seen on {{OS2NS|20 January|1905|2 February}} there.",
     "Seen on 20 January [2 February N.S.] 1905 there."),
    ("uk", "Він {{OldStyleDate|13 березня|1850|1 березня}} жив.", "Він 1 (13) березня 1850 жив."),
    ("es", "El {{OldStyleDate|13 de marzo|1850|1 de marzo}} fue.", "El 13 de marzo [1 de marzo] 1850 fue."),
    # eras and what is only about
    ("de", "Um 50 {{v. Chr.}} war es, {{circa|70}} nicht.", "Um 50 v. Chr. war es, ca. 70 nicht."),
    ("nl", "In 50 {{v.Chr.}} en {{ca.|70}} was het.", "In 50 v. Chr. en ca. 70 was het."),
    ("sv", "Året 50 {{f.Kr.}} kom.", "Året 50 f.Kr. kom."),
    ("cs", "Roku 50 {{př. n. l.}} byl.", "Roku 50 př. n. l. byl."),
    ("hr", "Godine 50 {{pr. Kr.}} i kasnije.", "Godine 50 pr. Kr. i kasnije."),
    ("sl", "Leta 50 {{pr. n. št.}} in pozneje.", "Leta 50 pr. n. št. in pozneje."),
    ("hu", "A 50-ben, {{i. e.}} volt.", "A 50-ben, i. e. volt."),
    ("bg", "През 50 {{пр. Хр.}} и {{ок.|70}} г.", "През 50 пр. Хр. и ок. 70 г."),
    ("sr", "Године 50 {{п. н. е.}} и касније.", "Године 50 п. н. е. и касније."),
    # figures: the unit, the currency and the power stay with them
    ("nl", "De 10{{sup|9}} en {{eenheid|7|km}} weg.", "De 10^9 en 7 km weg."),
    ("pl", "Ma 7{{e|9}} i {{zł|30}}, {{rzymskie|14}}.", "Ma 7×10^9 i 30 zł, XIV."),
    ("cs", "Stojí {{Kč|30}} a {{jednotka|7|km}} daleko.", "Stojí 30 Kč a 7 km daleko."),
    ("sv", "Den är {{xenhet|7|km}}, {{valuta|30|SEK}} och {{antal|9|hus}} stor.",
     "Den är 7 km, 30 SEK och 9 hus stor."),
    ("bg", "Той е {{num|7|km}} и {{лв|30}} там.", "Той е 7 km и 30 лв там."),
    ("sr", "Пут {{јед|7|km}} и {{РСД|30}} тамо.", "Пут 7 km и 30 РСД тамо."),
    ("ru", "За {{руб|30}}, {{млн|7}} и {{ед2|9|м|с}} дали.", "За 30 ₽, 7 млн и 9 м дали."),
    ("pt", "Tem {{ft para m|30}} e {{km2 para mi2|7}} ali.", "Tem 30 ft e 7 km² ali."),
    ("en", "It has {{m to ft|30}}, {{val|2|to|5|u=m2}} and {{val|7|ul=kg|up=m3}}.",
     "It has 30 m, 2 to 5 m² and 7 kg/m³."),
    ("fr", "Long de {{unité|7|à=9|km}} et {{unité|3|ou=4|m|2}}.", "Long de 7 à 9 km et 3 ou 4 m²."),
    ("es", "La {{ord|3|a}} y el {{ord|1|er}} caso.", "La 3.ª y el 1.er caso."),
    # a name in capitals is another template; what only looks like an ordinal is none
    ("de", "Die {{SMS|Emden}} und {{smS|fale}} hier.", "Die SMS Emden und samoanisch fale hier."),
    ("fr", "Il vaut {{livre|30}} et {{vie|longue}} mais {{XXe|siècle}}.",
     "Il vaut 30 livre et longue mais XXe siècle."),
    # words in a language
    ("de", "Er heißt {{ruS|слово|slowo}}, {{arS|كلمة|d=kalima|b=Wort}} und {{zhS|c=中|p=zhōng}}.",
     "Er heißt russisch слово slowo, arabisch كلمة, DMG kalima ‚Wort‘ und chinesisch 中, Pinyin zhōng."),
    ("de", "Das gilt {{xAbk|z. B.}} immer.", "Das gilt z. B. immer."),
    ("cs", "Slovo {{Výslovnost|cs|aː}} zní.", "Slovo aː zní."),
    ("ru", "Слово ({{МФА|a}}) звучит.", "Слово звучит."),
    ("en", "Say {{respell|AL|pha}} and ({{respell|BE|ta}}) so.", "Say AL-pha and so."),
    # names that lead to another language
    ("ro", "Cu {{ill|en|Ion Pop|John Pop}} și {{ilink|de|Ana}} acolo.", "Cu Ion Pop și Ana acolo."),
    ("bg", "С {{нп|Име|en|Name}} и {{нп3|Ана|Ани|en|Ann}} там.", "С Име и Ани там."),
    ("sv", "Med {{länk|Johan|en|John}} och {{iw|en|Ana|Ann}} där.", "Med Johan och Ana där."),
    ("uk", "З {{нп|Ім'я|імені|en|Name}} там.", "З імені там."),
    # ships and verses
    ("pl", "Okręt {{ORP|Orzeł}} i {{statek|MS|Batory}} stał.", "Okręt ORP Orzeł i MS Batory stał."),
    ("es", "El {{buque|HMS|Victory}} y {{Schiff|MS|Europa}} van.", "El HMS Victory y MS Europa van."),
    ("pl", "Jak {{Bibl|J|3|16|BT}} mówi.", "Jak J 3:16 mówi."),
    ("en", "The {{warship|HMS|Hood}} and {{scripture|John|3:16–18}} there.",
     "The HMS Hood and John 3:16–18 there."),
    ("pl", "Pędzi {{j|30|m|s|-2}} tam.", "Pędzi 30 m s^-2 tam."),
    ("sl", "Kot {{Sveto pismo|Jn|3|16}} pravi.", "Kot Jn 3:16 pravi."),
    # sports teams, with a color
    ("it", "La {{Calcio Roma|N}} e {{Basket Virtus}} vincono.", "La Roma e Virtus vincono."),
    # quotations with named arguments or a place first, results with their reason, pages that may exist
    ("de", 'Er rief {{"|Lang=fr|Text=Oui|Übersetzung=Ja}} und {{"-en|Yes}} und {{"|Ja}}.',
     "Er rief „Oui“ und „Yes“ und „Ja“."),
    ("en", "{{Rquote|right|Big words.|Ann}} It ended (2–0 {{aet}}) {{#ifexist:Rome|[[Rome]]|Roma}}.",
     "Big words. It ended (2–0 a.e.t.) Rome."),
    # laws
    ("de", "Nach {{§|7|bgb|juris}} BGB und {{§|8|stgb|juris|text=§ 8 StGB}}.", "Nach § 7 BGB und § 8 StGB."),
    # coordinates as words; elsewhere they are a note
    ("en", "The hill at {{coord|51|30|N|0|7.5|W|type:x}} is low.", "The hill at 51°30′N 0°7.5′W is low."),
    ("pt", "Fica em {{coord|-7.5|30}} no sul.", "Fica em 7.5°S 30°E no sul."),
    ("en", "{{coord|51|30|N|0|7|W|display=title}}\nThe hill ({{coord|51|N|0|W}}) is low.",
     "The hill is low."),
    # what the dump does not hold leaves a hole, which takes its bracket along
    ("de", "Es kostet 5 Mark (heute {{Inflation|DE|5|1900}} Euro) viel.", "Es kostet 5 Mark viel."),
    ("de", "Der Ort (mit {{EWZ|DE-BY}} Einwohnern) ist klein.", "Der Ort ist klein."),
    ("ru", "Город (население {{Население|Псков}} человек) стар.", "Город стар."),
    ("en", "He (aged {{age|1950|5|1}} now) paid {{inflation|UK|30|1900|cursign=£|fmt=eq}} for it.",
     "He paid £30 for it."),
    # functions
    ("en", "a {{#if: x |yes|no}} {{#if:|yes|no}} {{#ifeq:a|a|same|other}} {{#switch:b|a=1|b=2|3}}",
     "a yes no same 2"),
    ("en", "a {{#switch:c|a|c=fit|#default=none}} {{#switch:x|a=1|none}} {{#expr:(2+3)*4}}", "a fit none 20"),
    ("en", "the {{plural:1|cat|cats}} {{plural:4|cat|cats}} {{padleft:7|3}} {{lc:ABC}} {{ucfirst:abc}}",
     "the cat cats 007 abc Abc"),
    ("en", "at {{convert|{{#expr:6/2}}|km}} {{Template:nowrap|a b}} ({{#time:Y}})", "at 3 km a b"),
    ("en", "{{#expr:9**9**9}}{{#expr:1/0}}{{#ifexpr:2-2|a|b}} {{#expr:7/3 round 2}}", "b 2.33"),
    ("ru", "на {{plural|21|год|года|лет}} и {{plural:12|год|года|лет}}", "на год и лет"),
    ("en", "It cost {{Nigerian naira|30}}, {{BDT|7}} and {{Saudi riyal|9}} there.",
     "It cost 30 Nigerian naira, 7 BDT and 9 Saudi riyal there."),
    # centuries keep their noun
    ("cs", "V {{století|19}} i potom.", "V 19. století i potom."),
    ("hu", "A {{század|XIX}} után {{kb.|30}} év.", "A XIX. század után kb. 30 év."),
    ("it", "Nel {{secolo|XIX}} fu.", "Nel XIX secolo fu."),
    # editors' notes wrap text in most languages, not in English
    ("hr", "To je {{citation needed|najstariji most}} ovdje.", "To je najstariji most ovdje."),
    ("sv", "Det är{{citation needed|en blogg}} gammalt{{trovärdig källa?|en annan blogg}}.",
     "Det är gammalt."),
    # where a note follows a word without a space, it holds a remark; after an elision or italics, the text
    ("cs", "Most{{doplňte zdroj|kdo to říká}} je ''starý''{{kdo?|jaký badatel}} a {{fakt|krásný dům}}.",
     "Most je starý a krásný dům."),
    ("fr", "L'{{refnec|homme du pont}} et ''{{refnec|Le Pont}}'' sont là<ref>x</ref>{{refnec|d'après qui}}.",
     "L'homme du pont et Le Pont sont là."),
    ("hu", "Ez a híd.{{forr|hol olvasható ez}} A ({{forr|régi ház}}) áll <math>x</math>{{forr|mi ez}} itt.",
     "Ez a híd. A (régi ház) áll $x$ itt."),
    # footnotes
    ("cs", "Most {{poznámka|stavěl ho mistr}} stojí{{poznámka|Dodnes.}} zde.", "Most stojí zde."),
    ("hu", "A híd {{jegyzet*|a mester műve}} áll{{refweb|X|Y}} itt.", "A híd áll itt."),
    ("sr", "Мост {{напомена|дело мајстора}} стоји.", "Мост стоји."),
    ("hr", "Most {{napomena|djelo majstora}} stoji.", "Most stoji."),
    ("pl", "Most{{u|a}} {{uwaga|dzieło mistrza}} stoi{{czyim}} tu.", "Most stoi tu."),
    # links to articles that are still missing, with the word as it is in the sentence
    ("pl", "Za {{link-interwiki|Stary Most|Q=Q7|tekst=Starym Mostem}} i {{link-interwiki|1=Dom|Q=Q9}}.",
     "Za Starym Mostem i Dom."),
    ("uk", "З {{iw|треба=Ганна Міст|мова=pl|є=Anna Most}} і {{нп|треба=Дім|текст=домом|мова=en}} там.",
     "З Ганна Міст і домом там."),
    ("ro", "Cu {{ill|en|Ana Pod|Ann Bridge|4=Anei Pod}}, {{Ill-wd|Q7|3=podul}} ({{ill-wd|Q9}}) acolo.",
     "Cu Anei Pod, podul acolo."),
    # names of persons, words in other languages
    ("ru", "Играют {{nl|Анна|Мост}} и {{нл|Дом}} в {{vgy|2005}} при {{рим|14}}{{переход|#к|green}} том.",
     "Играют Анна Мост и Дом в 2005 при XIV том."),
    ("ru", "Имя {{хангыль|Ким|김|Kim}} или ({{китайский|春麗|春丽|Chūnlì}}).",
     "Имя Ким (김, Kim) или (кит. трад. 春麗, упр. 春丽, пиньинь Chūnlì)."),
    ("pl", "Słowo ({{w języku|en|bridge}}) i strona {{w języku|de}} są.", "Słowo (ang. bridge) i strona są."),
    ("bg", "През {{век|19}} беше.", "През 19 век беше."),
    ("pt", "É {{fact|a ponte mais velha|data=2010}} aqui.", "É a ponte mais velha aqui."),
    ("en", "It is old{{citation needed|no source}}, {{when|reason}}they say.", "It is old, they say."),
    # a line that only looks like a row of a table
    ("en", "! Stop!! Go!\n\nNow.", "! Stop!! Go!\n\nNow."),
]  # fmt: skip


@pytest.mark.parametrize("language", DATES)
def test_a_date_is_written_as_in_its_language(language):
    expected = DATES[language]
    for template in ("dts|1|8|1850", "xyz|1|8|1850", "xyz|1850|8|1|9|9|1900"):
        shown = wikitext_to_text(f"a {{{{{template}}}}}, b", language=language)
        assert shown == f"a {expected}, b"


def test_impossible_dates_are_no_dates():
    for arguments in ("32|8|1850", "1|13|1850", "1|8|5", "1|8", "x|y|1850"):
        assert wikitext_to_text(f"a {{{{xyz|{arguments}}}}}, b", language="de") in ("a, b", "a 1, b")


def test_every_language_has_twelve_months():
    assert all(len(set(calendar(language).months)) == 12 for language in DATES)


@pytest.mark.parametrize("number", range(len(SENTENCES)))
def test_a_sentence_keeps_what_its_templates_say(number):
    language, wikitext, text = SENTENCES[number]
    assert wikitext_to_text(wikitext, language=language) == text


# Categories of Unicode CLDR's plural rules: one, two, few, many, other in the order of MediaWiki's forms.
PLURALS = {
    "ru": ("год года лет", "год 1 21 101; года 2 24 1002; лет 0 5 11 12 14 111 1111"),
    "pl": ("rok lata lat", "rok 1; lata 2 4 22; lat 0 5 12 21 112"),
    "cs": ("rok roky let", "rok 1; roky 2 4; let 0 5 22 102"),
    "sl": ("leto leti leta let", "leto 1 101; leti 2 202; leta 3 4 103; let 0 5 11 100"),
    "ro": ("an ani de_ani", "an 1; ani 0 2 19 119; de_ani 20 100"),
    "fr": ("an ans", "an 0 1; ans 2 20"),
    "de": ("Jahr Jahre", "Jahr 1; Jahre 0 2 21 10001"),
}


@pytest.mark.parametrize("language", PLURALS)
def test_plurals_follow_the_rules_of_the_language(language):
    forms, groups = PLURALS[language]
    for group in groups.split(";"):
        form, *numbers = group.split()
        assert {plural(number, forms.split(), language) for number in numbers} == {form}


BIOGRAPHIES = [
    ("Nome=Ugo|Cognome=Riva|Sesso=M|LuogoNascita=Pavia|GiornoMeseNascita=2 maggio|AnnoNascita=1950"
     "|Attività=scultore|Nazionalità=italiano",
     "Ugo Riva (Pavia, 2 maggio 1950) è uno scultore italiano."),
    ("Nome=Eva|Cognome=Lund|Sesso=F|AnnoNascita=1850|LuogoMorte=Oslo|AnnoMorte=1900|Attività=attrice"
     "|Attività2=poetessa|Nazionalità=norvegese|PostNazionalità=, nota per i drammi",
     "Eva Lund (1850 – Oslo, 1900) è stata un'attrice e poetessa norvegese, nota per i drammi."),
    ("Nome=Otto|PostCognome=il Vecchio|Sesso=M|AnnoMorte=950|FineIncipit=fu re dei Sassoni|Punto=no",
     "Otto il Vecchio (950) fu re dei Sassoni"),
    ("Titolo=Sir|Nome=Ian|Sesso=M|Attività=pilota|AttivitàAltre=, ingegnere e dirigente"
     "|Nazionalità=britannico",
     "Sir Ian è un pilota, ingegnere e dirigente britannico."),
    ("Nome=Ada|Sesso=F|LuogoNascita=?|AnnoNascita=?|LuogoMorte=Roma|AnnoMorte=300|Attività=regina",
     "Ada (... – Roma, 300) è stata una regina."),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "sentence"), BIOGRAPHIES)
def test_the_first_sentence_of_an_italian_biography_is_written(arguments, sentence):
    page = "{{Bio\n|" + arguments.replace("|", "\n|") + "\n}}\nVisse a lungo."
    assert wikitext_to_text(page, language="it") == f"{sentence}\nVisse a lungo."
    assert wikitext_to_text("{{Bio|Sesso=M}}\nVisse.", language="it") == "Visse."
    going_on = "{{Bio|Nome=Ugo|FineIncipit=fu un re|Punto=no}}, padre di Eva."
    assert wikitext_to_text(going_on, language="it") == "Ugo fu un re, padre di Eva."


BLOCKS = [
    ("es", "{{ecuación|<math>x=1</math>||left}}\n{{teorema|Todo x es y.}}\n{{caja de cita|Así fue.|Ana}}",
     "$x=1$\nTodo x es y.\nAsí fue."),
    ("fr", "{{Théorème|Pythagore|Tout x est y.}}\n{{démonstration|contenu=Soit x.}}\n"
     "{{colonnes|nombre=2|\n* a\n* b\n}}",
     "Pythagore. Tout x est y.\nSoit x.\n\n- a\n- b"),
    ("ca", "{{citació|Tot flueix.|Heràclit}}", "Tot flueix."),
    ("it", "{{Cassetto|titolo=T|testo=Ecco il testo.}}", "Ecco il testo."),
    ("pt", "{{Quote1|Tudo flui.|A}}\n{{Caixa de citação|Foi assim.}}", "Tudo flui.\nFoi assim."),
    ("pl", "{{Kolumny|\n* a\n* b\n}}\n{{CytatD|Wszystko płynie.|A}}", "- a\n- b\n\nWszystko płynie."),
    ("ru", "{{Врезка|Текст=Вот текст.}}\n{{Скрытый|Заголовок|Вот слова.}}\n{{Теорема|Всё x.}}",
     "Вот текст.\nВот слова.\nВсё x."),
    ("de", "{{Mehrspaltige Liste|breite=20em|liste=\n* a\n* b\n}}\n{{Kasten|Ein Text.}}",
     "- a\n- b\n\nEin Text."),
    ("nl", "{{Kolommen2|Kolom1=\n* a\n|Kolom2=\n* b\n}}\n{{Kader|Een tekst.}}", "- a\n- b\n\nEen tekst."),
    ("en", "{{Math theorem|name=Ann|math_statement=All x is y.}}\n{{NumBlk|:|<math>x=1</math>|1}}\n"
     "{{hidden|Title|The words.}}", "Ann. All x is y.\n$x=1$\nThe words."),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_running_text_in_a_template_on_its_own_line_is_kept(number):
    language, wikitext, text = BLOCKS[number]
    assert wikitext_to_text(wikitext, language=language) == text

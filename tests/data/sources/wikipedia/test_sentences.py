"""Sentences as each Wikipedia has them: what they are about, their figures, what is said twice."""

from collections.abc import Callable

import pytest

from data.sources.wikipedia.marks import FIGURE, HOLE
from data.sources.wikipedia.missing import without_figures
from data.sources.wikipedia.wikitext import wikitext_to_text
from tests.support.cpu_time import takes_over

SENTENCES = [
    # a short sentence goes with its figure, which the dump does not hold; abbreviations do not end it
    ("cs", "'''Lhota''' je [[obec]]. Žije zde {{Počet obyvatel}} obyvatel. Leží u lesa.",
     "Lhota je obec. Leží u lesa."),
    ("ru", "'''Луг''' — село.\nНаселение — {{Население|Луг}} чел. (2010). Стоит на реке.",
     "Луг — село.\nСтоит на реке."),
    ("de", "Au ist ein Ort. Er hat {{EWZ|DE}} Einwohner (Stand: {{EWD|DE}}). Am 3. Mai ist Markt.",
     "Au ist ein Ort. Am 3. Mai ist Markt."),
    ("de", "Au ist ein Ort. Am 31. Dezember waren es {{EWZ|DE}} Einwohner. Er ist alt.",
     "Au ist ein Ort. Er ist alt."),
    ("bg", "Лъг е село. Населението е {{formatnum:{{население|Лъг}}}} души.", "Лъг е село."),
    ("uk", "Луг — село.\n* Населення: {{Населення|Луг}} осіб\n* Площа: 5 км²", "Луг — село.\n- Площа: 5 км²"),
    # the first sentence and long ones stay; a dash before what is missing does not
    ("cs", "'''Lhota''' je obec s {{Počet obyvatel}} obyvateli.", "Lhota je obec s obyvateli."),
    ("ru", "Луг — село. Это древнее село на берегу реки в лесу, население — {{Население|Луг}}.",
     "Луг — село. Это древнее село на берегу реки в лесу, население."),
    ("nl", "Aa is een dorp. Het ligt aan zee. Het dorp is klein {{onbekend}}.",
     "Aa is een dorp. Het ligt aan zee. Het dorp is klein."),  # perhaps a note: nothing is missing
    # the words after a flag name the country
    ("sl", "Igrali so z {{ikonazastave|Peru}} [[Peru|Perujem]] in {{grb|Malta}} [[Malta]].",
     "Igrali so z Perujem in Malta."),
    ("hr", "Pobijedila je {{Z|Malta}} [[Malta]], a {{xyz|Peru}}&nbsp;Peru ne.",
     "Pobijedila je Malta, a Peru ne."),
    ("da", "Holdet slog {{landslogo|Peru}} og {{landslogo|Malta}} Maltas B-hold.",
     "Holdet slog Peru og Malta Maltas B-hold."),
    # what a definition is about
    ("ru", "{{bt-ruslat|Серый волк|Canis lupus}} — вид зверей. {{таксон-имя|Лиса}} — тоже.",
     "Серый волк (Canis lupus) — вид зверей. Лиса — тоже."),
    ("pl", "'''{{xyz|Wilk}}''' (''Canis'') – gatunek.", "Wilk (Canis) – gatunek."),
    ("pl", "{{Dopracować tekst|Wilk}} – Gatunek.\n* {{xyz|Wilk}} – gatunek", "Gatunek.\n- gatunek"),
    # a period after a template that ends with one
    ("hr", "Rođen je {{datum|5|6|1950}}. Bilo je to 44. {{pr. Kr.}}. I dalje...",
     "Rođen je 5. lipnja 1950. Bilo je to 44. pr. Kr. I dalje..."),
    ("de", "Es war 44 {{v. Chr.}}.", "Es war 44 v. Chr."),
    ("de", "Um 44 {{v. Chr.}}.<ref>x</ref> Um 45 {{v. Chr.}}.{{FN|1}} Da {{v. Chr.}}...",
     "Um 44 v. Chr. Um 45 v. Chr. Da v. Chr...."),
    ("cs", "Je to {{xyz|a podobně.}}.{{r|a}} Dnes.", "Je to a podobně. Dnes."),
    ("hu", "Meghalt {{dátum|1950|6|5}}... és {{dátum|1950|6|6}}.",
     "Meghalt 1950. június 5.... és 1950. június 6."),
    # words in other languages with their labels
    ("pl", "'''Most''' ({{w języku|en|bridge}}, {{w języku|zh-Hans|桥}}; {{niem.|Brücke}}) – budowla.",
     "Most (ang. bridge, chiń. 桥; niem. Brücke) – budowla."),
    ("pl", "Słowo ({{japoński|橋|hashi|most}}) znane.", "Słowo (jap. 橋 hashi, most) znane."),
    ("ru", "{{нихонго|'''Мост'''|橋|хаси|или брод}} — слово, {{нихонго|Путь|道}} и {{нихонго|Дом}} тоже.",
     "Мост (яп. 橋 хаси, или брод) — слово, Путь (яп. 道) и Дом тоже."),
    ("uk", "{{нихонґо|Міст|橋|хаші}} — слово.", "Міст (яп. 橋 хаші) — слово."),
    ("hu", "A híd ({{németül|Brücke}}; {{latinul|pons}}) áll.",
     "A híd (németül: Brücke; latinul: pons) áll."),
    ("it", "Il ponte ({{arabo|جسر|jisr}}; {{cinese|橋}}) è qui.", "Il ponte (جسر, jisr; 橋) è qui."),
    # what Wikidata would say
    ("ro", "'''Ion Pod''' ({{date biografice}}) {{este}} un sportiv.", "Ion Pod este un sportiv."),
    ("hu", "A {{wd|Q7|Híd}} és {{wd|Q7}} itt.", "A Híd és itt."),
    # pronunciations, in brackets and elsewhere
    ("sr", "Мост ({{ИПА|mɔst}}; {{изговор|мост}}) је грађевина.", "Мост је грађевина."),
    ("hu", "A híd ({{kiejtés|hiːd}}) áll.", "A híd áll."),
    ("fr", "Le Pont {{MSAPI|lə pɔ̃}} et ({{MSAPI|pɔ̃}}) là.", "Le Pont [lə pɔ̃] et là."),
    # figures and their units, in templates that no table lists
    ("sv", "Verket ger {{mått|5|MW}} och {{mått|7|inv./km²}} bor där.",
     "Verket ger 5 MW och 7 inv./km² bor där."),
    ("cs", "Má {{počet|5|tis. obyvatel}} a {{xyz|5|k}} jiných.", "Má 5 tis. obyvatel a jiných."),
    ("uk", "Має {{одиниця|12345.6|км2}} та {{unit|5|м}}.", "Має 12 345,6 км² та 5 м."),
    ("hu", "Hossza {{Km|5}}, tömege {{Kg|7}}, ára {{Ft|9}}.", "Hossza 5 km, tömege 7 kg, ára 9 Ft."),
    ("pl", "Kosztuje {{kwota|500|zł}}, a {{xyz|9|Kč}} mniej.", "Kosztuje 500 zł, a 9 Kč mniej."),
    ("da", "Den kostede {{mia.|5}} {{cirka|1950}}.", "Den kostede 5 mia. ca. 1950."),
    ("sl", "Leta {{okoli|1950}} je stal.", "Leta okoli 1950 je stal."),
    ("sv", "Arten {{auktor|Ek|1850}} lever.", "Arten Ek, 1850 lever."),
    # the text under a name, in templates that no table lists
    ("ro", "Podul {{xyz|text=cel vechi}} este aici.", "Podul cel vechi este aici."),
    ("da", "Broen {{xyz|tekst=den gamle|dato=2010}} er her.", "Broen den gamle er her."),
    # characters that nobody sees
    ("es", "El puente\u200b es\u200e viejo\ufeff&#8203;.", "El puente es viejo."),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(SENTENCES)))
def test_a_sentence_reads_as_in_its_wikipedia(number):
    language, wikitext, text = SENTENCES[number]
    assert wikitext_to_text(wikitext, language=language) == text


def test_sentences_without_their_figure_are_found_in_time_by_the_length_of_the_page():
    def read(count: int) -> Callable[[], object]:
        text = "It is. " + f"There are {HOLE}{FIGURE} people here. " * count + f"a {HOLE}{FIGURE} " * count
        return lambda: without_figures(text)

    assert not takes_over(6, read(8000), read(2000))

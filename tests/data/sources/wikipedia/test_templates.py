"""Templates: each language's own, those without a rule, and the text around a dropped one."""

import pytest

from data.sources.wikipedia.templates import Rendered, Templates
from data.sources.wikipedia.templates.patterns import compiled
from data.sources.wikipedia.templates.rules import FUNCTIONS
from data.sources.wikipedia.wikitext import wikitext_to_text

SENTENCES = {
    "en": [
        # ships, with their display number as a sum of bits
        ("The liner {{SS|Great Northern}} left.", "The liner SS Great Northern left."),
        (
            "{{HMS|Ardent|F184|6}} and {{USS|Laffey|DD-724}} fired.",
            "HMS Ardent and USS Laffey (DD-724) fired.",
        ),
        ("Then {{RMS|Oceanic|1899|2}} sank.", "Then Oceanic sank."),
        (
            "the {{ship|French cruiser|Tourville||2}} and {{ship||Mayflower}} met",
            "the Tourville and Mayflower met",
        ),
        ("two {{sclass|Fletcher|destroyer}}s, a {{sclass-|Kilo|submarine|2}}",
         "two Fletcher-class destroyers, a Kilo-class submarine"),
        ("They say {{rtl-lang|fa|درود}} at noon.", "They say درود at noon."),
        # measures
        ("He is {{height|ft=6|in=1}}, she {{height|m=1.70}}.", "He is 6 ft 1 in, she 1.70 m."),
        ("A bar of {{convert|3|lb|4|oz|kg}} is sold.", "A bar of 3 lb 4 oz is sold."),
        ("It fell to {{convert|-12|C|F}} at {{cvt|2|mi|8|ch|km}}.", "It fell to -12 °C at 2 mi 8 ch."),
        ("Rooms {{convert|4|x|5|m|ft}} and {{convert|60|sqmi|km2|0}}.", "Rooms 4 × 5 m and 60 sq mi."),
        (
            "about {{convert|1.5|e6USgal}} of {{convert|2+1/2|in}} pipe",
            "about 1.5×10^6 US gal of 2 1/2 in pipe",
        ),
        (
            "a charge of 1.6{{e|-19}} C and {{val|9.1|e=-31|u=kg}}",
            "a charge of 1.6×10^-19 C and 9.1×10^-31 kg",
        ),
        ("{{val|3.2|0.1|u=s}}, {{val|8|+2|-1}}, {{frac|2|1|3}}", "3.2±0.1 s, 8+2−1, 2 1/3"),
        # money
        ("paid {{GBP|12 million}}, {{€|40}} or {{US$|7}}", "paid £12 million, €40 or US$7"),
        ("for {{₹|500}}, {{JPY|90}} and {{NZD|3}}; the {{€}} rose", "for ₹500, ¥90 and NZ$3; the € rose"),
        ("{{£sd|l=3|s=4}}, {{val|2.5e7|u=Hz}}, {{10^|9}}, {{e|9}}", "£3 4s, 2.5×10^7 Hz, 10^9, ×10^9"),
        ("{{currency|8|EUR}} or {{currency|5|XAU}}", "€8 or XAU 5"),
        # scripts and sounds
        ("Written {{script|Goth|𐌰}}, {{Script/Cyrillic|Ж}}.", "Written 𐌰, Ж."),
        ("The sound {{IPA|/ŋ/}} is spelt ng, {{IPA|de|ɪç}} ich.", "The sound /ŋ/ is spelt ng, [ɪç] ich."),
        ("The stop {{IPAslink|k}} and {{IPAblink|x}} differ.", "The stop /k/ and [x] differ."),
        ("Oslo ({{IPAc-en|ˈ|ɒ|z|l|oʊ}}; {{IPA-no|uʂlu}}) is a city.", "Oslo is a city."),
        # names and verses
        (
            "See {{bibleverse||Luke|2:1|KJV}} and {{bibleverse|2|Samuel|7:4}}.",
            "See Luke 2:1 and 2 Samuel 7:4.",
        ),
        ("From {{stn|Euston}} to {{rws|Crewe}} since {{mlby|2004}}.", "From Euston to Crewe since 2004."),
        (
            "{{flag|Peru}} met {{flagcountry|Chile}}; see {{slink|Rules|Fouls}}.",
            "Peru met Chile; see Rules § Fouls.",
        ),
        # formulas
        ("{{Tmath|x^2 {{=}} y}} holds for {{math|''a'' {{=}} ''b''}}.", "$x^2 = y$ holds for a = b."),
        ("{{math|{{abs|x}} {{=}} {{sqrt|y+1}}}} or {{mvar|n}}", "|x| = √(y+1) or n"),
        ("{{abs|x}} is positive", "|x| is positive"),
        ("<math>a {{=}} {{!}}b{{!}}</math> and {{radic|5|3}}", "$a = |b|$ and ∛5"),
        ("the ion {{chem|SO|4|2-}}, {{Nitrogen}}''x''{{Oxygen}}<sub>2</sub>", "the ion SO4^2-, NxO2"),
        ("{{su|p=1|b=0}} {{bra|a}}{{ket|b}} {{ceil|z}}", "0^1 ⟨a||b⟩ ⌈z⌉"),
        ("emits {{CO2}} and {{H2O}} at {{deg|30}} or 30{{deg}}", "emits CO2 and H2O at 30° or 30°"),
        # signs, lists and functions
        ("{{ruby|東京|とうきょう}} or {{ruby|江戸}}", "東京(とうきょう) or 江戸"),
        ("Hawai{{okina}}i in B{{music|flat}} and F{{sharp}}", "Hawaiʻi in B♭ and F♯"),
        (
            "A {{3/4}} bass in {{music|time|2|4}}, {{convert|7|through|9|mi}}",
            "A 3/4 bass in 2/4, 7 through 9 mi",
        ),
        ("on {{OldStyleDate|2 May|1890|20 April}}", "on 2 May [O.S. 20 April] 1890"),
        (
            "the {{ordinal|12}} and {{ordinal|23}}, {{née|Roe}}, {{lit|a fish}}",
            "the 12th and 23rd, née Roe, lit. ‘a fish’",
        ),
        ("{{gaps|12|345}} by {{lc:ABC}} and {{uc:d}}{{(}}x{{)}}", "12345 by abc and D{x}"),
        ("{{gaps|1.6|02|(4)|e=-19|u=C}} of {{gaps|64|base=2|e=20}}", "1.602(4)×10^-19 C of 64×2^20"),
        ("so {{gaps|lhs=π|3.14|15}} and {{gaps|299|792|u=m/s}}", "so π = 3.1415 and 299792 m/s"),
        ("{{ill|Maria Weber|de|Maria Weber (Malerin)}}, {{ill|de|Ort}}", "Maria Weber, Ort"),
        ("T ({{zh|t=臺北|p=Táiběi}}):{{bulleted list|a|[[b]]}}end",
         "T (traditional Chinese: 臺北; pinyin: Táiběi):\n- a\n- b\nend"),
        # lists of terms
        ("{{glossary}}\n{{term|axis}}\n{{defn|A line.}}\n{{glossary end}}", "axis\n\nA line."),
        ("{{term|1=pole|content=[[pole (x)|pole]]}}\n{{defn|no=1|An end.}}\n{{defn|A post.}}",
         "pole\n\nAn end.\n\nA post."),
        # figures that are computed, or completed by the template's name
        ("in the {{century|15}}, {{roman|1994}}, {{percentage|3|8|1}}",
         "in the 15th century, MCMXCIV, 37.5%"),
        ("aged {{age|1901|7|9|1950|7|8}} at 5{{deg}}C", "aged 48 at 5°C"),
        ("worth {{GBP|{{inflation|UK|5|1900}}}} now, {{GBP|5}} then", "worth now, £5 then"),
        ("a {{convert|6|in|mm|adj=mid|-thick}} wall", "a 6 in-thick wall"),
        ("{{font color|red|white|hot}} {{background color|blue|cold}}", "hot cold"),
        ("a {{align|right|b}} {{lower|2px|c}} {{raise|d}} {{&}} {{pull quote|All flows.|A}} e",
         "a b c d & All flows. e"),
        ("From {{wikt-lang|la|equus}}:\n{{plainlist|\n* one\n* two\n}}\nEnd",
         "From equus:\n\n- one\n- two\n\nEnd"),
        # notes around running text
        ("It is {{citation needed span|text=the oldest of all|date=May 2009}}.", "It is the oldest of all."),
        ("Old{{citation needed|date=May 2009}} and new {{cn span|a lake}} too.", "Old and new a lake too."),
    ],
    "fr": [
        ("Du {{s|IX}} au {{s-|X|e}}, puis {{Ier siècle}}.", "Du IXe siècle au Xe siècle, puis Ier siècle."),
        ("aux {{s2-|XI|XII}}, les {{n°s|3 et 4}}", "aux XIe et XIIe siècles, les nos 3 et 4"),
        ("aux {{s2|XI|e|XII|e}} et {{sp|II|e|au|III|e|s}}", "aux XIe et XIIe siècles et IIe au IIIe siècles"),
        ("au {{-s|V|e}}, en 30 {{av JC}}, au {{s|I|er|ap. J.-C.}}",
         "au Ve siècle av. J.-C., en 30 av. J.-C., au Ier siècle ap. J.-C."),
        ("{{sp-|I|et le|IV}}; {{-sp|IX|e|-|VII|e|s}}", "Ier et le IVe siècle; IXe - VIIe siècles av. J.-C."),
        (
            "aux {{s|VIII|IX}}, le {{1er mai}}, à {{heure|9|5}}",
            "aux VIIIe et IXe siècles, le 1er mai, à 9 h 5",
        ),
        (
            "{{nombre|62|hab. par km|2}} {{unité|9|km||h|-1}} {{nombre|3|ou|4}}",
            "62 hab. par km² 9 km h^-1 3 ou 4",
        ),
        ("la {{Ve|République}} et le {{2e|régiment}}", "la Ve République et le 2e régiment"),
        (
            "né le {{date de naissance-|4|7|1850}}, le {{1er|juin|1900}}",
            "né le 4 juillet 1850, le 1er juin 1900",
        ),
        (
            "le {{date|1|janvier|1801|en musique}} et {{date-|2 mars 1999}}",
            "le 1er janvier 1801 et 2 mars 1999",
        ),
        ("{{unité|40|km|2}}, {{unité|9,8|m|s|-2}}, {{nb|300|élèves}}", "40 km², 9,8 m s^-2, 300 élèves"),
        ("le {{n°|7}}, {{numéro|8}} et {{p.|12}}", "le nº 7, nº 8 et p. 12"),
        (
            "C'est {{refnec|un fait connu de tous}}, {{cn|date=2012}}dit-on.",
            "C'est un fait connu de tous, dit-on.",
        ),
        ("{{\"|Plus jamais}} et {{citation|bonne nuit}}", "« Plus jamais » et « bonne nuit »"),
        (
            "Sa sœur{{incise|une artiste}}vient{{incise|dit-on|stop}}.",
            "Sa sœur – une artiste – vient – dit-on.",
        ),
        ("{{Mme|Roland}} chez {{M.|Dubois}}", "Mme Roland chez M. Dubois"),
    ],
    "de": [
        ("Die {{HMS|Victory}} kostet {{€|5}}, {{CZK|70}}, {{km|3}}.",
         "Die HMS Victory kostet 5 €, 70 CZK, 3 km."),
        ("Mt {{Bible|Mt|5|3}}, {{breuk|1|2}}", "Mt Mt 5:3, 1/2"),
        (
            "Der Pass ist {{Höhe|2100|CH}} hoch, der See {{Höhe|30}}.",
            "Der Pass ist 2100 m ü. M. hoch, der See 30 m.",
        ),
        ("Nach {{§|12|StGB|dejure}} StGB und {{Art.|3|GG|juris}} GG.", "Nach § 12 StGB und Art. 3 GG."),
        ("{{\"|So sei es|Anna B.}} und {{Bibel|Lk|2|14|LUT}}", "„So sei es“ und Lk 2,14"),
        ("Die Oper ({{frS|opéra}}) hat {{0}}5 Akte.", "Die Oper (französisch opéra) hat 5 Akte."),
    ],
    "es": [
        ("Mide {{esd|7 m}} y {{unidad|30|kg}}.", "Mide 7 m y 30 kg."),
        ("Del {{siglo|III|a|s}} al {{siglo|II}} y {{Siglo|X||S}}.", "Del siglo III a. C. al II y Siglo X."),
        ("Fue {{cita requerida|la torre más alta}}, {{cr}} según él.", "Fue la torre más alta, según él."),
        (
            "nació el {{fecha|9|4|1821}} en el siglo {{versalita|XX}}",
            "nació el 9 de abril de 1821 en el siglo XX",
        ),
    ],
    "it": [
        (
            "Il lago è {{senza fonte|il più profondo}}; {{M|42|u=m}}, {{M|7|km}}.",
            "Il lago è il più profondo; 42 m, 7 km.",
        ),
        ("A {{tutto attaccato|3 km}} nel {{maiuscoletto|XV}} secolo", "A 3 km nel XV secolo"),
        ("È{{cn|luglio 2010}} vero, {{chiarire|quasi sempre}}.", "È vero, quasi sempre."),
    ],
    "pt": [
        ("No {{séc|XII}} e {{-séc|IV}}, era {{carece de fontes|a torre real|data=2011}}.",
         "No século XII e século IV a.C., era a torre real."),
        ("em 30 {{a.C.}} e {{AC|31}}", "em 30 a.C. e 31 a.C."),
        ("Luís {{nwrap|r.|1643|1715}} e {{dni|2|3|1850|si}}", "Luís r. 1643–1715 e 2 de março de 1850"),
    ],
    "tags": [("a {{who?|some people}} say{{whose?}} {{wann?|2010}} it", "a some people say it")],
    "pl": [
        ("Rzekł: {{Cytat|treść=Nie ma tu nikogo|autor=X}} {{ułamek|1|2}}", "Rzekł: Nie ma tu nikogo 1/2"),
        ("Jest {{fakt|najstarszy w kraju}}{{fakt|data=2010-05}}.", "Jest najstarszy w kraju."),
        ("Ma {{j|30|cm}} i {{fmt|2000}}", "Ma 30 cm i 2000"),
        ("To{{r|abc}} jest {{odn|Nowak|2010}} dom", "To jest dom"),
    ],
    "ru": [
        ("В {{s|IX веке}} и {{nobr|7 км}}, {{num|20|тонн}}.", "В IX веке и 7 км, 20 тонн."),
        ("{{не переведено|есть=:en:Dam|надо=Дамба|текст=дамбу}} и {{нп|надо=Мол}}", "дамбу и Мол"),
        ("{{Не переведено 3|Мост|мосту|de|Brücke}} дали {{нп5|Имя}}.", "мосту дали Имя."),
        ("Он {{нет АИ|очень высокий|3|4|2011}}, {{уточнить|почти новый}}{{нет АИ|1|2|2010}}.",
         "Он очень высокий, почти новый."),
        (
            "{{OldStyleDate|17|10|1905|4}}; {{СС|14 марта|1801|2 марта}}",
            "4 (17) октября 1905; 2 (14) марта 1801",
        ),
        ("В{{подударение|о}}ды и {{СС|7 ноября|1917|25 октября}}", "Во́ды и 25 октября (7 ноября) 1917"),
    ],
    "uk": [
        ("{{дата|3|7|1650}}, {{км²|40}}, {{цитата|текст=Слово}}", "3 липня 1650, 40 км², Слово"),
        ("{{нп|Міст|мосту||Bridge}} і {{s|9 км}}, {{факт|дуже старий}}.", "мосту і 9 км, дуже старий.")],
    "bg": [("Той е {{факт|най-старият мост}} тук.", "Той е най-старият мост тук.")],
    "sr": [
        ("-{Нови Сад}- и -{sr-el:Pirot; sr-ec:Пирот}- -{T|Наслов}-, -{R|А|Б}-.",
         "Нови Сад и Пирот, А|Б."),
    ],
    "nl": [("Het{{feit|dat staat nergens|2010|9|7}} gaat {{bron?|waar dan|2010}} van {{lang|fr|ici}}.",
            "Het gaat van ici.")],
    "sv": [("Bron är äldst{{källa behövs|ingen säger det|datum=2010}} här {{kb|säger vem}} nu.",
            "Bron är äldst här nu.")],
    "da": [
        ("Den {{dato|3|7|1650}}.", "Den 3. juli 1650."),
        ("Broen er ældst{{kilde mangler|dato=maj 2010}} her {{km|dato=2010}} nu.", "Broen er ældst her nu."),
    ],
    "cs": [
        ("Dne {{datum|3|7|1650}} {{loď|SS|Praha}}.", "Dne 3. července 1650 SS Praha."),
        ("Je to {{doplňte zdroj|nejstarší most}}.", "Je to nejstarší most."),
    ],
    "hu": [("Ez {{forr|a legöregebb híd}}.", "Ez a legöregebb híd.")],
    "ro": [("Este {{necesită citare|cel mai vechi pod}}.", "Este cel mai vechi pod.")],
    "hr": [("To je {{nedostaje izvor|najstariji most}}.", "To je najstariji most.")],
    "sl": [("Most{{navedi vir|datum=2010}} je {{podatek}} star{{preveri vir|kdo pravi}}.", "Most je star.")],
    "ca": [
        ("És {{CN|el pont més vell}} del {{segle|IX}}, {{unitats|7|km}}.",
         "És el pont més vell del segle IX, 7 km.")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "number"), [(name, place) for name in SENTENCES for place in range(len(SENTENCES[name]))]
)
def test_a_sentence_reads_as_in_its_wikipedia(language, number):
    wikitext, text = SENTENCES[language][number]
    assert wikitext_to_text(wikitext, language=language) == text


def test_one_name_means_different_things_in_different_wikipedias():
    shown = {name: wikitext_to_text("a {{s|IX}} b", language=name) for name in ("fr", "ru", "it", "")}
    assert shown == {"fr": "a IXe siècle b", "ru": "a IX b", "it": "a b", "": "a IX b"}
    assert wikitext_to_text("{{nb|80|pages}}", language="fr") == "80 pages"


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("It was made by {{craftsman|Jan Novak}} in Prague.", "It was made by Jan Novak in Prague."),
        ("In {{yearlink|1990}}, {{teamname|Ajax}} won.", "In 1990, Ajax won."),
        ("{{teamname|Ajax}} won the cup.", "Ajax won the cup."),
        (
            "d'une {{nuance|teinte claire}}, et l'{{oeuvre|Iliade}} aussi",
            "d'une teinte claire, et l'Iliade aussi",
        ),
        ("Ива{{удар|н}}ов пишет", "Иванов пишет"),
        ("{{small|by {{craftsman|Jan}} here}}", "by Jan here"),
        # not part of any sentence
        ("The end.{{remark|This is disputed}} Next one.", "The end. Next one."),
        ("a word{{remark|x1}} and {{remark|A long note.}} so", "a word and so"),
        ("a {{picture|view.jpg}} b {{three|c|d|x}} e {{none}} f", "a b e f"),
        ("{{Boxed notice|This article is a draft}}\nText.", "Text."),
        ("* Item {{weblink|abc}}\n* Other {{ident|9}}", "- Item\n- Other"),
        ("a {{cite thing|Title}} b {{ISBN|123}} c {{flagicon|FRA}} d", "a b c d"),
        ("a {{#tag:ref|y}} b {{#invoke:X|y}} c", "a b c"),
    ],
)
def test_a_template_without_a_rule_is_kept_where_a_sentence_needs_it(wikitext, text):
    assert wikitext_to_text(wikitext) == text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        # a hole in brackets takes its clause with it, and its brackets if nothing is left
        ("paid $80 (${{price|US|80|1861}} in {{CURRENTYEAR}} money) then", "paid $80 then"),
        ("built (1900; {{unknown|a|b|c}} later) of stone", "built (1900) of stone"),
        ("it (a {{unknown|a|b|c}}, or so) is", "it (or so) is"),
        ("she ({{some icon}} born in the town of Lo) is", "she (born in the town of Lo) is"),
        # words on either side of a dropped template are not glued; a soft hyphen's are
        ("one{{ref label|a}}two three{{mdash}}four Do{{shy}}nau", "one two three—four Donau"),
        ("left{{dropped note}}right 3{{note|1}}4 a{{cn}}, b", "left right 3 4 a, b"),
        ("w<ref>n</ref>ord x[[File:a.jpg]]y", "word x y"),
        # {{-}} is a line break after pictures
        ("One.\n{{-}}\n== H ==\nTwo.{{-}}\n{{clear}}", "One.\n\nH\n\nTwo."),
        # punctuation of citations
        ("T\n* {{cite book|a}}, {{ISBN|1}}.\n* {{cite book|b}}, vol. 2", "T\n- vol. 2"),
        ("T\n* {{cite|c}}. Paris, 1900", "T\n- Paris, 1900"),
        ("T\n== Sources ==\n* {{cite book|x}}.\n== See ==\n: {{cite|y}};", "T"),
        ("T\n\n... and so on\n* … more", "T\n\n... and so on\n- … more"),
    ],
)
def test_no_stray_characters_are_left_around_a_dropped_template(wikitext, text):
    assert wikitext_to_text(wikitext, language="en") == text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("10<sup>9</sup> or 2<sup>''k''</sup> or 3<sup>n+1</sup>", "10^9 or 2^k or 3^(n+1)"),
        ("7<sup>2</sup>=49, 5 m<sup>2</sup>, 10<sup>−3</sup>, e<sup>iπ</sup>", "7^2=49, 5 m^2, 10^−3, e^iπ"),
        ("the 2<sup>nd</sup>, 3<sup>e</sup>, n<sup>o</sup> 4, M<sup>me</sup> X", "the 2nd, 3e, no 4, Mme X"),
        ("Acme<sup>TM</sup> 5<sup>h</sup> 10<sup>m</sup>, H<sup>+</sup>", "AcmeTM 5h 10m, H+"),
        ("H<sub>2</sub>SO<sub>4</sub>, a<sub>''i''</sub>, 101<sub>2</sub>", "H2SO4, ai, 101_2"),
        ("SO<sub>4</sub><sup>2−</sup>, ''x''<sub>1</sub><sup>2</sup>", "SO4^2−, x1^2"),
        (
            "10<sup>10<sup>100</sup></sup>, x<sub>1<sup>2</sup></sub>, 1<sup>''st''</sup>",
            "10^(10^100), x1^2, 1st",
        ),
        ("<sup>14</sup>C, <sup>14</sup><sub>6</sub>C, log<sub>2</sub>8", "14C, 14_6C, log2 8"),
        (
            "x<sup>2</sup>y, 10<sup>6 </sup>km, word<sup>2</sup>s, M<sup>lle</sup>A",
            "x^2y, 10^6 km, word2s, MlleA",
        ),
        ("10{{sup|6}} and CO{{sub|2}}, 4<sup>th</sup>", "10^6 and CO2, 4th"),
        ("10<sup>&minus;9</sup>, 10<sup>&#8722;3</sup>, e<sup>&minus;x</sup>", "10^−9, 10^−3, e^−x"),
        (
            "x<sup>n&nbsp;+&nbsp;1</sup>, 2<sup>n&minus;1</sup>, x<sup>&alpha;</sup>",
            "x^(n + 1), 2^(n−1), x^α",
        ),
        ("&pi;<sup>2</sup>, ''&eta;''<sup>2</sup>, &alpha;<sub>2</sub>3", "π^2, η^2, α2 3"),
        (
            "a<sup>&lt;b&gt;</sup>, R<sub>&infin;</sub>, x<sup>&prime;</sup>, 1<sup>&#115;t</sup>",
            "a<b>, R∞, x′, 1st",
        ),
        (
            "1<sup>3</sup>/<sub>4</sub>, <sup>1</sup>&frasl;<sub>2</sub>, 5&nbsp;<sup>2</sup>⁄<sub>3</sub>",
            "1 3/4, 1/2, 5 2/3",
        ),
        ("open <sup>never closed\nnext", "open never closed\nnext"),
    ],
)
def test_raised_and_lowered_text_can_be_told_from_its_base(wikitext, text):
    assert wikitext_to_text(wikitext) == text


def test_keys_that_only_sort_a_table_are_not_shown():
    wikitext = "It has {{hs|12}}12 goals, {{ntsh|5}}5 more since {{dtsh|1990|3}}March."
    assert wikitext_to_text(wikitext, language="en") == "It has 12 goals, 5 more since March."


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("A.\n{{table top|x=1}}\n|-\n| a || b\n|-\n! scope=\"row\" | c\n| d\n|}\nB.", "A.\n\nB."),
        ("A.\n{{start}}\n! a !! b\n|-\n| c\n{{end}}\nB.", "A.\n\nB."),
        ("A.\n{{start}}\n| a\n\n| b\n|}\n== H ==\nB.", "A.\n\nH\n\nB."),
        ("!Kung is spoken. Wow!\n\n! so", "!Kung is spoken. Wow!\n\n! so"),
        ("[[File:a.jpg|thumb|never closed [[x]]\n\nNext [[y]].", "Next y."),
        (
            "Old. [[Image:b.png|90px]] New. [[File:c.jpg|right|open\nMore. {{small|[[File:d]] z}}",
            "Old. New.\nMore. z",
        ),
        ("[[File:A|thumb|B [sic] and [[c]] [http://x y]]] D. [[:File:E.png|f]] [[Category:G|h]]", "D. f"),
        ("[[a{{!}}b]] and [[c|d''e'']]", "b and de"),
    ],
)  # fmt: skip
def test_unclosed_tables_and_files_remove_no_prose(wikitext, text):
    assert wikitext_to_text(wikitext) == text


def test_a_pattern_works_as_documented():
    rules = compiled(
        """
# a comment
one | two
| three → {1}[ ({2})]
pre* → {name,1=x}
all → {*:, }
some → {1-2:-}
none →
sign → ␣+␣
gone → [{1}]
""",
        FUNCTIONS,
    )
    assert rules["three"](["a", "b"], {}) == "a (b)" and rules["two"](["a"], {}) == "a"
    assert rules["pre*"](["a"], {"name": "n"}) == "n" and rules["pre*"]([], {}) == "x"
    assert rules["all"](["a", "", "b"], {}) == "a, b" and rules["some"](["a", "b", "c"], {}) == "a-b"
    assert rules["none"]([], {}) == "" and rules["sign"]([], {}) == " + " and rules["gone"]([], {}) is None
    with pytest.raises(KeyError):
        compiled("a → @no such function", FUNCTIONS)


def test_dropped_and_unknown_templates_are_told_apart():
    english = Templates("en")
    assert english.render("Cite web", ["url=x"]) is Rendered.DROPPED
    assert english.render("Some new thing", ["a", "b"]) is Rendered.UNKNOWN
    assert english.render("IPA", ["/a/"], lambda: True) is Rendered.SOUND

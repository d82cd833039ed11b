"""Templates that carry a word or a number of the sentence, in other arguments and beside other names."""

import pytest

from data.sources.wikipedia.wikitext import wikitext_to_text

CASES = [
    ("en", "A ({{birth year and age|1950}}), B ({{death year and age|2000|1930}}).", "A (1950), B (2000)."),
    ("en", "Let {{tmath|\\alpha}} and {{tmath|1=x = y}} be.", "Let $\\alpha$ and $x = y$ be."),
    ("en", "Is {{sqrt|3}}, {{overline|AC}}, {{vec|v}} or {{floor|y}}?", "Is √3, AC, v or ⌊y⌋?"),
    ("en", "The state {{bra|phi}}, {{ket|psi}} of 2{{pi}}.", "The state ⟨phi|, |psi⟩ of 2π."),
    (
        "en",
        "Let {{math|''E'' {{=}} ''mc''<sup>2</sup>}} and {{nobr|a {{=}} b}} be.",
        "Let E = mc^2 and a = b be.",
    ),
    ("en", "He is {{height|cm=180}}, she {{height|ft=5|in=9}} tall.", "He is 180 cm, she 5 ft 9 in tall."),
    ("en", "Written {{Script|Cprt|𐠀}} or {{script/Arabic|سلام}} here.", "Written 𐠀 or سلام here."),
    (
        "en",
        "As in {{bible verse|1|Kings|2:3}} or {{bibleref2|John|3:16}}.",
        "As in 1 Kings 2:3 or John 3:16.",
    ),
    ("en", "The {{MV|Joyita}} and {{USS|Iowa|BB-61|6}} sank.", "The MV Joyita and USS Iowa sank."),
    ("en", "A vowel {{IPAslink|p}} or {{IPAblink|t}} or {{angbr|a}}.", "A vowel /p/ or [t] or ⟨a⟩."),
    ("en", "Of {{JPY|300}}, {{INR|4}} or {{AUD|8}} each.", "Of ¥300, ₹4 or A$8 each."),
    (
        "en",
        "About {{val|6.02|e=23|u=mol-1}}, {{10^|6}} or {{e|5}}.",
        "About 6.02×10^23 mol^-1, 10^6 or ×10^5.",
    ),
    ("en", "Is {{convert|5|x|10|m|ft}} or {{convert|6|ft|2|in|m}} big.", "Is 5 × 10 m or 6 ft 2 in big."),
    (
        "en",
        "{{glossary}}\n{{term|1=[[Origin]]}}\n{{defn|1=The zero.}}\n{{glossary end}}",
        "Origin\n\nThe zero.",
    ),
    ("en", "One {{snd}} two{{mdash}}three{{dash}}four.", "One – two—three – four."),
    ("en", "==Sources==\n* {{cite web|url=x}}.\n* ;\n==Text==\n* Words.", "Text\n\n- Words."),
    (
        "de",
        "Liegt {{Höhe|800|DE-NHN|link=true}} bei {{§|5|BGB|juris}} BGB dort.",
        "Liegt 800 m ü. NHN bei § 5 BGB dort.",
    ),
    ("de", 'Er sagte {{"|Ich kam|Autor=X}} und ging.', "Er sagte „Ich kam“ und ging."),
    ("es", "Mide {{esd|10 km}} desde el {{siglo|XX||s}}.", "Mide 10 km desde el siglo XX."),
    ("fr", "Au {{s-|XIX|e}}, {{unité|1.5|e=6|km}} et {{nobr|5 km}}.", "Au XIXe siècle, 1,5×10^6 km et 5 km."),
    ("it", "Lungo {{M|100|ul=km}}, {{citazione necessaria|il più alto}}.", "Lungo 100 km, il più alto."),
    ("pt", "No {{séc|XX}}, {{carece de fontes|a maior vila|data=2010}}.", "No século XX, a maior vila."),
    ("ru", "Там {{s|5 км}} и {{век|XVII}}, {{нет АИ|новый дом|2010}}.", "Там 5 км и XVII век, новый дом."),
    ("uk", "Там {{s|5 км}} і {{джерело?|новий дім}}.", "Там 5 км і новий дім."),
    ("nl", "In de {{eeuw|18}} was het er.", "In de 18e eeuw was het er."),
    ("ca", "Al {{segle|XIX}} i {{CN|més gran}}, {{unitat|5|km}}.", "Al segle XIX i més gran, 5 km."),
    ("es", "Dijo: {{cita textual|Nunca más vuelvo aquí}}, y salió.", "Dijo: Nunca más vuelvo aquí, y salió."),
    ("sv", "Han sade {{citatruta|jag kommer aldrig hem}}.", "Han sade jag kommer aldrig hem."),
    ("es", "Según Pérez {{cita Harvard|Pérez|2000|p=5}} no es.", "Según Pérez no es."),
    ("es", "Un libro.{{cita video|Un video de cuatro|autor=X}} Fin.", "Un libro. Fin."),
    ("sv", "Ett ord{{citat behövs|det har jag aldrig hört}} till.", "Ett ord till."),
    ("es", "A {{msnm|2315}} y a 500 {{msnm}} nieva.", "A 2315 m s. n. m. y a 500 m s. n. m. nieva."),
    ("pl", "Leży {{m n.p.m.|250}} i 300 {{M n.p.m.}} tam.", "Leży 250 m n.p.m. i 300 m n.p.m. tam."),
    ("cs", "Leží {{m n. m.|250}} tam.", "Leží 250 m n. m. tam."),
    ("es", "El {{1.er}} rey, {{número romano|14}} en total.", "El 1.er rey, XIV en total."),
    ("ca", "Hi ha {{romanes|14}} reis.", "Hi ha XIV reis."),
    ("sr", "Цар 44. {{пне}} и цар 5. {{н. е.}} ту.", "Цар 44. п. н. е. и цар 5. н. е. ту."),
    ("ru", "Цар 44 {{донэ}} и {{л. с.|150}}, {{евро|50}} там.", "Цар 44 до н. э. и 150 л. с., 50 евро там."),
    ("ro", "În 44 {{î.e.n.}} era.", "În 44 î.e.n. era."),
    ("de", "Nach {{Mio.|5}} Jahren {{Taste|Strg|C}} und {{Taste|X}}.", "Nach 5 Mio. Jahren Strg+C und X."),
    ("cs", "Stiskni {{klávesa|Ctrl}}+{{klávesa|C}} hned.", "Stiskni Ctrl+C hned."),
    ("es", "Murió a {{edad|1|5|1950|30|4|2000}} años.", "Murió a 49 años."),
    ("nl", "Hij werd {{leeftijd|1950|5|1|2000|4|30}} jaar.", "Hij werd 49 jaar."),
    ("pl", "Ma {{wiek|1990|5|3}} lat.", "Ma lat."),
    ("sr", "'''{{ћир|Новак}}''' (рођен 1987) игра.", "Новак (рођен 1987) игра."),
    ("sr", "{{ћир|Београд}}, главни град, је ту.", "Београд, главни град, је ту."),
    ("sr", "Име на српском: {{ћир|Београд}}.", "Име на српском: Београд."),
    ("sr", "Име је {{ћир|Београд}}/{{лат|Beograd}} ту.", "Име је Београд/Beograd ту."),
    ("en", "* Of words.\n* {{xyz rule|8}}, that defines it", "- Of words.\n- that defines it"),
    ("en", "He had a {{winpct|1,000|500}} record and {{winpct|5|0}}.", "He had a .667 record and 1.000."),
    ("en", "He had a {{winpct|nan|5}} record and {{winpct|inf|1}}.", "He had a record and."),
    ("en", "It is {{percentage|1|8|1}}, {{percentage|nan|8}}.", "It is 12.5%, nan/8."),
    ("en", "It was {{time ago|2000}} then.", "It was then."),
    ("en", "'''Ann''' {{post-nominals|country=GBR|OBE|FRS}} (b. 1950) is.", "Ann OBE FRS (b. 1950) is."),
    ("sr", "Дугачак 5&nbsp;{{реч|километар}}&nbsp;и ту.", "Дугачак 5 километар и ту."),
    ("sr", "Град <span lang=sr>{{ћир|Ниш}}</span> и {{ћир|Бор}}<br />је ту.", "Град Ниш и Бор\nје ту."),
    ("sr", "Град [[Ниш|{{ћир|Ниш}}]] је ту.", "Град Ниш је ту."),
    ("sr", "Од ~{{бр|50}} до ${{бр|60}} &lt; {{бр|70}} &amp; ту.", "Од ~50 до $60 < 70 & ту."),
    ("en", "It is so.&nbsp;{{xyz|A remark}} It is not.", "It is so. It is not."),
    ("sr", "-{Ниш}- је -{sr-ec:град; sr-el:grad}- ту.", "Ниш је град ту."),
    # a word, and the same in another script
    (
        "fr",
        "L{{'}}{{arabe|'''arche'''|قوس|qaws}} et {{russe|pont|мост}}.",
        "L'arche (قوس, qaws) et pont (мост).",
    ),
    ("it", "Il {{cinese|s=桥|p=qiáo}} o {{coreano|hangul=다리}}.", "Il 桥, qiáo o 다리."),
    ("cs", "Slovo {{Výslovnost|most|most.ogg}} zní.", "Slovo most zní."),
    # roads, verses, dates of two arguments, and names that only look like a numbered noun
    (
        "nl",
        "De {{snelweg|A|12}} naar {{bijbelref|Joh|3|16}}, {{IPA help}}, {{Info kort}}.",
        "De A 12 naar Joh 3:16.",
    ),
    ("sl", "Rojena {{mp|5. maj|1950}} v Mostu.", "Rojena 5. maj 1950 v Mostu."),
    # countries with the year of a flag; teams of countries; other names beside one
    ("de", "Gegen {{BRA|BRA-1889}} und {{ESP|1977}} im Spiel.", "Gegen Brasilien und Spanien im Spiel."),
    ("fr", "Contre {{Brésil football}} et {{ITA rugby à XV}}.", "Contre Brésil et Italie."),
    ("en", "See {{flag+link|Bridges of|Spain}}, {{flagIOCathlete|[[Ann]]|ESP|1996}}.", "See Spain, Ann."),
    # eras, ages, amounts and units after the figures of their names' templates
    (
        "hu",
        "A híd {{i. e.|300}} óta áll, {{kor|1950|5|1|2000|4|30}} éves, {{euró|5}}.",
        "A híd i. e. 300 óta áll, 49 éves, 5 euró.",
    ),
    ("bg", "Струва {{млн.|5}} или {{долара|7}}.", "Струва 5 млн. или 7 долара."),
    (
        "es",
        "Mide {{metros|5}}, cuesta {{libras|7}}, 1{{er}} y 2{{ª}}.",
        "Mide 5 metros, cuesta 7 libras, 1er y 2ª.",
    ),
    ("it", "Lungo {{M|10|a|20|u=km}}.", "Lungo 10 a 20 km."),
    (
        "en",
        "Of {{convert|12|/sqmi}}, {{convert|1,748|PD/km2}}, {{convert|5|m3/s}}, {{convert|2|ST|kg}}.",
        "Of 12/sq mi, 1,748/km², 5 m³/s, 2 short tons.",
    ),
    (
        "en",
        "A {{track gauge|1435mm}} or {{RailGauge|sg}} line of {{val|1234567|fmt=commas|u=m}}.",
        "A 1435 mm or 1,435 mm line of 1,234,567 m.",
    ),
    (
        "en",
        "The 1{{st}} {{post-nominals|list=KBE, CB}} at {{stl|Amtrak|York}}, {{LUL stations|station=Bank}}.",
        "The 1st KBE, CB at York, Bank.",
    ),
    (
        "en",
        "By {{USBill|110|HR|5}} or {{USPL|107|56}}, {{UnitedStatesCode|17|107}}, {{CodeFedReg|14|91}}.",
        "By HR 5 or Pub. L. 107–56, 17 U.S.C. § 107, 14 CFR 91.",
    ),
    (
        "fr",
        "Au {{-IIIe siècle}}, le {{1er mai 1950}}, par {{température|20}} et {{transl|ru|most}}.",
        "Au IIIe siècle av. J.-C., le 1er mai 1950, par 20 °C et most.",
    ),
    ("fr", "Le pont de {{nom|Anne|Pont}} est {{sic|vieil}}.", "Le pont de Anne Pont est vieil [sic]."),
    ("sv", "Färjan {{M/S|Bron}} och {{BWV|565}}.", "Färjan M/S Bron och BWV 565."),
    # an abbreviation before, a sign that is the name, an `=` that is text
    ("pl", "Leży na wys. {{wys|100}} [[m n.p.m.]] tu.", "Leży na wys. 100 m n.p.m. tu."),
    (
        "ca",
        "Pont ({{pron|ca|pɔn}}, de {{lang-la|pons}}) a {{msnm|13}}.",
        "Pont (de en llatí: pons) a 13 msnm.",
    ),
    (
        "en",
        "So f{{′}} {{→}} {{√}}2, {{alpha}}-rays {{infin}}, {{math|x = 5}}.",
        "So f′ → √2, α-rays ∞, x = 5.",
    ),
    ("en", "By {{EquationNote|1}} and {{EquationNote|1|Eq. 1}},{{indent|2}}so.", "By (1) and (Eq. 1),so."),
    (
        "en",
        "A bridge of {{PKRConvert|117|b}} or {{INRConvert|5|c}}.",
        "A bridge of PKR 117 billion or ₹5 crore.",
    ),
    # coordinates in words, names for sorting, the text of a quotation beside its translation
    (
        "de",
        "Die Brücke bei {{Coordinate|NS=51/30/0/N|EW=0.5|text=DMS}} da.",
        "Die Brücke bei 51° 30′ 0″ N, 0.5° E da.",
    ),
    ("de", "{{Coordinate|NS=51/30/0/N|EW=0/7/0/W|type=city}}Die Brücke.", "Die Brücke."),
    ("de", "Von {{SortKeyName|Anna|Brück}} gebaut.", "Von Anna Brück gebaut."),
    ("fr", "Il dit {{citation étrangère|langue=en|good night|trad=bonne nuit}}.", "Il dit good night."),
    (
        "fr",
        "Comme {{verset|Jn|3|16}} et {{xyz|le vieux pont|1950|a}} ici.",
        "Comme Jn 3:16 et le vieux pont ici.",
    ),
    ("ru", "В {{гг.|1950|1951}} там.", "В гг. 1950–1951 там."),
    # powers without a figure, coulombs, fractions with two strokes, amounts in a currency's sign
    (
        "en",
        "Of {{val|e=9|u=m}}, {{val|2|u=C}}, {{val|5|up=s}}, {{convert|1//2|in}}.",
        "Of 10^9 m, 2 C, 5/s, 1/2 in.",
    ),
    ("fr", "Le pont coûte {{monnaie|5|US$}} là.", "Le pont coûte 5 US$ là."),
    ("en", "It is {{£.s.d.|5|10|6}} or {{Rs|5}} on {{ST|Bridge}}.", "It is £5 10s 6d or Rs. 5 on ST Bridge."),
    (
        "en",
        "It is {{sfrac|3''n'' + 1|2}} or {{frac|1|''n''−1}}, {{sfrac|−1|4}}.",
        "It is (3n + 1)/2 or 1/(n−1), −1/4.",
    ),
    (
        "en",
        "It stood {{age in years, months and days|1950|4|19|1958|9|3}} and {{aymd|2000|1|31|2000|3|1}}.",
        "It stood 8 years, 4 months and 15 days and 1 month and 1 day.",
    ),
    ("cs", "Most je {{barva|darkgreen|zelený}} a {{velikost|80%|malý}} tu.", "Most je zelený a malý tu."),
    # links to other Wikipedias by any name
    ("hu", "Itt a {{nem lefordított|Híd|régi híd|en|Bridge}} áll.", "Itt a régi híd áll."),
    ("cs", "Je to {{link interwiki|Most|en|Bridge}} tu.", "Je to Most tu."),
    ("es", "Es {{enlace interlingüístico|idioma=en|es=Puente|original=Bridge}} allí.", "Es Puente allí."),
]


@pytest.mark.parametrize(("language", "wikitext", "text"), CASES)
def test_a_template_s_word_or_number_stays_in_its_sentence(language, wikitext, text):
    assert wikitext_to_text(wikitext, language=language) == text

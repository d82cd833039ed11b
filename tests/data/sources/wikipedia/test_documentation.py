"""What templates show by the documentation of their own Wikipedia, where a rule once said otherwise."""

import pytest

from data.sources.wikipedia.wikitext import wikitext_to_text

SENTENCES = [
    ("en", "a {{lit|a cat|a cow}}, {{lit.|a hen}} or {{lit}} x",
     "a lit. ‘a cat’ or ‘a cow’, lit. ‘a hen’ or lit. x"),
    ("en", 'he "{{sic|sep|erate}}d {{sic}} it", {{sic|?|tooo}}, {{sic|hide=y|wi|sh}}',
     'he "seperate [sic]d [sic] it", tooo [sic?], wish'),
    ("en", "In {{ussc|347|483|1954|el=no}} and {{ussc|name=A v. B|volume=5|page=137|pin=140|year=1803}}.",
     "In 347 U.S. 483 (1954) and A v. B, 5 U.S. 137, 140 (1803)."),
    ("en", "({{lang-ru|Казань|Kazan|cauldron}}), ({{langx|fr|Rome|row}}) and {{langx|uk|Рим|translit=Rym}}.",
     "(Russian: Казань, romanized: Kazan, lit. ‘cauldron’), (French: Rome, lit. ‘row’) and "
     "Ukrainian: Рим, romanized: Rym."),
    ("en", "A ({{age in years, months and days|1775|4|19|1783|9|3}}) is {{age in years|1901|7|9|1950|7|8}}.",
     "A (8 years, 4 months and 15 days) is 48."),
    ("en", "Of 3 {{solar mass}} or {{Solar radius|1.2|link=y}}, {{val|2|u=M_Solar}}, at {{L4}}, "
     "{{RA|18|11|2}}.",
     "Of 3 M☉ or 1.2 R☉, 2 M☉, at L4, 18h 11m 2s."),
    ("en", "The planets {{mp|2010 TK|7}}, {{mpl-|322756|2001 CK|32}} and {{mpl|Ceres}}.",
     "The planets 2010 TK7, (322756) 2001 CK32 and Ceres."),
    ("en", "On {{closed-open|0|1}}, {{open-closed|a, b}}, {{open-open|0|2}} or {{closed-closed|1|''n''}} "
     "and {{mset|1|2}}.",
     "On [0, 1), (a, b], (0, 2) or [1, n] and {1, 2}."),
    ("en", "A {{dfn|ring}} of{{thinsp}}1{{thinsp|m|s}} in {{shy|super|mar|ket}}s{{shy}}, {{frac2|1|3}} of "
     "9{{pprime}}.",
     "A ring of 1m s in supermarkets, 1/3 of 9″."),
    ("en", "It took {{ayd|April 26, 2001|September 26, 2006}}, {{age in years and days|2000|2|29|2001|3|2}}.",
     "It took 5 years, 153 days, 1 year, 1 day."),
    ("en", "In {{duration|m=3|s=5}}, {{duration|h=1|m=2}}, {{Duration|1|2|3}}, {{duration||20|4}} or "
     "{{duration|3:20}}.",
     "In 3:05, 1:02:00, 1:02:03, 20:04 or 3:20."),
    ("en", "A quake of {{M|w|7.2}} or {{earthquake magnitude|5}} near {{airport codes|MMJ|RJAF}} or "
     "{{airport codes||XY}}.",
     "A quake of Mw 7.2 or M 5 near (IATA: MMJ, ICAO: RJAF) or (ICAO: XY)."),
    ("en", "By {{IETF RFC|791}} and {{CVE|2020-1}}, {{unichar|00A9}} and {{unichar|0301|Acute}} go "
     "{{arrow|r}}.",
     "By RFC 791 and CVE-2020-1, U+00A9 © COPYRIGHT SIGN and U+0301 COMBINING ACUTE ACCENT go →."),
    ("en", "A {{nihongo3|shrine|神社|jinja}}, a {{nihongo4|castle|城|shiro}} of {{linktext|東|京}} is "
     "{{linktext|old|stone}}.",
     "A jinja (神社, shrine), a castle (城, shiro) of 東京 is old stone."),
    ("en", "Since {{est.|1990}}, {{cx|150 AD}}, of {{proto|Germanic|erþō}}, {{male}} and {{female}}; "
     "A{{spades}}.",
     "Since est. 1990, c. 150 AD, of Proto-Germanic *erþō, ♂ and ♀; A♠."),
    ("en", "In the {{decade|1915}}, {{BWV|565}} ({{aka|Toccata}}, {{cf.|Hill}}) of {{ushr|California|51}}, "
     "{{ushr|Iowa|AL|X}}, {{USpolabbr|R|NH}}, at {{winpct|30|20}} and {{winning percentage|1|0}}.",
     "In the 1910s, BWV 565 (a.k.a. Toccata, cf. Hill) of California's 51st congressional district, "
     "Iowa at-large, R-NH, at .600 and 1.000."),
    ("fr", "À ({{coréen|hangeul=서울|rr=Seoul}}), {{lang|ja|texte=大阪|trans=Ōsaka}}, {{lang|rtl|ar|قط}}",
     "À (서울, Seoul), 大阪 (Ōsaka), قط"),
    ("fr", "Il dit {{citation|texte=bonne nuit}} et {{citation étrangère|en|good night}}.",
     "Il dit « bonne nuit » et good night."),
    ("de", "Nach {{§|12|StGB|dejure}} StGB, {{Art.|3|GG|juris}} GG und {{§§|bgb|juris|text=dem BGB}}.",
     "Nach § 12 StGB, Art. 3 GG und dem BGB."),
    ("de", "Berg, {{Höhe|1800|NO}}, {{§|5|x|juris|text=§ 5 Satz 2}}.", "Berg, 1800 moh., § 5 Satz 2."),
    ("de", "Weblinks:\n\n{{Wikisource|Anna Beispiel}}\n* Heim", "Weblinks:\n\n- Heim"),
    ("es", "Mide {{esd|7 m}} y no 8{{esd}}km.", "Mide 7 m y no 8 km."),
    ("es", "El {{ord|4|.ª}} {{cita requerida|3 de mayo de 2011}} y {{ord|5|o}} día.", "El 4.ª y 5.º día."),
    ("es", "El {{ord|7.|o}} y el {{ord|1.|er}} puente.", "El 7.º y el 1.er puente."),
    ("fr", "Au {{s|xvii}}, au {{-s|ii}} et aux {{s2|xii|e|xiv|e}}.",
     "Au XVIIe siècle, au IIe siècle av. J.-C. et aux XIIe et XIVe siècles."),
    ("fr", "Le pont de {{refnec|1650|date=mai 2011}}, en {{refnec|août 1651|date=2012}} {{refnec|2013}} là.",
     "Le pont de 1650, en août 1651 là."),
    ("pt", "Em {{carece de fontes|1650|data=maio de 2011}} e {{carece de fontes|hist|data=2011}} há.",
     "Em 1650 e há."),
    ("ru", "В {{нет АИ 2|1650|29|12|2012}} {{нет АИ|29|12|2012}} мост был {{МР|Тверь|в Твери}}.",
     "В 1650 мост был в Твери."),
    ("uk", "Міст {{Немає АД 2|дуже старий|29|12|2012}} і {{Fact2|довгий|29|12|2012}}.",
     "Міст дуже старий і довгий."),
    ("sr", "Мост ({{jez-eng|bridge}}; {{jez-nem|Brücke}}) је {{činjenica|стар|datum=мај 2011}} {{klica}}.",
     "Мост (енгл. bridge; нем. Brücke) је стар."),
    ("sl", "Za {{zastava|Francija}} in {{zastava|ITA}} gre {{zastavica|ESP}} Ana.",
     "Za Francija in Italija gre Ana."),
    ("sv", "För {{flagga|Norge}} och {{flagga|DEN|namn=danskarna}} vann {{flaggbild|ESP}} Ana.",
     "För Norge och danskarna vann Ana."),
    ("pl", "Grał z {{państwo|FRA|nazwa=Francuzami}} i {{państwol|ITA}} tu.",
     "Grał z Francuzami i Włochy tu."),
    ("es", "Ganó a {{bandera2|FRA|nombre=los franceses}} allí.", "Ganó a los franceses allí."),
    ("cs", "Je {{věk v letech a dnech|1990|6|5}} starý, od {{Datum narození a věk|1990|6|5}}.",
     "Je starý, od 5. června 1990."),
    ("sl", "Ana je {{Starost v letih in dnevih|1990|6|5}} stara.", "Ana je stara."),
    ("ru", "* {{Нихонго-но-намаэ|'''Ана Мори'''|森 アナ|Мори Ана}} — дочь Ивана.",
     "- Ана Мори (яп. 森 アナ Мори Ана) — дочь Ивана."),
    ("ru", "Они тут:\n{{Описание персонажа\n| имя = Ана\n| сэйю = Ива\n| описание = Ана поёт. Она тут.\n}}",
     "Они тут:\n\nАна\nАна поёт. Она тут."),
    ("ru", "Мост стоит ({{Прошло лет|5|6|1990}} лет) тут.", "Мост стоит тут."),
    ("de", "Sie ist {{Alter in Tagen|5|6|1990}} alt, seit {{Altarweihe|5|6|1990}} da.",
     "Sie ist alt, seit 5. Juni 1990 da."),
    ("ro", "Ana {{este}} {{Listă de la Wikidata|P106|sep=, |conj=și}} aici.", "Ana este aici."),
    ("pt", "A torre {{carece de fontes|geo-por|data=2011}} e{{carece de fontes|uma nota}} a ponte.",
     "A torre e a ponte."),
    ("pl", "Wersety {{wers bibl|Mk|4|9}} są.", "Wersety Mk 4:9 są."),
    ("ru", "Пекин ({{китайский|北京||Běijīng|Бэйцзин}}; {{китайский|упр=京}}) — город.",
     "Пекин (кит. трад. 北京, пиньинь Běijīng, палл. Бэйцзин; кит., упр. 京) — город."),
    ("uk", "м{{наголос|о}}ст", "мо́ст"),
    ("bg", "{{Източник|Мостът е най-стар}} тук. {{посочи източник|Той е от 1850 г.}}",
     "Мостът е най-стар тук. Той е от 1850 г."),
    ("cs", "Je {{Fakt/dne|20100304112233|velmi starý}} {{fakt/dne|20100304}} most.", "Je velmi starý most."),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(SENTENCES)))
def test_a_template_shows_what_its_documentation_says(number):
    language, wikitext, text = SENTENCES[number]
    assert wikitext_to_text(wikitext, language=language) == text

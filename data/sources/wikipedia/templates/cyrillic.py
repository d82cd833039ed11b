"""Templates of the Russian, Ukrainian, Bulgarian and Serbian Wikipedias."""

from data.sources.wikipedia.templates.figures import dated
from data.sources.wikipedia.templates.patterns import compiled, dropped
from data.sources.wikipedia.templates.rules import FUNCTIONS

RUSSIAN = """
s | nobr | nowrap | цитата | comment | abbr | formatnum | малый | музыка | мв | капитель | малые прописные
| имя | бс | lang-* | ударение | выделение | math | mvar | mono | шрифт | кхм | стих
| начало цитаты | скрытый | якорь2 | нет в источнике | мфа | коммент → @text
lang | языки | цвет | color → @second
не переведено | не переведено 2 | не переведено 3 | не переведено 4 | не переведено 5 | не переведено 6 | нп
| нп1 | нп2 | нп3 | нп4 | нп5 | нп6 | iw | iw2 | не перевод → {текст,надо,2,1}
нет аи | нет аи 2 | источник? | факт | уточнить | прояснить | кто | кто? | что | какой | какой? | где | где?
| чей | чей? | когда | когда? | зачем | почему | как | сколько | неоднозначно | значимость факта
| достоверность | аи? | ? | проверить факт | спорно | fact | обновить фразу | стиль фразы | неясно
| необходимо пояснение → @wrapped
num | число | единица измерения → {*}
км → {1} км
м → {1} м
кг → {1} кг
e | exp10 → ·10^{1}
sup → @raised
sub → @lowered
тире | - - → ␣—␣
дата | date | датарождения | датасмерти → @russian date
oldstyledate | олдстайлдейт | сс → @old style date
библия | библия2 → {*}
подударение | acute → {1}́
usd → ${1}
рубль | руб → ₽
до н. э. | до н.э. → [{1} ]до н. э.
н. э. → [{1} ]н. э.
frac | дробь → @fraction
comment2 → {1}
"""
RUSSIAN_DROPPED = """
книга | статья | cite * | публикация | примечания | основная статья | главная статья | см. также | значения
| флаг | флаг * | флагифицировать | родственный проект | внешние ссылки | нет ссылок | нет источников
| карточка | карточка * | начало скрытого блока | конец скрытого блока | навигация | ref-* | ref-en
| wikidata | wikify | coord | не путать | другие значения | redirect | якорь | rq | библиоинформация
| изолированная статья | незавершённая статья | stub* | заготовка* | улучшить | указ. соч. | sfn | sfn0
| викисклад | указатель | перевести | переписать | -s- | clear | дописать | кол | конец кол | кн | столбцы
| commonscat
"""

UKRAINIAN = """
s | nobr | nowrap | цитата | comment | abbr | formatnum | lang-* | мова-* | наголос | mono
| бс | математика → @text
lang | мова | кольоровий → @second
не перекладено | нп | нп1 | нп2 | нп3 | нп4 | нп5 | нп6 | не переклад | iw | iw2 | d → @second
факт | джерело | джерело? | немає ад | без джерела | хто | хто? | що | коли | коли? | де | де? | уточнити
| прояснити | який? | сумнівно | чому? | неясно → @wrapped
num | число → {*}
тире → ␣—␣
до н. е. | до н.е. → [{1} ]до н. е.
н. е. | н.е. → [{1} ]н. е.
дата → @ukrainian date
"""
UKRAINIAN_DROPPED = """
книга | стаття | cite * | примітки | reflist | головна | main | основна стаття | див. також | значення
| прапор | прапорець | картка | картка * | commonscat | бібліоінформація | coord | неоднозначність | stub*
| доробити | без джерел | ref-* | нормативний контроль | якір | публікація | перекласти | sfn | портал
"""

BULGARIAN = """
lang | език → @second
lang-* | nowrap | цитат | мат | formatnum | ударение → @text
нп | нп3 | нп5 | не преведено | iw → @second
факт | източник? | кой | кога | къде | неясно | фактология → @wrapped
дата → @bulgarian date
"""
BULGARIAN_DROPPED = """
основна | основна статия | виж също | cite * | цитат книга | цитат уеб | икона | флаг | знаме | commonscat
| commons | пояснение | мъниче* | без източници | инфокутия* | * инфокутия | портал | нормативен контрол
| превод от | източници | reflist | coord
"""

SERBIAN = """
lang | језик | јез | jez → @second
lang-* | јез-* | jez-* | nowrap | цитат | citat | formatnum | навод → @text
нп | нпс → @second
чињеница | тражи се извор | treba izvor | извор? | fact | ко | када | кога | nedostaje izvor → @wrapped
дат → @serbian date
"""
SERBIAN_DROPPED = """
главни чланак | главни | glavni | такође погледајте | види још | референце | reflist | cite * | застава
| zastava | клица* | инфокутија* | инфокутија * | commonscat | вишезначна одредница | нормативна контрола
| портал | без извора | coord | ref-*
"""

_MONTHS = ("января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа")
_MONTHS += ("сентября", "октября", "ноября", "декабря")


def _date(positional: list[str], named: dict[str, str]) -> str:
    """{{дата|5|6|1990}}: 5 июня 1990."""
    day, month, year = [*positional, "", "", ""][:3]
    month = _MONTHS[int(month) - 1] if month.isdecimal() and 1 <= int(month) <= 12 else month
    return " ".join(filter(None, [day, month, year]))


def _old_style_date(positional: list[str], named: dict[str, str]) -> str:
    """{{OldStyleDate|17 октября|1905|4 октября}}, {{OldStyleDate|17|10|1905|4}}: 4 (17) октября 1905."""
    if len(positional) > 3 and positional[0].isdecimal():
        positional = [_date(positional[:2], {}), positional[2], _date([*positional[3:5]], {})]
    new, year, old = [*positional, "", "", ""][:3]
    new_day, _, new_month = new.partition(" ")
    old_day, _, old_month = old.partition(" ")
    if not old:
        return f"{new} {year}".strip()
    if old_month in ("", new_month):
        return f"{old_day} ({new_day}) {new_month} {year}".strip()
    return f"{old} ({new}) {year}".strip()


_TABLES = {
    "ru": (RUSSIAN, RUSSIAN_DROPPED),
    "uk": (UKRAINIAN, UKRAINIAN_DROPPED),
    "bg": (BULGARIAN, BULGARIAN_DROPPED),
    "sr": (SERBIAN, SERBIAN_DROPPED),
}
_FUNCTIONS = FUNCTIONS | {
    "russian date": _date,
    "old style date": _old_style_date,
    "ukrainian date": dated(
        "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня"
    ),
    "bulgarian date": dated(
        "януари февруари март април май юни юли август септември октомври ноември декември"
    ),
    "serbian date": dated(
        "јануара фебруара марта априла маја јуна јула августа септембра октобра новембра децембра",
        day_mark=".",
        year_mark=".",
    ),
}
RULES = {name: dropped(without) | compiled(table, _FUNCTIONS) for name, (table, without) in _TABLES.items()}

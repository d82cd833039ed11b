"""Templates of the Russian, Ukrainian, Bulgarian and Serbian Wikipedias."""

from data.sources.wikipedia.templates.languages import plurals
from data.sources.wikipedia.templates.patterns import Rule, Rules, compiled, dropped
from data.sources.wikipedia.templates.rules import FUNCTIONS, japanese
from data.sources.wikipedia.templates.separators import number_and_units

RUSSIAN = """
s | nobr | nowrap | цитата | comment | abbr | малый | музыка | мв | капитель | малые прописные
| имя | бс | lang-* | выделение | math | mvar | mono | шрифт | кхм | стих
| начало цитаты | якорь2 | нет в источнике | мфа | коммент → @text
lang | языки | цвет | color → @second
не переведено 2 | не переведено 3 | не переведено 4 | не переведено 5 | не переведено 6 | не перевод
→ @interlanguage
мр | мс → {2,1}
нет аи | нет аи 2 | нет источника
| источник? | факт | уточнить | прояснить | кто | кто? | что | какой | какой? | где | где?
| чей | чей? | когда | когда? | зачем | почему | как | сколько | неоднозначно | значимость факта
| достоверность | аи? | ? | проверить факт | спорно | fact | обновить фразу | стиль фразы | неясно
| необходимо пояснение → @wrapped
num | число | единица измерения → @counted
км → {1} км
м → {1} м
кг → {1} кг
e | exp10 → ·10^{1}
sup → @raised
sub → @lowered
тире | - - → ␣—␣
библия2 → @verse
век → {1} век
plural → @plural
ок. | около → ок. {1}
подударение | ударение | ' | acute → {1}́
usd → ${1}
рубль | руб → [{1} ]₽
до н. э. | до н.э. → [{1} ]до н. э.
н. э. → [{1} ]н. э.
frac | дробь → @fraction
comment2 → {1}
nl | нл → {1-2: }
vgy → {1}
рим | римские цифры | римское число → @roman
хангыль → @nihongo
нихонго | nihongo | нихонго-но-намаэ → @japanese
описание персонажа → @character
bt-ruslat | bt-latrus → {1}[ ({2})]
btname → {1-2: }
китайский → кит.[ трад. {1,трад}][, упр. {2,упр}][, пиньинь {3,пиньинь}][, палл. {4,палл}]
"""
RUSSIAN_DROPPED = """
книга | статья | cite * | публикация | примечания | основная статья | главная статья | см. также | значения
| флаг | флаг * | флагифицировать | родственный проект | внешние ссылки | нет ссылок | нет источников
| карточка | карточка * | начало скрытого блока | конец скрытого блока | навигация | ref-* | ref-en
| wikidata | wikify | не путать | другие значения | redirect | якорь | rq | библиоинформация
| изолированная статья | незавершённая статья | stub* | заготовка* | улучшить | указ. соч. | sfn | sfn0
| викисклад | переход | указатель | перевести | переписать | -s- | clear | дописать | кол | конец кол
| кн | столбцы | commonscat
"""

UKRAINIAN = """
s | nobr | nowrap | цитата | comment | abbr | lang-* | мова-* | mono
| бс | математика → @text
lang | мова | кольоровий → @second
не переклад → @interlanguage
d → @second
нихонґо | нихонго | nihongo → @japanese
плюрал | plural → @plural
бл. → бл. {1}
століття → {1} століття
наголос → {1}́
факт | fact2 | джерело | джерело? | немає ад | немає ад 2 | потрібне джерело
| без джерела | хто | хто? | що | коли | коли? | де | де? | уточнити
| прояснити | який? | сумнівно | чому? | неясно → @wrapped
num | число → @counted
тире → ␣—␣
до н. е. | до н.е. → [{1} ]до н. е.
н. е. | н.е. → [{1} ]н. е.
"""
UKRAINIAN_DROPPED = """
книга | стаття | cite * | примітки | reflist | головна | main | основна стаття | див. також | значення
| прапор | прапорець | картка | картка * | commonscat | бібліоінформація | неоднозначність | stub*
| доробити | без джерел | ref-* | нормативний контроль | якір | публікація | перекласти | sfn | портал
"""

BULGARIAN = """
lang | език → @second
lang-* | nowrap | цитат | мат | ударение → @text
факт | източник | посочи източник | източник? | кой | кога | къде | неясно | фактология → @wrapped
ок. → ок. {1}
век → {1} век
"""
BULGARIAN_DROPPED = """
основна | основна статия | виж също | cite * | цитат книга | цитат уеб | икона | флаг | знаме | commonscat
| commons | пояснение | мъниче* | без източници | инфокутия* | * инфокутия | портал | нормативен контрол
| превод от | източници | reflist
"""

SERBIAN = """
lang | језик | јез | jez → @second
lang-* | јез-* | jez-* | nowrap | цитат | citat | навод → @text
нпс → @interlanguage
чињеница | тражи се извор | treba izvor | извор? | fact | ко | када | кога | nedostaje izvor → @wrapped
"""
SERBIAN_DROPPED = """
главни чланак | главни | glavni | такође погледајте | види још | референце | reflist | cite * | застава
| zastava | клица* | инфокутија* | инфокутија * | commonscat | вишезначна одредница | нормативна контрола
| портал | без извора | ref-* | зас | zas
"""

# Serbian letters in the language's other script.
_IN_LATIN = str.maketrans("абвгдђежзијклмнопрстћуфхцчш", "abvgdđežzijklmnoprstćufhcčš")
_IN_LATIN |= str.maketrans({"љ": "lj", "њ": "nj", "џ": "dž"})

_TABLES = {
    "ru": (RUSSIAN, RUSSIAN_DROPPED),
    "uk": (UKRAINIAN, UKRAINIAN_DROPPED),
    "bg": (BULGARIAN, BULGARIAN_DROPPED),
    "sr": (SERBIAN, SERBIAN_DROPPED),
}


def with_latin_names(rules: Rules) -> Rules:
    """The rules by their names in both scripts, as LanguageConverter finds {{јез-енг}} for {{jez-eng}}."""
    return {name.translate(_IN_LATIN): rule for name, rule in rules.items()} | rules


def _plural(language: str) -> Rule:
    """{{plural|21|год|года|лет}}: the form of the noun."""
    return lambda positional, named: plurals.plural("".join(positional[:1]), positional[1:], language)


def _counted(language: str) -> Rule:
    """{{число|3|дом|дома|домов}}: 3 дома; {{num|12345.6|км²}}: 12 345,6 км²."""
    with_units = number_and_units(language)

    def rule(positional: list[str], named: dict[str, str]) -> str:
        number = with_units(positional[:1], {})
        return plurals.counted([number, *positional[1:]], language) or with_units(positional, named)

    return rule


def _character(positional: list[str], named: dict[str, str]) -> str:
    """{{Описание персонажа|имя=Аква|описание=Она поёт.}}: the name and the text, on lines of their own."""
    return "\n".join(["", named.get("имя", ""), named.get("описание", ""), ""])


def _functions(language: str) -> dict[str, Rule]:
    return {
        "character": _character,
        "plural": _plural(language),
        "counted": _counted(language),
        "japanese": japanese("яп."),
    }


RULES = {
    name: dropped(without) | compiled(table, FUNCTIONS | _functions(name))
    for name, (table, without) in _TABLES.items()
}

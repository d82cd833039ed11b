"""Templates of the Wikipedias of Eastern Europe: Polish, Czech, Croatian, Slovenian and Hungarian."""

from data.sources.wikipedia.templates.patterns import compiled, dropped
from data.sources.wikipedia.templates.rules import FUNCTIONS
from data.sources.wikipedia.templates.separators import number_and_units

POLISH = """
nowrap | cytat | poezja | ipa | abbr | skrót | cytat d | small | kapitaliki | lang-*
| nazwa biblijna → @text
lang | obce → @second
język obcy → {2}
link-interwiki → @interlanguage
j → @units
fmt → {*}
fakt | źródło | kto | kiedy | komu | gdzie | jakie | potrzebny przypis → @wrapped
przelicz → @convert
bibl | wers bibl → @verse
dziennik ustaw | dz.u. | dz. u. → Dz.U. z {1} r.[ poz. {3,2}]
monitor polski → M.P. z {1} r.[ poz. {3,2}]
rzymskie → @roman
ok. → ok. {1}
nihongo → @nihongo
japoński → [jap. {1}][ {2}][, {3}]
"""
POLISH_DROPPED = """
cytuj * | cytuj stronę | cytuj książkę | cytuj pismo | r | odn | przypisy | osobny artykuł | zobacz też
| flaga | flaga * | commons | kontrola autorytatywna | stub* | ujednoznacznienie | infobox* | * infobox
| dopracować | przypis | uwaga | dead link | u góry | lang-icon | język | v
| main | spis treści | siostrzane projekty | k | u | czyim
"""

CZECH = """
nowrap | citát | citát * | citace | malé | lang-* | ipa | kapitálky → @text
výslovnost | vjazyce2 | cizojazyčně | cizo jazyčně | jazyk → @second
doplňte zdroj | fakt | fakt/dne → @wrapped after a time
kdo? | kdy? | kde? | upřesnit | zdroj? → @wrapped
převod → @convert
století → {1}. století
cca | okolo → cca {1}
"""
CZECH_DROPPED = """
citace monografie | citace elektronického periodika | citace periodika | citace * | vjazyce | vlajka
| hlavní článek | viz též | rozcestník | infobox * | infobox - * | autoritní data | commonscat | pahýl
| souřadnice | kotva | možná hledáte | různé významy | překlad | neověřeno | clear | doplňte zdroje
| wikifikovat | poznámka | není ve zdroji | nejisté datum
"""

CROATIAN = """
lang | jez → @second
lang-* | jez-* | nowrap | citat → @text
stoljeće → {1}. stoljeće
nedostaje izvor | izvor? | tko | kada | nejasno → @wrapped
"""
CROATIAN_DROPPED = """
citiranje weba | citiranje knjige | cite * | glavni | glavni članak | izvori | infookvir * | mrva* | zastava
| commonscat | vidi još | razdvojba | flag | z
"""

SLOVENIAN = """
jezik | lang → @second
lang-* | jezik-* | nowrap | citat → @text
stoletje → {1}. stoletje
okoli → okoli {1}
"""
SLOVENIAN_DROPPED = """
navedi knjigo | navedi splet | navedi revijo | navedi * | glavni | glavni članek | sklici | infopolje *
| škrbina* | commonscat | razločitev | normativna kontrola | navedi vir | potreben vir | podatek
| kdo | kdaj | navedi vir v besedilu | preveri vir | natančneje | neuspešno preverjanje | citation needed | cn
| fact | when | who | which | clarify | by whom | opomba
"""

HUNGARIAN = """
nyelv | ny | lang → @second
lang-* | h-* | nowrap | idézet | szöveg | ipa | ford-* → @text
forr | forráshiányos szöveg | ki | mikor | hol | pontosabban | kit → @wrapped
szám → @number and units
átváltás → @convert
század → {1}. század
kor | aktuális kor → @age
kb. | kb → kb. {1}
"""
HUNGARIAN_DROPPED = """
cite * | cit-web | cit-lib | citlib | citweb | opcit | refhely | jegyzetek | források | commonskat | egyért
| lásd még | bővebben | nemzetközi katalógusok | csonk* | infobox* | zászló | portál | nincs forrás
| fordítás | hely | jegyzet | jegyzet* | refweb
"""

_TABLES = {
    "pl": (POLISH, POLISH_DROPPED),
    "cs": (CZECH, CZECH_DROPPED),
    "hr": (CROATIAN, CROATIAN_DROPPED),
    "sl": (SLOVENIAN, SLOVENIAN_DROPPED),
    "hu": (HUNGARIAN, HUNGARIAN_DROPPED),
}
# Hungarian writes four-digit numbers without a separator (A magyar helyesírás szabályai, 289).
_FUNCTIONS = FUNCTIONS | {"number and units": number_and_units("hu", four_together=True)}
RULES = {name: dropped(without) | compiled(table, _FUNCTIONS) for name, (table, without) in _TABLES.items()}

"""Templates of the German, Dutch, Swedish and Danish Wikipedias."""

from data.sources.wikipedia.templates.coordinates import german
from data.sources.wikipedia.templates.patterns import Rule, compiled, dropped
from data.sources.wikipedia.templates.rules import FUNCTIONS
from data.sources.wikipedia.templates.separators import number_and_units

# {{enS|word}}: the language and the text.
LANGUAGES = """
af afrikaans am amharisch ar arabisch arc aramäisch az aserbaidschanisch be belarussisch bg bulgarisch bn
bengalisch bo tibetisch br bretonisch bs bosnisch ca katalanisch co korsisch cs tschechisch cy walisisch da
dänisch el griechisch en englisch eo esperanto es spanisch et estnisch eu baskisch fa persisch fi finnisch
fo färöisch fr französisch fy westfriesisch ga irisch gd schottisch-gälisch gl galicisch grc altgriechisch
gu gujarati he hebräisch hi hindi hr kroatisch hsb obersorbisch dsb niedersorbisch hu ungarisch hy armenisch
id indonesisch is isländisch it italienisch ja japanisch ka georgisch kk kasachisch km khmer kn kannada ko
koreanisch ku kurdisch ky kirgisisch la lateinisch lb luxemburgisch ln lingala lo laotisch lt litauisch lv
lettisch mi māori mk mazedonisch ml malayalam mn mongolisch mr marathi ms malaiisch mt maltesisch my
birmanisch nb bokmål nds niederdeutsch ne nepalesisch nl niederländisch no norwegisch oc okzitanisch pa
punjabi pl polnisch ps paschtu pt portugiesisch qu quechua rm rätoromanisch ro rumänisch ru russisch sa
sanskrit sc sardisch scn sizilianisch sh serbokroatisch si singhalesisch sk slowakisch sl slowenisch sm
samoanisch so somali sq albanisch sr serbisch sv schwedisch sw suaheli ta tamil te telugu tg tadschikisch th
thailändisch tk turkmenisch tl tagalog tr türkisch tt tatarisch uk ukrainisch ur urdu uz usbekisch vi
vietnamesisch wa wallonisch yi jiddisch zh chinesisch
"""

GERMAN = """
höhe → @altitude
" | "-* → [„{text,1}“]
' → ‚{1}‘
zitat | zitat-* → {text,1}
§ → @paragraph
§§ → {text,1}
art. | artikel → @article
bibel | b | bibel2 → {1} {2}[,{3}]
zahlexp → [{pre} ]{1}{suffix}[·10^{2}][ {post}]
zahl | formatzahl | num → @units
zahlwort | abk | abkürzung | nowrap | polytonisch | unicode | lang-*
| lautschriftlink | musik | kapitälchen | gedicht | hebr | kyrs | arf | lsj | anführung
| hochgestellt | sperrschrift | versal | text | person | zeichen → @text
lang | farbe | farblegende | coloré → @second
lautschrift → @bracketed
ipa → {1}
bruch → @fraction
jahrhundert | jh → {1}. Jahrhundert
hoch → @raised
tief → @lowered
audio → {2}
0 →
sortkeyname → {1-2: }
coordinate → @german coordinates
chf → CHF {1}
euro → {1} Euro
japanisch → @nihongo
"""
GERMAN_DROPPED = """
siehe auch | hauptartikel | begriffsklärungshinweis | begriffsklärung | dieser artikel | commonscat
| bibisbn | bibdoi | bibpmid | bibissn | bibjfm | bibzbl | bibarxiv | bibhandle
| commons | sfn | literatur | internetquelle | belege | belege fehlen | belege * | überarbeiten | lückenhaft
| anker | fn | fnzelle | fnbox | fntext
| normdaten | absatz | navigationsleiste * | infobox * | bild | panorama | hinweisbaustein
| wikisource | dnb | dnb-portal | imdb | veraltet | exzellent | lesenswert | internetquelle *
| webarchiv | toter link | aktualisieren | quelle | wann | wer | bausteindesign* | verweis | pnd | tabellen*
| positionskarte* | personendaten | falschschreibung | hinweis-*
"""

DUTCH = """
lang → @second
lang-* | nowrap | citaat | kapitaal | small caps → @text
cite | aut → {1}
eeuw → {1}e eeuw
wie | wie? | wanneer | wanneer? | waar? | welke? → @wrapped
ipa → {1}
"""
DUTCH_DROPPED = """
bron | feit | feit? | bron? | bron gevraagd | appendix | references | wikidata | coor | coördinaten | dp
| dpintro | beginnetje | zie hoofdartikel | zieook | vlag | zie ook | hoofdartikel | citeer * | voetnoot
| navigatie * | infobox *
| largethumb | bronvermelding | onbekende taal | clear | commonscat
"""

SWEDISH = """
lang → @second
lang-* | nowrap | citat | tal | versalgemen | kapitäler | ipa-text | ipa → @text
språk → @second
auktor → {1}[, {2}]
"""
SWEDISH_DROPPED = """
källa behövs | referens behövs | kb | fact | cn | citation needed | begär citat | fakta | faktamall
| vem | vad | förtydliga | när | tveksamt | ifrågasatt uppgift | ej i angiven källa | webbref | bokref
| tidskriftsref | tidningsref | citation | flaggbild | huvudartikel
| se även | olika betydelser | källor | referenser | auktoritetsdata | commonscat | ingen källa | stub
| robotskapad | navbox * | infobox * | faktamall * | noter | fotnot | ref-* | sidcit | ändra | clear
"""

DANISH = """
lang → @second
lang-* | nowrap | citat | ipa → @text
århundrede → {1}. århundrede
"""
DANISH_DROPPED = """
kilde mangler | km | fakta | fact | cn | citation needed | hvem | hvornår | hvad | præciser
| autoritetsdata | commonscat | kilde | kilder | hovedartikel | se også | flertydig | flagikon | reflist
| stub | infoboks * | kilde-artikel | bogref | webref | fodnote | clear | kilder mangler
"""


def _provision(sign: str) -> Rule:
    """{{§|823|BGB|juris}} BGB: § 823 BGB. The law in the template is only part of the address."""
    return lambda positional, named: named.get("text") or f"{sign} {''.join(positional[:1])}".strip()


_FUNCTIONS: dict[str, Rule] = {"paragraph": _provision("§"), "article": _provision("Art.")}
_FUNCTIONS["german coordinates"] = german
_FUNCTIONS["units"] = number_and_units("de")  # used in the German table only
_PAIRS = zip(LANGUAGES.split()[::2], LANGUAGES.split()[1::2])
GERMAN += "".join(
    f"{code}s → {language}[ {{1}}][ {{2}}][, DMG {{d}}][ ‚{{b}}‘]\n"
    for code, language in _PAIRS
    if code != "zh"
)
GERMAN += "zhs → chinesisch[ {c,v}][ / {t}][ {1}][, Pinyin {p}]\n"

_TABLES = {
    "de": (GERMAN, GERMAN_DROPPED),
    "nl": (DUTCH, DUTCH_DROPPED),
    "sv": (SWEDISH, SWEDISH_DROPPED),
    "da": (DANISH, DANISH_DROPPED),
}
RULES = {
    name: dropped(without) | compiled(table, FUNCTIONS | _FUNCTIONS)
    for name, (table, without) in _TABLES.items()
}

"""Templates of the French Wikipedia."""

import re

from data.sources.wikipedia.templates.arguments import second, text
from data.sources.wikipedia.templates.patterns import Rule, compiled, dropped
from data.sources.wikipedia.templates.rules import FUNCTIONS
from data.sources.wikipedia.templates.separators import number_and_units

_NUMERAL = re.compile(r"[IVXLivxl]+|\d+")
TABLE = """
# Centuries. `s-` has no link, `-s` is before Christ, `s2` and `sp` take two centuries.
s | s- | siècle | siècle- → @century
s mini | s mini- → @ordinal
-s | -s- | sav | sav- → @century bc
sap | sap- → @century ad
-s mini | -s mini- → @ordinal bc
s2 | s2- → @two centuries
sp | sp- → @century range
-s2 | -s2- → @two centuries bc
-sp | -sp- → @century range bc
millénaire → @millennium
-millénaire | -m → @millennium bc
av jc | avjc | av. j-c | av j-c | av.jc | av. j.-c. | avant jc | av. jc | av j.-c. | -jc → [{1} ]av. J.-C.
ap jc | apjc | ap. j.-c. | apr. j.-c. | après jc → [{1} ]apr. J.-C.

# Dates and times.
1er → 1er[ {1}][ {2}]
ier → Ier
heure | h → {1} h[ {2}][ min {3} s]
durée → [{1} h][ {2} min][ {3} s]

# Figures.
unité | unité/2 | unité/1 | unité/3 | nombre | nb | num | fmtnum → @number and units
dunité → {1} × {2-9: }
o → o[ {1}]
os → os[ {1}]
nd → nd
nde → nde
n° | nº | numéro | no → nº {1}
p. | p | page → p. {1}
pp. → pp. {1}
n°s | nos | numéros → nos {1}
t. | tome → t.[ {1}]
vol. → vol.[ {1}]
chap. → chap.[ {1}]
art. → art.[ {1}]
x10 | x10^ → ×10^{1}
fchim | formule chimique → @chemistry
exp | exposant → @raised
e → e
er → er
re → re
ère → ère
ind | indice → @lowered
euro | euros → [{1} ]€
dollar | dollars → [{1} ]$
tmp → {1}[ {2}]
conversion → {1}[ {2}]
romain | nombre en romain | rom | rom-maj | rom maj → @roman

# Running text.
" | citation | guil | guillemets → «␣{1,texte,contenu,citation}␣»
citation bloc | début citation | poème | vers → {texte,contenu,1}
incise → @aside
langue | lang | polytonique | lang2 → @foreign
citation étrangère → @foreign quotation
refnec | référence nécessaire | citation nécessaire | référence souhaitée | refsou | référence à confirmer
| refconf | référence insuffisante | refins | référence incomplète | passage à actualiser | pas clair | quoi
| passage évasif | passage promotionnel | non neutre | passage non neutre | préciser | qui | quand | où
| style | précision nécessaire | attribuer | mal dit | passage à déplacer | confusion | référence obsolète
| refobs | cn | pertinence | pertinence section | étayer | pléonasme | contradiction | refhl
| passage lyrique | vérifié | cita | citation à traduire | passage à vérifier | inexact → @wrapped
lien | lien rouge → {texte,fr,1,trad}
terme défini | terme | term | souverain | souverain- | souverain2 | souverain3 | pape
| abr | abbr | roi | abréviation | abrd | abréviation discrète | infobulle | explication | lnobr | petit
| petites capitales | pc | sc | nobr romains | api | api à vérifier | prononciation | ancre texte
| couleur texte | rouge | japonais | page h' | formule | siècle2 → @text
nom → {1-2: }
japonais | chinois | coréen → @nihongo
langue avec nom → [{2} : ]{3}
graphie → ‹{1}›
msapi → @bracketed
racine | racine carrée → @root
musique → @music
pourcentage → {1} %
coloré | couleur | couleurs | transl → @second
température → {1} °C
angle → {1}°[ {2}′][ {3}″]
fo | f° | folio → fo {1}
m. → M.[ {1}]
mm. → MM.[ {1}]
mme → Mme[ {1}]
mmes → Mmes[ {1}]
mlle → Mlle[ {1}]
mgr → Mgr[ {1}]
dr → Dr[ {1}]
pr → Pr[ {1}]
me → Me[ {1}]
st → St[ {1}]
ste → Ste[ {1}]
cie → Cie
cad → c'est-à-dire
-- → ␣—[ {1} —]
, →
"""

DROPPED = """
ouvrage | article | lien web | chapitre | lien brisé | harvsp | harv | sfn | note | notes | références
| refa | drapeau | drapeau2 | voir homonymes | article détaillé | loupe | ébauche | portail | infobox
| unité de * | sp. | clr | message galerie | palette | source | sources | légende | légende/*
| plume | lire en ligne | issn | en | it | de | es | la | ru | ja | nl | pt | pl | commentaire biblio
| ancre | ref-notes | références nombreuses | commons | autres projets | 2autres projets | voir aussi
| catégorie principale | référence
"""


def _ordinal(positional: list[str], named: dict[str, str]) -> str:
    """`XIX` and `XIX|e`: XIXe; `xix`, which the template shows in capitals: XIXe; `I`: Ier."""
    number, ending = [*positional, "", ""][:2]
    number = number.upper() if _NUMERAL.fullmatch(number) else number
    ending = "" if _NUMERAL.fullmatch(ending) else ending
    return number + (ending or ("er" if number in ("I", "1") else "e")) if number else ""


def _counted(noun: str, after: str = "") -> Rule:
    """{{s|II|e|av. J.-C.}}: an ordinal and the noun that it counts."""

    def rule(positional: list[str], named: dict[str, str]) -> str:
        shown = [_ordinal(positional, named), noun, after or " ".join(positional[2:3])]
        if noun and len(positional) > 1 and _NUMERAL.fullmatch(positional[1]):  # {{s|XVIII|XIX}}
            shown = [shown[0], "et", _ordinal(positional[1:2], named), f"{noun}s", after]
        return " ".join(filter(None, shown)) if positional else ""

    return rule


def _two_centuries(after: str = "") -> Rule:
    """{{s2|XVII|e|XVIII|e}}: XVIIe et XVIIIe siècles."""

    def rule(positional: list[str], named: dict[str, str]) -> str:
        is_short = len(positional) > 1 and _NUMERAL.fullmatch(positional[1])  # {{s2|XVII|XVIII}}
        middle, end = (1, 3) if is_short else (2, 4)
        first, second = _ordinal(positional[:middle], named), _ordinal(positional[middle:end], named)
        later = after or " ".join(positional[end : end + 1])
        return " ".join(filter(None, [first, "et" if second else "", second, "siècles", later]))

    return rule


def _century_range(after: str = "") -> Rule:
    """{{sp|XVII|e|au|XVIII|e|s}}, {{sp|XVII|au|XVIII|s}}: XVIIe au XVIIIe siècles."""

    def rule(positional: list[str], named: dict[str, str]) -> str:
        plural = "s" if "s" in positional[3:] else ""
        words = [part for part in positional if part not in ("", "e", "er", "s", "siècle")]
        words += ["au"] if len(words) == 1 else []
        shown = [_ordinal([word], named) if _NUMERAL.fullmatch(word) else word for word in words]
        return " ".join(filter(None, [*shown, f"siècle{plural}", after]))

    return rule


def _aside(positional: list[str], named: dict[str, str]) -> str:
    """{{incise|le maire}}: between dashes, without the second dash at the end of a sentence (`stop`)."""
    content = positional[0] if positional else ""
    return f" – {content}" + ("" if "stop" in positional[1:] or "stop" in named else " – ")


def _foreign(positional: list[str], named: dict[str, str]) -> str | None:
    """{{lang|ja|texte=東京|trans=Tōkyō}}: 東京 (Tōkyō); {{lang|rtl|ar|…}} begins with the direction."""
    if positional[:1] in (["rtl"], ["ltr"]):
        positional = positional[1:]
    shown = second(positional, named)
    return f"{shown} ({named['trans']})" if shown and named.get("trans") else shown


def _foreign_quotation(positional: list[str], named: dict[str, str]) -> str | None:
    """{{citation étrangère|en|good night}}, {{citation étrangère|langue=en|good night|trad=bonne nuit}}."""
    return text(positional, named) if named.get("langue") else second(positional, named)


_FUNCTIONS: dict[str, Rule] = {
    "foreign quotation": _foreign_quotation,
    "ordinal": _ordinal,
    "ordinal bc": _counted("", "av. J.-C."),
    "century": _counted("siècle"),
    "century ad": _counted("siècle", "ap. J.-C."),
    "century bc": _counted("siècle", "av. J.-C."),
    "millennium": _counted("millénaire"),
    "millennium bc": _counted("millénaire", "av. J.-C."),
    "two centuries": _two_centuries(),
    "two centuries bc": _two_centuries("av. J.-C."),
    "century range": _century_range(),
    "century range bc": _century_range("av. J.-C."),
    "aside": _aside,
    "number and units": number_and_units("fr"),
    "foreign": _foreign,
}

RULES = {"fr": dropped(DROPPED) | compiled(TABLE, FUNCTIONS | _FUNCTIONS)}

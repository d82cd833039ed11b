"""Templates of the Spanish, Catalan, Italian, Portuguese and Romanian Wikipedias."""

from data.sources.wikipedia.marks import HOLE
from data.sources.wikipedia.templates.forms import forms_of
from data.sources.wikipedia.templates.languages.biography import biography
from data.sources.wikipedia.templates.languages.plurals import plural
from data.sources.wikipedia.templates.measures import value
from data.sources.wikipedia.templates.patterns import Rule, compiled, dropped
from data.sources.wikipedia.templates.rules import FUNCTIONS
from data.sources.wikipedia.templates.separators import number_and_units, written

SPANISH = """
esd → {1=␣}[ {2}]
er → er
ane → [{1} ]a. n. e.
versalita | versalitas | nowrap | nobr | cita | cita bloque | número
| definición | afi | énfasis | pequeño | sin negrita | sin cursiva | voz | alfabeto | griego | t | polytonic
| lang-* → @text
lang | idioma | color | traslit → @second
siglo → @spanish century
unidad | unidades → @units
cita requerida | cr | cita requerida (frase) | aclarar | demostrar | demostrar? | quién | quien | cuándo
| cual | cuál | discutido | ampliar frase | fuente requerida | sin referencias frase
| añadir referencias frase → @wrapped
a. c. | ac | a.c. | adc → [{1} ]a. C.
d. c. | dc | d.c. | ddc → [{1} ]d. C.
euro | euros | eur → [{1} ]€
usd → USD {1}
moneda → @currency
ord → @spanish ordinal
c. | circa → c. {1}
cita necesaria → @wrapped
nº | n.º | num → n.º[ {1}]
msnm → [{1} ]m s. n. m.
convertir → @convert
enlace interlingüístico → {1,texto,es}
nihongo → @nihongo
exp → @raised
subíndice → @lowered
"""
SPANISH_DROPPED = """
cita libro | cita web | cita publicación | cita noticia | bandera | geodatos | listaref
| ap | vt | an | véase también | artículo principal | referencias | otros usos | redirige aquí | esbozo
| ficha de * | control de autoridades | commonscat | ancla | refn | harvnp | obra citada
| desambiguación | artículo destacado | artículo bueno | clear | imprecisión | en desarrollo | traducido ref
| portal | sucesión | mapa de localización* | demostrada | wikificar
"""

CATALAN = """
nowrap | versaleta | cita | lang-* | sc | afi | ipa
→ @text
lang | idioma | llengua → @second
unitats | unitat | xifra | nombre | format nombre → @units
romanes → @roman
segle → segle {1}[ {2}]
cn | citació necessària | cal citació | font? | ref? | aclarir | qui? | quan? → @wrapped
ac | a.c. → [{1} ]aC
dc | d.c. → [{1} ]dC
convertir → @convert
"""
CATALAN_DROPPED = """
ref-llibre | ref-web | ref-publicació | ref-notícia | ref-* | bandera | referències | vegeu també
| article principal | infotaula * | autoritat | sense font | falten referències | commonscat | desambiguació
| inici citació | esborrany * | mida
"""

ITALIAN = """
tutto attaccato | ta | maiuscoletto | sc | nowrap | citazione | quote | ipa | lang-*
| poem | abbr | smaller → @text
romano → @roman
lang | colore → @second
m | unità → @value and units
senza fonte | citazione necessaria | cn | chiarire | quando | chi | sf | da chi | non chiaro | fc → @wrapped
apici | apice → @raised
pedici | pedice → @lowered
passo biblico | passo → {*}
bio → @biography
ac | a.c. → [{1} ]a.C.
dc | d.c. → [{1} ]d.C.
converti → @convert
secolo | sec → {1} secolo
nihongo | giapponese → @nihongo
russo → [in russo: {1}][, traslitterato: {2}]
ucraino → [in ucraino: {1}][, traslitterato: {2}]
bulgaro → [in bulgaro: {1}][, traslitterato: {2}]
bielorusso → [in bielorusso: {1}][, traslitterato: {2}]
greco | arabo | ebraico | persiano | armeno | georgiano | cinese | coreano | hindi | thai | serbo | macedone
→ @word and reading
calcio | basket | rugby → {1}
euro → €[ {1}]
"""
ITALIAN_DROPPED = """
cita | cita libro | cita web | bandiera | band | vedi anche | nota disambigua | portale
| controllo di autorità | interprogetto | note | collegamenti esterni | s | f | w | p | lingue
| it | en | thesaurus * | sinottico | disambigua | torna a | div col | references | tnt | senzafonte | nd
| clear | nf | nb | infobox * | simbolo
"""

PORTUGUESE = """
nowrap | citação | citação2 | quote2 | versalete | afi | ipa | ilc | lang-* | langp
| ref maiúscula | pequeno | llink → @text
c. | circa → c. {1}
lang | langue | cor → @second
séc | século | sec → século {1}[ {2}]
r$ | real → R$[ {1}]
us$ → US$[ {1}]
-ac → [{1} ]a.C.
-séc | -século → século {1} a.C.
séculos → séculos {*: e }
carece de fontes | citação necessária → @wrapped clause
carece de fontes/bloco | carece de fontes2 | quem | quando
| esclarecer | clarificar | qual | quais | dubio | fonte? → @wrapped
a.c. | ac | aec → [{1} ]a.C.
d.c. | dc | ec → [{1} ]d.C.
nwrap → @years
o → º
a → ª
pbpe → {1} (português brasileiro) ou {2} (português europeu)
pbpe2 → {1} (PB) ou {2} (PE)
pepb → {1} (português europeu) ou {2} (português brasileiro)
unidade | unit → @units
converter | convert → @convert
nihongo | japonês → @nihongo
lknb → {*}
"""
PORTUGUESE_DROPPED = """
citar livro | citar web | citar * | harvref | harvy | sfn | nota de rodapé | artigo principal | ap | vt
| ver também | principal | mais informações | referências | notas | portal3 | correlatos | esboço* | info/*
| controle de autoridade | link | ling | desambiguação | vt desambig | ver desambig | legenda
| caixa de sucessão | bandeira | flagicon | âncora | limpar | vertambém | sem fontes
| mais-notas | dividir em colunas* | mais fontes | nota | nota: | refbegin | refend
"""

ROMANIAN = """
nowrap | citat | unicode | lang-* → @text
lang | limba → @second
fapt | necesită citare | nc | citare necesară | clarificare | cine | când | care → @wrapped
unitate → @units
ill-wd → @labeled item
alt → {1} m altitudine
plural → @counted
este → este
secol | secolul → secolul {1}
cca → cca {1}
î.hr. | îhr → [{1} ]î.Hr.
d.hr. | dhr → [{1} ]d.Hr.
"""
ROMANIAN_DROPPED = """
citat web | citat carte | articol principal | vezi și | listănote | informații bibliotecare
| control de autoritate | commonscat | ciot* | infocaseta * | infobox * | dezambiguizare | steag
| drapel | referințe | notă | clear | date biografice
"""

_TABLES = {
    "es": (SPANISH, SPANISH_DROPPED),
    "ca": (CATALAN, CATALAN_DROPPED),
    "it": (ITALIAN, ITALIAN_DROPPED),
    "pt": (PORTUGUESE, PORTUGUESE_DROPPED),
    "ro": (ROMANIAN, ROMANIAN_DROPPED),
}


def _spanish_century(positional: list[str], named: dict[str, str]) -> str:
    """{{siglo|V|a|s}}: siglo V a. C.; without the `s`, V a. C."""
    number, era, word = [*positional, "", "", ""][:3]
    before = {"s": "siglo", "S": "Siglo"}.get(word[:1], "")
    after = {"a": "a. C.", "d": "d. C."}.get(era[:1].lower(), "")
    return " ".join(filter(None, [before, number, after]))


def _spanish_ordinal(positional: list[str], named: dict[str, str]) -> str:
    """{{ord|3|a}}: 3.ª; {{ord|3.|er}}: 3.er."""
    number, ending = [*positional, "", ""][:2]
    number = number.rstrip(".")
    ending = ending.lstrip(".").replace("o", "º").replace("a", "ª")
    return f"{number}.{ending or 'º'}" if number else ""


_PREFIXES = frozenset(["T", "G", "M", "k", "h", "da", "d", "c", "m", "µ", "μ", "n", "p", "f"])  # of units


def _value_and_units(positional: list[str], named: dict[str, str]) -> str:
    """{{M|100|u=km}}, {{M|100|km}} and {{M|100|k|m}}, with the unit's prefix as the second argument."""
    if len(positional) == 3 and positional[1] in _PREFIXES:
        positional = [positional[0], positional[1] + positional[2]]
    if not named.keys() & {"u", "ul", "e"}:
        return number_and_units("it")(positional, named)
    return value([written(part, "it") for part in positional], named)


def _labeled_item(positional: list[str], named: dict[str, str]) -> str:
    """{{Ill-wd|Q90|3=Paris}}: the text; a template without one takes it from data elsewhere."""
    return positional[2] if len(positional) > 2 and positional[2] else HOLE


def _counted(positional: list[str], named: dict[str, str]) -> str:
    """{{plural|56|locuitor|locuitori}}: 56 de locuitori (Romanian)."""
    number, one, several = [*positional, "", "", ""][:3]
    return f"{number} {plural(number, [one, several, f'de {several}'], 'ro')}" if several else HOLE


def _years(positional: list[str], named: dict[str, str]) -> str:
    """{{nwrap|r.|1819|1861}}: r. 1819–1861, after a space."""
    words = [part for part in positional if part]
    label = f"{words.pop(0)} " if words and not words[0][:1].isdigit() else ""
    return f" {label}{'–'.join(words)}"


def _word_and_reading(positional: list[str], named: dict[str, str]) -> str | None:
    """{{cinese|北京|Běijīng}} and {{cinese|s=北京|p=Běijīng}}: 北京, Běijīng."""
    return ", ".join(filter(None, positional[:2])) or forms_of(named) or None


_FUNCTIONS: dict[str, Rule] = {
    "word and reading": _word_and_reading,
    "spanish century": _spanish_century,
    "value and units": _value_and_units,
    "spanish ordinal": _spanish_ordinal,
    "biography": biography,
    "years": _years,
    "counted": _counted,
    "labeled item": _labeled_item,
}
RULES = {
    name: dropped(without) | compiled(table, FUNCTIONS | _FUNCTIONS | {"units": number_and_units(name)})
    for name, (table, without) in _TABLES.items()
}

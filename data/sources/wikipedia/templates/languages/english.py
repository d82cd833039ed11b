"""Templates of the English Wikipedia."""

import unicodedata

from data.sources.wikipedia.marks import HOLE
from data.sources.wikipedia.templates import dates
from data.sources.wikipedia.templates.arguments import text
from data.sources.wikipedia.templates.forms import forms_of
from data.sources.wikipedia.templates.languages import english_notations, labels
from data.sources.wikipedia.templates.patterns import Rule, compiled, dropped
from data.sources.wikipedia.templates.rules import FUNCTIONS, prefixed_ship

SHIPS = """
HMS USS SS MV RMS HMCS HMAS HMNZS HMSAS HMIS INS USCGC USNS USAT USRC USAV SMS SM MS MT MY RV PS TS TSS GTS
HMT HMY HMHS HMPNGS SMU ORP HNLMS HDMS HNoMS HSwMS KNM ARA ARM BAP BRP CCGS CSS FGS FV FNS JDS JS LÉ NMS NRP
ST BNS PNS RFA RSS SAS TCG TRSS VMF EML HS IRIS KD KRI ROKS ROCS SLNS USC&GS HMM HMLNS RFS SV MTS MSV AHTS DSV
"""

# {{Carbon}}: the element's symbol.
ELEMENTS = """
hydrogen H helium He lithium Li beryllium Be boron B carbon C nitrogen N oxygen O fluorine F neon Ne sodium
Na magnesium Mg aluminium Al silicon Si phosphorus P sulfur S chlorine Cl argon Ar potassium K calcium Ca
scandium Sc titanium Ti vanadium V chromium Cr manganese Mn iron Fe cobalt Co nickel Ni copper Cu zinc Zn
gallium Ga germanium Ge arsenic As selenium Se bromine Br krypton Kr rubidium Rb strontium Sr yttrium Y
zirconium Zr niobium Nb molybdenum Mo technetium Tc ruthenium Ru rhodium Rh palladium Pd silver Ag cadmium
Cd indium In tin Sn antimony Sb tellurium Te iodine I xenon Xe caesium Cs barium Ba lanthanum La cerium Ce
praseodymium Pr neodymium Nd promethium Pm samarium Sm europium Eu gadolinium Gd terbium Tb dysprosium Dy
holmium Ho erbium Er thulium Tm ytterbium Yb lutetium Lu hafnium Hf tantalum Ta tungsten W rhenium Re osmium
Os iridium Ir platinum Pt gold Au thallium Tl lead Pb bismuth Bi polonium Po astatine At radon Rn francium
Fr radium Ra actinium Ac thorium Th protactinium Pa uranium U neptunium Np plutonium Pu americium Am curium
Cm berkelium Bk californium Cf einsteinium Es fermium Fm mendelevium Md nobelium No lawrencium Lr
"""

TABLE = """
aet | a.e.t. → a.e.t.
pso | p.s.o. → p.s.o.
math theorem → [{name}. ]{math_statement,1}
math proof → {proof,1}
align | float | lower | raise → {2,1}
pull quote | centered pull quote → @text
ampersand | & → &
\\ → ␣/␣
numblk → {2}
equationref | equationnote | eqnref → ({2,1})
equation box 1 → {equation}
hidden → {content,2}
"' | " ' → "'
' " | '" → '"
-" | "- → "
-' | '- → '
as of | asof → @as of
inflation → @inflation
monthname → @month name
oldstyledatedy | oldstyledateny → @date of another year
old style to new style | os2ns → @old to new style
pronunciation respelling | respell → {*:-}
citation | quote citation → @citation
nihongo krt → @nihongo
ipaslink | ipa slink → /{1}/
ipablink | ipa blink → @bracketed
ipa link | ipalink | ipa-link | ipachar | ipasymb | pipachar → {1}
ipac-* → @phonemes
ipa-* → @bracketed

# Figures.
height | weight | ht → @height
convert | cvt | conv | cnv → @convert
e | esp | x10^ → [×10^{1}]
10^ → 10^{1}
£sd | £.s.d. | pounds, shillings, and pence → [£{l,1}][ {s,2}s][ {d,3}d]
rs | rs. → Rs. {1}
sup2 → ²
frac2 → @fraction
closed-closed → @closed interval
closed-open → @interval open above
open-closed → @interval open below
open-open → @open interval
mset → @set
solar mass | msun → [{1} ]M☉
solar radius → [{1} ]R☉
solar luminosity → [{1} ]L☉
earth mass → [{1} ]M⊕
earth radius → [{1} ]R⊕
jupiter mass → [{1} ]MJ
jupiter radius → [{1} ]RJ
ra → {1}h[ {2}m][ {3}s]
dec → {1}°[ {2}′][ {3}″]
m | earthquake magnitude → @magnitude
duration → @duration
railgauge | track gauge | rail gauge | trackgauge | gauge → @gauge
c. | circa | ca. | approx | ca → c. {1}[–{2}]
floruit | fl. | fl → fl. {1}[–{2}]
reign | r. → r. {1}[–{2}]
born | b. → born {1}
died | d. → died {1}
aka | a.k.a. → a.k.a. {1}
cf. → cf. {1}
married-in → m. {1}
est. → est. {1}
cx → c. {1}[–{2}]
born-in → b. {1}
died-in → d. {1}
bce → [{1} ]BCE
CE | ce era → [{1} ]CE
AD → AD[ {1}]
BC → [{1} ]BC
th → th
rd → rd
nd → nd
st → st
death year and age → {1}
marriage → {1} (m. {2}[–{3}])
frac | fraction → @fraction
numero | no. | # → No. {1}
vol. → Vol. {1}
us$ | usd | $ → US${1}
gbp | £ | pound sterling | pound → £{1}
eur | € | euro | euros → €{1}
inr | ₹ | indian rupee | rupee → ₹{1}
a$ | aud → A${1}
cad | ca$ | can$ | c$ → CA${1}
nz$ | nzd → NZ${1}
hk$ | hkd → HK${1}
s$ | sgd → S${1}
nt$ | twd → NT${1}
r$ | brl → R${1}
mxn | mx$ → MX${1}
jpy | ¥ | yen → ¥{1}
cny | rmb | cn¥ | renminbi → CN¥{1}
krw | ₩ | south korean won → ₩{1}
rub | ruble → ₽{1}
php | ₱ → ₱{1}
ils | nis | ₪ → ₪{1}
try → ₺{1}
uah → ₴{1}
ngn | ₦ → ₦{1}
thb | baht → ฿{1}
chf → CHF {1}
sek → SEK {1}
nok → NOK {1}
dkk → DKK {1}
pln → PLN {1}
zar → R{1}
myr → RM{1}
idr → Rp{1}
currency → @currency
percentage | pct → @percentage
pop density | population density → @density
age | age in years | age-years → @age
ayd | age in years and days → @years and days
age in years, months and days | age in years, months, weeks and days | aymd → @years, months and days
un population | time ago | years ago | years or months ago → @missing
decade | decade link → @decade
winpct | winning percentage → @winning percentage
bbl to t → {1} barrels
inrconvert → @rupees
age in * → @missing
age in days | age-days | number of days | days between → @days
century → @ordinal century
verse translation → {1}[ {2}]
etymology → from {1} {2}[ ‘{3}’]
nfly | by | mlby | baseball year | nbay | nhly | cfly | cflyear | cfby | mlsy | scy | ely | rlwc | al year
| nl year | cwby | wsy | nbaplayoffs | nhlplayoffs | f1 | avyear | nfl year | nflplayoffs | lby | cbb season
| asby → {1}

# Names.
mp | mpl | minor planet → @minor planet
mpl- → @numbered minor planet
l1 → L1
l2 → L2
l3 → L3
l4 → L4
l5 → L5
airport codes → @airport codes
cve → CVE-{1}
rv → RV {1}
ushr → @district
uspolabbr → {1}-{2}
proto → Proto-{1}[ *{2}]
unichar → @character
ship → @ship
sclass | sclass2 | ship class | sclass- | sclass2- → @ship class
rws | stnlnk | stnlink | stn | lus | rwsa | metrolink stop | dlrs | tws | tram stop | sta | cta → {1}
stl | station link → {2,1}
lul stations | lo stations | bts stations → {station,1}
bibleverse | bibleref | bibleref2 | bibleverse-lb | bibleverse with brackets | bv | bible verse → @verse
cite quran | quran-usc | qref → Quran {1}[:{2}]
post-nominals | postnominals | post nominals → [{list}][{*}]
section link | slink | section linkh → {1}[ § {2}]
see below | see above → [({1})]
h:title | hover title | hovertitle | h title → {2}
crossreference | crossref | cross reference | xref | format link | format linkr → @text
nee | née → née[ {1}]
né → né[ {1}]
term → @term
defn | ghat | glossary definition → @definition
bulleted list | bulletedlist | bullet list | unordered list → @bullets
ordered list | numbered list → @numbered
zh | lang-zh → @chinese
lang-ko → @korean
ma | mya → @million years ago
ordinal → @ordinal
gloss → ‘{1}’
lit | lit. | literal translation → @literal
char → {1}
hands → {1} hands
script → @second
lang-* → @foreign
langx → @foreign after a language
citation needed span | cn span | fact span | verify span | dubious span | clarify span | clarifyspan
| cnspan | citation needed (lead) | which span | refneed span | disputed span | when span → @wrapped
script/* | hebrew → {1}
clarify span → @wrapped
angbr ipa → ⟨{1}⟩
angbr | angle bracket → ⟨{1}⟩
nbhyph | nbh | nbhyphen | hyphen → -
eqm → ␣⇌␣
intmath → {1=∫}
binom → C({1}, {2})
su → @raised and lowered
simplenuclide | simplenuclide2 | nuclide | nuclide2 → @nuclide
ill-* → {1}
us patent | uspatent → U.S. Patent {1}
usc | united states code | unitedstatescode → {1} U.S.C. § {2}
usstat → {1} Stat. {2}
usbill → {2}[ {3}]
uspl → Pub. L. {1}–{2}
codefedreg | usctitle cfr → {1} CFR {2}
ussc → @supreme court
scotus → {1}
party shortname | party name → {1}
player | sortperson → {1}
jct → @junction
subsup → @lowered and raised
arrow → @arrow
male → ♂
female → ♀
hearts → ♥
diams | diamonds → ♦
clubs → ♣
spades → ♠
pad → ␣
"""

DROPPED = """
citation needed | cn | fact | when | who | which | clarify | by whom | by whom? |
inflation-fn | inflation-year | refanchor | pronunciation | ns | pow | vr
| map caption | bar percent | flagdeco | flagicon image | army | navy | legend inline | s-* | col-* | cref
| cref2 | cnote | cnote2 | fnb | fn | shortcut | wikisource-* | books-inline | commons-inline | see inline
| rint | ric | rail-interchange | rail interchange | access icon
| ranks | icd9 | icd10 | omim | gnd | lccn | open access | subscription required | registration required
| hs | hidden sort key | ntsh | dtsh | display none
| in lang | pd-notice | update | expand section | unreferenced * | refimprove * | more citations needed *
| multiple issues | chinese
"""


def _literal(positional: list[str], named: dict[str, str]) -> str:
    """{{lit|a|b}}: lit. ‘a’ or ‘b’."""
    return f"lit. {' or '.join(f'‘{part}’' for part in positional if part)}".rstrip()


def _supreme_court(positional: list[str], named: dict[str, str]) -> str | None:
    """{{ussc|name=Roe v. Wade|410|113|1973}}: Roe v. Wade, 410 U.S. 113 (1973)."""
    given = zip(("volume", "page", "year"), [*positional, "", "", ""])
    volume, page, year = (named.get(key) or value for key, value in given)
    report = (
        ", ".join(filter(None, [f"{volume} U.S. {page or '___'}", named.get("pin", "")])) if volume else ""
    )
    year = year or named.get("date", "")
    return ", ".join(filter(None, [named.get("name", ""), report])) + (f" ({year})" if year else "") or None


def _foreign(place: int) -> Rule:
    """{{lang-ru|Москва|Moskva|Moscow}}: Москва, romanized: Moskva, lit. ‘Moscow’; {{lang-fr|mot|word}}.

    The name of the language is added by labels.py.
    """

    def rule(positional: list[str], named: dict[str, str]) -> str:
        shown = (len(positional) <= place and forms_of(named)) or text(positional, named, place)
        others = [*positional[place + 1 :], "", ""]
        if not named.get("translit") and all(
            unicodedata.name(char, "LATIN").startswith("LATIN") for char in shown if char.isalpha()
        ):
            others.insert(0, "")
        translit = named.get("translit") or others[0]
        meaning = named.get("lit") or named.get("translation") or others[1]
        return ", ".join(
            filter(
                None,
                [
                    shown,
                    f"romanized: {translit}" if translit else "",
                    _literal([meaning], {}) if meaning else "",
                ],
            )
        )

    return rule


def _million_years_ago(positional: list[str], named: dict[str, str]) -> str:
    """{{Ma|65}}: 65 million years ago; {{Ma|250|65}}: 250 to 65 million years ago; {{mya|65|million years}}.

    For a period given by its name, the dump does not have the age.
    """
    begin, *others = positional or [""]
    if not begin[:1].isdecimal():
        return HOLE
    error = named.get("error", "")
    age = f"{begin} ± {error}" if error[:1].isdecimal() else begin
    if others and others[0][:1].isdecimal():
        age += f" to {others.pop(0)}"
    return f"{age} {next(filter(None, others), 'million years ago')}"


_FUNCTIONS: dict[str, Rule] = {
    "literal": _literal,
    "million years ago": _million_years_ago,
    "supreme court": _supreme_court,
    "foreign": _foreign(0),
    "foreign after a language": labels.by_argument("en", _foreign(1)),
}
_LABELED = labels.by_name("en", _foreign(0))
_PAIRS = zip(ELEMENTS.split()[::2], ELEMENTS.split()[1::2])
_SHIP_RULES = {name: prefixed_ship(name) for name in SHIPS.split()}
_ELEMENT_RULES = compiled("\n".join(f"{name} → {symbol}" for name, symbol in _PAIRS), FUNCTIONS)

RULES = {
    "en": _ELEMENT_RULES
    | _LABELED
    | {"lang-rus": _LABELED["lang-ru"]}
    | dropped(DROPPED)
    | compiled(TABLE, FUNCTIONS | dates.ENGLISH | english_notations.FUNCTIONS | _FUNCTIONS)
    | _SHIP_RULES
}

"""Templates with the same meaning in every Wikipedia that has them."""

TABLE = """
# Styles, quotations, anchors: the text in the first argument.
nowrap | nobr | nobreak | small | smaller | small2 | big | bigger | larger | large | em | strong
| smallcaps | small caps | sc | mvar | var | math | math2 | italic | italics | noitalic | nobold | bold
| underline | uline | strikethrough | mono | code | codes | tt | kbd | samp | key | vanchor | visible anchor
| abbr | abbrlink | tooltip | comment | quote | blockquote | bquote | cquote | quotation
| quote box | quotebox | block quote | poemquote | poem quote | talk quote | poem | unicode | polytonic
| nastaliq | hebrew | not a typo | notatypo | proper name | as written | typo
| center | ensl | keep
| mark | highlight | qtalk | lsj | phonetic | citas | lang-* | nihongo2 | midsize | normal | box
| boxed | overline | vec | lj | ar | he | fr | fa | no italic | noitalics | transparent | gtr | wsl | tsl
| wl | blockcitat → @text

# Text after a language, a script or a color.
lang | langx | color | colour | colored text | coloured text | font | script | sort | sortkey
| background color | bgcolor | wikt-lang
| rtl | rtl-lang | script/* | font colour | colour text → @second
plainlist | flatlist | multiple columns → @lines
columns-list | columns list | col-list | collist | cols → @items

# Boxes, theorems, quotations and equations on lines of their own, by names that mean the same everywhere.
ecuación | teorema | definición | demostración | lema | corolario | proposición | caja de cita | citació
| cita destacada | caixa de cita | caixa de citação | quote1 | cassetto | démonstration | boîte déroulante
| encadré texte | encadré | kasten | kader | tekstkader | cytatd | cytat bloku | врезка | врізка | эпиграф
| теорема | hider | quote frame | lemme | block indent | blockindent | collapse | centrer | centrar
| centralizar | centrato | centreren | zentriert | centrera | центр | центрировать | по центру | desplegable
| recuadro | approfondimento | riquadro → @text
théorème | énoncé → @theorem
colonnes | kolumny | układ wielokolumnowy | mehrspaltige liste → @lines
kolommen2 | kolommen3 | kolommen4 → @columns
скрытый → {содержание,content,2}
rquote → {quote,text,2,1}
resize | transl | transliteration | tlit | font color | fontcolor → @last

ill | illm | interlanguage link | interlanguage link multi | link-interwiki | ilink | iw | iw2 | länk | ilc
| ikke oversat | ej översatt | нп | нп1 | нп2 | нп3 | нп4 | нп5 | нп6 | не переведено | не преведено
| не перекладено → @interlanguage
music → @music
nihongo | nihongo4 | nihongo foot | нихонго | нихонґо | japonais | japonés | japonês | giapponese | japoński
| japans | japanska | японский → @nihongo
nihongo3 → @reading first
korean | lang-ko | ko-hhrm | 한국어 → @korean

# Text side by side.
ce | angbr | angle bracket | hsp → {*:}
gaps → [{lhs} = ]{*:}[×{base=10}^{e}][ {u}]
keypress | key press | taste | touche | tecla | tasto | klawisz | klávesa | toets | tangent | tast | tipka
| tastă | billentyű | клавиша | клавіша | клавиш → {*:+}
hlist | ubl | unbulleted list | csl | comma separated entries | vunblist | br list | br separated entries
→ {*:, }
linktext → @linked words
sortname → {1-2: }

# Citations in a sentence.
harvtxt | harvcoltxt | citet | harvard citation text | harvardtxt → @textual
harvnb | harvcolnb | harvard citation no brackets → @bare citation
harvs → @several

# Phonetic signs; dropped in brackets.
ipa → @sounds

# Characters.
okina → ʻ
hamza → ʾ
ayin | ain → ʿ
sharp → ♯
flat → ♭
natural → ♮
dagger → †
double dagger | ddagger → ‡
( → {
) → }
(( → {{
)) → }}
' | apostrophe → '
's | ’s | `s → 's
" → "[{1}"]
! | pipe → @pipe
= → =
· | dot | middot → ␣·␣
• | bull | bullet → ␣•␣
nbsp | space | spaces | sp | hair space | hairsp | nnbsp → ␣
thinsp | thin space → @spaced
ndash | endash | en dash | – → –
spnd | snd | snds | spaced ndash | spaced en dash | spaced endash | dash | sndash | spndsh → ␣–␣
mdash | emdash | em dash | — | mdashb → —
spaced mdash | smd | spaced em dash | smdash → ␣—␣
... | ellipsis | … → ...
pi → π
minus | − → −{1}
plus → +{1}
± | plusminus | pm → ±{1}
times | × → ×
ruby | ruby-ja → {1}[({2})]
degree | degrees | deg → {1}°
prime → {1}′
pprime → {1}″
shy → @joined
wbr | zwj | zwnj | 0 | spc | phantom | indent →

# What MediaWiki knows of an article: its namespace has no name.
namespace | namespacee | subjectspace | articlespace | namensraum | espacenommage | nombredeespacio
| naamruimte | nazwaprzestrzeni | domínio | пространство имён | namnrymd | jmennýprostor | névtér neve
| простір назв →
namespacenumber → 0
sitename | projektname | nomsite | nombredelsitio | sitenaam | projekt | nomedosite | название сайта
| sajtnamn | názevserveru | wikineve | назва сайту → Wikipedia

# Mathematics and chemistry.
tmath | mathsf → @formula
frac | fract | fraction | sfrac | bruch | xfrac | fraction2 | zlomek | tört | brøk | bråk | breuk | ułamek
| дроб | дріб | дробь | разломак | razlomak | ulomek | fracció | fracción | fracție | fração
| frazione → @fraction
sqrt | radic | root | √ | raíz | raiz | radice | arrel | rădăcină | wurzel | wortel | kvadratrot | pierwiastek
| odmocnina | gyök | korijen | koren | корень | корінь | корен | корен квадратный → @root
abs | absolute value → [|{1}|]
floor → [⌊{1}⌋]
ceil | ceiling → [⌈{1}⌉]
norm → [‖{1}‖]
bra → [⟨{1}|]
ket → [|{1}⟩]
bra-ket | braket → [⟨{1}|{2}⟩]
sup | superscript | exp → @raised
sub | subscript | ind → @lowered
su → @raised and lowered
chem → @chemistry
chem2 → @equation
rfc | ietf rfc → RFC {1}
bwv → BWV {1}
hwv → HWV {1}
KV → KV {1}
TWV → TWV {1}
WoO → WoO {1}
º → º
ª → ª
sic | sic! | sic ! → @sic
co2 → CO2
h2o → H2O
o2 → O2
nuclide → @nuclide
val → @value
convert | cvt | konvertera | konverter | pretvori | eenheid | jednotka | enhet | unitate | unidad | unità
| конвертувати | конвертуј | conversie
→ @convert
e | esp | e10 → [×10^{1}]
€ | euro → [{1} ]€
bible | biblia | bíblia | bibel | bibbia | bijbel | bibelvers | bibelref | bibleverse | bibleref
| библия | біблія | bibliai hely | biblie | biblija | библија | sveto pismo → @verse
roman | roman numeral | número romano | numero romano → @roman
circa | cirka | ca. | c. | ca → ca. {1}[–{2}]
coord → @coordinates
# The word for a ship in the languages that have such a template.
ship | navire | barco | buque | navio | nave | schip | schiff | vaixell | nau | navă | fartyg | skib | loď
| hajó | statek | okręt | корабль | судно | корабель | кораб | брод | brod | ladja → @ship

# Editors' notes, which wrap the text that they are about in most Wikipedias (in English they do not).
citation needed | cn | fact | when | who | which | clarify | by whom | by whom? → @wrapped

# Computed from data that a dump does not hold.
inflation | inflación | inflação | inflació | inflazione | inflatie | inflacja | inflace | infláció | inflație
| инфляция | ewz | ewd | ewr | ewt | metadaten * | население | населення | población actual
| población | população | population | befolkning | počet obyvatel | ludność | népesség | folkmängd
| inwonertal | bevolking | populație | prebivalstvo | stanovništvo | становништво | âge | calcolo età
| число лет | invoke → @missing
age | alter | edad | edat | età | idade | leeftijd | ålder | alder | wiek | věk | dob | starost | életkor
| возраст | вік | възраст | старост | vârstă → @age
"""

# Prefixes of ships' names; their case counts.
SHIPS = """
HMS USS RMS HMCS HMAS HMNZS USNS USCGC SS MS MV SMS ORP INS HMIS HMSAS HNLMS HNoMS HDMS HSwMS KNM ARA USAT KRI
M/S S/S M/V M/F M/T M/Y R/V F/V
"""

DROPPED = """
cite * | reflist | refbegin | refend | refn | efn | efn-* | sfn | sfnp | sfnm
| harv | harvp | harvcol | harvid | sfnref | rp | r | ref | ref label | note
| note label | notelist | isbn | issn | oclc | doi | pmid | pmc | jstor | arxiv | bibcode | anchor
| flagicon | flagicon * | flag icon | coord missing | audio | listen | main | see also | further | about
| redirect | for | other uses | hatnote | distinguish | short description | authority control | commons
| commons category | wikiquote | wiktionary | wikisource | portal | stub | clear | - | clear left
| clear right | br | clr | toc | toc limit | toc left | toc right | defaultsort | displaytitle | infobox *
| navbox * | use * | dead link | webarchive | wayback | url | official website | imdb * | youtube | image
| image label | dn | disambiguation needed | page needed | nowiki | #tag
| bots | citation | legend | chart | graph | gallery | timeline | increase | decrease | steady
| end | s-start | s-end | succession box | start box | end box | div col | div col end | col-begin | col-end
| col-break | colbegin | colend | multicol | multicol-break | multicol-end | glossary | glossary end | pn
| full citation needed | better source * | unreliable source? | vague | update inline
| update after | dubious | failed verification | verify source | nonspecific | sister project links
"""

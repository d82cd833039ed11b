"""Templates without a rule: what their names and arguments show.

A name may be a unit or a currency ({{km|5}}), an era ({{v. Chr.}}), an ordinal ({{XIXe|siècle}}) or, without
arguments, a century ({{19e eeuw}}); arguments may be a date, a quantity, or a word in another script and its
transcription. A template with one argument in mid-sentence shows it.
"""

import re
import unicodedata
from html.entities import name2codepoint

from data.sources.wikipedia.marks import HOLE
from data.sources.wikipedia.names import LANGUAGES, words
from data.sources.wikipedia.templates.arguments import split, wrapped
from data.sources.wikipedia.templates.arguments import text as text_of
from data.sources.wikipedia.templates.dates import date_in, era
from data.sources.wikipedia.templates.figures import in_scale, of_its_name, quantity
from data.sources.wikipedia.templates.forms import forms_of
from data.sources.wikipedia.templates.languages import common
from data.sources.wikipedia.templates.languages.plurals import counted
from data.sources.wikipedia.templates.rules import interlanguage, nihongo

_FRENCH_ORDINAL = re.compile(
    r"(?:\d+|[IVX]+|[IVXLC]{2,})(?:er|re|ère|e|ème|nd|nde)(?: [^\W\d]+(?: \d{4})?)?|2de?"
)
_CENTURY = re.compile(
    r"-?[IVX]+(?:e (?:siècle|millénaire|s\.)|er (?:siècle|millénaire))(?: av\. j\.-c\.)?", re.IGNORECASE
)
_FRACTION = re.compile(r"\d+/\d+")
_FILE = re.compile(r"//|\.(?:jpe?g|png|svg|gif|og[agv]|webm|pdf|tiff?|mp3|mid)\b|^#|^\W*$", re.IGNORECASE)
_SETTING = re.compile(
    r"[a-z]{2,3}(?:-[A-Za-z]+)?|#[0-9a-fA-F]{3,8}|https?:.*|Q\d{1,10}|\d{1,3}(?:px|em|%)"
    r"|(?i:(?:dark|light|medium|deep)?(?:black|silver|gr[ae]y|white|maroon|purple|fuchsia|green|lime|olive|yellow|navy"
    r"|blue|teal|aqua|orange|gold|brown|pink|violet|crimson|magenta|cyan|steelblue|red))"
)  # a language, a color, an address, an item of Wikidata
_ITEM = re.compile(r"[QP]\d{1,10}")  # an item or a property of Wikidata
_SENTENCE = re.compile(r"\S*+\s.*[.!?]", re.DOTALL)
_VERSE = re.compile(r"\d{1,3}[:,]\s?\d{1,3}(?:[-–]\d{1,3})?")
# {{XIX wiek}}, {{19. století}}, {{XIV}}, {{1.er}}
_ROMAN = r"(?=[IVX])X{0,3}(?:IX|IV|V?I{0,3})"
_NUMBERED = re.compile(
    rf"(?:\d{{1,4}}(?:\.|[^\W\d_]{{1,3}})?|{_ROMAN}(?:\.|er?|re|nde?)?)(?: [^\W\d_][\w.]*){{1,3}}"
    rf"|(?=..){_ROMAN}|\d{{1,3}}\.?(?:[ºªaoeèrnt]|er|re|nd|st|th)"
)
_SCRIPTURE = re.compile(r"b[ií]b|bij|vers|біб|биб|pís|pism|sveto|svpj", re.IGNORECASE)
_CHAPTER = re.compile(r"\d{1,3}\|\d{1,3}[a-f]?(?:[-–,.]\d{1,3}[a-f]?){0,9}")
_ROUTE = re.compile(r"[A-ZА-ЯČŠŽ]{1,3}\|\d{1,4}[a-z]?")  # the class of a road or a train, and its number
_NAME = re.compile(
    r"(?=[^\W\d_])(?=.{0,20}[^\W\d_A-Z]{3}).{4,80}"
)  # the first of three arguments, but no code
_ABBREVIATION = re.compile(r"(?:[^\W\d_]{1,5}(?:-[^\W\d_]{1,5})?\.[ -]?){1,4}")  # {{etc.}}
# {{věk ve dnech|1990|6|5}}: an age, or the time since then, which the dump does not hold
_AGE = re.compile(
    r"(?:[aâ]ge|alter|jahre|ans|edad|años|edat|età|idade|leeftijd|ålder|alder|wiek|věk|dob|starost|(?:élet)?kor"
    r"|vârst[aă]|возраст|прошло|вік|възраст|старост|године)\b",
    re.IGNORECASE,
)
_SIGNS = ("§", "†", "‡", "′", "″", "√", "∞")
# {{infin}}, {{rarr}}: characters by their names in HTML, which mean nothing else
_CHARACTERS = words(
    """
    infin rarr larr uarr darr harr rArr lArr hArr sdot divide plusmn le ge ne asymp cong equiv sim empty isin
    notin forall exist nabla prop prod ordm ordf sup1 sup2 sup3 iexcl iquest laquo raquo ldquo rdquo lsquo
    rsquo bdquo sbquo hellip middot Dagger permil pound yen cent sect micro Alpha alpha Beta beta Gamma gamma
    Delta delta epsilon zeta eta Theta theta kappa Lambda lambda mu nu xi Pi rho Sigma sigma tau Phi phi chi
    Psi psi Omega omega
    """
)
_SHOWN = ("Sc", "So", "Sm", "Pi", "Pf", "Lm")  # signs, quotation marks, letters that modify others
_CONVERTED = re.compile(r"([A-Z]{3})Convert")  # {{PKRConvert|117|b}}
_THREE_FORMS = ("ru", "uk", "pl", "sr", "hr", "cs", "bg")  # languages whose nouns change after numbers
_CYRILLIC = ("ru", "uk", "bg", "sr")
# Languages in which an editors' note holds a remark, not the text that it is about (Mall:Källa behövs,
# Sjabloon:Feit, Skabelon:Kilde mangler, Predloga:Nezanesljiv vir?).
_REMARKS = ("en", "sv", "nl", "da", "sl")
_SHIPS = frozenset(common.SHIPS.split())
_ICONS = [[code] for code in LANGUAGES]  # {{sprogikon|en}}
_RUNNING = 200  # most characters of running text


def shown_by_name(name: str, arguments: list[str], language: str) -> str | None:
    """What a template without a rule shows by its name, wherever it is; None if the name says nothing."""
    positional, named = split(arguments)
    if _FRACTION.fullmatch(name):
        return name
    if _AGE.match(name) and date_in(positional, language):
        return HOLE
    if name.endswith("?") and language not in _REMARKS and (text := wrapped(positional, named)):
        return text
    if language == "fr" and _CENTURY.fullmatch(name):
        return f"{name[1:]} av. J.-C." if name[0] == "-" else name
    if language == "fr" and _FRENCH_ORDINAL.fullmatch(name[:1].upper() + name[1:]):
        return " ".join([name, *filter(None, positional)])
    if not positional and (name in _SIGNS or _is_sign(name)):
        return name
    if positional and (converted := _CONVERTED.fullmatch(name)):
        return in_scale(converted[1], positional)
    return era(name, positional, language) or of_its_name(name, positional)


def _is_sign(name: str) -> bool:
    """Whether a name is one character that its template shows: {{†}}, {{°}}, {{’}}, {{→}}."""
    return len(name) == 1 and not name.isascii() and unicodedata.category(name) in _SHOWN


def running_text(arguments: list[str], language: str, name: str = "") -> str:
    """What a template without a rule shows where it is part of a sentence; "" if that is unknown.

    This is a date, a quantity, or the only argument; of two, the first, unless it is a language, a color or
    the like; of more, the first if it is in another script. Without arguments, it is the name if that is a
    numbered noun or an abbreviation.
    """
    positional, named = split(arguments)
    texts = list(filter(None, positional)) or list(filter(None, [text_of([], named)]))
    if not texts:
        if not arguments and name in _CHARACTERS:
            return chr(name2codepoint[name])
        is_word = not arguments and (_NUMBERED.fullmatch(name) or _ABBREVIATION.fullmatch(name))
        return forms_of(named) or (name if is_word else "")
    if (known := date_in(positional, language) or quantity(positional)) is not None:
        return known
    if language in _THREE_FORMS and len(positional) == 4 and (noun := counted(positional, language)):
        return noun
    if 1 < len(positional) < 5 and _is_in_another_script(positional[0], language):
        positional = texts = positional[:1]
    elif 1 < len(positional) < 5 and _is_in_another_script(positional[1], language):
        if not any(map(str.isalpha, positional[0])) or _SETTING.fullmatch(positional[0]):
            return positional[1]
        return nihongo(positional, {}) or ""  # {{arabe|mot|كلمة|kalima}}: mot (كلمة, kalima)
    if len(positional) == 3 and _SCRIPTURE.match(name) and _CHAPTER.fullmatch("|".join(positional[1:])):
        return f"{positional[0]} {positional[1]}:{positional[2]}"  # {{bijbelref|Joh|3|16}}
    if len(positional) == 2 and _ROUTE.fullmatch("|".join(positional)):
        return " ".join(positional)  # {{autosnelweg|A|1}}
    if len(positional) == 2 and _ABBREVIATION.fullmatch(name) and all(map(str.isdecimal, positional)):
        return f"{name} {'–'.join(positional)}"  # {{гг.|1990|1991}}
    if 2 < len(positional) < 6 and any(part in LANGUAGES for part in positional[1:4]):
        return interlanguage(positional, named)  # {{nem lefordított|Name|text|en|There}}
    if len(positional) == 3 and _NAME.fullmatch(positional[0]):
        positional = texts = positional[:1]
    if 2 < len(positional) < 5 and positional[0] in LANGUAGES and positional[1]:
        positional = texts = positional[1:2]  # {{iw|en|Name|Name there}}
    if len(texts) == 2 and (texts[0] in _SHIPS or _VERSE.fullmatch(texts[1])):
        return " ".join(texts)  # {{warship|HMS|Hood}}, {{scripture|John|3:16}}
    if len(positional) > 2 or len(named) > 2 or texts in _ICONS:
        return ""
    text = texts[1] if len(texts) > 1 and _SETTING.fullmatch(texts[0]) else texts[0]
    if len(texts) > 1 and not any(map(str.isalpha, text)):
        return ""  # {{INRConvert|5|c}}: without the rule, a wrong figure
    is_sentence = text[0].isupper() and _SENTENCE.fullmatch(text)
    if len(text) > _RUNNING or "\n" in text or is_sentence or _FILE.search(text) or _ITEM.fullmatch(text):
        return ""
    return f"{name} {text}" if _ABBREVIATION.fullmatch(name) else text  # {{niem.|Brücke}}


def _is_in_another_script(text: str, language: str) -> bool:
    """Whether all letters of a text belong to a script that is neither Latin nor the language's own."""
    letters = [char for char in text[:100] if char.isalpha()]
    own = ("LATIN", "CYRILLIC") if language in _CYRILLIC else ("LATIN",)
    return bool(letters) and not any(unicodedata.name(char, "LATIN").startswith(own) for char in letters)

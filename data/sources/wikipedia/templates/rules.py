"""The rules that a pattern cannot express: functions from a template's arguments to its text.

In: positional arguments (`1=` is the first) and named ones, already plain. Out: the text, or None to drop the
template. Each rule follows its template's documentation in the English Wikipedia unless it says otherwise.
"""

import re
import unicodedata

from data.sources.wikipedia.marks import HOLE, SUB, SUB_END, SUP, SUP_END, literal
from data.sources.wikipedia.templates import arguments, authors, coordinates, figures, forms, measures
from data.sources.wikipedia.templates.arguments import text
from data.sources.wikipedia.templates.patterns import Rule

_OF_REFERENCES = {"title", "last", "last1", "author", "author1", "url", "titre", "year", "journal"}
_OF_REFERENCES |= {"título", "titulo", "títol", "titolo", "titlu", "titel", "autor", "apellido", "apellidos"}
_OF_REFERENCES |= {"cognom", "cognome", "nume", "año", "anno", "any", "an", "autore", "auteur", "nom"}
_CHEMICAL_SIGNS = {"<->": "⇌", "->": "→", "*": "·", "\\s": "−", "\\d": "=", "\\t": "≡"}  # of {{chem2}}
_CHARGE = re.compile(r"\((\d*[-+−–])\)")
_RAISED, _LOWERED = re.compile(r"\^\{([^{}]*)\}"), re.compile(r"_\{([^{}]*)\}")
_WIDTH = re.compile(r"\d{0,3}(?:em|px|%)?")  # of columns, or how many
_CODE = re.compile(r"[a-z]{2,3}(?:-[a-z]+)?")  # of a language


def citation(positional: list[str], named: dict[str, str]) -> str | None:
    """A quotation; a reference, which names a title or an author, is dropped."""
    return None if named.keys() & _OF_REFERENCES else text(positional, named)


def quotation(positional: list[str], named: dict[str, str]) -> str | None:
    """The quotation of {{cita textual|…}}; as `citation`, but fewer than four words are an author's name."""
    content = text(positional[:1], named)
    return citation([content], named) if len(content.split()) > 3 else None


def nihongo(positional: list[str], named: dict[str, str]) -> str | None:
    """{{nihongo|English|kanji|romaji|extra}}: English (kanji, romaji, extra)."""
    if not any(positional):
        return forms.forms_of(named) or None  # {{chinois|s=北京|p=Běijīng}}
    first, *others = [*positional, "", "", ""][:4]
    inner = ", ".join(filter(None, others))
    return f"{first} ({inner})" if first and inner else first or inner


def japanese(label: str) -> Rule:
    """{{нихонго|name|kanji|romaji|extra}}: name (яп. kanji romaji, extra), with the word for Japanese."""

    def rule(positional: list[str], named: dict[str, str]) -> str | None:
        name, *words, extra = [*positional, "", "", "", ""][:4]
        shown = " ".join(filter(None, words))
        inner = ", ".join(filter(None, [f"{label} {shown}" if words[0] else shown, extra]))
        return f"{name} ({inner})" if name and inner else name or inner or None

    return rule


def reading_first(positional: list[str], named: dict[str, str]) -> str | None:
    """{{nihongo3|English|kanji|romaji}}: romaji (kanji, English)."""
    english, kanji, romaji, *others = [*positional, "", "", ""]
    return nihongo([romaji, kanji, english, *others] if romaji else positional, named)


def sic(positional: list[str], named: dict[str, str]) -> str:
    """{{sic|Irrega|rdless}}: Irregardless [sic]; the word is only split to hide it from spell checkers."""
    is_doubtful = positional[:1] == ["?"]
    word = "".join(positional[is_doubtful:])
    return word if named.get("hide") else f"{word} [sic{'?' * is_doubtful}]".strip()


def linked_words(positional: list[str], named: dict[str, str]) -> str:
    """{{linktext|lorem|ipsum}}: lorem ipsum; {{linktext|漢|字}}: 漢字."""
    is_wide = all(unicodedata.east_asian_width(part[0]) in "WF" for part in positional if part)
    return ("" if is_wide else " ").join(filter(None, positional))


def spaced(positional: list[str], named: dict[str, str]) -> str:
    """{{thinsp}}: a space; {{thinsp|a|b}}: a b."""
    return " ".join(positional) if len(positional) > 1 else " "


def joined(positional: list[str], named: dict[str, str]) -> str:
    """{{shy|super|market}}: supermarket, with a soft hyphen inside."""
    return "".join(positional)


def chemistry(positional: list[str], named: dict[str, str]) -> str:
    """{{chem|SO|4|2-}}: digits are lowered, charges raised."""
    parts = []
    for part in positional:
        if re.fullmatch(r"\d*[+−–-]", part):
            parts.append(SUP + part + SUP_END)
        else:
            parts.append(SUB + part + SUB_END if part.isdecimal() else part)
    return "".join(parts)


def equation(positional: list[str], named: dict[str, str]) -> str:
    """{{chem2|2H2 + SO4(2-) -> X*2H2O}}: charges in brackets are raised."""
    content = text(positional, named)
    for written, sign in _CHEMICAL_SIGNS.items():
        content = content.replace(written, sign)
    content = _CHARGE.sub(rf"{SUP}\1{SUP_END}", content)
    return _LOWERED.sub(rf"{SUB}\1{SUB_END}", _RAISED.sub(rf"{SUP}\1{SUP_END}", content))


def junction(positional: list[str], named: dict[str, str]) -> str:
    """{{jct|state=NY|I|90|dir1=east|US|20}}: I-90 east / US 20."""
    routes = []
    for number, (kind, name) in enumerate(zip(positional[::2], positional[1::2]), 1):
        route = f"{kind}-{name}" if kind == "I" else f"{kind} {name}"
        routes.append(f"{route} {named.get(f'dir{number}', '')}".strip())
    return " / ".join(routes)


def nuclide(positional: list[str], named: dict[str, str]) -> str:
    """{{nuclide|carbon|14}} and {{SimpleNuclide|Carbon|14}}: the element and its mass number."""
    return "-".join(filter(None, positional[:2]))


def raised(positional: list[str], named: dict[str, str]) -> str:
    """{{sup|2}}"""
    return SUP + text(positional, named) + SUP_END


def lowered(positional: list[str], named: dict[str, str]) -> str:
    """{{sub|2}}"""
    return SUB + text(positional, named) + SUB_END


def lowered_and_raised(positional: list[str], named: dict[str, str]) -> str:
    """{{SubSup|x|1|2}}: a base, its index and its power."""
    base, below, above = [*positional, "", "", ""][:3]
    return base + raised_and_lowered([], {"b": below, "p": above})


def raised_and_lowered(positional: list[str], named: dict[str, str]) -> str:
    """{{su|p=+|b=2}}"""
    below, above = named.get("b", ""), named.get("p", "")
    return (SUB + below + SUB_END if below else "") + (SUP + above + SUP_END if above else "")


def formula(positional: list[str], named: dict[str, str]) -> str:
    """{{tmath|x^2}}: LaTeX."""
    content = " ".join(text(positional, named).split())
    return literal(f"${content}$") if content else ""


def root(positional: list[str], named: dict[str, str]) -> str:
    """{{sqrt|x+1}}: √(x+1); {{radic|8|3}}: the third root."""
    content, degree = [*positional, "", ""][:2]
    inner = content if re.fullmatch(r"[\w.,']*", content) else f"({content})"
    return {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree, f"{SUP}{degree}{SUP_END}√") + inner


def ship(positional: list[str], named: dict[str, str]) -> str:
    """{{ship|prefix|name|ID|display}}: display is a sum of 4 (prefix), 2 (name) and 1 (ID)."""
    prefix, name, identity, display = [*positional, "", "", "", ""][:4]
    display = display or named.get("up", "")
    bits = int(display) if display in tuple("1234567") else 7
    shown = [prefix if bits & 4 else "", name if bits & 2 else ""]
    if identity and bits & 1:
        shown.append(f"({identity})" if bits & 6 else identity)
    return " ".join(filter(None, shown))


def interlanguage(positional: list[str], named: dict[str, str]) -> str:
    """{{ill|Name|de|There}}, {{ill|de|Name|There|text}}, {{нп|Name|text|de|There}}: the text or name."""
    for key in ("lt", "text", "текст", "tekst", "texte", "надо", "треба", "pl", "fr"):
        if named.get(key):
            return named[key]
    names = positional[1:] if positional[:1] and _CODE.fullmatch(positional[0]) else positional
    if names is not positional and len(names) > 2 and names[2] and not _CODE.fullmatch(names[2]):
        return names[2]
    is_shown = names is positional and len(names) > 1 and names[1] and not _CODE.fullmatch(names[1])
    return names[1] if is_shown else names[0] if names else ""


def missing(positional: list[str], named: dict[str, str]) -> str:
    """A template that computes its text, such as a population, from data that the dump does not hold."""
    return HOLE


def music(positional: list[str], named: dict[str, str]) -> str:
    """{{music|sharp}}: the sign; {{music|time|3|4}}: 3/4."""
    signs = {"sharp": "♯", "#": "♯", "flat": "♭", "b": "♭", "natural": "♮", "n": "♮"}
    signs |= {"doublesharp": "𝄪", "##": "𝄪", "x": "𝄪", "doubleflat": "𝄫", "bb": "𝄫"}
    if positional[:1] == ["time"]:
        return "/".join(positional[1:3])
    if positional[:1] == ["scale"]:
        return "".join(positional[1:2])
    return "".join(signs.get(part.lower(), part) for part in positional)


def bullets(positional: list[str], named: dict[str, str]) -> str:
    """{{bulleted list|a|b}}: an item on each line."""
    return "\n" + "\n".join(f"* {part}" for part in positional if part) + "\n"


def numbered(positional: list[str], named: dict[str, str]) -> str:
    """{{ordered list|a|b}}: an item on each line."""
    return "\n" + "\n".join(f"# {part}" for part in positional if part) + "\n"


def theorem(positional: list[str], named: dict[str, str]) -> str:
    """{{théorème|Title|It is so.}}: Title. It is so. (French)"""
    content = named.get("énoncé") or named.get("contenu") or named.get("texte") or "".join(positional[1:2])
    title = named.get("titre") or "".join(positional[:1])
    return f"{title}. {content}" if title and content else title or content


def items(positional: list[str], named: dict[str, str]) -> str:
    """{{columns-list|2|* a}}: the items, without the number or the width of the columns."""
    has_width = len(positional) > 1 and _WIDTH.fullmatch(positional[0])
    return text(positional[bool(has_width) :], named)


def lines(positional: list[str], named: dict[str, str]) -> str:
    """{{plainlist|* a}}: its items, which begin on a line of their own."""
    content = items(positional, named)
    return f"\n{content}\n" if content.startswith(("*", "#")) else content


def columns(positional: list[str], named: dict[str, str]) -> str:
    """{{Kolommen2|Kolom1=* a|Kolom2=* b}}: the columns one below the other, on lines of their own."""
    return "\n" + "\n".join(value for name, value in named.items() if name[-1:].isdigit()) + "\n"


def pipe(positional: list[str], named: dict[str, str]) -> str:
    """{{!}}: a `|` that may be the markup of a link or a table."""
    return "|"


def prefixed_ship(prefix: str) -> Rule:
    """{{HMS|name|ID|display}}"""
    return lambda positional, named: ship([prefix, *positional], named)


def ship_class(positional: list[str], named: dict[str, str]) -> str:
    """{{sclass|Iowa|battleship}}: Iowa-class battleship; a third argument can leave out the kind of ship."""
    name, kind, display = [*positional, "", "", ""][:3]
    shown = {"0": f"{name}-class", "4": f"{name} class", "5": name}
    return shown.get(display, f"{name}-class {kind}".strip())


def ordinal(positional: list[str], named: dict[str, str]) -> str:
    """{{ordinal|12}}: 12th."""
    number = positional[0] if positional else ""
    teens = number[-2:-1] == "1"
    return number + ("th" if teens else {"1": "st", "2": "nd", "3": "rd"}.get(number[-1:], "th"))


def ordinal_century(positional: list[str], named: dict[str, str]) -> str:
    """{{century|19}}: 19th century."""
    return f"{ordinal(positional, named)} century" if positional else ""


def verse(positional: list[str], named: dict[str, str]) -> str:
    """{{bibleverse|1|Corinthians|13:4}}: up to the first argument with a chapter and verse."""
    shown = []
    parts = [part for part in positional if part]
    for place, part in enumerate(parts):
        shown.append(part)
        if re.match(r"\d+(?::|$)", part) and place:
            if part.isdecimal() and parts[place + 1 : place + 2] and parts[place + 1][:1].isdecimal():
                shown[-1] += f":{parts[place + 1]}"  # {{bible|Mt|5|3}}
            break
    return " ".join(shown)


def term(positional: list[str], named: dict[str, str]) -> str:
    """{{term|base|content=base point}}, on a line of its own."""
    return f"\n{named.get('content') or named.get('term') or text(positional, named)}\n"


def definition(positional: list[str], named: dict[str, str]) -> str:
    """{{defn|text}}, on a line of its own."""
    return f"\n{named.get('defn') or text(positional, named)}\n"


def sounds(positional: list[str], named: dict[str, str]) -> str:
    """{{IPA|/a/}}, {{IPA|de|a}}: the phonetic signs."""
    shown = [part for part in positional if part]
    if len(shown) > 1 and re.fullmatch(r"[a-z]{2,3}(-[A-Za-z]+)*", shown[0]):
        return shown[1] if shown[1][0] in "[/" else f"[{shown[1]}]"
    return shown[0] if shown else ""


def bracketed(positional: list[str], named: dict[str, str]) -> str:
    """{{IPA-de|a|lang}}: [a]"""
    return f"[{positional[0].strip('[]')}]" if positional and positional[0] else ""


def phonemes(positional: list[str], named: dict[str, str]) -> str:
    """{{IPAc-en|æ|l|ə}}: /ælə/."""
    labels = {"pron", "lang", "local", "uk", "us", "also", "ipa"}
    return f"/{''.join(part for part in positional if part.lower() not in labels)}/"


FUNCTIONS: dict[str, Rule] = {
    **arguments.FUNCTIONS, "citation": citation,
    "sic": sic,
    "nihongo": nihongo, "reading first": reading_first, "linked words": linked_words, "spaced": spaced,
    "joined": joined, "chemistry": chemistry, "equation": equation, "nuclide": nuclide,
    "junction": junction, "lowered and raised": lowered_and_raised,
    "raised": raised, "lowered": lowered, "raised and lowered": raised_and_lowered, "formula": formula,
    "root": root, "ship": ship, "ship class": ship_class, "verse": verse, "term": term,
    "definition": definition, "sounds": sounds, "phonemes": phonemes, "missing": missing,
    "bracketed": bracketed, "pipe": pipe, "interlanguage": interlanguage, "ordinal": ordinal, "music": music,
    "theorem": theorem,
    "lines": lines, "items": items, "columns": columns, "bullets": bullets, "numbered": numbered,
    "ordinal century": ordinal_century, "coordinates": coordinates.coordinates, **figures.FUNCTIONS,
    **measures.FUNCTIONS,
    **authors.FUNCTIONS, **forms.FUNCTIONS,
}  # fmt: skip

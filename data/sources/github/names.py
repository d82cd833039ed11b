"""The names by which notices and license files call licenses, and what is said about a name.

In: text, or its plain form (plain_form.py). Out: SPDX identifiers in lower case, without a version if the
text has none; a name that SPDX does not list stands for itself.
"""

import re

from data.sources.github.plain_form import plain_form

# Licenses by the names that people write; if two match at the same place, the first counts. `{}`: a version.
_NAMES = (
    ("agpl-{}", r"affero general public license|agpl(?:v?\d(?:\.\d)?)?"),
    ("lgpl-{}", r"(?:lesser|library) general public license|lesser gpl|lgpl(?:v?\d(?:\.\d)?)?"),
    ("gpl-{}", r"general public license|gnu public license|gpl(?:v?\d(?:\.\d)?)?"),
    ("mpl-{}", r"mozilla public license|mpl(?:v?\d(?:\.\d)?)?"),
    ("bsd-2-clause-patent", r"bsd (?:2 clause )?(?:plus )?patent"),
    ("bsd-4-clause", r"bsd 4 clause|(?:4|four) clause bsd|original bsd"),
    ("bsd-2-clause", r"bsd ?2(?: clause)?|(?:2|two) clause bsd|simplified bsd|freebsd license"),
    (
        "bsd-3-clause",
        r"bsd ?3(?: clause)?|(?:3|three) clause bsd|(?:new|modified|revised) bsd"
        r"|eclipse distribution license",
    ),
    ("bsd-protection", r"bsd protection license"),
    ("bsd", r"bsd"),
    ("apache-1.1", r"apache(?: software)?(?: license)?(?: v| version)? ?1(?:\.[01])?"),
    (
        "apache-2.0",
        r"(?:apache|asl)(?: software)?(?: license)?(?: v| version)? ?2(?:\.0)?|apache(?: license)?",
    ),
    ("mit-0", r"mit 0|mit no attribution"),
    ("mit", r"mit|expat license|x11 license"),
    ("isc", r"isc(?: style)? license|(?:under|license) isc"),
    ("zlib", r"zlib(?: libpng)? license"),
    ("bsl-1.0", r"boost software license"),
    ("psf-2.0", r"python software foundation license|psf license"),
    ("cc0-1.0", r"cc0"),
    ("cc", r"creative commons|cc by(?: nc| nd| sa)*"),
    ("unlicense", r"unlicense"),
    ("commons-clause", r"commons clause"),
    ("busl-1.1", r"business source license|busl|bsl 1.1"),
    ("fsl-1.1", r"functional source license|fsl 1.1"),
    ("sspl-1.0", r"server side public license|sspl"),
    ("elastic-2.0", r"elastic license"),
    ("polyform", r"polyform"),
    ("epl-{}", r"eclipse public license|epl"),
    ("cddl-1.0", r"common development and distribution license|cddl"),
    ("artistic-2.0", r"artistic license"),
    ("artistic-1.0-perl", r"(?:same|license) terms as perl"),
    ("eupl-1.2", r"european union public license|eupl"),
    ("cecill-2.1", r"cecill"),
    ("ms-pl", r"microsoft (?:public|reciprocal|limited public|permissive) license|ms pl"),
    ("lppl-1.3c", r"latex project public license|lppl"),
    ("ncsa", r"university of illinois(?: ncsa)? open source license|ncsa open source license"),
    ("ofl-1.1", r"sil open font license|(?:sil )?ofl"),
    ("cpl-1.0", r"common public license"),
    ("osl-3.0", r"open software license"),
    ("afl-3.0", r"academic free license"),
    ("json", r"json license"),
    ("mulan", r"mulan (?:psl|permissive software license)"),
    ("hippocratic", r"hippocratic license"),
    ("ecl-2.0", r"educational community license"),
    ("llama", r"llama (?:\d(?:\.\d)? )?community license"),
    ("source-available", r"source available license"),
    ("wtfpl", r"wtfpl|do what the fuck you want to"),
)
NAME = re.compile(rf"\b(?:{'|'.join(f'(?P<n{i}>{pattern})' for i, (_, pattern) in enumerate(_NAMES))})\b")
_VERSION = re.compile(r"(?:\w+ ){0,12}?(?:version |v ?|[al]?gpl ?v?|mpl ?|epl ?)(\d(?:\.\d)?)\b")
ANY_NAME = "|".join(pattern for _, pattern in _NAMES)
# A license that a notice names in capitals, and words that name none.
_UNDER = re.compile(
    r"\b(?:[Uu]nder|[Ss]ubject\s+to|[Gg]overned\s+by|[Aa]ccording\s+to|[Pp]ursuant\s+to|[Uu]ses)\s+(?:the\s+)?"
    r"(?:terms\s+(?:and\s+conditions\s+)?of\s+(?:the\s+)?)?(?:version\s+[\d.]+\s+of\s+(?:the\s+)?)?"
    r"((?:[A-Z][\w.+-]*\s+){1,4})[Ll]icen[cs]e\b"
)
_NO_NAME = re.compile(
    r"(?:the|this|a|an|open|source|free|software|permissive|project|same|accompanying|file|general|following)"
)
# Only of other projects: "the same license as Perl", not "as the rest of this" or "as the foo package".
_SAME = re.compile(
    r"\bsame\s+(?:copyright\s+and\s+)?(?:licen[cs]e(?:\s+terms?)?|terms?(?:\s+and\s+conditions)?"
    r"(?:\s+of\s+licen[cs]e)?|conditions)\s+(?:as|of)\s+([\w+-]+(?:\s+[\w+-]+){0,5})",
    re.IGNORECASE,
)
_OWN = re.compile(
    r"(?:the )?(?:this|that|these|those|its?|our|my|all|any|every|rest|others?|main|original|parent)\b"
    r"|(?:the )?(?:\w+ ){0,4}(?:project|package|library|repository|repo|code|source|software|files?|program"
    r"|module|framework|plugin|tool|app|application|above|license)\b"
)
# The license's own words are changed: "a modified version of the MIT license", "MIT with restrictions".
_CHANGED = re.compile(
    r"\b(?:modified|modification|amended|altered|custom|restricted|adapted|derived|deviation|variant"
    r"|variation|based)(?: version| form| copy| modification)? (?:of|from|on) (?:the )?"
    rf"(?:{ANY_NAME})(?: \w+)? license\b"
    rf"|\blicense (?:\w+ ){{0,6}}?(?:derived|adapted|based) (?:of|from|on) (?:the )?(?:{ANY_NAME})\b"
    rf"|\b(?:custom|modified|restricted) (?:version|form|modification) of (?:the )?(?:{ANY_NAME})\b"
    rf"|\b(?:{ANY_NAME})(?: license)?(?: version| v)?(?: ?2(?:\.0)?)?(?: as)? (?:modified\b|amended\b"
    r"|(?:with|plus) (?:an? |the |some |special |additional |certain |following |slight ){0,3}"
    r"(?:restrictions?|modifications?|amendments?|limitations?)\b)"
    r"|\b(?:not|t|cannot|never) (?:(?:an?|the|be|is|under|by|licensed|employ|use|using|released) ){1,5}"
    rf"(?:{ANY_NAME})(?: \w+){{0,2}} license\b"
)
# The addresses of license texts; the last part names the license.
ADDRESS = re.compile(
    r"https?://(?:www\.)?(?:(?:opensource|spdx)\.org/licenses?/(?:licenses/)?|(apache)\.org/licenses/license-"
    r"|choosealicense\.com/licenses/)([\w-]++(?:\.\d++)*)(?:\.(?:txt|html|php))?/?",
    re.IGNORECASE,
)
# The same of texts whose last part is no name by itself.
_PLACES = (
    (re.compile(r"\bgnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?([al]?gpl)\b", re.IGNORECASE), "{}"),
    (re.compile(r"\bcreativecommons\.org/(?:licenses|publicdomain)/()", re.IGNORECASE), "cc"),
    (re.compile(r"\bscripts\.sil\.org/(ofl)\b", re.IGNORECASE), "ofl-1.1"),
)


def named(plain: str) -> set[str]:
    """The licenses that a plain text names."""
    names = set()
    for match in NAME.finditer(plain.replace("gpl compatible", "")):
        name = _NAMES[int((match.lastgroup or "n0")[1:])][0]
        if "{}" in name:
            version = _VERSION.match(match[0] + match.string[match.end() : match.end() + 100])
            number = version[1] if version else ""
            name = name.replace("-{}", f"-{number}" + (".0" if len(number) == 1 else "") if number else "")
        names.add(name)
    return names


def named_by_address(text: str) -> set[str]:
    """The licenses at whose addresses a text points: gnu.org/licenses/gpl.html, spdx.org/licenses/MIT."""
    listed = " . ".join(f"{found[1] or ''} {found[2]}" for found in ADDRESS.finditer(text))
    return (named(plain_form(listed)) - {"bsd"}) | {
        name.format(found[1].lower()) for place, name in _PLACES for found in place.finditer(text)
    }


def names_unknown(text: str) -> bool:
    """Whether a text without comment marks puts itself under a license with a name that is not known here."""
    return any(map(_is_unknown, _UNDER.findall(text)))


def _is_unknown(name: str) -> bool:
    plain = plain_form(f"{name} license")
    return not named(plain) and not all(map(_NO_NAME.fullmatch, plain.split()[:-1]))


def is_as_others(text: str, own: set[str]) -> bool:
    """Whether a text has the license of another project by name; `own` are words of this one's name."""
    others = {plain_form(found) for found in _SAME.findall(text)}
    return any(not _OWN.match(other) and own.isdisjoint(other.split()) for other in others)


def is_changed(plain: str) -> bool:
    """Whether a plain sentence says that a license's own words are changed, restricted or do not hold."""
    return _CHANGED.search(plain) is not None

"""Finds conditions in a license file or a notice beyond those of the licenses that it names.

In: text. Arguments named `plain` are in plain form (plain_form.py): lower-case words joined by spaces.
"""

import re

_CONDITIONS = re.compile(
    r"\b(?:may|must|shall|can) not\b|\bcannot\b|\bshall be (?:given|displayed|included|governed)\b"
    r"|\b(?:must|only|unless)\b|\bsolely for\b"
    r"|\bdo(?:es)? not (?:include|grant|permit|allow|apply|cover|extend|give)\b"
    r"|\bnon ?(?:commercial|production|profit)|\bcommercial(?:ly)?\b|\bcompet(?:e|es|ing|itors?|itive)\b"
    r"|\b(?:prohibit|forbid|disallow|exclud|revok|terminat|expir)\w*"
    r"|\bshould (?:acknowledge|cite|credit)\b|\bwith (?:\w+ ){0,2}restrictions?\b"
    r"|\b(?:requires?|required|permitted|allowed"
    r"|restricted)\b"
    r"|\b(?:fees?|paid|pay|purchase|royalt(?:y|ies)|subscription|consent|proprietary|confidential|agree"
    r"|eula)\b"
    r"|\b(?:evil|ethical|military|weapons?|nuclear|harm|surveillance|evaluation|change date|end user)\b"
    r"|\b(?:personal|private|internal|academic|educational|research) (?:use|purposes?|and|or)\b"
    r"|\b(?:additional|further) (?:terms?|conditions?|permissions?|restrictions?|agreement)\b"
    r"|\bpatent rights are\b"
    r"|\b(?:have|need|obliged|asked) to\b|\bprovided that\b|\bexcept (?:that|for|as)\b|\bunmodified\b"
)
# The same in other languages, in lower case.
_FOREIGN = (
    *(
        "禁止",
        "严禁",
        "嚴禁",
        "不得",
        "不可用于",
        "仅限",
        "仅供",
        "僅限",
        "僅供",
        "商业",
        "商業",
        "商用",
        "営利",
    ),
    *("に限り", "に限る", "금지", "상업", "영리", "запрещ", "коммерч", "только для"),
    *("untersagt", "verboten", "nicht gestattet", "kommerziell", "interdit", "commerciale"),
    *("sans autorisation", "sans l'autorisation", "prohibid", "proibid", "vietat", "comercia"),
)
_HOLDER = re.compile(r"(?:copyright|\(c\)|©|&copy;)[^\n.。]*")  # a holder's name may contain such a word
_HARMLESS = re.compile(
    r"\b(?:non ?commercial|private) (?:and|or|and or) commercial\b|\bcommercial (?:and|or"
    r"|and or) non ?commercial\b"
    r"|\bwith(?:out)? (?:or without )?fees?\b|\bspdx license identifier [\w.]+"
    r"|\beveryone is granted a worldwide perpetual royalty free\b"
    r"|\bnames?\b.{0,120}\bmay not$"  # an older wording of BSD's third clause
    r"|\brequires? (?:an?|the|its) (?:\w+ ){0,3}(?:librar(?:y|ies)|compiler|runtime|interpreter)\b"
)
_PROPRIETARY = re.compile(
    r"\bconfidential\b|\bproprietary\b|\btrade secrets?\b|\bnon ?commercial|\bnot for (?:re)?distribution\b"
    r"|\bunauthori[sz]ed (?:copying|use|reproduction|distribution|disclosure|access)\b|\binternal use only\b"
    r"|\b(?:academic|research) (?:\w+ ){0,2}(?:use|purposes?) only\b"
    r"|\b(?:may|must|shall|can) not be (?:copied|used|reproduced|disclosed|distributed|redistributed"
    r"|sold|modified)\b"
    r"|\bcannot be (?:copied|used|reproduced|distributed)\b|\bwithout (?:the |an? )?(?:prior|express"
    r"|written|explicit)\b|\bstrictly prohibited\b|\bend user license\b|\beula\b"
    r"|\bdo not (?:re)?distribute\b|\b(?:permission|license)(?: is)? (?:hereby )?not granted\b"
    r"|\bno permission is (?:hereby )?granted\b|\bnot authori[sz]ed to\b|\bunpublished\b|\bnot to be sold\b"
    r"|\bcopyright laws? and (?:international )?treat"
)
_OWN_NAME = re.compile(r"endors|advertis|publicity|\bnames? (?:of|nor)\b|except in compliance|promot")

# "Redistribution and use are permitted" is a grant, unless a condition follows or something is denied.
_GRANT = re.compile(
    r"\b(?:is|are) (?:hereby )?(?:permitted|allowed)\b"
    r"(?! (?:only|provided|if|under|subject|for|in|to|unless)\b)"
)
_DENIAL = re.compile(r"\b(?:no|not|nor|neither)\b")


def has_conditions(plain: str) -> bool:
    """Whether plain words beyond a license's own text set conditions."""
    return _CONDITIONS.search(_HARMLESS.sub("", plain)) is not None


def without_grant(plain: str) -> str:
    """A notice's plain words without those that only permit; all of them if the notice denies anything."""
    return plain if _DENIAL.search(plain) else _GRANT.sub("", plain)


def has_foreign_conditions(text: str) -> bool:
    """Whether a text sets conditions in a language other than English."""
    text = _HOLDER.sub("", text.lower())
    return any(words in text for words in _FOREIGN)


def is_proprietary(plain: str) -> bool:
    """Whether a notice's sentence, in plain form, keeps the file secret or reserves its use for the owner."""
    return _PROPRIETARY.search(_HARMLESS.sub("", plain)) is not None and not _OWN_NAME.search(plain)

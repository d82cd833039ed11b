"""Headings of the notes that makers of an electronic text add, in English and other languages."""

import re

_NOTE_WORDS = (
    r"(?:transs?(?:c|k)ri[\w'’]*|transkry[\w'’]*"
    r"|(?:(?:versi[oó]ne?|[eé]dition|edici[oó]n|edizione|edição)\s+)?"
    r"(?:[eé]l[ée]?[ck]?tr[oóôò]ni\w*(?:\s+\w+)?|num[eé]ri[qs]\w*|digitale?\b)|trascri[\w'’]*|bearbeite?[\w'’]*|bewerk\w*|digitali\w*"
    r"|korrektur\w*|corre[ck]t(?:eu|o)r\w*|proofread\w*|e-?(?:text|bo(?:ok|ek|g|k))\w*|afskriv\w*|avskriv\w*"
    r"|wersji\s+elektronicznej)"
)
_MAKER = (
    r"(?:(?:the|an?|e-?(?:text|book)|digital|pg|project\s+gutenberg)\s+){0,3}"
    r"(?:transcriber|preparer|proof-?reader|scanner|digiti[sz]er|typist|e-?text|(?:e-?text|pg|project\s+gutenberg)\s+editor)"
)
_CHANGES = r"(?:corrections?|errata|emendations?|amendments?|alterations?|changes|typos)"
_ENDS_LINE = r"(?![ \t]*\w)"  # a sentence would go on
HEADING = (
    r"(?:transcriber['’]?s?['’]?\s+notes?(?:\s+and\s+\w{4,12}|\s+on\s+the\s+text)?"
    r"|transcription\s+notes?(?:\s+and\s+\w{4,12})?|notes?\s+(?:by|of|from)\s+the\s+transcriber"
    rf"|{_MAKER}(?:['’]s?|s['’])\s+(?:and\s+\w{{3,12}}['’]s\s+)?"
    rf"(?:(?:end-?)?notes?|comments?|remarks?|postscript|appendix|addend(?:um|a)|{_CHANGES})"
    rf"(?:(?:\s+(?:and|&|with|on|to|for|of)\s+|\s*(?:--|[:—–])\s*)(?:the\s+)?(?:list\s+of\s+)?"
    rf"(?:{_CHANGES}|text|e-?text|e-?book)\b)?{_ENDS_LINE}"
    rf"|(?:an?\s+)?notes?\s+(?:by|of|from)\s+{_MAKER}{_ENDS_LINE}"
    r"|(?:an?\s+)?notes?\s+(?:on|to|about)\s+(?:this|the)\s+(?:e-?(?:text|book)|electronic\s+\w+|transcription)"
    rf"{_ENDS_LINE}"
    r"|typographical\s+(?:errors\s+corrected|corrections)(?:\s+in\s+(?:the\s+)?text)?"
    rf"|(?:errors|typos|{_CHANGES})\s+(?:corrected|made|noted)\s+(?:in|to|by|against)\s+(?:(?:this|the)\s+)?"
    rf"(?:e-?(?:text|book)|(?:printed\s+)?original|transcriber){_ENDS_LINE}"
    rf"|list\s+of\s+{_CHANGES}\s+(?:made\s+)?(?:by|in)\s+(?:the\s+transcri\w+|this\s+e-?(?:text|book))"
    rf"|(?:liste\s+der|im\s+text\s+vorgenommene)\s+(?:korrekturen|änderungen){_ENDS_LINE}"
    r"|(?:remarques?\s+sur|au\s+sujet\s+de)\s+(?:la|cette)\s+(?:transcription|version\s+électronique)"
    rf"{_ENDS_LINE}"
    r"|σημε[ίι]\w+\s+(?:του\s+)?(?:μεταγρα|αντιγρα|επιμελητ)\w+|примечани[ея]\s+(?:к\s+электронно\w+|переписчик\w+)"
    r"|(?:bemerkung|anmerkung|notiz|hinweis)(?:en|e)?\s+(?:\w+\s+){0,2}" + _NOTE_WORDS + r""
    r"|notes?\s+au\s+lecteur\s+de\s+ce\s+(?:fichier|livre\s+(?:électronique|numérique))"
    r"|notes?\s+(?:du|de|sur|au)\s+(?:la\s+|le\s+|l['’])?" + _NOTE_WORDS + r""
    r"|(?:opmerking|aantekening|notitie|noot)(?:en|s)?\s+(?:\w+\s+){0,2}" + _NOTE_WORDS + r""
    r"|not[aeo]j?s?\s+(?:del?|d[aeio]s?|al|sobre|sulla|a)\s+(?:la\s+|el\s+)?" + _NOTE_WORDS + r""
    r"|(?:anmärkning|anmærkning|bemærkning|merknad)\w*\s+(?:\w+\s+){0,2}" + _NOTE_WORDS + r""
    r"|not(?:er|ater|e)\s+(?:fra|af|från|av|till?)\s+(?:\w+\s+)?" + _NOTE_WORDS + r""
    r"|pozn[aá]mk\w+\s+(?:\w+\s+){0,2}(?:p[rř]epis|elektron|digitaliz)\w*"
    r"|uwag[ai]\s+(?:\w+\s+){0,2}" + _NOTE_WORDS + r""
    r"|transkri\w+\s+(?:anmärkning|anmærkning|bemærkning|merknad|not|note)\w*"
    r"|transkri\w+(?:anmärkning|anmærkning|bemærkning|merknad|note)\w*"
    r"|huom\w+\s+(?:\w+\s+){0,2}(?:muokkaaj|transkri|digito|sähköi|e-?kirj)\w*"
    r"|(?:muokkaaj|transkri|digito|oikoluk)\w*\s+(?:\w+\s+)?huom\w+"
    r"|(?:\w+\s+){0,2}(?:átír|digitaliz|transzkri)\w*\s+megjegyz\w+"
    r"|megjegyz\w+\s+(?:\w+\s+){0,3}(?:átír|digitaliz|transzkri|elektronikus)\w*"
    r"|lista\s+d[eo]s?\s+(?:erros|erratas|errores)\s+corr[ei]gid[ao]s|lijst\s+van\s+aangebrachte\s+correcties"
    r"|liste\s+des\s+(?:corrections|modifications)\s+(?:effectuées|apportées))"
)
# Above a list of a volume's best sentences, which a maker put below it.
BOOKMARKS = rf"{_MAKER}(?:['’]s|s['’]?)\s+bookmarks\b"
BEGINS_NOTE = re.compile(rf"\W{{0,160}}+{HEADING}", re.IGNORECASE)  # a box may be drawn around it
# Headings that a book's own notes also have.
WEAK_HEADING = (
    r"(?:nota\s+d[eo]\s+editor|(?:producer|redactor)['’]s\s+notes?|colo(?:ph|f)on"
    r"|(?:(?:notes?|avis)\s+)?au\s+lecteur|note\s+to\s+the\s+reader"
    r"|(?:julkaisijan\s+)?huomautu\w*|megjegyz\w+|javítás\w*|notering\w*|anmärkning(?:ar)?"
    r"|bemærkning(?:er)?|merknad(?:er)?|(?:note|nota|σημείωση|σημειώσεις):)"
)
EDITORS_NOTE = re.compile(rf"\W{{0,160}}+{WEAK_HEADING}(?!\w)", re.IGNORECASE)

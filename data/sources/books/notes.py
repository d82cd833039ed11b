"""Removes credits, notes and notices that the makers of an electronic text added to the book.

In: a book without its header and footer. Out: the same without its makers' paragraphs: credits above the
book, notes below it, and notices inside it. They are recognized by how they begin, in English and ten
other languages, or by names that no author of a printed book used. Doubtful ones are kept.
"""

import re

from data.sources.books.headings import BEGINS_NOTE, BOOKMARKS, EDITORS_NOTE, HEADING, WEAK_HEADING

CREDITS = 12  # maximum paragraphs of credits and notes above a book
_CREDIT_LENGTH = 3000  # maximum characters of such a paragraph
_SENTENCE = 160  # maximum characters of a sentence in a note's further paragraphs
_BOX = 80  # most characters of a heading's line after it: boxes of + - | are as wide as the text
_FRONT = 8000  # a makers' note below the title begins within this many characters
_LABEL = 40  # most characters of a heading in a colophon
_LIST_LENGTH = 60_000  # most characters of a list of changes in brackets
_CLOSING_LENGTH = 8000  # a makers' note begins within this many characters of the end

_WEAK_LINE = re.compile(rf"^[^\w\n]{{0,40}}+{WEAK_HEADING}[^\w\n]{{0,40}}+$", re.IGNORECASE | re.MULTILINE)
_BARE_NOTE = re.compile(rf"\W{{0,40}}+{HEADING}\W{{0,40}}+", re.IGNORECASE)
_NOTE_PARAGRAPH = re.compile(rf"(?<=\n\n)\W{{0,160}}+{HEADING}\W{{0,3}}(?:[:.—\]]|--)", re.IGNORECASE)
# A heading may begin with one more word: Weitere Anmerkungen zur Transkription.
_NOTE_LINE = re.compile(
    rf"^[^\w\n]{{0,40}}+(?:[^\W\d_]{{3,12}}[ \t]+)?{HEADING}[^\w\n]{{0,{_BOX}}}+$",
    re.IGNORECASE | re.MULTILINE,
)
# Words in a note's further paragraphs: they treat the text as an object.
_ABOUT_TEXT = re.compile(
    r"\b(?:spelling|hyphen\w*|punctuation|typograph\w*|misprint\w*|printer|errors?|corrected|retained|original"
    r"|footnotes?|illustrations?|italics?|underscores?|orthographe|ponctuation|corrigée?s?|conservée?s?"
    r"|rechtschreibung|zeichensetzung|druckfehler|korrigiert|beibehalten|spelling|bestand|drukfouten|gecorrigeerd"
    r"|ortografía|puntuación|erratas?|corregid\w+|conservad\w+|original\w*|erreurs|typograph\w+|fraktur|antiqua"
    r"|ortografia|grafia|tipográfic\w*|mantid\w+|punteggiatura|refusi|corretti|pontuação|stavning\w*|rättat\w*|transcri\w+|transkri\w+"
    r"|tryckfel\w*|stavemåde\w*|trykfejl\w*|pisowni\w*|drukarski\w*|oikeinkirjoit\w*|painovirhe\w*|välimerk\w*"
    r"|korjattu|säilytetty|alkuperäi\w*|helyesír\w*|nyomdahib\w*|nyomdai|javított\w*|eredeti\w*|tartalomjegyzék\w*|oldalon"
    r"|τονικό|ορθογραφία\w*|υποσημειώσεις|πρωτότυπο\w*|διορθώ\w+)\b",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"\W{0,40}(?:"
    r"(?:(?:this|the)\s+)?(?:(?:e-?(?:text|book)|(?:(?:html|text)\s+)?(?:file|version))s?\s+)?"
    r"(?:was\s+|were\s+|is\s+)?(?:originally\s+)?"
    r"(?:produced|prepared|transcribed|scanned|typed|digiti[sz]ed|proof(?:ed|read)|converted|keyed)\b"
    r"[^\n]{0,60}\s(?:by|from)\b"
    r"|(?:the\s+)?cover(?:\s+image)?\s+(?:was\s+)?(?:created|made|designed|produced|prepared)\s+by\s+(?:the\s+)?transcriber"
    r"|(?:(?:this|the)\s+)?(?:digital|electronic)\s+edition\s+(?:(?:was\s+)?(?:made|created|produced|prepared)\s+)?by\b"
    r"|(?-i:OCR\s+by\s+[A-Z])|this\s+is\s+the\s+[78]-?bit\s+version"
    r"|(?:(?:special|many|with)\s+)?thanks\s+to\s(?:[^\n]|\n(?!\s*\n)){1,150}\b(?:for|of)\s+(?:the\s+)?scan(?:s|ning|ned)\b"
    r"|credits:|updated:|html\s+version\s+by\b|note:\s+(?:the\s+original|images\s+of)"
    r"|(?:this\s+file|this\s+book)\s+was\s+(?:produced|prepared|created)"
    r"|this\s+e-?(?:text|book)\s+is\s+in\s+\w+"
    r"|images\s+of\s+the\s+original|see\s+https?://"
    r"|(?:produit|préparé|numérisé)\s+par\b|ce\s+(?:fichier|livre\s+électronique)\s+a\s+été"
    r"|diese[sr]?\s+(?:e-?(?:text|book)|datei|buch\s+wurde\s+uns)|erstellt\s+von\b"
    r"|(?:dit\s+)?e-?bo[eo]k\s+(?:is\s+)?(?:geproduceerd|gemaakt)\b|(?:este\s+(?:libro|texto|e-?book|e-?text)\s+fue\s+)?producido\s+por\b"
    r"|(?:(?:ce|este|questo|dieses?|dit)\s+(?:text[eo]?|testo|libro|livre|buch|boek|e-?(?:text|book))\s+)?"
    r"(?:a\s+été\s+|fue\s+|foi\s+|è\s+stato\s+|wurde\s+|is\s+)?"
    r"(?:(?:produit|numérisé|scanné)\s+par|(?:digitalizado|escaneado)\s+por|digitalizzato\s+da"
    r"|(?:produziert|digitalisiert|gescannt)\s+von|(?:geproduceerd|gescand|gedigitaliseerd)\s+door"
    r"|(?:produceret|scannet|digitaliseret)\s+af|(?:skannad|digitaliserad)\s+av|produït\s+per|produktita\s+de"
    r"|(?:zeskanowan|zdigitalizowan|wyprodukowan)\w+\s+przez)\b|(?:saisie\s+du\s+texte|numérisation|παραγωγή)\s*(?::|par\b)"
    r"|produzido\s+por\b|prodotto\s+da\b|készített\w+\b|producerad\s+av\b"
    r"|tämän\s+e-?kirjan\s+(?:on\s+|ovat\s+)?(?:tuotta|tuotti|valmist)\w*"
    r"|(?:ta\s+lektura|ten\s+utwór|utwór\s+opracowan\w+|wszystkie\s+(?:zasoby|materiały))\b"
    r"|tekst\s+opracowan\w+|publikacja\s+zrealizowan\w+|wydawca:|opracowanie\s+(?:redakcyjne|merytoryczne)\b)"
    r"|[*=_#~+\s-]++\Z",  # a rule between such paragraphs
    re.IGNORECASE,
)
_OF_THE_MAKERS = re.compile(
    r"pgdp\.net|distributed\s+proofread|proofreading\s+team|proje[ck]t\s+gutenberg|gutenberg[-\s]+projekt"
    r"|gutenberg\.(?:org|net)|gutenberg\.spiegel|\bwolnelektury\.pl|\bwoln(?:e|ych)\s+lektur|\butf-?8\b|\be-?(?:text|book)s?\b|\S@\S{1,250}\.\w"
    r"|project\s+runeberg|runeberg\.org|\b(?:created|made|produced|prepared)\s+by\s+(?:the\s+)?transcriber\b"
    r"|\bcette\s+version\s+(?:électronique|numérisée)|\bce\s+fichier\s+(?:digital|numérique)",
    re.IGNORECASE,
)
GUTENBERG = re.compile(r"project\s+gutenberg", re.IGNORECASE)
_BLANK_LINES = re.compile(r"(?:[ \t\f]*+\n)*+")
PARAGRAPH_END = re.compile(r"\n[ \t\f]*+\n")
_RULES_BELOW = re.compile(  # what separated the note from the book: lines without words after the last words
    r"(?:\A|(?<=[\w\"”’»)]))([^\w\n\"”’»)]*+)\n[^\w\"”’»)]*+\Z"
)
# The name of a note's author, below it: Ana Ponte (Maio 2008).
_SIGNATURE = re.compile(r"\s{4,40}[^\n()]{3,60}\([^\W\d_]{3,12}\.? (?:de )?\d{4}\)\s{0,40}")
# Michael Hart's notes above Shakespeare's First Folio and others of the 1990s, with verses in them.
_DIRECTORS = re.compile(r"\s*+\W{0,40}+Executive\s+Director['’]s\s+Notes?\b", re.IGNORECASE)
_DIRECTORS_LENGTH = 6000  # most characters of them
_SIGNED = re.compile(
    r"(?<=\n\n)[ \t]*[^\n]{3,60}\n[ \t]*Project Gutenberg\b[^\n]{0,60}(?:\n[ \t]*\S[^\n]{0,60}){0,2}"
)
_PICTURES = re.compile(
    r"(?:\s{0,40}\[(?:Illustration|Frontispiece|Cover)[^\[\]]{0,300}\]\s*\n){1,5}", re.IGNORECASE
)
_BY = re.compile(r"\s*+by\s[^\n]{,100}\Z")
_INDENTED = re.compile(r"[ \t]{2,}|\s*+[*•-]\s")
# Notices inside a book: bracketed, and about the electronic text.
_NOTICE = re.compile(
    r"^[ \t]*+(?:<<(?:[^<>]|<(?!<)|>(?!>)){20,3000}>>"
    r"|\*{2,}(?:[^*\n]|\n(?![ \t]*\n)){20,1500}\*{2,})[ \t]*+$",
    re.MULTILINE,
)
_BRACKETED = re.compile(
    r"(?:(?<=\n\n)|\A\n*+)[ \t]*+\[((?:[^\[\]\n]|\[[^\[\]\n]{0,60}\]|\n(?![ \t]*\n)){5,1500})\][ \t]*+"
    r"(?:\n[ \t]*+(?=\n)\n*+|\n*+\Z)"
)
_LONG_BRACKETED = re.compile(  # of several paragraphs
    rf"(?<=\n\n)[ \t]*+\[(?:{HEADING}"
    r"|(?:this|the)\s+(?:electronic\s+(?:text|edition|version)|e-?(?:text|book)))\b"
    r"[^\[\]]{10,3000}\][ \t]*+(?:\n[ \t]*+(?=\n)\n*+|\n*+\Z)",
    re.IGNORECASE,
)
# The beginning of a list of changes in brackets, which may take a tenth of a German book.
_LISTED_CHANGES = re.compile(
    rf"(?<=\n\n)[ \t]*+\[\s*+(?:{HEADING}"
    r"|im\s+folgenden\s+(?:werden|sind)\s+(?:alle|die)\s+(?:geänderten|vorgenommenen)\b)",
    re.IGNORECASE,
)
_NOTE_AMONG_PARAGRAPHS = re.compile(
    rf"(?<=\n\n)[ \t]*+[*_=]?{HEADING}[*_=]?[ \t]?[:—]"
    r"(?:[^\n]|\n(?![ \t]*\n)){20,1500}\n[ \t]*+(?=\n)\n*+",
    re.IGNORECASE,
)
_BOXED = re.compile(  # +----+, | Transcriber's Note |, | … |, +----+
    rf"(?<=\n\n)[ \t]*+[+*=#|_-][^\w\n]{{8,120}}+\n(?:[ \t]*+[|*#][^\w\n]{{0,120}}+\n){{0,2}}"
    rf"[ \t]*+[|*#][^\w\n]{{0,60}}+{HEADING}\b[^\n]{{0,{_BOX}}}+"
    r"(?:\n[ \t]*+[+|*#=_-][^\n]{0,120}+){1,60}"
    r"(?:\n[ \t]*+(?=\n)\n*+|\n*+\Z)",
    re.IGNORECASE,
)
_LISTED = re.compile(
    rf"(?<=\n\n)[ \t]*+{BOOKMARKS}[^\n]{{0,80}}\n(?:[ \t]*+\n)*+(?:[ \t]*+[^\s][^\n]*+(?:\n|\Z))++\n*+",
    re.IGNORECASE,
)
_IN_PARENTHESES = re.compile(
    rf"(?<=\n\n)[ \t]*+[({{<]\s*+{HEADING}\W(?:[^\n]|\n(?![ \t]*\n)){{10,1500}}?[)}}>][ \t]*+"
    r"(?:\n[ \t]*+(?=\n)\n*+|\n*+\Z)",
    re.IGNORECASE,
)
_ABOUT_ETEXT = re.compile(
    rf"[\W_]{{0,3}}{HEADING}"
    r"|[\W_]{0,3}(?:transcriber|t\.?/?n\.?|(?:tr|trans|transcr|pg)\.?\s+note)\s*:"
    r"|.*?(?:\belectronic\s+(?:text|edition|version)|project\s+gutenberg|\be-?(?:text|book)s?\b"
    r"|\b(?:html|ascii|unicode|utf-?8|iso[- ]?8859|underscores)\b|\b(?:end|top)\s+of\s+th(?:e|is)\s+file\b)",
    re.IGNORECASE | re.DOTALL,
)
_ABOUT_NOTICE = re.compile(
    r"electronic|transcriber|project\s+gutenberg|\be-?(?:text|book)s?\b|machine\s+readable", re.IGNORECASE
)
# A paragraph that is not the makers': the book's own apparatus, or its last words.
_APPARATUS = re.compile(
    r"\W{0,10}(?:(?:foot|end)?notes?\W{0,3}\Z|footnotes?\b(?!\s+(?:have|has|were|was|are|is)\b)|\[\d+\]|\[?footnote\s|index\W{0,3}\Z|glossary\W{0,3}\Z"
    r"|fu(?:ß|ss)noten?\b|anmerkungen\W{0,3}\Z|voetnoten?\b|notas?\W{0,3}\Z|note\s+\d|appendix\b|the\s+end\W{0,3}\Z)",
    re.IGNORECASE,
)


# The header of Progetto Manuzio (Liber Liber), which Gutenberg's Italian books keep: labels in capitals.
_MANUZIO = re.compile(r"\s*+QUESTO E-?(?:BOOK|TEXT):")
_OF_MANUZIO = re.compile(
    r"\s*+(?:\d{1,2}[ªa°]?\s+)?[A-ZÀ-Ü][A-ZÀ-Ü'’ -]{2,60}:"
    r"|.*?(?i:progetto\s+manuzio|liber\s*liber)",
    re.DOTALL,
)


def without_makers(text: str) -> str:
    """The book without its makers' paragraphs above, below and inside it."""
    text = _without_listed_changes(_without_notices(_without_credits(_without_manuzio(text))))
    without = _without_closing_credits(_without_closing_note(text)).rstrip()
    return _RULES_BELOW.sub(r"\1", without) if len(without) < len(text.rstrip()) else without


def _without_manuzio(text: str) -> str:
    start = 0
    while _MANUZIO.match(text) and start < 2 * _CLOSING_LENGTH:
        blank = _BLANK_LINES.match(text, start)
        start = blank.end() if blank else start
        stop = PARAGRAPH_END.search(text, start)
        if stop is None or not _OF_MANUZIO.match(text, start, stop.start()):
            break
        start = stop.end()
    return text[start:]


def _without_credits(text: str) -> str:
    """The book without its makers' paragraphs above it, and with pictures that were among these."""
    without = _without_note_below_title(_without_first_credits(text))
    pictures = _PICTURES.match(without)
    if pictures is None:
        return without
    below = without[pictures.end() :]
    book = _without_first_credits(below)
    return pictures[0] + book if len(book) < len(below) else without


def _without_note_below_title(text: str) -> str:
    """The book without notes below its title, if wider gaps part them from the book."""
    note = _NOTE_LINE.search(text, 0, min(_FRONT, len(text) // 3))
    if note is None or not text[: note.start()].endswith("\n\n\n"):
        return text
    rest = text[note.start() :]
    for _ in range(CREDITS):
        if not _NOTE_LINE.match(rest) and not BEGINS_NOTE.match(rest):
            break
        body, gap, below = rest.partition("\n")[2].lstrip("\n").partition("\n\n\n")
        is_about_text = _ABOUT_TEXT.search(body) or _OF_THE_MAKERS.search(body)
        if not gap or len(body) > _CREDIT_LENGTH or not is_about_text:
            break
        rest = below.lstrip("\n")
    return text[: note.start()] + rest


def _without_first_credits(text: str) -> str:
    paragraph = ""
    is_note = has_note = heading = False  # a note with its heading on a line by itself, any, the heading
    for _ in range(CREDITS):
        if _DIRECTORS.match(text) and (signed := _SIGNED.search(text, 0, _DIRECTORS_LENGTH)):
            text = text[signed.end() :]
        blank = _BLANK_LINES.match(text)
        is_near = blank is not None and blank[0].count("\n") <= 2
        text = text[blank.end() if blank else 0 :]
        names_book = GUTENBERG.search(paragraph)
        stop = PARAGRAPH_END.search(text)
        end = stop.start() if stop else len(text)
        paragraph = text[: min(end, _CREDIT_LENGTH)]
        begins_note = BEGINS_NOTE.match(paragraph) is not None or (
            EDITORS_NOTE.match(paragraph) is not None and _begins_about_text(paragraph, text[end:])
        )
        is_bracketed = paragraph.startswith("[") and (begins_note or _CREDIT.match(paragraph) is not None)
        if is_bracketed and "]" not in paragraph:
            end = text.find("]", 0, _CREDIT_LENGTH) + 1 or end
        is_makers = (
            begins_note
            or (is_note and _continues(paragraph, is_first=heading, is_near=is_near))
            or (has_note and (_is_about_text(paragraph) or _SIGNATURE.fullmatch(paragraph)))
            or _CREDIT.match(paragraph)
            or _OF_THE_MAKERS.search(paragraph)
            or (names_book and _BY.match(paragraph))
        )
        if not is_makers or end > _CREDIT_LENGTH:
            break
        is_closed = is_bracketed and text[:end].rstrip().endswith("]")
        heading = (
            begins_note
            and not is_closed
            and (
                _BARE_NOTE.fullmatch(paragraph) is not None
                or _WEAK_LINE.fullmatch(paragraph.strip()) is not None
                or paragraph.rstrip().endswith(":")
            )
        )
        is_note = is_note or heading
        has_note = has_note or begins_note
        text = text[end:]
    return text


def _continues(paragraph: str, *, is_first: bool, is_near: bool) -> bool:
    """Whether a paragraph continues the note above it.

    It does if it is indented, speaks about the text, or is right below the heading. A sentence also does
    after a single blank line; more blank lines separate the note from the book.
    """
    if _APPARATUS.match(paragraph) or _is_title(paragraph):
        return False
    return (
        is_first
        or _INDENTED.match(paragraph) is not None
        or _ABOUT_TEXT.search(paragraph) is not None
        or (is_near and _is_line(paragraph))
    )


def _is_about_text(paragraph: str) -> bool:
    """Whether a paragraph speaks of the text as an object, so that it is a note even without a heading."""
    if _APPARATUS.match(paragraph) or _is_title(paragraph):
        return False
    words = {word.lower() for word in _ABOUT_TEXT.findall(paragraph)}
    return len(words) > (_INDENTED.match(paragraph) is None)


def _begins_about_text(paragraph: str, below: str) -> bool:
    """Whether a paragraph and the one below it speak of the text in several words, or of its makers."""
    following, *others = PARAGRAPH_END.split(below[:_CREDIT_LENGTH].lstrip("\n"), maxsplit=2)
    if (
        others and len(following) < _LABEL and "." not in following
    ):  # a colophon's first heading: Availability
        following = others[0]
    return (
        _OF_THE_MAKERS.search(following) is not None
        or len({word.lower() for word in _ABOUT_TEXT.findall(f"{paragraph}\n{following}")}) > 1
    )


def _is_title(paragraph: str) -> bool:
    """Whether a paragraph is a heading: not a sentence, and in capitals or short."""
    letters = [letter for letter in paragraph if letter.isalpha()]
    return bool(letters) and sum(map(str.isupper, letters)) > 0.6 * len(letters)


def _is_line(paragraph: str) -> bool:
    """Whether a paragraph is one short sentence."""
    return (
        len(paragraph) < _SENTENCE
        and paragraph.strip().endswith((".", ".]", "]"))
        and paragraph.count("\n") < 3
    )


def _without_notices(text: str) -> str:
    def kept(notice: re.Match) -> str:
        is_heading = _NOTE_LINE.fullmatch(notice[0]) is not None  # its note is below it
        return "" if _ABOUT_NOTICE.search(notice[0]) and not is_heading else notice[0]

    def bracketed(notice: re.Match) -> str:
        return "" if _ABOUT_ETEXT.match(notice[1]) else notice[0]

    text = _NOTICE.sub(kept, text) if "<<" in text or "**" in text else text
    if "\n[" in text or " [" in text or text.startswith("["):
        text = _LONG_BRACKETED.sub("", _BRACKETED.sub(bracketed, text))
    text = _LISTED.sub("", text) if "ookmarks" in text or "OOKMARKS" in text else text
    text = _BOXED.sub("", text) if any(map(text.__contains__, ("|", "***", "###"))) else text
    end = min(len(text) * 2 // 3, len(text) - _CLOSING_LENGTH)  # after that, a note may have more paragraphs
    if end > 0:
        text = _NOTE_AMONG_PARAGRAPHS.sub("", text[:end]) + text[end:]
    return _IN_PARENTHESES.sub("", text) if any(map(text.__contains__, ("\n(", "\n{", "\n<"))) else text


def _without_listed_changes(text: str) -> str:
    """The book without a note in brackets that close at its end."""
    body = text.rstrip()
    if not body.endswith("]"):
        return text
    for note in _LISTED_CHANGES.finditer(body, max(len(body) // 3, len(body) - _LIST_LENGTH)):
        depth = 0
        for bracket in re.finditer(r"[\[\]]", body[note.start() :]):
            depth += 1 if bracket[0] == "[" else -1
            if depth == 0 and bracket.end() < len(body) - note.start():
                break
        else:
            return text[: note.start()]
    return text


def _without_closing_note(text: str) -> str:
    """The book without the note below it; footnotes and other text by the author below the note are kept."""
    tail = max(0, len(text) - _CLOSING_LENGTH)
    note = _NOTE_LINE.search(text, tail) or next(
        (
            line
            for line in _WEAK_LINE.finditer(text, tail)
            if text[: line.start()].endswith("\n\n") and _begins_about_text("", text[line.end() :])
        ),
        None,
    )
    if note is None:
        return _without_closing_paragraphs(text, tail)
    if note.start() <= len(text) * 2 // 3:  # above a short work, it is not a closing note
        return text
    for stop in PARAGRAPH_END.finditer(text, note.end()):
        following = text[stop.end() : stop.end() + 300].lstrip("\n").split("\n\n", 1)[0]
        if _APPARATUS.match(following):
            above = _RULES_BELOW.sub(r"\1", text[: note.start()]).rstrip()
            return above + "\n\n" + text[stop.start() :].lstrip("\n")
    return text[: note.start()]


def _without_closing_credits(text: str) -> str:
    """The book without the credits below it, if one of them names the makers."""
    end, named = len(text), -1
    for _ in range(CREDITS):
        body = text[:end].rstrip()
        start = body.rfind("\n\n") + 2
        if start < 2 or len(body) - start > _CREDIT_LENGTH:
            break
        paragraph = body[start:]
        is_named = _OF_THE_MAKERS.search(paragraph) is not None
        if not is_named and not _CREDIT.match(paragraph):
            break
        end = start
        named = start if is_named else named
    return text[: end if named >= 0 else None]


def _without_closing_paragraphs(text: str, tail: int) -> str:
    """The book without a note that has its heading and text in one paragraph, if only the note follows."""
    for note in _NOTE_PARAGRAPH.finditer(text, max(tail, len(text) * 2 // 3)):
        place = note.start()
        _, *following = PARAGRAPH_END.split(text[place:].lstrip("\n"))
        for paragraph in following:
            if _APPARATUS.match(paragraph.strip()):
                return text[:place].rstrip() + "\n\n" + text[text.index(paragraph, place) :].lstrip("\n")
            if paragraph.strip(" \n+-=*_|") and not _is_about_text(paragraph):
                break
        else:
            return text[:place]
    return text

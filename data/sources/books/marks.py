"""Lines that Project Gutenberg puts around its books: START and END marks, small print, licenses.

Without them, a book is the user's own. Each pattern finds one kind of line at any place of a file.
"""

import re

HEAD = 100_000  # a header ends within this many characters; one with two small prints takes 30,000
TAIL = 30_000  # the license and the small print take 20,000
SHORT = 200  # small print with fewer characters than this after it is at the end of the file
TWICE = 5000  # marks this close to each other belong to one header

FLAGS = re.MULTILINE | re.IGNORECASE
# Line ends and no-break spaces may part the words, and some tools escape the asterisks.
_STARS = r"^[ \t\xa0>_]*+(?:\\?\*){2,}+[ \t\xa0]*+(?:\n[ \t\xa0]*+)?"
_GUTENBERG_BOOK = r"\s+OF\s+(?:(?:THE|THIS)\s+)?(?:COPYRIGHTED\s+)?PROJECT\s+GUTENBERG.*"
START = re.compile(rf"{_STARS}(?:START|BEGINNING){_GUTENBERG_BOOK}", FLAGS)
END = re.compile(rf"{_STARS}END{_GUTENBERG_BOOK}", FLAGS)
SMALL_PRINT_END = re.compile(r"^[ \t]*\*+[ \t]*END[ *]+THE SMALL PRINT.*", FLAGS)
SMALL_PRINT_START = re.compile(r"^[ \t]*+\**+(?:START)?+[ *]*+THE (?:LEGAL )?SMALL PRINT", FLAGS)
FILE_NAME = re.compile(r"^[ \t]*+\*{3,}+[ \t]*+This file should be named ", FLAGS)
LAST_LINE = re.compile(
    r"^[ \t]*(?:this is |here )?(?:the )?(?:ends?|ende|fin|fim|fine|einde|slutt?(?:et)?|koniec|konec)\b"
    r"[ \w'’]{0,25}?"
    r"\s(?:(?:proje[ck]t\w{0,3}|pro[yj]ecto|progetto|projeto|projet|projekt) gutenb[eu]rg?s?|e-?texte?s?\b).*"
    r"|^[ \t]*(?:an? )?project gutenberg[^\n]{0,200}\s(?:loppu|vége)[\W_]*$",
    FLAGS,
)
LICENSE = re.compile(
    r"^[ \t]*(?:\*+[ \t]*START: FULL LICENSE|THE FULL PROJECT GUTENBERG\W{0,4}(?:tm )?LICENSE"
    r"|Updated editions will replace the previous one\s?(?:--|[—–])\s?the old"
    r"|Section 1\. +General Terms of Use and Redistributing Project Gutenberg"
    r"|Information about Project Gutenberg \(one page\)"
    r"|More information about this book is at the top of this file\.)",
    FLAGS,
)
# What a header of 2001 to 2003 moved to the end, above the small print.
MOVED = re.compile(
    r"^Project Gutenberg e-?(?:text|book)s are (?:usually|often) created from"
    r"|^We are now trying to release all our e-?(?:text|book)s"
    r"|^Please note:? neither this (?:listing|list) nor its contents are final",
    FLAGS,
)
ENDS = (END, LAST_LINE, LICENSE)

ABOUT_FILE = re.compile(r"project\s+gutenberg|\be-?texts?\b|small print", re.IGNORECASE)

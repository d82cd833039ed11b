"""Books made for tests, with Gutenberg's headers and footers of each era, and the result for a file."""

import io
import zipfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from data.documents import Drop
from data.sources.books import recipe as books
from data.sources.books.gutenberg import open_book

# A book of short paragraphs, and the marks around it.
STORY = [f"Chapter {n} tells of the lake, and why its keeper left it {n} times." for n in range(1, 90)]
LAKE = "\n\n".join(STORY)
LAKE_HEAD = "Title: The Lake\n\n*** START OF THIS PROJECT GUTENBERG EBOOK THE LAKE ***\n\n\n"
LAKE_FOOT = "\n\n\n*** END OF THIS PROJECT GUTENBERG EBOOK THE LAKE ***\n\nlicense\n"

LICENSE = """Updated editions will replace the previous one.

THE FULL PROJECT GUTENBERG LICENSE
PLEASE READ THIS BEFORE YOU DISTRIBUTE OR USE THIS WORK

1.E.3. If a work is posted with the permission of the copyright holder, ...
"""
FIELDS = """Title: The Voyage
       and the Return

Author: Ann Author

Release Date: May, 1999 [EBook #4321]

Language: English

Character set encoding: {encoding}

"""
SMALL_PRINT = """***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***
Why is this "Small Print!" statement here?  You know: lawyers.

*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*

"""
FIRST_LINE = "The Project Gutenberg Etext of The Voyage and the Return, by Ann Author\n"
HEADERS = {
    "of today": "The Project Gutenberg eBook of The Voyage\n\nThis ebook is for the use of anyone.\n\n"
    + FIELDS
    + "*** START OF THE PROJECT GUTENBERG EBOOK THE VOYAGE AND THE RETURN ***\n\n\n",
    "of 2008": FIRST_LINE
    + FIELDS
    + "*** START OF THIS PROJECT GUTENBERG EBOOK THE VOYAGE ***\n\n\nProduced by A. Volunteer and the\n"
    "Online Distributed Proofreading Team at http://www.pgdp.net\n\n\n",
    "of 2003": FIRST_LINE + FIELDS + "***START OF THE PROJECT GUTENBERG EBOOK, THE VOYAGE***\n\n"
    "E-text prepared by A. Volunteer\n\n\n\nNote: Project Gutenberg also has an HTML version.\n\n",
    "over two lines": FIRST_LINE + FIELDS + "*** START OF THE PROJECT GUTENBERG EBOOK THE VOYAGE\n"
    "AND THE RETURN ***\n\n[Transcriber's Note: two words were\n\nmended.]\n\n",
    "of 1994": FIRST_LINE + "\nMay, 1999  [Etext #4321]\n\n" + SMALL_PRINT,
    "of 1996, with its credit": FIRST_LINE + "\nMay, 1999  [Etext #4321]\n\n" + SMALL_PRINT + "\n\n"
    "This etext was prepared by A. Volunteer, email a@b.org\nfrom the 1890 edition.\n\n\n"
    "The Project Gutenberg Etext of The Voyage and the Return\n\nby Ann Author\n\n",
    "twice": (FIRST_LINE + FIELDS + "*** START OF THE PROJECT GUTENBERG EBOOK THE VOYAGE ***\n\n") * 2,
    "without a mark": FIRST_LINE + "\nMay, 1999  [Etext #4321]\n\nThis Etext was made by volunteers.\n\n",
}
FOOTERS = {
    "of today": "\n\n*** END OF THE PROJECT GUTENBERG EBOOK THE VOYAGE AND THE RETURN ***\n\n" + LICENSE,
    "of 2008": "\n\n\nEnd of the Project Gutenberg EBook of The Voyage, by Ann Author\n\n"
    "*** END OF THIS PROJECT GUTENBERG EBOOK THE VOYAGE ***\n\n***** This file is 4321.txt *****\n" + LICENSE,
    "of 2003": "\n\n***END OF THE PROJECT GUTENBERG EBOOK, THE VOYAGE***\n\n\n" + SMALL_PRINT,
    "of 1994": "\n\n\nEnd of Project Gutenberg's The Voyage and the Return, by Ann Author\n",
    "of 1996": "\n\nThe End of the Project Gutenberg Etext of The Voyage\n\n",
    "in German": "\n\nEnde dieses Project Gutenberg Etextes The Voyage\n",
    "twice": "\n\n*** END OF THE PROJECT GUTENBERG EBOOK THE VOYAGE ***\n" * 2 + LICENSE,
    "a license alone": "\n\n\n" + LICENSE.partition("\n\n")[2],
    "notes": "\n\nTranscriber's Notes\n\nHyphens are as printed.\n\nEnd of Project Gutenberg's The Voyage\n",
}
BODY = """CHAPTER I

The ship lay at anchor, produced by the best yard of the town; and Anna, who had
come from the end of the world, said: "It is not the end of the text, I hope."

   * * *

Then she went below,--and the café on the quay
    was silent once more. [Transcriber's Note: so printed.] It stood in Project
Street, and nobody had been there by ten o'clock."""

WORDS = [
    "sea",
    "café",
    "naïve",
    "Über",
    "don’t",
    "“so”",
    "end",
    "of",
    "the",
    "by",
    "produced",
    "1815",
    "Ænæas",
]
bodies = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=4, max_size=12).map(" ".join), min_size=4, max_size=9
).map(lambda paragraphs: "FIRST " + "\n\n".join(paragraphs) + "\nlast line of this book, and none besides")


def read_bytes(folder: Path, name: str, raw: bytes, **options) -> list[Any]:
    path = folder / name
    path.write_bytes(raw)
    return read(path, **options)


def read(path: Path, **options) -> list[Any]:
    """The Document or Drop of everything in a file or folder."""
    found = [item for unit in books.inputs(path) for item in books.read(unit)]
    return [item if isinstance(item, Drop) else books.clean(item, **options) for item in found]


def only(items: list) -> Any:
    (item,) = items
    return item


def gutenberg_file(
    body: str = BODY, header: str = "of 2008", footer: str = "of 2008", encoding="UTF-8"
) -> str:
    return HEADERS[header].format(encoding=encoding) + body + FOOTERS[footer]


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def lake_with(above: str = "", below: str = "", foot: str = LAKE_FOOT) -> str:
    """What is left of the book with these paragraphs above and below it, within its marks."""
    return open_book(LAKE_HEAD + above + LAKE + below + foot).text

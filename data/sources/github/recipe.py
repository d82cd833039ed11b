"""GitHub: source files under accepted licenses, without their license notices.

In: folders of repositories, snapshots (`.tar.gz`), or rows (JSON lines or Parquet: BigQuery's exports and the
common code datasets). Out: a document for each file worth training on (paper §2.1; docs/recipe.md §2 has
RedPajama's thresholds and mistakes). Duplicates are found after cleaning.
"""

from data.documents import Document, Drop, Record
from data.sources.github import licenses
from data.sources.github.comments import Comments, is_markup, language
from data.sources.github.notices import inner_notices, split_notice
from data.sources.github.quality import generated_mark, poor_quality
from data.sources.github.recognize import assigned_license, notice_license

VERSION = 17  # of this recipe's output: raise it when the same input gives other text
DUPLICATES = "exact"
_HEAD = 10_000  # a file may name its license in code within this many characters
ACCEPTED = frozenset({"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause"})  # paper §2.1


def clean(record: Record, *, source: str = "github", accepted: frozenset[str] = ACCEPTED) -> Document | Drop:
    """The file without its license notice, or a drop."""
    if not licenses.is_accepted(record.licence, accepted):
        return record.drop(licenses.reason(record.licence), record.licence)
    text = record.text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        return record.drop("binary")
    path = record.meta["path"]
    if text.startswith("<?xml") and not is_markup(path):
        return record.drop("not a supported language", "XML")
    comments = language(path) or Comments()
    mark = generated_mark(text, comments)
    text, notice = split_notice(text, comments)
    if notice and not mark:  # a generator's mark may be below a long notice
        mark = generated_mark(text.lstrip("\n"), comments)
    if mark:
        return record.drop("generated", mark)
    repository = record.meta.get("repository", "")
    named = [notice_license(each, repository) for each in (notice, *inner_notices(text, comments))]
    named[0] = named[0] or assigned_license(text[:_HEAD])
    for own in filter(None, named):
        if not licenses.is_accepted(own, accepted):
            return record.drop("its notice names another license", own[:80])
    text = text.strip("\n").rstrip()
    if not text:
        return record.drop("empty")
    poor = poor_quality(text)
    return record.drop(*poor) if poor else record.document(source, text + "\n")

"""Tells from a name the paper's arXiv number, and whether a path is TeX or an archive of it."""

import re
from pathlib import Path

from data.sources.files import rows

_OLD = (
    "acc-phys adap-org alg-geom ao-sci astro-ph atom-ph bayes-an chao-dyn chem-ph cmp-lg comp-gas cond-mat cs"
    " dg-ga funct-an gr-qc hep-ex hep-lat hep-ph hep-th math-ph math mtrl-th nlin nucl-ex nucl-th patt-sol"
    " physics plasm-ph q-alg q-bio quant-ph solv-int supr-con"
)
_NEW_ID = re.compile(
    r"(?:arxiv[-_.: ]?)?((?:0[7-9]|[1-9]\d)(?:0[1-9]|1[0-2])\.\d{4,5})(v\d+)?(?![0-9])", re.IGNORECASE
)
_OLD_ID = re.compile(
    rf"(?:arxiv[-_.: ]?)?({'|'.join(_OLD.split())})(?:\.[A-Za-z-]{{2,8}})?[-_/. ]?(\d{{7}})(v\d+)?(?![0-9])",
    re.IGNORECASE,
)


def arxiv_url(name: str) -> str:
    """The address of a paper's page, from its file's or folder's name; '' if that has no arXiv number."""
    found = _NEW_ID.match(name)
    if found:
        return f"https://arxiv.org/abs/{found[1]}"
    found = _OLD_ID.match(name)
    return f"https://arxiv.org/abs/{found[1].lower()}/{found[2]}" if found else ""


def is_archive(path: Path) -> bool:
    name = path.name.lower()
    if name.endswith((".gz", ".tgz")):
        return not rows.has_rows(path)
    return name.endswith((".tar", ".pdf"))


def is_tex(path: Path) -> bool:
    return path.name.lower().endswith((".tex", ".ltx", ".latex"))


def stem(name: str) -> str:
    found = name.rpartition("/")[2]
    for suffix in (".gz", ".tgz", ".tar", ".tex"):
        found = found[: -len(suffix)] if found.lower().endswith(suffix) else found
    return found

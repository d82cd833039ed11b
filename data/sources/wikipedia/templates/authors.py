"""Citations that are words of a sentence: {{harvtxt|Smith|2001}} argues that …

Template:Harvard citation text and its relatives (English Wikipedia; other Wikipedias copied their names).
"""

from data.sources.wikipedia.templates.patterns import Rule


def _pages(named: dict[str, str]) -> str:
    page, pages, place = named.get("p", ""), named.get("pp", ""), named.get("loc", "")
    return "".join(
        f", {part}" for part in (f"p. {page}" if page else "", f"pp. {pages}" if pages else "", place) if part
    )


def _people(names: list[str]) -> str:
    """Up to three names; of four or more, only the first."""
    if len(names) > 3:
        return f"{names[0]} et al."
    return " & ".join(filter(None, [", ".join(names[:-1]), names[-1] if names else ""]))


def textual(positional: list[str], named: dict[str, str]) -> str:
    """{{harvtxt|Smith|Jones|1999|p=12}}: Smith & Jones (1999, p. 12)."""
    *names, year = [part for part in positional if part] or [""]
    if not names:
        return year
    return f"{_people(names)} ({year}{_pages(named)})"


def bare(positional: list[str], named: dict[str, str]) -> str:
    """{{harvnb|Smith|1999|p=12}}: Smith 1999, p. 12. A note, unless it is a word of a sentence."""
    *names, year = [part for part in positional if part] or [""]
    return " ".join(filter(None, [_people(names), year])) + _pages(named)


def several(positional: list[str], named: dict[str, str]) -> str | None:
    """{{harvs|txt|first=Ann|last=Smith|year=1999}}: Ann Smith (1999). Without `txt` it is a note."""
    if "txt" not in positional and "txt" not in named:
        return None
    names = []
    for number in ("", *"123456"):
        last = named.get(f"last{number}") or named.get(f"author{number}", "")
        if last:
            names.append(" ".join(filter(None, [named.get(f"first{number}", ""), last])))
    years = [named[key] for key in ("year", "year1", "year2", "year3", "year4") if named.get(key)]
    return f"{_people(names)} ({', '.join(years)}{_pages(named)})" if names and years else None


FUNCTIONS: dict[str, Rule] = {"textual": textual, "bare citation": bare, "several": several}

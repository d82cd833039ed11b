"""The first sentence of a biography in the Italian Wikipedia, given there as the template {{Bio}}.

Template:Bio there: Mario Rossi (Roma, 1º maggio 1901 – Pisa, 2 luglio 1980) è stato un pittore italiano.
"""

import re

_APOSTROPHE = re.compile(r"[aeiouAEIOU]")
_UNO = re.compile(r"(?:s[^aeiouhAEIOU]|sh|gn|ps|pn|x|y|z)", re.IGNORECASE)
_PLAIN = re.compile(r"[\[\]']+")


def biography(positional: list[str], named: dict[str, str]) -> str | None:
    """The sentence; None if there is not even a name."""
    name = " ".join(filter(None, map(named.get, ("titolo", "nome", "cognome"))))
    if not name:
        return None
    after = named.get("postcognomevirgola", "")
    name += f", {after}" if after else f" {named['postcognome']}" if named.get("postcognome") else ""
    if pseudonym := named.get("pseudonimo"):
        name += f", noto anche con lo pseudonimo di {pseudonym}"
    is_dead = bool(named.get("annomorte") or named.get("giornomesemorte") or named.get("luogomorte"))
    lives = " – ".join(filter(None, [_event(named, "nascita"), _event(named, "morte") if is_dead else ""]))
    dates = "; ".join(filter(None, [named.get("predata", ""), lives]))
    sentence = f"{name} ({dates})" if dates else name
    ending = named.get("fineincipit") or _what(named, is_dead)
    if ending:
        sentence += ending if ending[0] in ",;:" else f" {ending}"
    if named.get("punto", "").lower() == "no":  # the sentence goes on: `}}, padre di …`
        return f"\n{sentence}"
    return f"\n{sentence}{'' if sentence.endswith('.') else '.'} "


def _event(named: dict[str, str], what: str) -> str:
    """Place and date: Roma, 1º maggio 1901."""
    place = named.get(f"luogo{what}alt") or named.get(f"luogo{what}", "")
    when = " ".join(filter(None, [named.get(f"giornomese{what}"), named.get(f"anno{what}")]))
    if place == "?":  # the template shows an unknown place or year as three periods
        place = "" if when else "..."
    return ", ".join(filter(None, [place, "..." if when == "?" else when]))


def _what(named: dict[str, str], is_dead: bool) -> str:
    """`è stato un pittore e scultore italiano`"""
    jobs = [named[key] for key in ("attività", "attività2", "attività3") if named.get(key)]
    if not jobs:
        return ""
    is_woman = named.get("sesso", "").upper() == "F"
    verb = ("è stata" if is_woman else "è stato") if is_dead else "è"
    others = named.get("attivitàaltre", "")
    listed = ", ".join(jobs) if others else " e ".join(filter(None, [", ".join(jobs[:-1]), jobs[-1]]))
    listed = f"{named['preattività']} {listed}" if named.get("preattività") else listed
    others = others if others[:1] in ",;" or not others else f" {others}"
    nation = " ".join(filter(None, [named.get("nazionalità"), _naturalized(named)]))
    after = named.get("postnazionalità", "")
    after = f" {after}" if after and after[0] not in ",;" else after
    return f"{verb} {_article(listed, is_woman)}{listed}{others} {nation}".rstrip() + after


def _naturalized(named: dict[str, str]) -> str:
    nation = named.get("nazionalitànaturalizzato")
    return f"naturalizzat{'a' if named.get('sesso', '').upper() == 'F' else 'o'} {nation}" if nation else ""


def _article(noun: str, is_woman: bool) -> str:
    noun = _PLAIN.sub("", noun)
    if is_woman:
        return "un'" if _APOSTROPHE.match(noun) else "una "
    return "uno " if _UNO.match(noun) else "un "

"""Measures and amounts: figures with their units and currencies.

In: positional and named arguments, already plain. Out: the figures as written; of one value in two units,
only the first. Each rule follows its template's documentation in the English Wikipedia unless it says
otherwise.
"""

import re

from data.sources.wikipedia.marks import HOLE
from data.sources.wikipedia.templates.patterns import Rule

_BETWEEN = {
    "to": " to ", "-": "–", "–": "–", "and": " and ", "and(-)": " and ", "or": " or ", "x": " × ",
    "by": " by ", "xx": " × ", "+/-": " ± ", "±": " ± ", "+": " + ", "to(-)": " to ", "e": " × ", "&": " & ",
    "to about": " to about ", "through": " through ", "and about": " and about ", ",": ", ", "*": " × ",
    "/": "/", "//": " / ",
}  # fmt: skip
_UNITS = {"C": "°C", "F": "°F", "degC": "°C", "degF": "°F", "sqmi": "sq mi", "sqft": "sq ft", "mph": "mph"}
_TONS = {"ST": "short tons", "LT": "long tons"}
_UNITS |= {"cuft": "cu ft", "cuin": "cu in", "sqin": "sq in", "USgal": "US gal", "impgal": "imp gal"}
_UNITS |= {"solar mass": "M☉", "Solar mass": "M☉", "M_Solar": "M☉", "R_Solar": "R☉", "L_Solar": "L☉"}
_UNITS |= {"M_Earth": "M⊕", "R_Earth": "R⊕", "M_Jupiter": "MJ", "R_Jupiter": "RJ"}
_SIGNS = {
    "USD": "US$", "GBP": "£", "EUR": "€", "INR": "₹", "AUD": "A$", "CAD": "CA$", "NZD": "NZ$", "HKD": "HK$",
    "SGD": "S$", "JPY": "¥", "CNY": "CN¥", "RMB": "CN¥", "KRW": "₩", "RUB": "₽", "BRL": "R$", "PHP": "₱",
    "ILS": "₪", "TRY": "₺", "UAH": "₴", "NGN": "₦", "THB": "฿", "VND": "₫", "MXN": "MX$", "TWD": "NT$",
}  # fmt: skip
_JOINING = ("et", "ou", "à", "et/ou", "y", "o", "a", "i", "e", "×", "x", "±", "-", "–", "/")  # not units
_NUMBER = re.compile(r"[-+−]?[\d.,  ]+(?:[+/⁄]++(?:\d[\d/]*+|(?<=[+/⁄]/)))?")
_EXPONENT = re.compile(r"(?<=[^\W\d_])([-−]?\d)(?![\d\w])")
_SUM = re.compile(r"\w['\s]*[+−–-]['\s]*\w")
_AREA = re.compile(r"[a-zµμкмсдга]{1,3}[23]")
_FRENCH_BETWEEN = {
    "à": " à ",
    "et": " et ",
    "ou": " ou ",
    "/": "/",
    "x": " × ",
    "×": " × ",
    "±": " ± ",
    "+/-": " ± ",
}
_LEVELS = {
    "DE-NN": "m ü. NN", "DE-NHN": "m ü. NHN", "DE-HN": "m ü. HN", "DE": "m ü. NHN", "AT": "m ü. A.",
    "CH": "m ü. M.", "LI": "m ü. M.", "IT": "m s.l.m.", "ES": "msnm", "CZ": "m n.m.", "SK": "m n.m.",
    "PL": "m n.p.m.", "SI": "m. i. J.", "NO": "moh.",
}  # fmt: skip


def convert(positional: list[str], named: dict[str, str]) -> str:
    """`10|km`, `10|to|20|km` and `6|ft|2|in`: the figures as written, and their unit."""
    figures = positional[0] if positional else ""
    place, units = 1, []
    while place + 1 < len(positional):
        between, following = _BETWEEN.get(positional[place].lower()), positional[place + 1]
        if between is not None and following:
            figures += between + following
        elif _NUMBER.fullmatch(following) and place + 2 < len(positional) and _is_unit(positional[place + 2]):
            units.append(positional[place])
            figures = f"{_quantity(figures, units[-1])} {following}"
        else:
            break
        place += 2
    quantity = _quantity(figures, positional[place]) if place < len(positional) else figures
    words = positional[-1] if place + 1 < len(positional) else ""
    if named.get("adj") and words.startswith("-"):
        return quantity + words  # {{convert|6|in|mm|adj=mid|-thick}}
    return quantity


def _is_unit(name: str) -> bool:
    return name[:1].isalpha() and name not in ("to", "and", "or", "by", "x", "e")


def _quantity(figures: str, unit: str) -> str:
    power = re.match(r"e(\d+)", unit)
    if power:
        figures, unit = f"{figures}×10^{power[1]}", unit[power.end() :]
    parts = unit.removeprefix("PD").split("/")  # PD/km2: people per square kilometer
    unit = _TONS.get(unit) or "/".join(map(_unit, parts))
    figures = re.sub(r"(\d)\+(\d+)/+(\d)", r"\1 \2/\3", figures).replace("//", "/")
    return f"{figures}{unit}" if unit[:1] == "/" else f"{figures} {unit}".strip()


def _unit(unit: str) -> str:
    unit = _UNITS.get(unit, unit)
    unit = re.sub(
        r"^(sq|cu)([kcdm]?m)$", lambda metric: metric[2] + ("²" if metric[1] == "sq" else "³"), unit
    )
    return re.sub(r"(?<=[^\W\d_])2$", "²", re.sub(r"(?<=[^\W\d_])3$", "³", unit))


def height(positional: list[str], named: dict[str, str]) -> str:
    """{{height|ft=5|in=6}} and {{weight|kg=80}}: each given unit."""
    units = {"m": "m", "meters": "m", "metres": "m", "cm": "cm", "ft": "ft", "feet": "ft", "in": "in"}
    units |= {"inch": "in", "inches": "in", "hands": "hands", "kg": "kg", "st": "st", "lb": "lb"}
    given = [f"{named[key].replace('+', ' ')} {unit}" for key, unit in units.items() if named.get(key)]
    return " ".join(given) or convert(positional, named)


def currency(positional: list[str], named: dict[str, str]) -> str:
    """{{currency|5|USD}}: the amount after its currency's sign."""
    amount, code = [*positional, "", ""][:2]
    code = code or named.get("type") or named.get("code") or ""
    return _SIGNS.get(code.upper(), f"{code} " if code else "") + amount


def fraction(positional: list[str], named: dict[str, str]) -> str:
    """`1|2` is 1/2, `3|1|2` is 3 1/2, `2` is 1/2, `a + 1|2` is (a + 1)/2."""
    parts = [f"({part})" if _SUM.search(part) else part for part in positional]
    if len(parts) > 2:
        return f"{parts[0]} {parts[1]}/{parts[2]}"
    return "/".join(parts) if len(parts) > 1 else "1/" + "".join(parts)


def value(positional: list[str], named: dict[str, str]) -> str:
    """{{val|1.5|0.2|e=3|u=km}}: 1.5±0.2×10^3 km; {{val|2|to|5|u=m}}: 2 to 5 m."""
    figures = re.sub(r"e([-+−]?\d+)$", r"×10^\1", positional[0] if positional else "")
    if len(positional) > 2 and (between := _BETWEEN.get(positional[1].lower())):
        figures += between + positional[2]
    elif len(positional) > 2 and positional[1].isalpha():
        figures = " ".join(positional[:3])  # {{M|10|a|20|u=km}} (Italian)
    elif len(positional) > 2:
        figures += f"+{positional[1].lstrip('+')}−{positional[2].lstrip('-−')}"
    elif len(positional) > 1 and positional[1]:
        figures += ("" if positional[1][0] in "(±" else "±") + positional[1]
    elif named.get("p") or named.get("s"):
        figures = named.get("p", "") + figures + named.get("s", "")
    if named.get("fmt") == "commas" and figures.isdecimal() and len(figures) < 20:
        figures = f"{int(figures):,}"
    power = f"{'×' * bool(figures)}10^{named['e']}" if named.get("e") else ""
    unit = named.get("u") or named.get("ul") or named.get("unit") or ""
    unit = with_powers(unit) if unit in ("C", "F") else _UNITS.get(unit) or with_powers(unit)
    per = with_powers(named.get("up") or named.get("upl") or "")
    per = f"/{per}" if per else ""
    return " ".join(filter(None, [figures + power + per * (not unit), unit + per * bool(unit)]))


def with_powers(unit: str) -> str:
    """A unit with its exponents as such: m2 becomes m², s-1 s^-1."""
    return _EXPONENT.sub(lambda found: {"2": "²", "3": "³"}.get(found[1], f"^{found[1]}"), unit)


def _with_square(unit: str) -> str:
    """km2 becomes km²; other words stay as they are."""
    return with_powers(unit) if _AREA.fullmatch(unit) else unit


def units(positional: list[str], named: dict[str, str]) -> str:
    """{{unité|250|km|2|h|-1}}, {{unité|5|à=10|km}}: a number, then units and their exponents (French)."""
    shown = [positional[0] if positional else ""]
    for key, between in _FRENCH_BETWEEN.items():
        if named.get(key):
            shown[0] += f"{between}{named[key]}"
    if named.get("e"):
        shown[0] += f"×10^{named['e']}"
    for part in map(_with_square, filter(None, positional[1:])):
        if re.fullmatch(r"[-−]?\d", part) and len(shown) > 1 and shown[-1] not in _JOINING:
            shown[-1] += {"2": "²", "3": "³"}.get(part, f"^{part}")
        else:
            shown.append(part)
    return " ".join(filter(None, shown))


def altitude(positional: list[str], named: dict[str, str]) -> str:
    """{{Höhe|1200|DE-NN}}: the height and its reference level (German Wikipedia)."""
    number, level = [*positional, "", ""][:2]
    return f"{number} {_LEVELS.get(level.upper(), 'm')}".strip()


def amount(positional: list[str], named: dict[str, str]) -> str | None:
    """{{inflation|US|5|1990|fmt=eq|cursign=$}}: the amount, without its value today, which no dump has."""
    figure = positional[1] if len(positional) > 1 else ""
    return f"{named.get('cursign', '')}{figure}" if figure and named.get("fmt", "") == "eq" else HOLE


FUNCTIONS: dict[str, Rule] = {
    "convert": convert, "height": height, "currency": currency, "fraction": fraction, "value": value,
    "units": units, "altitude": altitude, "inflation": amount,
}  # fmt: skip

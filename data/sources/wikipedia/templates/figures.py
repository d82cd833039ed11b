"""Figures that templates compute, and figures with the template's name as their unit: {{km|5}}, {{USD|5}}.

Without the unit or the currency in the name, the figure alone would be a wrong number.
"""

import re
from datetime import date

from data.sources.wikipedia.marks import HOLE, SUP, SUP_END
from data.sources.wikipedia.templates.patterns import Rule

_ROMAN = ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"))
_ROMAN += ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
_CODES = {
    "AUD", "BGN", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HRK",
    "HUF", "ILS", "INR", "ISK", "JPY", "KRW", "MXN", "NOK", "NZD", "PLN", "RON", "RSD",
    "ROL", "RUB", "SEK", "SGD", "THB", "TRY", "UAH", "USD", "ZAR",
    "AED", "AFN", "AMD", "ARS", "AZN", "BAM", "BDT", "BHD", "BOB", "BYN", "CLP", "COP", "CRC", "CUP", "DEM",
    "DOP", "DZD", "EGP", "ETB", "FRF", "GEL", "GHS", "IDR", "IQD", "IRR", "ITL", "JMD", "JOD", "KES", "KWD",
    "KZT", "LBP", "LKR", "MAD", "MDL", "MKD", "MMK", "MNT", "MYR", "NGN", "NPR", "PEN", "PHP", "PKR", "QAR",
    "SAR", "TWD", "TZS", "UGX", "UYU", "UZS", "VES", "VND", "XAF", "XOF", "ZMW",
}  # fmt: skip
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SCALES = {"k": " thousand", "l": " lakh", "c": " crore", "m": " million", "b": " billion", "t": " trillion"}
_SCALES |= {"lc": " lakh crore"}
_SIGNS = "$€£¥₽₴₹₩₪₺฿₫₱₨₦₡₲₵₸₼₾"
_UNIT = re.compile(
    r"(?:ft|mi|yd|lb|oz|mph|hp|[kcmdh]?m|[km]?g|[mhc]?l|t|ha|k?w|k?cal|km/h|m/s|[ксд]?м|мм|к?г|т|га|л|км/[чгh]|м/с|дка|msnm|mslm|mnpm|mnm)[23²³]?|%|‰|°[cf]?|ºc"
    r"|[лк]\. ?с\."  # horsepower
)
# Units of the SI with their prefixes; their case counts. A power and a second unit may follow.
_SI = re.compile(
    r"(?:[kMGTPmcdhnpµμ]?(?:W|Wh|Hz|V|A|VA|J|N|Nm|Pa|eV|B|bit|bar|mol|cal|Ω|F|lm|lx|s|K|g|m|l|L|t|Bq|Sv|Gy|pc)|dB|min|h)"
    r"[23²³]?(?:[/·][^\W\d_]{1,4}[23²³]?)?"
)
# {{x|5|hab./km²}}, {{x|5|tis. obyvatel}}: a noun or its abbreviation
_COUNTED = re.compile(r"[^\W\d_]{2,}(?:\.|[23²³])?(?:/[^\W\d_]+[23²³]?| [^\W\d_]{2,}\.?)?")
# {{m n.p.m.|250}}, {{m ü. M.|250}}: meters above the level of the sea, as abbreviated in a language
_ABOVE_SEA = re.compile(r"[mм]\.? ?(?:[^\W\d_]{1,4}\. ?){2,4}[^\W\d_]{0,3}")
_CONVERSION = re.compile(r"(\S+) (?:to|para|in|naar|till|til|do|на|в|у|a|en) \S+")
_MONEY = {"zł", "kč", "ft", "lei", "kr", "kr.", "kn", "лв", "лв.", "грн", "руб", "руб.", "дин", "рсд", "тг"}
_MONEY |= {"евро", "євро", "евра", "долар", "доллар", "euró", "evro", "forint", "lire", "dollari", "dolari"}
_NOUN = re.compile(
    r"(?:\w+ )?(?:dollar|dólare?|dolar|dòlar|pound|franc|rupee|yen|yuan|won|peso|rand|naira|baht|dinar|dirham"
    r"|shilling|taka|lira|rupiah|ringgit|rial|riyal|mark|zloty|koruna|forint|krone|krona|hryvnia|livre|libra|lire"
    r"|sterlina|esterlina|sterling|peseta|pesseta|metro|mètre|metre|kilómetro|kilometro|quilômetro|quilómetro"
    r"|kilomètre|quilòmetre|grado|grau|degré|litro|litre|hectárea|hectare|hectàrea|ettaro)(?:e?s)?"
    r"|доллар\w*(?: сша)?|долар\w*(?: сша)?|рубл\w*|гривн\w*|метр\w*|кілометр\w*|километр\w*"
)
_AMOUNTS = {"млн", "млрд", "тыс.", "тис.", "тыс", "mln", "mld", "mio", "mio.", "mrd", "mrd."}
_AMOUNTS |= {"mia.", "mdr", "mkr", "milj.", "mill.", "mlrd", "mlrd."}
_AMOUNTS |= {"tys.", "tis.", "mil.", "mld.", "хил.", "хиљ."}
_NUMBER_SIGNS = {"§", "§§", "n°", "nº", "n.º", "n.°", "№", "nr.", "č.", "br."}
_DOLLARS = re.compile(r"[A-Z]{1,3}[$£¥]")
_PLAIN = re.compile(r"[-+]?\d[\d,]{0,30}(?:\.\d{1,30})?", re.ASCII)
_FIGURE = re.compile(r"[-+−±~≈]?\d[\d\s.,  –-]*(?:\s[^\W\d_]{3,8}\.?)?")


def of_its_name(name: str, positional: list[str]) -> str | None:
    """What {{km|5}}, {{EUR|5}}, {{€|5}} or {{m to ft|5}} shows; None if the name is not a unit."""
    key = name.lower()
    if _ABOVE_SEA.fullmatch(name[:1].lower() + name[1:]):
        return " ".join([*positional[:1], name[:1].lower() + name[1:]])
    if not positional and _UNIT.fullmatch(key) and not key.isalpha():  # {{km2}}, {{km/h}}
        return _unit(name)
    if not positional or not _FIGURE.fullmatch(positional[0]):
        return None
    converted = _CONVERSION.fullmatch(key)  # the arguments after the first say how to round
    if converted and _UNIT.fullmatch(converted[1]):
        return f"{positional[0]} {_unit(converted[1])}"
    if len(positional) > 1:
        return None
    if key in _NUMBER_SIGNS or _DOLLARS.fullmatch(name):  # {{n.º|5}}, {{US$|5}}
        return f"{name} {positional[0]}"
    if name.upper() in _CODES or name in _SIGNS:
        return f"{positional[0]} {name.upper()}"
    if _NOUN.fullmatch(key):  # {{Nigerian naira|5}}
        return f"{positional[0]} {name}"
    if key in _MONEY or key in _AMOUNTS or key.rstrip(".") in _AMOUNTS:
        return f"{positional[0]} {name if name[1:].islower() or '.' in name else name.upper()}"
    unit = key if name[:1] + key[1:] == name else name  # {{Km|5}}: names begin with a capital
    return f"{positional[0]} {_unit(unit)}" if _UNIT.fullmatch(key) else None


def quantity(positional: list[str]) -> str | None:
    """{{xyz|5|km}}: a figure and the unit, currency or noun after it; None if these are not the arguments."""
    if len(positional) < 2 or not _FIGURE.fullmatch(positional[0]):
        return None
    unit = positional[1].replace(SUP, "").replace(SUP_END, "")  # km<sup>2</sup>
    is_noun = len(positional) == 2 and len(unit) > 2 and unit.islower() and _COUNTED.fullmatch(unit)
    is_money = unit in _CODES or unit in _SIGNS or unit.lower() in _MONEY or bool(_DOLLARS.fullmatch(unit))
    is_known = is_money or _UNIT.fullmatch(unit.lower()) or _is_si(unit)
    return f"{positional[0]} {_unit(unit)}" if is_noun or is_known else None


def _is_si(unit: str) -> bool:
    """Whether this is a unit of the SI; one letter may mean anything else."""
    return len(unit) > 1 and _SI.fullmatch(unit) is not None


def _unit(name: str) -> str:
    return re.sub(r"(?<=[^\W\d_])([23])$", lambda power: "²" if power[1] == "2" else "³", name)


def roman(positional: list[str], named: dict[str, str]) -> str:
    """{{roman|14}}: XIV."""
    number = positional[0] if positional else ""
    if not number.isdecimal() or len(number) > 9 or not 0 < int(number) < 4000:
        return number
    left, numeral = int(number), ""
    for value, letters in _ROMAN:
        numeral += letters * (left // value)
        left %= value
    return numeral


def percentage(positional: list[str], named: dict[str, str]) -> str:
    """{{percentage|1|8|1}}: 12.5%."""
    part, whole, digits = [*positional, "", "", ""][:3]
    some, total = plain(part), plain(whole)
    if some is None or not total:
        return f"{part}/{whole}".strip("/")
    share = 100 * some / total
    return f"{share:.{min(int(digits[:9]), 9) if digits.isdecimal() else 0}f}%"


def winning_percentage(positional: list[str], named: dict[str, str]) -> str:
    """{{winning percentage|30|20}}: .600; the third argument counts ties, which are half a win."""
    wins, losses, ties = (plain(part or "0") for part in [*positional, "", "", ""][:3])
    if wins is None or losses is None or ties is None or not wins + losses + ties:
        return HOLE
    return f"{(wins + ties / 2) / (wins + losses + ties):.3f}".removeprefix("0")


def plain(figure: str) -> float | None:
    """The value of a plain figure, such as 1,234.5; None for any other text, as Python also reads `nan`."""
    return float(figure.replace(",", "")) if _PLAIN.fullmatch(figure) else None


def _dates(positional: list[str]) -> list[date]:
    """The dates of `1950|5|1|2000|4|30`, `1|5|1950|30|4|2000`, `1950-05-01|…` or `1 May 1950|…`."""
    parts = [part for part in positional if part]
    if len(parts) >= 6 and all(part.isdecimal() for part in parts[:6]):
        parts = ["-".join(parts[start : start + 3]) for start in (0, 3)]
    found = []
    for part in parts[:2]:
        numbers = [int(number) for number in re.findall(r"\d{1,4}", part)]
        words = [word[:3] for word in re.findall(r"[a-z]{3,}", part.lower())]
        if len(numbers) == 2 and words and words[0] in _MONTHS:
            day, year = numbers
            numbers = [year, _MONTHS.index(words[0]) + 1, day]
        if len(numbers) == 3 and numbers[2] > 31:
            numbers.reverse()
        try:
            found.append(date(*numbers[:3]))
        except (TypeError, ValueError):
            return []
    return found


def age(positional: list[str], named: dict[str, str]) -> str:
    """{{age|1950|5|1|2000|4|30}}, {{age|1 May 1950|30 April 2000}}: 49. Today's age is unknown."""
    dates = _dates(positional)
    if len(dates) < 2:
        return HOLE
    born, then = dates
    return str(then.year - born.year - ((then.month, then.day) < (born.month, born.day)))


def days(positional: list[str], named: dict[str, str]) -> str:
    """{{age in days|2000|1|1|2000|1|31}}: 30."""
    dates = _dates(positional)
    return f"{abs((dates[1] - dates[0]).days):,}" if len(dates) > 1 else HOLE


def years_and_days(positional: list[str], named: dict[str, str]) -> str:
    """{{age in years and days|2001|4|26|2006|9|26}}: 5 years, 153 days."""
    dates = _dates(positional)
    if len(dates) < 2 or dates[0] > dates[1]:
        return HOLE
    born, then = dates
    years = int(age(positional, named))
    try:
        last = born.replace(year=born.year + years)
    except ValueError:  # February 29
        last = date(born.year + years, 3, 1)
    counts = {"year": years, "day": (then - last).days}
    return ", ".join(f"{n} {unit}{'s' * (n != 1)}" for unit, n in counts.items() if n) or "0 days"


def years_months_and_days(positional: list[str], named: dict[str, str]) -> str:
    """{{age in years, months and days|1775|4|19|1783|9|3}}: 8 years, 4 months and 15 days."""
    dates = _dates(positional)
    if len(dates) < 2 or dates[0] > dates[1]:
        return HOLE
    born, then = dates
    months = 12 * (then.year - born.year) + then.month - born.month - (then.day < born.day)
    before = date(then.year - (then.month == 1), (then.month - 2) % 12 + 1, 1)  # the month that is not over
    in_month = (date(then.year, then.month, 1) - before).days
    rest = then.day - born.day if then.day >= born.day else max(in_month - born.day, 0) + then.day
    counts = {"year": months // 12, "month": months % 12, "day": rest}
    shown = [f"{n} {unit}{'s' * (n != 1)}" for unit, n in counts.items() if n]
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]])) or "0 days"


def duration(positional: list[str], named: dict[str, str]) -> str:
    """{{duration|h=1|m=2|s=3}}, {{duration|1|2|3}}: 1:02:03; {{duration|3:20}}: 3:20."""
    if len(positional) == 1:
        return positional[0]
    given = zip(("h", "m", "s"), [*positional, "", "", ""])
    hours, minutes, seconds = (named.get(key) or value for key, value in given)
    if not hours:
        return f"{minutes or '0'}:{seconds or '0':0>2}"
    return f"{hours}:{minutes or '0':0>2}:{seconds or '0':0>2}"


def rupees(positional: list[str], named: dict[str, str]) -> str:
    """{{INRConvert|5|c}}: ₹5 crore."""
    return in_scale("₹", positional)


def in_scale(currency: str, positional: list[str]) -> str:
    """{{PKRConvert|117|b}}: PKR 117 billion."""
    amount, scale = [*positional, "", ""][:2]
    space = " " if currency.isalpha() else ""
    return f"{currency}{space}{amount}{_SCALES.get(scale, '')}"


FUNCTIONS: dict[str, Rule] = {
    "roman": roman,
    "percentage": percentage,
    "winning percentage": winning_percentage,
    "age": age,
    "days": days,
    "years and days": years_and_days,
    "years, months and days": years_months_and_days,
    "duration": duration,
    "rupees": rupees,
}

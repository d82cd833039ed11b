"""Parser functions: {{#if:a|b}}, {{plural:3|cat|cats}}, {{uc:a}}, evaluated as MediaWiki does.

Source: https://www.mediawiki.org/wiki/Help:Extension:ParserFunctions and Help:Magic_words. What depends on
the site or the day, such as {{#time:}}, has no value here.
"""

import ast
import operator
import re
from collections.abc import Callable

from data.sources.wikipedia.marks import GONE, HOLE, SUB, SUB_END, SUP, SUP_END, literal
from data.sources.wikipedia.names import DROPPED, FORMULAS
from data.sources.wikipedia.templates.separators import formatted

_EXPRESSION = re.compile(r"[\d.+\-*/() ]{1,100}")
_OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_SLAVIC = {"ru", "uk", "sr", "hr"}  # one for 1, 21, …; few for 2–4, 22–24, …


def evaluated(name: str, arguments: list[str], language: str = "") -> str | None:
    """The text of `{{name|arguments}}`; None if this is not a function, or has no value here."""
    function, colon, value = name.partition(":")
    function = function.strip().lower()
    if not colon or function not in _FUNCTIONS:
        return None
    value = value.strip()
    if HOLE in value and function[0] == "#":
        return HOLE
    value = value.replace(GONE, "").strip()
    return _FUNCTIONS[function](value, [part.strip() for part in arguments], language)


def plural(number: str, forms: list[str], language: str) -> str:
    """The form of a noun after a number (CLDR's rules for cardinal numbers)."""
    if not forms:
        return ""
    digits = re.sub(r"[^\d]", "", number.partition(".")[0].partition(",")[0])
    count = int(digits[-4:] or "0") if len(digits) < 5 else 1000 + int(digits[-2:])
    ten, hundred = count % 10, count % 100
    if language in _SLAVIC:
        place = 0 if ten == 1 and hundred != 11 else 1 if 2 <= ten <= 4 and not 12 <= hundred <= 14 else 2
    elif language == "pl":
        place = 0 if count == 1 else 1 if 2 <= ten <= 4 and not 12 <= hundred <= 14 else 2
    elif language == "cs":
        place = 0 if count == 1 else 1 if 2 <= count <= 4 else 2
    elif language == "sl":
        place = {1: 0, 2: 1, 3: 2, 4: 2}.get(hundred, 3)
    elif language == "ro":
        place = 0 if count == 1 else 1 if count == 0 or 1 <= hundred <= 19 else 2
    elif language in ("fr", "pt"):
        place = 0 if count < 2 else 1
    else:
        place = 0 if count == 1 else 1
    return forms[min(place, len(forms) - 1)]


def counted(positional: list[str], language: str) -> str | None:
    """The number and the form of the noun that it counts: 3|дом|дома|домов. None for other arguments."""
    number, *forms = positional or [""]
    is_counted = number[:1].isdigit() and len(forms) > 1 and all(form.isalpha() for form in forms)
    return f"{number} {plural(number, forms, language)}" if is_counted else None


def _tag(value: str, arguments: list[str], language: str) -> str | None:
    """{{#tag:math|x^2}}; None for <ref> and the like, which leave nothing."""
    name, content = value.lower(), "".join(arguments[:1])
    if name in FORMULAS:
        return literal(f"${' '.join(content.split())}$") if content else None
    raised = {"sup": (SUP, SUP_END), "sub": (SUB, SUB_END)}.get(name, ("", ""))
    return None if name in DROPPED else content.join(raised)


def _if(value: str, arguments: list[str], language: str) -> str:
    return [*arguments, "", ""][0 if value else 1]


def _if_equal(value: str, arguments: list[str], language: str) -> str:
    other, *results = [*arguments, "", "", ""]
    return results[
        0 if value == other or (_number(value) is not None and _number(value) == _number(other)) else 1
    ]


def _switch(value: str, arguments: list[str], language: str) -> str:
    default, is_found = "", False
    for argument in arguments:
        key, equals, result = (part.strip() for part in argument.partition("="))
        if not equals:
            default = key if argument is arguments[-1] else default
            is_found = is_found or key == value
        elif is_found or key == value:
            return result
        elif key == "#default":
            default = result
    return default


def _expression(value: str, arguments: list[str], language: str) -> str:
    number = _number(value)
    return HOLE if number is None else f"{number:.12g}"


def _if_expression(value: str, arguments: list[str], language: str) -> str:
    number = _number(value)
    return HOLE if number is None else _if("1" if number else "", arguments, language)


def _number(text: str) -> float | None:
    """The value of an arithmetic expression; None if it cannot be computed here."""
    text, _, digits = text.partition(" round ")
    if not _EXPRESSION.fullmatch(text):
        return None
    try:
        value = _value(ast.parse(text.strip(), mode="eval").body)
        return round(value, int(digits)) if digits.strip() else value
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        return -_value(node.operand) if isinstance(node.op, ast.USub) else _value(node.operand)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    raise ValueError(ast.dump(node))


def _padded(value: str, arguments: list[str], *, left: bool) -> str:
    width, fill = [*arguments, "", ""][:2]
    size = min(int(width), 500) if width.isdecimal() and len(width) < 5 else 0
    missing = ((fill or "0") * size)[: max(0, size - len(value))]
    return missing + value if left else value + missing


_FUNCTIONS: dict[str, Callable[[str, list[str], str], str | None]] = {
    "#tag": _tag,
    "#if": _if,
    "#ifeq": _if_equal,
    "#switch": _switch,
    "#expr": _expression,
    "#ifexpr": _if_expression,
    "#ifexist": lambda value, arguments, language: "".join(arguments[:1]),  # most named pages exist
    "#iferror": lambda value, arguments, language: value,
    "plural": lambda value, arguments, language: plural(value, arguments, language),
    "grammar": lambda value, arguments, language: "".join(arguments[:1]),
    "gender": lambda value, arguments, language: "".join(arguments[:1]),
    "padleft": lambda value, arguments, language: _padded(value, arguments, left=True),
    "padright": lambda value, arguments, language: _padded(value, arguments, left=False),
    "formatnum": formatted,
    "nowrap": lambda value, arguments, language: value,
    "lc": lambda value, arguments, language: value.lower(),
    "uc": lambda value, arguments, language: value.upper(),
    "lcfirst": lambda value, arguments, language: value[:1].lower() + value[1:],
    "ucfirst": lambda value, arguments, language: value[:1].upper() + value[1:],
}

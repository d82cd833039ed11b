"""Parser functions: {{#if:a|b}}, {{plural:3|cat|cats}}, {{uc:a}}, evaluated as MediaWiki does.

Source: https://www.mediawiki.org/wiki/Help:Extension:ParserFunctions and Help:Magic_words. What depends on
the site or the day, such as {{#time:}}, has no value here.
"""

import ast
import math
import operator
import re
from collections.abc import Callable

from data.sources.wikipedia.marks import GONE, HOLE, SUB, SUB_END, SUP, SUP_END, literal
from data.sources.wikipedia.names import DROPPED, FORMULAS, NAMES
from data.sources.wikipedia.templates.languages.plurals import plural
from data.sources.wikipedia.templates.separators import formatted

_EXPRESSION = re.compile(r"(?:\d++(?:\.\d*+)?|\.\d++|<>|[<>!]=|[-+*/()<>=]|mod|div|and|or|\s++){1,100}+")
_TOKEN = re.compile(r"[\d.]+|[a-z]+|[<>!=]+|\S")
_AS_IN_PYTHON = {"mod": "%", "div": "/", "=": "==", "<>": "!="}
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: lambda a, b: math.fmod(int(a), int(b)),
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def evaluated(name: str, arguments: list[str], language: str = "") -> str | None:
    """The text of `{{name|arguments}}`; None if this is not a function, or has no value here."""
    function, colon, value = name.partition(":")
    function = function.strip().lower().replace(" ", "_")  # `_` is a space in names of templates
    if not colon or function not in _FUNCTIONS:
        return None
    value = value.strip()
    if HOLE in value and function[0] == "#":
        return HOLE
    value = value.replace(GONE, "").strip()
    return _FUNCTIONS[function](value, [part.strip() for part in arguments], language)


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
    return results[0 if _are_equal(value, other) else 1]


def _are_equal(one: str, other: str) -> bool:
    """As in PHP, two numbers are compared by value: 01 is 1."""
    are_numbers = _NUMBER.fullmatch(one) and _NUMBER.fullmatch(other)
    return one == other or (are_numbers is not None and float(one) == float(other))


def _switch(value: str, arguments: list[str], language: str) -> str:
    default, is_found, is_default = "", False, False
    for argument in arguments:
        key, equals, result = (part.strip() for part in argument.partition("="))
        if not equals:
            default = key if argument is arguments[-1] else default
            is_found = is_found or _are_equal(key, value)
            is_default = is_default or key == "#default"
        elif is_found or _are_equal(key, value):
            return result
        elif is_default or key == "#default":
            default, is_default = result, False
    return default


def _expression(value: str, arguments: list[str], language: str) -> str:
    number = _number(value)
    return HOLE if number is None else f"{number + 0.0:.14g}"


def _if_expression(value: str, arguments: list[str], language: str) -> str:
    number = _number(value) if value else 0
    return HOLE if number is None else _if("1" if number else "", arguments, language)


def _number(text: str) -> float | None:
    """The value of an arithmetic expression; None if it cannot be computed here."""
    text, _, digits = text.lower().partition(" round ")
    if not _EXPRESSION.fullmatch(text):
        return None
    try:
        value = _value(
            ast.parse(" ".join(_in_python(token) for token in _TOKEN.findall(text)), mode="eval").body
        )
        return _rounded(value, int(digits)) if digits.strip() else value
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError, MemoryError):
        return None


def _in_python(token: str) -> str:
    """A number or an operator as Python writes it. Raises ValueError for 1.2.3."""
    return str(float(token)) if token.strip("0123456789.") == "" else _AS_IN_PYTHON.get(token, token)


def _rounded(value: float, digits: int) -> float:
    """As in PHP, halves are rounded away from zero."""
    scale = 10.0 ** max(-15, min(digits, 15))
    return math.copysign(math.floor(abs(value) * scale + 0.5) / scale, value)


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return float(_OPERATORS[type(node.ops[0])](_value(node.left), _value(node.comparators[0])))
    if isinstance(node, ast.BoolOp):
        values = [bool(_value(value)) for value in node.values]
        return float(all(values) if isinstance(node.op, ast.And) else any(values))
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
    "#iferror": lambda value, arguments, language: [value, *arguments][2 if len(arguments) > 1 else 0],
    "plural": plural,
    "grammar": lambda value, arguments, language: "".join(arguments[:1]),
    "gender": lambda value, arguments, language: [*arguments, ""][2 if len(arguments) > 2 else 0],
    "padleft": lambda value, arguments, language: _padded(value, arguments, left=True),
    "padright": lambda value, arguments, language: _padded(value, arguments, left=False),
    "formatnum": formatted,
    "nowrap": lambda value, arguments, language: value,
    "ns": lambda value, arguments, language: "" if value in ("", "0") else None,
    "#dateformat": lambda value, arguments, language: value,
    "#formatdate": lambda value, arguments, language: value,
    "lc": lambda value, arguments, language: value.lower(),
    "uc": lambda value, arguments, language: value.upper(),
    "lcfirst": lambda value, arguments, language: value[:1].lower() + value[1:],
    "ucfirst": lambda value, arguments, language: value[:1].upper() + value[1:],
}
_FUNCTIONS |= {name: _FUNCTIONS[kind] for kind in _FUNCTIONS.keys() & NAMES.keys() for name in NAMES[kind]}

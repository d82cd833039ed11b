"""Every regular expression of the project, and texts on which a pattern of its shape may be slow.

A pattern is slow where it tries again what it has tried: from every place of a text that almost matches, or
for every way to divide one. So the texts are made from the pattern's own parse tree: what matches its
beginning up to some node, repeated; and that once, with the node's own repetition going on and on.
"""

import ast
import importlib
import re
import re._constants
import re._parser
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

op: Any = re._constants  # pyright: ignore[reportAttributeAccessIssue] - without types
parser: Any = re._parser
ROOT = Path(__file__).parents[2]
ROOMS = ("configs", "data", "launch", "model", "train")
SEARCHES = {"search", "finditer", "findall", "sub", "subn", "split"}
MATCHES = {"match", "fullmatch"}
_CALLS = SEARCHES | MATCHES
_CANDIDATES = "ax1 \n\t-<>{}\\.,;:\"'()[]/*#=&|_%$A!?+~^@`0é—"
# Modules that make patterns of escaped names from a text, each an alternation without repetition, or compile
# in a function what other lines name.
MADE_WHILE_RUNNING = {
    "data.sources.arxiv.latex.audiences",
    "data.sources.arxiv.latex.definitions.names",
    "data.sources.arxiv.latex.comments",
    "data.sources.arxiv.latex.inputs",
    "data.sources.arxiv.latex.marks",
    "data.sources.arxiv.latex.syntax",
    "data.sources.arxiv.loops",
    "data.sources.github.quality",
    "data.sources.files.normal_form",
    "data.sources.wikipedia.opaque",
    "data.tokens.tokenizer",
}
_LONGEST = 300  # characters of a beginning


@dataclass
class Found:
    """A pattern and how the project uses it."""

    pattern: re.Pattern
    place: str  # file:line, or module.name
    methods: set[str] = field(default_factory=set)


def find_patterns() -> list[Found]:
    """All of them, apart from those made while it runs (`MADE_WHILE_RUNNING`)."""
    trees = {
        path: ast.parse(path.read_text()) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))
    }
    uses = {path: _uses(tree) for path, tree in trees.items()}
    everywhere: dict[str, set[str]] = {}
    for variable, methods in (use for here in uses.values() for use in here.items()):
        everywhere.setdefault(variable, set()).update(methods)
    found: dict[tuple, Found] = {}
    unknown: set[str] = set()
    for path, tree in trees.items():
        name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        module = importlib.import_module(name)
        here = uses[path]
        for variable, value in vars(module).items():
            for pattern in _patterns_in(value):
                methods = (here if variable[0] == "_" else everywhere).get(variable) or {*_CALLS}
                one = Found(pattern, f"{name}.{variable}")
                found.setdefault((pattern.pattern, pattern.flags), one).methods |= methods
        for place, call in _calls(tree):
            pattern = _evaluated(call, module)
            method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            if pattern is None:
                unknown.add(name)
                continue
            one = found.setdefault((pattern.pattern, pattern.flags), Found(pattern, f"{name}:{place}"))
            if method in _CALLS:
                one.methods.add(method)
            elif not one.methods:
                one.methods |= _CALLS
    assert unknown <= MADE_WHILE_RUNNING, f"their patterns are not constant: {unknown - MADE_WHILE_RUNNING}"
    return list(found.values())


def _uses(tree: ast.AST) -> dict[str, set[str]]:
    """The methods that are called of each name."""
    uses: dict[str, set[str]] = {}
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            name = node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            name = node.attr
        else:
            continue
        parent = parents.get(node)
        while isinstance(parent, ast.IfExp) and parent.test is not node:  # (_A if … else _B).match(…)
            node, parent = parent, parents.get(parent)
        is_method = isinstance(parent, ast.Attribute) and parent.attr in (*_CALLS, "pattern", "flags")
        if is_method and parent is not None:
            uses.setdefault(name, set()).update({parent.attr} & _CALLS)  # pyright: ignore[reportAttributeAccessIssue]  # set above
        else:
            uses.setdefault(name, set()).update(_CALLS)
    return uses


def _patterns_in(value: object, depth: int = 3) -> Iterator[re.Pattern]:
    if isinstance(value, re.Pattern):
        yield value
    elif depth and isinstance(value, dict):
        for one in (*value.keys(), *value.values()):
            yield from _patterns_in(one, depth - 1)
    elif depth and isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _patterns_in(one, depth - 1)


def _calls(tree: ast.AST) -> Iterator[tuple[int, ast.Call]]:
    """The calls of `re.…` with a pattern, apart from those whose patterns are in a module's dict or list."""
    collected = {
        child
        for node in ast.iter_child_nodes(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.DictComp | ast.ListComp)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if (
            node not in collected
            and isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr in (*_CALLS, "compile")
            and node.args
        ):
            yield node.lineno, node


def _evaluated(call: ast.Call, module: object) -> re.Pattern | None:
    """The pattern of a call, if it can be told from the module's names alone."""
    try:
        value = eval(compile(ast.Expression(call.args[0]), "pattern", "eval"), vars(module))
        flags = [key.value for key in call.keywords if key.arg == "flags"]
        if isinstance(call.func, ast.Attribute) and call.func.attr == "compile":
            flags += call.args[1:2]
        given = eval(compile(ast.Expression(flags[0]), "flags", "eval"), vars(module)) if flags else 0
    except NameError:
        return None
    return value if isinstance(value, re.Pattern) else re.compile(value, given)


def attacks(pattern: re.Pattern) -> Iterator[tuple[str, str, str]]:
    """(beginning, what is repeated, end) of texts that may be slow; bytes as latin-1."""
    source = pattern.pattern
    tree = parser.parse(source, pattern.flags & ~re.UNICODE if isinstance(source, bytes) else pattern.flags)
    text = source.decode("latin-1") if isinstance(source, bytes) else source
    seen = set()
    ends = {"\0"} | {end + "\0" for end in _excluded(list(tree))}
    for head, pump in _points(list(tree), ""):
        once, again = (head[:_LONGEST], pump, "\0"), ("", (head + pump)[:_LONGEST], "\0")
        made = [once, again, *(("", head[:_LONGEST], end) for end in sorted(ends))]  # `a[^*]*$` takes no `*`
        if "^" in text:  # after a word, `^[#-]+|[#-]+$` only looks for its second half
            made.append(("a" + once[0], pump, "\0"))
        for attack in made:
            if attack[1] and attack not in seen:
                seen.add(attack)
                yield attack


def _excluded(nodes: list) -> Iterator[str]:
    """The characters that the pattern's sets exclude."""
    for kind, value in nodes:
        if kind is op.NOT_LITERAL:
            yield chr(value)
        elif kind is op.IN and value[0][0] is op.NEGATE:
            yield from (chr(code) for kind, code in value[1:] if kind is op.LITERAL)
        for children in _children(kind, value):
            yield from _excluded(children)


def _points(nodes: list, head: str) -> Iterator[tuple[str, str]]:
    """What precedes each node, and what the node repeats, if it does."""
    for node in nodes:
        kind, value = node
        for children in _children(kind, value):
            yield from _points(children, head)
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT) and value[1] > 8:
            for choice in (0, 1, 2):
                yield head, _sample(list(value[2]), choice)
        head += _sample([node], 0)
        yield head, ""


def _children(kind: Any, value: Any) -> list[list]:
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        return [list(value[2])]
    if kind is op.SUBPATTERN:
        return [list(value[3])]
    if kind is op.BRANCH:
        return [list(branch) for branch in value[1]]
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return [list(value[1])]
    if kind is op.ATOMIC_GROUP:
        return [list(value)]
    return []


def _sample(nodes: list, choice: int) -> str:
    """A text that the nodes match, or nearly."""
    text = ""
    for kind, value in nodes:
        if kind is op.LITERAL:
            text += chr(value)
        elif kind is op.NOT_LITERAL:
            text += next(c for c in _CANDIDATES[choice:] if ord(c) != value)
        elif kind is op.ANY:
            text += _CANDIDATES[choice]
        elif kind is op.IN:
            text += _of_set(value, choice)
        elif kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            text += _sample(list(value[2]), choice) * min(max(value[0], 1), value[1], 8)
        elif kind is op.BRANCH:
            branches = value[1]
            text += _sample(list(branches[choice % len(branches)]), choice)
        elif kind in (op.SUBPATTERN, op.ATOMIC_GROUP):
            text += _sample(list(value[3] if kind is op.SUBPATTERN else value), choice)
    return text


def _of_set(items: list, choice: int) -> str:
    """A character of a set: the `choice`-th that it has of some usual ones, else one of its own."""
    negated = bool(items) and items[0][0] is op.NEGATE
    usual = [c for c in _CANDIDATES if _is_in(items, c) != negated]
    if usual:
        return usual[min(choice, len(usual) - 1)]
    kind, value = items[0]
    return chr(value if kind is op.LITERAL else value[0] if kind is op.RANGE else 120)


def _is_in(items: list, character: str) -> bool:
    code = ord(character)
    for kind, value in items:
        if (kind is op.LITERAL and value == code) or (kind is op.RANGE and value[0] <= code <= value[1]):
            return True
        if kind is op.CATEGORY:
            name = str(value)
            test = {"DIGIT": character.isdigit(), "SPACE": character.isspace()}
            test["WORD"] = character.isalnum() or character == "_"
            matched = next(result for key, result in test.items() if name.endswith(key))
            if matched != ("NOT" in name):
                return True
    return False

"""What `--help` and docs/reference/keys.md say about each key: its default, choices and meaning.

All is read from source text: a config dataclass's fields, the comment behind each, and the YAML files.
Nothing is imported, because torch alone takes longer to load than a person waits for help.
"""

import ast
import io
import re
import shutil
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

CONFIGS = Path(__file__).resolve().parent
COLUMN = 34  # where the meanings begin
NARROW = 76  # columns of a terminal with too little room to the right of that


@dataclass(frozen=True)
class Key:
    """One key of a command."""

    name: str
    default: str | None  # as typed; None: the key is required
    meaning: str  # with its choices


@dataclass(frozen=True)
class _Module:
    """What a source file defines and imports, by name."""

    classes: dict[str, ast.ClassDef]
    imports: dict[str, str]  # name: module
    constants: dict[str, ast.expr]
    comments: dict[int, str]  # line: text


def keys(config: str, module: str, schema: str) -> list[Key]:
    """The keys of dataclass `module.schema` as `configs/<config>.yaml` fills it: required, plain, nested."""
    found, given = [*_fields(module, schema, "")], _given(config)
    for i, key in enumerate(found):
        value = _select(given, key.name)
        if value is not _MISSING:
            found[i] = Key(key.name, _shown(value), key.meaning)
    return sorted(found, key=lambda key: (key.default is not None, "." in key.name))


def groups(config: str) -> list[Key]:
    """The config groups of `configs/<config>.yaml`; the meaning of each is its choices."""
    return [
        Key(group, choice, " | ".join(sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))))
        for group, choice in _defaults(config)
    ]


def page(config: str, module: str, schema: str) -> str:
    """What `relama VERB --help` prints."""
    lines, width = [f"usage: relama {config} key=value …", ""], max(40, shutil.get_terminal_size().columns)
    for title, some in (("groups of keys", groups(config)), ("keys", keys(config, module, schema))):
        lines += [f"{title}, each with its default:", *(_row(key, width) for key in some), ""] if some else []
    return "\n".join(lines).rstrip()


def table(some: list[Key], name: str = "key", meaning: str = "meaning") -> str:
    """The keys as a table in Markdown."""
    rows = []
    for key in some:
        default = "required" if key.default is None else f"`{key.default}`"
        rows.append(f"| `{key.name}` | {default} | {key.meaning.replace('|', chr(92) + '|')} |")
    return "\n".join([f"| {name} | default | {meaning} |", "|---|---|---|", *rows])


def _row(key: Key, width: int) -> str:
    head = f"  {key.name}={'…  (required)' if key.default is None else key.default}"
    if len(head) > width:  # a long default
        head = textwrap.fill(head, width, subsequent_indent=" " * 4)
    if width < NARROW:  # the meaning below the key
        below = textwrap.fill(key.meaning, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
        return f"{head}\n{below}".rstrip()
    lines = textwrap.wrap(key.meaning, width - COLUMN) or [""]
    first = f"{head:<{COLUMN}}{lines[0]}" if len(head) < COLUMN else f"{head}\n{' ' * COLUMN}{lines[0]}"
    return "\n".join([first.rstrip(), *(" " * COLUMN + line for line in lines[1:])]).rstrip()


# ---- the dataclasses


@cache
def _module(name: str) -> _Module:
    text = (CONFIGS.parent / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
    classes, imports, constants = {}, {}, {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            classes[node.name] = node
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports |= {alias.asname or alias.name: node.module for alias in node.names}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            constants[node.targets[0].id] = node.value
    comments = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    return _Module(classes, imports, constants, comments)


def _fields(module: str, schema: str, prefix: str) -> Iterator[Key]:
    source = _module(module)
    if schema not in source.classes:
        yield from _fields(source.imports[schema], schema, prefix)
        return
    for node in source.classes[schema].body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        name, kind = node.target.id, node.annotation
        inner = kind.id if isinstance(kind, ast.Name) else ""
        if inner in source.classes or inner in source.imports:
            yield from _fields(module, inner, f"{prefix}{name}.")
        elif entry := _entry(kind, source):
            yield from _fields(module, entry, f"{prefix}{name}.NAME.")
        else:
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            meaning = " ".join(source.comments[line] for line in lines if line in source.comments)
            yield Key(prefix + name, _default(node.value, source), meaning)


def _entry(kind: ast.expr, source: _Module) -> str:
    """The dataclass of a key's entries, if it is a mapping of names to them."""
    if isinstance(kind, ast.Subscript) and isinstance(kind.slice, ast.Tuple):
        value = kind.slice.elts[-1]
        if isinstance(value, ast.Name) and (value.id in source.classes or value.id in source.imports):
            return value.id
    return ""


def _default(node: ast.expr | None, source: _Module) -> str | None:
    """A field's default as typed, or None."""
    if node is None:
        return None
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "field":
        factory = {keyword.arg: keyword.value for keyword in node.keywords}.get("default_factory")
        if isinstance(factory, ast.Lambda):
            return _default(factory.body, source)
        return {"dict": "{}", "list": "[]"}.get(getattr(factory, "id", ""), "")
    if isinstance(node, ast.Name) and node.id in source.constants:
        return _default(source.constants[node.id], source)
    try:
        return _shown(ast.literal_eval(node))
    except ValueError:  # an expression: shown as written
        return ast.unparse(node)


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "[]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_shown(item)}" for name, item in value.items()) + "}"
    text = re.sub(r"\$\{hydra:runtime\.choices\.(\w+)\}", r"<\1>", str(value))  # run=<model>-<data>
    return text or '""'


# ---- the YAML files

_MISSING = object()


def _defaults(config: str) -> list[tuple[str, str]]:
    listed = _yaml(CONFIGS / f"{config}.yaml").get("defaults", [])
    return [pair for entry in listed if isinstance(entry, dict) for pair in entry.items()]


def _given(config: str) -> dict:
    """What the YAML files fill in: each group's default choice, then the command's own file."""
    tree: dict = {}
    for group, choice in _defaults(config):
        path = CONFIGS / group / f"{choice}.yaml"
        is_global = path.read_text(encoding="utf-8").startswith("# @package _global_")
        _merge(tree, _yaml(path) if is_global else {group: _yaml(path)})
    return _merge(
        tree, {key: value for key, value in _yaml(CONFIGS / f"{config}.yaml").items() if key != "defaults"}
    )


def _yaml(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _merge(tree: dict, other: dict) -> dict:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = value
    return tree


def _select(tree: object, name: str) -> object:
    for part in name.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return _MISSING
        tree = tree[part]
    return tree

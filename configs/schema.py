"""The keys of a config dataclass: their names, types, and what to suggest for one that does not exist."""

import difflib
from collections.abc import Collection
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import get_args, get_origin, get_type_hints

from configs.elsewhere import ABSENT, ELSEWHERE

# Keys of `relama launch`, and what others call them, that are given to `relama train`.
PROCESSES = (
    *("processes", "nodes", "gpus", "cluster", "world_size", "num_gpus", "n_gpus", "nproc"),
    *("nproc_per_node", "num_processes", "num_nodes", "nnodes", "devices"),
)
COMMON = ("name", "enable", "path")  # too common to suggest the one of another group
LISTED = 8  # keys; more of them would hide the line's beginning
_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "text", NoneType: "null"}


@cache
def hints_of(schema: type) -> dict[str, object]:
    """The types of a dataclass's fields; every argument of a command needs those of all keys."""
    return get_type_hints(schema)


def leaves(schema: type, prefix: str = "") -> dict[str, object]:
    """Every key, dotted, with its type; nested dataclasses are replaced by their keys."""
    hints = hints_of(schema)
    found: dict[str, object] = {}
    for field in fields(schema):
        name, kind = prefix + field.name, hints[field.name]
        if isinstance(kind, type) and is_dataclass(kind):
            found |= leaves(kind, name + ".")
        else:
            found[name] = kind
    return found


def leaves_near(schema: type, key: str) -> dict[str, object]:
    """`leaves`, and those of the entry of a dict of dataclasses that `key` is in: phases.NAME.KEY."""
    known = leaves(schema)
    for name, kind in [*known.items()]:
        inner = get_args(kind)[-1] if is_mapping(kind) and get_args(kind) else None
        if isinstance(inner, type) and is_dataclass(inner) and key.startswith(f"{name}."):
            entry = key.removeprefix(f"{name}.").partition(".")[0]
            known |= leaves(inner, f"{name}.{entry}.")
    return known


def is_required(field: Field) -> bool:
    """Whether a key of one value has no default."""
    return not is_dataclass(field.type) and field.default is MISSING and field.default_factory is MISSING


def may_be_empty(schema: type, prefix: str = "") -> set[str]:
    """The keys, dotted, whose default is an empty text."""
    found = {prefix + field.name for field in fields(schema) if field.default == ""}
    for name, kind in hints_of(schema).items():
        if isinstance(kind, type) and is_dataclass(kind):
            found |= may_be_empty(kind, f"{prefix}{name}.")
    return found


def needs_value(schema: type, key: str) -> bool:
    """Whether an empty text or list, such as an unset shell variable gives, means nothing for a key."""
    kind = leaves(schema).get(key)
    if list_of(kind) is not None:
        required = {field.name for field in fields(schema) if is_required(field)}
        return key in required or NoneType in get_args(kind)
    return is_text(kind) and key not in may_be_empty(schema)


def branches(schema: type, prefix: str = "") -> dict[str, type]:
    """Every key that stands for a nested dataclass, dotted, with that class."""
    found: dict[str, type] = {}
    for name, kind in hints_of(schema).items():
        if isinstance(kind, type) and is_dataclass(kind):
            found[prefix + name] = kind
            found |= branches(kind, f"{prefix}{name}.")
    return found


def is_text(kind: object) -> bool:
    """Whether a key takes one string: `str`, or `str | None`."""
    return kind is str or set(get_args(kind)) == {str, NoneType}


def list_of(kind: object) -> object | None:
    """The type of the items of a key that takes a list, or a list or null; None for other keys."""
    for option in (kind, *get_args(kind)):
        if get_origin(option) is list:
            return get_args(option)[0]
    return None


def is_mapping(kind: object) -> bool:
    """Whether a key takes a dict, so that its entries can be given one by one."""
    return any(get_origin(option) is dict for option in (kind, *get_args(kind)))


def is_mapping_of_scalars(kind: object) -> bool:
    """Whether a key takes a dict whose values are numbers or texts."""
    return is_mapping(kind) and get_args(kind)[-1] in (int, float, bool, str)


def is_number(kind: object) -> bool:
    """Whether a key takes one number."""
    options = set(get_args(kind) or (kind,)) - {NoneType}
    return options <= {int, float}


def described(kind: object) -> str:
    """A type in English: "an integer or null"."""
    item = list_of(kind)
    if item is not None:
        words = f"a list such as {'1,2' if item in (int, float) else 'a,b'}"
        return words + " or null" * (NoneType in get_args(kind))
    if is_mapping(kind):
        return "entries, each given as KEY.NAME=VALUE"
    options = get_args(kind) or (kind,)
    return " or ".join(_NAMES.get(option, getattr(option, "__name__", str(option))) for option in options)


def item_of(kind: object) -> str:
    """The type of the items of a list, or of the values of a dict, in English."""
    for option in (kind, *get_args(kind)):
        if get_origin(option) in (list, dict):
            return described(get_args(option)[-1])
    return described(kind)


def unknown_key(key: str, schema: type, groups: tuple[str, ...] = ()) -> str:
    """The line that refuses `key`: what may be meant, and the keys that exist next to it."""
    known = leaves_near(schema, key)
    parent = key.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == parent]
    if not parent or not siblings:
        siblings = [field.name for field in fields(schema)]
    if key in PROCESSES and "micro_batch" in known and "world_size" not in known:
        return f"{key}: unknown key; to train in several processes: relama launch processes=N …"
    near = meant(key, [*known, *groups, "config"])
    if near:
        return f"{key}: unknown key; did you mean {' or '.join(near)}? (--help lists all keys)"
    if reason := absent(key, known):
        return f"{key}: unknown key; {reason}"
    if len(siblings) > LISTED:
        return f"{key}: unknown key; no key has a similar name (--help lists all)"
    return f"{key}: unknown key; the choices are: {', '.join(siblings)}"


def absent(key: str, known: Collection[str]) -> str | None:
    """What to know of a key that has no counterpart among the known ones."""
    key = key.replace("-", "_")
    for names, needed, reason in ABSENT:
        if (key in names or key.rpartition(".")[2] in names) and needed in known:
            return reason
    return None


def meant(key: str, known: list[str]) -> list[str]:
    """The known keys that an unknown one may mean: by another name, place or spelling."""
    key = key.replace("-", "_")
    parent, _, name = key.rpartition(".")
    others = next((ELSEWHERE[word] for word in (key, key.replace(".", "_"), name) if word in ELSEWHERE), ())
    elsewhere = [full for full in others if full in known]
    # GROUP.name is written by its choice: GROUP=CHOICE
    within = [full for full in known if full.rpartition(".")[2] == name and name not in COMMON]
    if found := [*dict.fromkeys([*elsewhere, *within])]:
        return [full for full in found if parent and full.startswith(f"{parent}.")] or found
    if absent(key, known):
        return []
    beside = {full.rpartition(".")[2]: full for full in known if full.rpartition(".")[0] == parent}
    if parent and beside:  # only its own part of the name is misspelled, or cut short
        if len(name) > 2 and (begun := [full for inner, full in beside.items() if inner.startswith(name)]):
            return begun
        return [beside[near] for near in difflib.get_close_matches(name, beside, n=1, cutoff=0.7)]
    if near := difflib.get_close_matches(key, known, n=1, cutoff=0.75):
        return near
    holding = [full for full in known if name in full.rpartition(".")[2].split("_")]  # tokens: max_tokens
    return holding if len(holding) <= 2 and name not in COMMON else []

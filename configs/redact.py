"""Mask passwords, keys and tokens in everything that is written.

One function, for all that is saved, printed or sent elsewhere: configs, commands, errors, wandb.
"""

import os
import re
import shlex

MASK = "***"
_SECRET = (
    r"pass(?:word|wd|phrase)|secret|credentials?|signature|sig"
    r"|(?:api|access|private|secret)_?key(?:_id)?"
)
# Names that mean nothing else, whatever precedes them: PGPASSWORD, AccountKey, clientSecret, MYSQL_PWD.
_CLEAR = (
    r"pass(?:word|wd|phrase)|(?:api|access|account|private|secret|master)_?key(?:_id)?|client_?secret|_pwd"
)
_TOKEN = r"(?:auth|access|bearer|api|hf|session|security)[_-]?token|token"
# https://user:password@host and https://token@host; in abfss://container@account, Azure's form, a plain name
_CONTAINER = r"[\w$-]{1,63}@"
_IN_URL = re.compile(rf"(?<=://)(?:(?<!\babfs://)(?<!\babfss://)(?<!\baz://)|(?!{_CONTAINER}))[^/\s@'\"]+@")
# key=value and key: value, in a command line, a URL's query, YAML or JSON; the key may end with such a name.
_NAME = rf"(?i)((?:(?<![a-z])(?:{_SECRET}|{_TOKEN})|{_CLEAR})['\"]?\s*[=:]\s*"
_BY_NAME = re.compile(rf"{_NAME}['\"]?)(?!expected |unknown key)[^\s'\"&,;}}]+")  # token: unknown key
_QUOTED = re.compile(rf"{_NAME}(['\"])).*?\2")  # spaces included
_WORD = re.compile(rf"(?is)((?:[\w.+~-]*[_.+~-])?(?:{_SECRET}|{_TOKEN})=|[\w.+~-]*(?:{_CLEAR})=).+")
_IN_HEADER = re.compile(r"(?i)(\bbearer\s+|\bauthorization:\s*basic\s+)[\w.~+/=-]{8,}")
_SECRET_VARIABLE = re.compile(r"(?i)(key|token|secret|password|passwd|credential)s?(_id)?$")
# Tokens that people paste, by their issuers' prefixes; and private keys.
_BY_SHAPE = re.compile(
    r"\b(?:(?:hf_|sk-|sk_live_|gh[opsu]_|github_pat_|glpat-|wandb_v1_|AKIA|ASIA|AIza|xox[abp]-|pypi-AgE)"
    r"[A-Za-z0-9_-]{12,}|npm_[A-Za-z0-9]{20,}|eyJ[\w-]{10,400}\.eyJ[\w-]{10,}(?:\.[\w-]+)?)"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*+(?:-----END [A-Z ]{0,40}-----)?"
)


def redact(text: str) -> str:
    """`text` with each secret in it replaced by ***: by its name, its shape, its place in a URL, or because
    a variable of the environment with a telling name (HF_TOKEN, WANDB_API_KEY, …) has that value."""
    return _masked(text, _values_of_variables())


def _values_of_variables() -> list[str]:
    known = os.environ.items()
    return [value for name, value in known if len(value) >= 8 and _SECRET_VARIABLE.search(name)]


def _masked(text: str, values: list[str]) -> str:
    for value in values:
        text = text.replace(value, MASK)
    text = _IN_URL.sub(f"{MASK}@", text)
    text = _QUOTED.sub(rf"\g<1>{MASK}\2", text)
    text = _BY_NAME.sub(rf"\g<1>{MASK}", text)
    text = _IN_HEADER.sub(rf"\g<1>{MASK}", text)
    return _BY_SHAPE.sub(MASK, text)


def names_container(url: str) -> bool:
    """Whether what stands before @ in a URL is the container of an Azure account, not a secret."""
    return re.match(rf"(?:abfss?|az)://{_CONTAINER}[\w.-]+(?:/|$)", url) is not None


def redact_command(arguments: list[str]) -> str:
    """A command's arguments as one shell line; for a secret `key=value`, the entire value is masked."""
    values = _values_of_variables()
    masked = [_WORD.fullmatch(arg) for arg in arguments]
    return shlex.join(
        f"{match[1]}{MASK}" if match else _masked(arg, values)
        for match, arg in zip(masked, arguments, strict=True)
    )


def redact_tree(tree: object) -> object:
    """Nested dicts and lists, with the secrets in each string masked as by `redact`."""
    return _masked_tree(tree, _values_of_variables())


def _masked_tree(tree: object, values: list[str]) -> object:
    if isinstance(tree, dict):
        return {key: _masked_tree(value, values) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_masked_tree(value, values) for value in tree]
    return _masked(tree, values) if isinstance(tree, str) else tree


def unmasked(masked: object, known: object) -> object:
    """`masked`, with each masked text replaced by the one at its place in `known` if that fits."""
    if isinstance(masked, dict) and isinstance(known, dict):
        return {key: unmasked(value, known.get(key)) for key, value in masked.items()}
    if isinstance(masked, list) and isinstance(known, list) and len(masked) == len(known):
        return [unmasked(value, other) for value, other in zip(masked, known, strict=True)]
    if isinstance(masked, str) and isinstance(known, str) and MASK in masked:
        return known if _fits(masked, known) else masked
    return masked


def _fits(masked: str, text: str) -> bool:
    """Whether `text` contains all that `masked` shows, in that order."""
    first, *middle, last = masked.split(MASK)
    if not (text.startswith(first) and text[len(first) :].endswith(last)):
        return False
    at = len(first)
    for part in middle:
        at = text.find(part, at) + len(part)
        if at < len(part):
            return False
    return at + len(last) <= len(text)

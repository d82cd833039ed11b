"""`relama audit`: the mixture compared with Table 1, and a run's config with the paper's other tables.

`data/audit.py` audits the corpora alone. With run=NAME, or any key of `relama train` (model=7b optim.lr=…),
the config is compared value by value as well (`conformance.py`), and the mixture is audited on the run's
corpora and at its length.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from configs import terminal
from configs.errors import reason
from configs.load import CONFIGS, entry, load
from configs.overrides import as_key, unquoted
from data import folders
from data.audit import Audit, AuditConfig, audit, table
from data.cache.store import open_store
from data.errors import DataError
from data.folders import find_run
from data.mixture import find_stores
from data.remote import is_remote
from data.tokens.llama import SETTINGS, VOCAB_SIZE
from data.tokens.store import tokenizer_in
from train.config import RunError, TrainConfig
from train.recipe.conformance import SIZES, Conformance, conformance, tokenizer_settings
from train.run.configuration import read_run_config

OF_AUDIT = {field.name for field in fields(AuditConfig)}
OF_TRAIN = {field.name for field in fields(TrainConfig)} | {path.name for path in CONFIGS.iterdir()}
SHARED = {"data", "corpora", "cache", "steps", "global_batch"}  # keys of both audit and train


@dataclass
class Compared:
    """A training config, its tokenizer's settings, and where they were read from."""

    config: TrainConfig
    tokenizer: dict
    read_from: str
    name: str  # the run, or the keys given


def run(argv: list[str]) -> None:
    argv = as_key("run", argv)
    given = {_key(arg): unquoted(arg.partition("=")[2]) for arg in argv if "=" in arg}
    size = given.get("size")
    if size is not None and size not in SIZES:
        raise RunError(f"size={size}: expected one of {', '.join(SIZES)}")
    if "--help" in argv or "-h" in argv:
        print("run=NAME, or any key of relama train: compare that config with the paper's tables as well;")
        print(f"size={'|'.join(SIZES)}: compare with this size (default: the nearest by shape)\n")
    arguments = [arg for arg in argv if "=" not in arg or _key(arg) not in ("run", "size")]
    compared = _compared(given.get("run"), arguments)
    if compared is None and size is not None:
        raise RunError(f"size={size}: needs a config; give run=NAME, or keys of relama train (model=7b)")
    mixture = _mixture(arguments, compared)
    found, absent = _audited(mixture, may_be_absent=compared is not None and "corpora" not in given)
    conforms = conformance(compared.config, compared.tokenizer, size) if compared else None
    account = json.dumps(_account(found, conforms), indent=1)
    lines = list(table(found)) if found else [f"! {absent}"]
    if compared and conforms:
        lines += _table(conforms, compared)
    for line in account.splitlines() if mixture.json else lines:
        terminal.write(line, wrap=not mixture.json)
    if mixture.output is not None:
        try:
            folders.write_whole(Path(mixture.output), account + "\n")
        except OSError as error:
            raise DataError(f"output={mixture.output}: cannot be written ({reason(error)})") from None
    wrong = [*(found.findings if found else [absent]), *(map(str, conforms.deviations) if conforms else ())]
    if mixture.strict and wrong:
        raise DataError(f"strict=true: {'; '.join(wrong)}")


def compare_run(path: Path, size: str | None = None) -> Conformance:
    """The conformance of the run at `path`, from its own config and tokenizer. Raises RunError."""
    compared = _of_run(path)
    return conformance(compared.config, compared.tokenizer, size)


def _compared(run_name: str | None, arguments: list[str]) -> Compared | None:
    """The config to compare: a run's, one made of train's keys, or None."""
    trains = [arg for arg in arguments if _is_of_train(arg)]
    if run_name is None:
        return _of_arguments([arg for arg in arguments if _room(arg) in OF_TRAIN]) if trains else None
    for arg in arguments:
        if arg in trains or _room(arg) in SHARED - {"corpora"}:
            raise RunError(f"{arg}: run={run_name} has its own; give either run= or keys of relama train")
    return _of_run(find_run(run_name))


def _of_run(path: Path) -> Compared:
    config, kept = read_run_config(path), tokenizer_in(path)
    return Compared(config, tokenizer_settings(kept), str(kept), str(path))


def _of_arguments(arguments: list[str]) -> Compared:
    """A run not started yet: model=7b data=mix unless given."""
    groups = {arg.partition("=")[0] for arg in arguments}
    defaults = [arg for arg in ("model=7b", "data=mix") if arg.partition("=")[0] not in groups]
    config = load("train", TrainConfig, [*defaults, *arguments])
    corpora = Path(config.corpora)
    if is_remote(config.corpora):
        places = find_stores(config.corpora, config.data)
        kept = [open_store(place, cache=config.cache).tokenizer for place in places.values()]
    else:
        kept = [tokenizer_in(corpora / source / "tokens") for source in config.data.weights]
    for path in (*kept, tokenizer_in(corpora / "tokenizer")):
        if path.is_file():
            return Compared(config, tokenizer_settings(path), str(path), " ".join(arguments))
    settings = SETTINGS | {"vocab_size": VOCAB_SIZE}
    return Compared(
        config, settings, "not trained yet: the settings of `relama tokenizer`", " ".join(arguments)
    )


def _mixture(arguments: list[str], compared: Compared | None) -> AuditConfig:
    """The mixture to audit: the one given, or a run's at the run's length."""
    if compared is None:
        return load("audit", AuditConfig, arguments)
    its = OF_TRAIN - OF_AUDIT | SHARED - {"corpora"}  # taken from its config
    asked = load("audit", AuditConfig, [arg for arg in arguments if _room(arg) not in its])
    config = compared.config
    data, length = config.data, {"steps": config.steps, "global_batch": config.global_batch}
    if config.phases:
        timeline = config.timeline
        data = replace(data, weights=timeline.weights, sources=None)
        length = {"tokens": float(timeline.tokens(config.steps))}
    corpora = asked.corpora if any(_key(arg) == "corpora" for arg in arguments) else config.corpora
    return replace(asked, data=data, corpora=corpora, **({} if asked.tokens else length))


def _audited(config: AuditConfig, may_be_absent: bool) -> tuple[Audit | None, str]:
    if may_be_absent and not is_remote(config.corpora) and not Path(config.corpora).is_dir():
        return None, f"{config.corpora}: no such folder yet; skipping the audit of the mixture's tokens"
    return audit(config), ""


def _account(found: Audit | None, conforms: Conformance | None) -> dict:
    account = asdict(found) if found else {}
    return account | ({"conformance": asdict(conforms)} if conforms else {})


def _table(found: Conformance, compared: Compared) -> Iterator[str]:
    """The lines to print."""
    yield ""
    yield f"{compared.name}, compared with LLaMA-{found.size.upper()} as published"
    yield f"tokenizer: {compared.read_from}"
    count = len(found.deviations)
    yield f"{count or 'no'} deviation{'s' * (count != 1)} in {found.compared} published values"
    yield from (f"! {deviation}" for deviation in found.deviations)
    yield ""
    yield "not published; our choices:"
    yield from (f"  {line}" for line in found.silent)


def _key(arg: str) -> str:
    return arg.lstrip("+").partition("=")[0]


def _room(arg: str) -> str:
    """The first part of an argument's key: optim of optim.lr=1e-3."""
    return _key(arg).partition(".")[0]


def _is_of_train(arg: str) -> bool:
    return _room(arg) in OF_TRAIN - OF_AUDIT


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError))

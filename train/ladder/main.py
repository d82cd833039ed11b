"""`relama ladder sizes=1.5M,3M,5M,9M tokens_per_parameter=5,10,20 data=mix`: small runs predict a large one.

A family of LLaMA-shaped models is trained by the existing trainer, smallest first. From the third size on,
the held-out loss of each next size is predicted and written down before it is trained, then compared. The
law, its intervals, what it advises and every number are in ladder.json; ladder.html shows them.
"""

from dataclasses import fields, replace
from pathlib import Path

from configs.errors import reason
from configs.load import ConfigError, entry, load
from configs.overrides import checked
from data.errors import DataError
from data.folders import find_run, refuse_unwritable, run_path, write_whole
from train.config import RunError, TrainConfig
from train.ladder import book, family, results, training
from train.ladder.config import LadderConfig
from train.ladder.family import Rung
from train.ladder.fit import Fit, FitError, fit, refuse_undetermined
from train.ladder.results import Result
from train.ladder.tokens import Tokens, open_once, refuse_repetition
from train.ranks import identity
from train.run import configuration

KEYS = frozenset(field.name for field in fields(LadderConfig))


def run(argv: list[str]) -> None:
    mine = [word for word in argv if word.partition("=")[0] in KEYS or word in ("-h", "--help")]
    typed = [word for word in argv if word not in mine]
    # A misspelled key first: it may be the one that is missing.
    checked("train", TrainConfig, [word for word in typed if "=" in word], also=KEYS)
    config = load("ladder", LadderConfig, mine)
    folder = run_path(config.run)
    if config.output:
        refuse_unwritable(Path(config.output))
    if (folder / "config.yaml").exists():
        raise RunError(f"run={config.run}: a training run, not a ladder; choose another folder")
    if config.fit:
        return _fit_existing(config, folder, typed)
    for word in typed:
        if word.partition("=")[0].partition(".")[0] in training.ITS_OWN or word.startswith(
            "checkpoint.keep="
        ):
            raise ConfigError(f"{word}: the ladder sets this for each run; leave it out")
    for word in config.launch:
        if word.startswith(("wait=", "dry_run=")) and word not in ("wait=true", "dry_run=false"):
            raise ConfigError(f"launch={word}: the ladder needs each run's end; leave it out")
    data = open_once(config, typed)
    ladder = _lay_out(config, data, typed)
    refuse_repetition(ladder, data, config.epochs)
    # The shortest run: raises now for keys that no run would take.
    load("train", TrainConfig, training.arguments_of(ladder[0][0], config, folder, typed))
    folder.mkdir(parents=True, exist_ok=True)
    _climb(config, folder, ladder, data, typed)


def _climb(
    config: LadderConfig, folder: Path, ladder: list[list[Rung]], data: Tokens, typed: list[str]
) -> None:
    """Predict, train and compare size by size; write ladder.json after each."""
    notes = book.Book(folder / "ladder.json")
    planned = [rung for size in ladder for rung in size]
    for rung in planned:
        _refuse_other_keys(rung, config, folder, data, typed)
    done: list[Result] = []
    fitted: Fit | None = None
    stopped = ""
    for size in ladder:
        left = [rung for rung in size if results.read(folder / rung.name, rung.name) is None]
        if fitted:
            new = [rung for rung in left if not (folder / rung.name / "metrics.jsonl").exists()]
            notes.predict(fitted, new)
            for rung in size:
                say(notes.line(rung))
            widest = max(notes.width(fitted, rung) for rung in size)
            if left and config.until is not None and widest <= config.until:
                stopped = f"the next size's widest interval, {widest:.2%}, is within until={config.until:g}"
                say(stopped)
                break
        training.train(left, config, folder, typed, say)
        for rung in size:
            result = _read(folder, rung, data)
            if result.excluded:
                say(f"{rung.name} is left out of the fit: {result.excluded}")
            done.append(result)
            if prediction := notes.predictions.get(rung.name):
                say(book.compared(rung.name, prediction, result.point.loss))
        results.refuse_other_data(done)
        fitted = _fit(done, config) if _determined(done) or size is ladder[-1] else None
        notes.write(config, planned, done, fitted, stopped)
    assert fitted  # after the last size, or stopped by its predictions
    _conclude(config, folder, notes, planned, done, fitted, stopped)


def _fit_existing(config: LadderConfig, folder: Path, typed: list[str]) -> None:
    if typed:
        raise ConfigError(f"{typed[0]}: nothing is trained with fit=; leave it out")
    done = []
    for name in config.fit:
        path = find_run(name, "fit")
        configuration.read_run_config(path)  # raises for what is no run
        result = results.read(path, name)
        if result is None:
            raise RunError(f"fit={name}: has not finished; resume it with its own command, or leave it out")
        if result.excluded:
            say(f"{name} is left out of the fit: {result.excluded}")
        done.append(result)
    results.refuse_other_data(done)
    fitted = _fit(done, config)
    folder.mkdir(parents=True, exist_ok=True)
    _conclude(config, folder, book.Book(folder / "ladder.json"), [], done, fitted, "")


def _conclude(
    config: LadderConfig,
    folder: Path,
    notes: book.Book,
    planned: list[Rung],
    done: list[Result],
    fitted: Fit,
    stopped: str,
) -> None:
    from train.ladder.page import page  # templates are needed only here

    written = notes.write(config, planned, done, fitted, stopped)
    for line in book.summary(written):
        say(line)
    output = Path(config.output) if config.output else folder / "ladder.html"
    try:
        write_whole(output, page(folder.resolve().name, written, done, fitted))
    except OSError as error:
        raise RunError(f"output={output}: cannot be written ({reason(error)})") from None
    print(f"relama: wrote {output} and {notes.path}")


def _lay_out(config: LadderConfig, data: Tokens, typed: list[str]) -> list[list[Rung]]:
    given = {key: value for key, _, value in (word.partition("=") for word in typed)}
    train = data.config
    return family.rungs(
        config.parameters,
        config.ratios,
        vocab_size=data.vocab_size,
        width_per_layer=config.width_per_layer,
        seq_len=config.seq_len,
        global_batch=_whole("global_batch", given["global_batch"]) if "global_batch" in given else None,
        micro_batch=_whole("micro_batch", given.get("micro_batch", "1")),
        lr=train.optim.lr if "optim.lr" in given else None,
    )


def _refuse_other_keys(
    rung: Rung, config: LadderConfig, folder: Path, data: Tokens, typed: list[str]
) -> None:
    """Raise RunError if the run has begun with other keys; the trainer sees only those that it resumes."""
    path = folder / rung.name
    if not (path / configuration.NAME).exists():
        return
    before = configuration.read_run_config(path)
    now = load("train", TrainConfig, training.arguments_of(rung, config, folder, typed))
    precision = before.precision if now.precision == "auto" else now.precision
    model = replace(now.model, vocab_size=before.model.vocab_size)
    now = replace(now, data=data.config.data, model=model, precision=precision)
    if changed := configuration.changes(path, now, None):
        keys = ", ".join(line.partition(":")[0] for line in changed)
        raise RunError(
            f"{path}: made with a different {keys}; choose another run=, or rerun the command that made it "
            f"({'; '.join(changed)})"
        )


def _read(folder: Path, rung: Rung, data: Tokens) -> Result:
    """The result of a finished run, which must be the one that the rule lays out now. Raises RunError."""
    path = folder / rung.name
    result = results.read(path, rung.name)
    if result is None:
        raise RunError(f"{path}: has not finished; the same command resumes it")
    config = result.record.config
    model = replace(config.model, vocab_size=rung.model.vocab_size)
    for key, now, then in (
        ("model", rung.model, model),
        ("steps", rung.steps, config.steps),
        ("global_batch", rung.global_batch, config.global_batch),
        ("optim.lr", rung.lr, config.optim.lr),
        ("tokens", data.fingerprints, results.data_of(path)),
    ):
        if now != then:
            raise RunError(
                f"{path}: made with a different {key}; choose another run=, or rerun the command that made it"
            )
    return result


def _fit(done: list[Result], config: LadderConfig) -> Fit:
    try:
        return fit([result.point for result in done if not result.excluded], config.replicates)
    except FitError as error:
        out = [f"{result.point.name} ({result.excluded})" for result in done if result.excluded]
        raise RunError(f"{error}{'; left out: ' + ', '.join(out) if out else ''}") from None


def _determined(done: list[Result]) -> bool:
    """Whether these runs determine a law; if not, the next size may."""
    try:
        refuse_undetermined([result.point for result in done if not result.excluded])
    except FitError:
        return False
    return True


def _whole(key: str, value: str) -> int:
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise ConfigError(f"{key}={value}: expected a whole number, at least 1")
    return number


def say(line: str) -> None:
    identity.say(f"ladder: {line}")


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError))

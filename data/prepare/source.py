"""Prepares one source: from raw files to cleaned text with provenance, and on to a token store.

In: files in the source's own format. Out: `corpora/<source>/text/part-*.parquet`, a `report.json` that counts
every record as kept or under a reason for dropping it, and `tokens/`. The one idea: a recipe is three plain
functions (`inputs`, `read`, `clean`) that do not know how they are run (`data/prepare/recipe.py`).
"""

import json
import shlex
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from configs import regular_file
from configs.errors import FAILING, again, reason
from configs.existence import exists, is_file
from data import engine, folders, mixture, remote
from data.documents import text_files
from data.errors import DataError, OtherSettings
from data.prepare.config import PrepareConfig
from data.prepare.inputs import find_inputs, recipe_module
from data.prepare.page import write_page
from data.prepare.publish import publish, refuse_unreachable
from data.progress import Progress
from data.sources.files.limits import Limits

if TYPE_CHECKING:
    from data.ccnet.refine import CCNet
    from data.tokens.tokenizer import Tokenizer


def prepare(config: PrepareConfig) -> None:
    """Run the requested stages and print what to type next. Raises DataError."""
    make(config)
    print(_next_step(config, tokenized=config.tokenizer is not None and config.stage != "text"))


def make(config: PrepareConfig) -> None:
    """Run the requested stages. Raises DataError, but never leaves output that only looks complete."""
    # Find faults in the request before spending hours on it.
    inputs = find_inputs(config) if config.stage != "tokens" else text_files(config.folder / "text")
    refine = None
    if config.recipe == "commoncrawl" and config.stage != "tokens":
        from data.prepare.ccnet import ccnet_of  # needs packages that no other recipe does

        refine = ccnet_of(config, inputs)
    if config.output and remote.is_remote(config.output):
        refuse_unreachable(config.output)
    tokenizer = None
    if config.tokenizer and config.stage != "text":
        from data.tokens.tokenizer import Tokenizer  # here, so that stage=text need not wait for it
        from data.tokens.tokenizer_json import is_plain_bpe, why_not_exportable

        tokenizer = Tokenizer(Path(config.tokenizer))
        if not is_plain_bpe(tokenizer) and (why := why_not_exportable(tokenizer)):
            Progress(config.name).say(
                f"warning: for models of these tokens, format=hf exports only weights: {why}"
            )
    try:
        with folders.locked(config.folder / ".lock"), engine.kept_workers():
            if config.stage != "tokens":
                _prepare_text(config, inputs, refine)
            if tokenizer is not None:
                _prepare_tokens(config, tokenizer)
            if is_file(report := config.folder / "report.json"):
                try:
                    write_page(config.folder)
                except (ValueError, TypeError, LookupError, AttributeError):  # the page is optional
                    Progress(config.name).say(f"warning: {report}: damaged; report.html is not written")
            if config.output and remote.is_remote(config.output):
                publish(config.folder, config.output)
    except OSError as error:  # the output's, because the input's become DataErrors or are counted
        place = config.output or config.folder
        raise DataError(f"{place}: cannot be written ({reason(error)}){again(error)}") from None


def _prepare_text(config: PrepareConfig, inputs: list[Path], refine: "CCNet | None" = None) -> None:
    from data.prepare import damage
    from data.prepare.plan import LIMITS, WORK
    from data.prepare.recipe import Recipe, make_text
    from data.sources.files import rows

    folder, module = config.folder, recipe_module(config)
    settings = {
        "recipe": config.recipe,
        "version": module.VERSION,
        "source": config.name,
        "licences": sorted(config.licences) if config.licences is not None else None,
        **{key: getattr(config, key) for key in LIMITS},
    }
    if refine is not None:
        from data.prepare.ccnet import settings_of

        settings |= settings_of(config)
    progress = Progress(config.name)
    if _is_prepared(folder, settings | {"input": [[str(path), *remote.stamp(path)] for path in inputs]}):
        shutil.rmtree(folder / WORK, ignore_errors=True)  # left if killed just before the end
        progress.say(f"{folder / 'text'} already exists with these settings; skipping")
        return
    if refine is not None:
        from data.prepare.ccnet import uncompiled

        if note := uncompiled():
            progress.say(note)
    if left_out := getattr(module, "left_out", None):
        for note in filter(None, map(left_out, map(remote.place, config.input))):
            progress.say(note)
    if config.recipe not in ("github", "arxiv"):  # their folders hold other people's links
        given = {place.resolve() for path in config.input if isinstance(place := remote.place(path), Path)}
        for link in (link for path in config.input for link in rows.links_in(remote.place(path))):
            if link.resolve() not in given:
                progress.say(f"{link}: not read: a link to a folder is not followed; add it to input=")
    clean = partial(module.clean, source=config.name)
    if config.licences is not None:
        clean = partial(clean, accepted=frozenset(name.lower() for name in config.licences))
    recipe = Recipe(module.read, clean, module.DUPLICATES, getattr(module, "slices", None), refine)
    with damage.named(folder / WORK):
        make_text(
            recipe,
            inputs,
            folder,
            settings,
            progress=progress,
            on=config.engine,
            max_broken=config.max_broken,
            record_seconds=config.record_seconds,
            limits=Limits(config.record_bytes, config.max_expansion),
        )


def _is_prepared(folder: Path, settings: dict) -> bool:
    """Whether the text exists, made with these settings. Raises DataError if it was made with others."""
    from data.prepare.plan import recorded

    report = folder / "report.json"
    if not exists(folder / "text"):
        return False
    try:
        made = recorded(json.loads(regular_file.content(report))["settings"], settings)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:  # TypeError: not an object
        if isinstance(error, OSError) and error.errno in FAILING:
            raise DataError(f"{report}: cannot be read ({reason(error)}){again(error)}") from None
        made = {}
    different = [key for key in settings if made.get(key) != settings[key]]
    if different:
        raise OtherSettings(
            f"{folder / 'text'} already exists, made with a different {', '.join(different)}",
            "move it away, choose another output=, or make tokens from it with stage=tokens",
        )
    return True


def _prepare_tokens(config: PrepareConfig, tokenizer: "Tokenizer") -> None:
    """Make the token store unless stage=all finds it; replace one with other settings only on request."""
    from data.tokens.build import build_store, work_folder  # here, so that stage=text need not wait for it

    text_folder, output = config.folder / "text", config.folder / "tokens"
    if exists(output / "manifest.json"):
        different = _differences(config, tokenizer, text_folder, output)
        if different and not config.replace:
            raise OtherSettings(
                f"{output} already exists, made with a different {', '.join(different)}, "
                "and runs may need it",
                "give the original settings, move it away, or give replace=true",
            )
        if not different and config.stage == "all":
            shutil.rmtree(work_folder(output), ignore_errors=True)  # left if killed just before the end
            Progress(config.name).say(f"{output} already exists with these settings; skipping")
            return
    build_store(
        text_folder,
        output,
        tokenizer,
        source=config.name,
        seed=config.seed,
        heldout=config.heldout,
        on=config.engine,
    )


def _differences(config: PrepareConfig, tokenizer: "Tokenizer", text_folder: Path, output: Path) -> list[str]:
    """How the existing store differs from the request. Raises DataError for a damaged one, if stage=all."""
    from data.tokens.store import read_manifest

    try:
        manifest = read_manifest(output)
    except DataError:
        if config.stage == "tokens":
            return []  # rebuild a damaged store
        raise
    made = manifest["tokenizer"]["fingerprint"], manifest["seed"], manifest["heldout"]
    settings = {
        "tokenizer": (made[0], tokenizer.fingerprint),
        f"seed ({made[1]})": (made[1], config.seed),
        f"heldout ({made[2]:g})": (made[2], config.heldout),
    }
    different = [name for name, (old, new) in settings.items() if old != new]
    newest = max((path.stat().st_mtime_ns for path in folders.matching(text_folder, "*.parquet")), default=0)
    if (output / "manifest.json").stat().st_mtime_ns < newest:
        different.append("text (it is newer)")
    return different


def _next_step(config: PrepareConfig, tokenized: bool) -> str:
    folder = config.folder
    if tokenized:
        corpora, _, name = (config.output or "").rstrip("/").rpartition("/")
        if not remote.is_remote(config.output or "") or name != folder.name:  # train finds a source by name
            corpora = str(folder.parent)
        train = f"relama train {mixture.keys_of([folder.name])} corpora={shlex.quote(corpora)}"
        return f"{corpora}/{folder.name}/tokens is ready. Next: {train}"
    where = f"output={shlex.quote(config.output)} " if config.output else ""
    if not config.output or remote.is_remote(config.output):
        where += f"corpora={shlex.quote(config.corpora)} "
    trains = f"relama tokenizer {mixture.keys_of([folder.name])} corpora={shlex.quote(str(folder.parent))}"
    return (
        f"{folder / 'text'} is ready. Next, its tokens: relama prepare recipe={config.recipe} "
        f"source={config.name} stage=tokens tokenizer=PATH {where}"
        f"(`{trains}` trains a tokenizer on this text)"
    )

"""recipe=all: from one list of dumps, make every source's text, then one tokenizer, then all token stores.

In: a YAML file with `source: path` (or a list of paths) on each line. Out: each source as `relama prepare`
makes it, and `corpora/tokenizer/tokenizer.model`. A faulty request is refused before the first byte is read;
estimates of disk, time and memory are printed first; finished steps are skipped.
"""

import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import yaml

from configs.checks import near
from configs.plain_yaml import unread
from configs.sizes import decimal
from data import mixture, remote
from data.errors import DataError
from data.prepare.config import CCNET_KEYS, RECIPES, PrepareConfig, renamed_key
from data.prepare.inputs import find_inputs
from data.prepare.source import make
from data.progress import Progress
from data.tokens.tokenizer import Tokenizer
from data.tokens.train_tokenizer import TokenizerConfig, sample_texts, train_tokenizer

# MB/s of stored input per core, and bytes of cleaned text per stored byte, measured on small real samples
# (benchmarks/text/sources.py). Those of c4 and commoncrawl are computed from figures for unpacked input, at
# 2.6 and 4 unpacked bytes per stored byte. Real dumps differ, so messages say "about".
MEASURED = {
    "commoncrawl": (1.4, 0.3),
    "c4": (6.4, 2.5),
    "github": (4.9, 0.7),
    "wikipedia": (1.1, 1.6),
    "books": (4.7, 0.9),
    "arxiv": (5.9, 1.0),
    "stackexchange": (5.6, 0.4),
    "text": (15.0, 1.4),
}
EXPECTED = "expected a YAML file of `source: path` lines, such as `wikipedia: dumps/enwiki.xml.bz2`"
TOKENS_PER_BYTE = 0.3  # docs/recipe.md §1: 2.8 to 4 bytes per token; a stored token takes two bytes
ENCODING = 10.0  # MB/s per core
WORKER_MEMORY = 2e9  # bytes a worker takes at most


def prepare_all(config: PrepareConfig) -> None:
    """Run the requested stages for all sources of the list. Raises DataError."""
    sources = read_list(Path(config.input[0]), config)
    weights = {name: config.data.weights.get(name) for name in sources}
    unweighted = next((name for name, weight in weights.items() if weight is None), None)
    if unweighted is not None:
        meant = "".join(f"did you mean {name}? " for name in near(str(unweighted), config.data.weights))
        raise DataError(
            f"input={config.input[0]}: {unweighted} has no weight in the mixture; {meant}"
            f"A source of your own needs data.weights.{unweighted}=…"
        )
    model = Path(config.tokenizer or Path(config.corpora) / "tokenizer" / "tokenizer.model")
    models = _models_request(config, sources) if config.stage != "tokens" else None
    if config.stage != "tokens" and "commoncrawl" in sources:
        _refuse_ccnet(sources["commoncrawl"], models)
    _say_needs(config, sources)
    if config.stage != "tokens":
        # CommonCrawl comes last because its models are trained on Wikipedia's text.
        for name, source in sorted(sources.items(), key=lambda item: item[0] == "commoncrawl"):
            if name == "commoncrawl" and models:
                from data.prepare.ccnet_models import train_models  # needs packages that nothing else does

                train_models(models)
            make(source)
    if config.stage == "text":
        print(
            f"{', '.join(sources)}: text ready under {config.corpora}. Next: the same command with stage=all"
        )
        return
    if not model.is_file():
        if config.tokenizer:
            raise DataError(f"tokenizer={model}: no such file; leave this key out to train a tokenizer")
        listed = replace(config.data, sources=list(sources))
        training = TokenizerConfig(listed, config.corpora, vocab_size=config.vocab_size, seed=config.seed)
        train_tokenizer(sample_texts(training), model, vocab_size=config.vocab_size, seed=config.seed)
    elif not config.tokenizer and (pieces := Tokenizer(model).vocab_size) != config.vocab_size:
        Progress("all").say(f"{model} exists, with {pieces} pieces instead of vocab_size={config.vocab_size}")
    for source in sources.values():
        make(replace(source, stage="all", tokenizer=str(model)))
    missing = [name for name in config.data.chosen() if name not in sources]
    own = [name for name in sources if name not in mixture.RECIPES]
    keys = [f"data.weights.{name}={config.data.weights[name]:g}" for name in own]
    keys += [f"data.sources={','.join(sources)}"] if missing else []
    arguments = shlex.join([*keys, f"corpora={config.corpora}"])
    print(
        f"{', '.join(sources)}: ready under {config.corpora}. Next:\n"
        f"  relama audit {arguments}\n"
        f"  relama launch processes=8 model=7b data=mix {arguments}"
    )


def read_list(path: Path, config: PrepareConfig) -> dict[str, PrepareConfig]:
    """Each source's request, in the list's order. Raises a DataError that names the faulty line."""
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"input={path}: cannot be read ({unread(error)}); {EXPECTED}") from None
    if not isinstance(listed, dict) or not listed:
        raise DataError(f"input={path}: {EXPECTED}")
    requests = {}
    for name, inputs in listed.items():
        if name in CCNET_KEYS or name == "ccnet":
            raise DataError(
                f"input={path}: {name}: this is a key, not a source; give {renamed_key(name) or 'ccnet.…'}=… "
                "on the command line"
            )
        inputs = [inputs] if isinstance(inputs, str) else inputs
        if not isinstance(inputs, list) or not all(isinstance(one, str) for one in inputs) or not inputs:
            raise DataError(f"input={path}: {name}: expected a path or a list of paths")
        recipe = name if name in RECIPES else "text"
        try:
            requests[name] = replace(
                config,
                recipe=recipe,
                source=str(name),
                input=inputs,
                stage="text",
                tokenizer=None,
                licences=config.licences if recipe == "github" else None,
            )
        except ValueError as error:
            raise DataError(f"input={path}: {name}: {error}") from None
    return requests


def _models_request(config: PrepareConfig, sources: dict[str, PrepareConfig]) -> PrepareConfig | None:
    """The request that trains CommonCrawl's models; None if none are needed. Raises DataError."""
    if "commoncrawl" not in sources or config.ccnet.models:
        return None
    if {"perplexity", "references"} <= {*config.ccnet.skip}:
        return None
    if "wikipedia" not in sources:
        raise DataError(
            f"{config.input[0]}: commoncrawl's models are trained on Wikipedia's text: list wikipedia too, "
            "or give ccnet.models=…"
        )
    dumps = [str(path) for path in find_inputs(sources["wikipedia"]) if ".xml" in path.suffixes]
    ccnet = replace(config.ccnet, cited=config.ccnet.cited or dumps)
    return replace(sources["commoncrawl"], recipe="ccnet-models", ccnet=ccnet)


def _refuse_ccnet(source: PrepareConfig, models: PrepareConfig | None) -> None:
    """Raise now what CommonCrawl, the last source, would raise after hours: missing models, say."""
    from data.prepare.ccnet import ccnet_of, refuse_unfit
    from data.prepare.ccnet_models import missing_models

    if models and any(missing_models(models)):
        refuse_unfit(source, find_inputs(source), is_trained=True)
    else:
        ccnet_of(source, find_inputs(source))


def _say_needs(config: PrepareConfig, sources: dict[str, PrepareConfig]) -> None:
    """Print estimates of the disk, time and memory needed; warn if the disk has too little space."""
    cores = config.engine.workers or (os.cpu_count() or 1 if config.engine.name == "local" else 1)
    raw = text = seconds = 0.0
    for name, source in sources.items():
        size = sum(remote.stamp(path)[0] for path in find_inputs(source))
        speed, ratio = MEASURED[source.recipe]
        Progress("all").say(f"{name}: {decimal(size)} of raw input")
        raw += size
        text += size * ratio
        seconds += size / speed / 1e6 + size * ratio / ENCODING / 1e6
    # Cleaned text compresses to about 0.4 of its size and is on disk twice until its source is finished.
    disk = text * 0.4 * 2 + text * TOKENS_PER_BYTE * 2 * 2
    training = 4 * min(text, TokenizerConfig.max_bytes)
    Progress("all").say(
        f"{decimal(raw)} in all; about {decimal(disk)} of disk, {seconds / cores / 3600:.1f} hours on "
        f"{cores} cores, and up to {decimal(max(training, WORKER_MEMORY * cores))} of memory"
    )
    place = Path(config.corpora)
    while not place.exists():
        place = place.absolute().parent
    free = shutil.disk_usage(place).free
    if free < disk:
        Progress("all").say(f"warning: {config.corpora}: only {decimal(free)} are free")

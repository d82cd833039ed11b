"""`relama prepare recipe=ccnet-models input=DUMPS ccnet.cited=WIKIPEDIA`: the models for recipe=commoncrawl.

In: prepared Wikipedia text, the dumps, and the URLs that Wikipedia cites. Out: a folder with a language
model for each language, the classifier of references, and `card.json` and `card.md`, which say how the models
were made. Existing models are kept. With too few cited pages, the error says how many are needed.
"""

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from configs.sizes import decimal
from data import folders
from data.ccnet import cited, references
from data.ccnet.refine import CCNet
from data.ccnet.train_classifier import balanced, examples, train_classifier
from data.ccnet.train_language_model import programs, train_language_model
from data.documents import Document, Drop, Record, read_documents, text_files
from data.errors import DataError
from data.prepare import damage
from data.prepare.ccnet import CARD
from data.prepare.config import PrepareConfig
from data.prepare.inputs import find_inputs
from data.prepare.plan import LIMITS, WORK, recorded
from data.prepare.recipe import Recipe, make_text
from data.progress import Progress
from data.remote import stamp
from data.sources import commoncrawl
from data.sources.files.limits import Limits

OTHERS = 2_000_000  # roughly how many uncited pages to draw from
PAGE_BYTES = 3000  # roughly how many bytes a page takes in a compressed dump
FEWEST = 10  # fewest examples of each class, even for a stand-in
CITED_FILE = "cited.npy"


def train_models(config: PrepareConfig) -> None:
    """Train the models that are missing. Raises DataError."""
    keys, folder = config.ccnet, config.models_folder
    card: dict[str, Any] = {"stand_in": False}
    if (folder / CARD).is_file():
        card |= json.loads((folder / CARD).read_text())
    languages, inputs = missing_models(config)
    wants_classifier = bool(inputs)
    wikipedia = []
    if languages or (wants_classifier and keys.stand_in):
        wikipedia = text_files(Path(config.corpora) / "wikipedia" / "text")
    with folders.locked(folder / ".lock"):
        for name in languages:
            Progress("ccnet-models").say(f"{name}: language model, {keys.lm_pieces:,} pieces")
            texts = (page.text for page in _articles(wikipedia, name))
            memory = config.engine.memory_gb
            made = train_language_model(texts, folder, name, pieces=keys.lm_pieces, memory_gb=memory)
            card.setdefault("language_models", {})[name] = made
            _write_card(folder, card)
        if wants_classifier:
            _classifier(config, folder, inputs, wikipedia, card)
            _write_card(folder, card)
    kinds = ", ".join(sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".model")))
    name = shlex.quote(str(folder))
    print(f"{folder} holds {kinds}. Next: relama prepare recipe=commoncrawl ccnet.models={name} input=…")


def missing_models(config: PrepareConfig) -> tuple[list[str], list[Path]]:
    """The languages without a language model, and the dumps to train the classifier on if it is missing.

    Raises DataError, before anything is read, if something else is missing.
    """
    keys, folder = config.ccnet, config.models_folder
    languages = [name for name in keys.languages if not (folder / f"{name}.arpa.bin").is_file()]
    languages = [] if "perplexity" in keys.skip else languages
    if languages:
        programs()
    if "references" in keys.skip or (folder / references.FILE).is_file():
        return languages, []
    references.floret()
    inputs = find_inputs(replace(config, recipe="commoncrawl"))
    if not keys.cited:
        raise DataError("ccnet.cited: expected a Wikipedia dump or a list of URLs (ccnet.cited=PATH,PATH)")
    for path in keys.cited:
        if not Path(path).is_file():
            raise DataError(f"ccnet.cited={path}: no such file; expected a Wikipedia dump or a list of URLs")
    return languages, inputs


def _classifier(
    config: PrepareConfig, folder: Path, inputs: list[Path], wikipedia: list[Path], card: dict
) -> None:
    keys = config.ccnet
    n_urls = cited.write_cited([Path(path) for path in keys.cited], folder / CITED_FILE)
    files = _sampled_pages(config, folder, inputs)

    def pages() -> Iterator[Document]:
        for path in files:
            yield from read_documents(path)

    def stood_in() -> Iterator[Document]:
        yield from pages()
        for page in _articles(wikipedia, keys.languages[0]):
            yield replace(page, meta='{"cited": true}')

    found, stand_in = examples(pages()), False
    chosen = balanced(found, config.seed)
    least = keys.min_examples
    if len(chosen) < 2 * least and keys.stand_in:
        stand_in, least = True, FEWEST
        found = examples(stood_in())
        chosen = balanced(found, config.seed)
    if len(chosen) < 2 * least:
        n_cited = sum(one.cited for one in found)
        raise DataError(
            f"cited pages: of {n_urls:,} cited URLs, {n_cited:,} are among the pages, and "
            f"{len(chosen) // 2:,} have an uncited page of similar length; the classifier needs {least:,} of "
            f"each: give more dumps (and delete {folder / 'pages'}, drawn from these) or a lower "
            "ccnet.min_examples=…; for a demonstration, ccnet.stand_in=true uses Wikipedia's own articles"
        )
    Progress("ccnet-models").say(f"classifier: {len(chosen) // 2:,} cited pages and as many others")
    made = train_classifier(stood_in() if stand_in else pages(), chosen, folder, keys.min_reference)
    card["stand_in"], card["classifier"] = stand_in, made | {"cited_urls": n_urls, "dumps": len(inputs)}
    if stand_in:
        Progress("ccnet-models").say(
            f"{folder / references.FILE} is a STAND-IN, trained on Wikipedia's own articles, not cited pages"
        )


def _sampled_pages(config: PrepareConfig, folder: Path, inputs: list[Path]) -> list[Path]:
    """Files with the cited pages and a sample of the others, without repeated paragraphs.

    Only pages in the requested languages. Draws them unless that is done; raises DataError if they were
    drawn with other settings.
    """
    share = min(1.0, OTHERS * PAGE_BYTES / max(1, sum(stamp(path)[0] for path in inputs)))
    keys, made = config.ccnet, folder / "pages"
    settings = {
        "languages": keys.languages,
        "min_language": keys.min_language,
        "cited": [[path, *stamp(Path(path))] for path in keys.cited],
        "share": share,
        "seed": config.seed,
        **{key: getattr(config, key) for key in LIMITS},
    }
    stamped = {"input": [[str(path), *stamp(path)] for path in inputs]}
    if (made / "text").exists():
        try:
            known = json.loads((made / "report.json").read_text())["settings"]
            known = recorded(known, settings | stamped)
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            raise DataError(
                f"{made / 'report.json'}: missing or damaged; delete {made} to draw the pages again"
            ) from None
        if known == json.loads(json.dumps(settings | stamped)):
            return text_files(made / "text")
        raise DataError(
            f"{made}: these pages were drawn with other settings; delete this folder to draw them again"
        )
    clean = partial(_sampled, hashes=folder / CITED_FILE, share=share, seed=config.seed)
    refine = CCNet(
        None,
        tuple(keys.languages),
        keys.min_language,
        skip=frozenset({"perplexity", "references"}),
    )
    with damage.named(made / WORK):
        make_text(
            Recipe(commoncrawl.read, clean, refine=refine),
            inputs,
            made,
            settings,
            progress=Progress("ccnet-models"),
            on=config.engine,
            max_broken=config.max_broken,
            record_seconds=config.record_seconds,
            limits=Limits(config.record_bytes, config.max_expansion),
        )
    return text_files(made / "text")


def _sampled(record: Record, *, hashes: Path, share: float, seed: int) -> Document | Drop:
    """The page, if it is cited or drawn at random."""
    known = cited.is_cited(record.url, _load(hashes))
    if (
        not known
        and xxhash.xxh3_64_intdigest(f"{seed}/{record.url}".encode(errors="replace")) >= share * 2**64
    ):
        return record.drop("not drawn")
    page = commoncrawl.clean(record, source="ccnet-models")
    if isinstance(page, Drop):
        return page
    return replace(page, meta=json.dumps(json.loads(page.meta) | {"cited": known}, sort_keys=True))


@lru_cache(maxsize=1)
def _load(hashes: Path) -> np.ndarray:
    return np.load(hashes, mmap_mode="r")


def _articles(files: list[Path], language: str) -> Iterator[Document]:
    for path in files:
        for page in read_documents(path):
            if json.loads(page.meta).get("language", language) == language:
                yield page


def _write_card(folder: Path, card: dict) -> None:
    """Write the card for programs (JSON) and for people (Markdown)."""
    folders.write_whole(folder / CARD, json.dumps(card, indent=1))
    lines = ["# Models for CCNet's steps", ""]
    for name, made in card.get("language_models", {}).items():
        lines.append(
            f"- `{name}.sp.model`, `{name}.arpa.bin`: {made['paragraphs']:,} paragraphs "
            f"({decimal(made['bytes'])}) of prepared Wikipedia text; {made['pieces']:,} pieces, "
            f"{made['order']}-grams."
        )
    if made := card.get("classifier"):
        if card["stand_in"]:
            positives = (
                "**A STAND-IN: its positives are Wikipedia's own articles, because too few cited pages were "
                "found. Use it to try the pipeline; do not train on the pages it keeps.**"
            )
        else:
            positives = (
                f"Positives: pages of {made['dumps']:,} dump files whose URL is one of "
                f"{made['cited_urls']:,} cited."
            )
        lines.append(
            f"- `{references.FILE}`: floret's supervised classifier, default settings. {positives} "
            f"Negatives: random pages of the same lengths. {made['examples']:,} examples without duplicates, "
            f"{made['held_out']:,} of them held out. On the held-out ones: accuracy {made['accuracy']}; at "
            f"threshold {made['threshold']} it keeps {made['kept_of_cited']} of the positives and "
            f"{made['kept_of_others']} of the negatives."
        )
    folders.write_whole(folder / "card.md", "\n".join(lines) + "\n")

"""The built-in sample: real text that comes with every Python, prepared once, offline.

In: this Python's standard library. Out: two sources, a tokenizer trained on both, and their token stores. The
sources are `python_code` (the library's files, by the GitHub recipe with Python's license accepted) and
`python_docs` (the language reference's topics and the docstrings, by the text recipe). A module's code and
its docstrings have the same URL, so they are held out together and neither reveals the other.
"""

import ast
import json
import platform
import random
import shutil
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from configs import regular_file
from configs.errors import FAILING, again, reason
from data.errors import DataError
from data.folders import aside, commit, locked, write_whole
from data.progress import Progress

VERSION = 1  # raise this when the same Python would give another sample
MADE_WITH = {"github": 17, "text": 11}  # the recipes' versions, copied (and tested): importing them is slow
WEIGHTS = {"python_code": 60, "python_docs": 40}  # of the text that the tokenizer learns from
VOCAB_SIZE = 4096
HELDOUT = 0.03  # of such a small corpus, the usual 0.1 % would be too little
TOKENIZER_BYTES = 6_000_000  # of text, drawn by these weights

# Tests are not ordinary code; the other folders are not Python's own, or differ between machines.
_SKIPPED = frozenset({"test", "tests", "idle_test", "site-packages", "dist-packages", "ensurepip"})
_LICENSE = "psf-2.0"
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def prepare_sample(corpora: Path, *, vocab_size: int | None = None, replace: bool | None = None) -> str:
    """Make the sample under `corpora`, in one process, unless a complete one exists.

    A sample made by another Python or other recipes is replaced only on request, because runs may depend on
    it: `replace=None` uses it and returns a line that says so (otherwise ""), `False` refuses it, and `True`
    makes it again. `vocab_size=None` accepts any vocabulary, and makes one of 4,096 pieces.

    Raises DataError if the existing sample has another vocabulary, or if this Python lacks its sources or
    documentation.
    """
    made = {
        "version": VERSION,
        "recipes": MADE_WITH,
        "python": platform.python_version(),
        "vocab_size": vocab_size or VOCAB_SIZE,
    }
    progress = Progress("sample")
    wait = partial(progress.say, "waiting for another process that is preparing it")
    try:
        older = _older(corpora)
        if older is None or (replace and older != made):
            with locked(corpora / ".sample.lock", waiting=wait):
                older = _older(corpora)
                if older is None or (replace and older != made):
                    _make(corpora, made, progress)
                    return ""
    except OSError as error:
        if error.errno in FAILING:
            raise
        raise DataError(f"{corpora}: the sample cannot be written ({reason(error)}){again(error)}") from None
    return _difference(corpora / "sample", older, made, vocab_size, replace)


def _difference(folder: Path, older: dict, made: dict, vocab_size: int | None, replace: bool | None) -> str:
    """How a finished sample differs from one made now. Raises DataError if the difference is refused."""
    if vocab_size and older.get("vocab_size") != vocab_size:
        raise DataError(
            f"{folder}: its tokenizer has {older.get('vocab_size')} pieces, not "
            f"data.vocab_size={vocab_size}; give corpora=FOLDER to make another sample there"
        )
    by = [] if older.get("python") == made["python"] else [f"Python {older.get('python')}"]
    if any(older.get(key) != made[key] for key in ("version", "recipes")):
        by.append("other recipes")
    if not by:
        return ""
    how = f"{folder}: made by {' and '.join(by)}"
    remake = "`relama prepare recipe=sample replace=true` makes it again"
    if replace is False:
        raise DataError(f"{how}; {remake}, and runs trained on it will refuse the new one")
    return f"{how}; using it unchanged ({remake})"


def _older(corpora: Path) -> dict | None:
    """What the complete sample under `corpora` was made with."""
    try:
        marker = json.loads(regular_file.content(corpora / "sample" / "sample.json"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    manifests = [corpora / source / "tokens" / "manifest.json" for source in WEIGHTS]
    is_complete = isinstance(marker, dict) and all(manifest.is_file() for manifest in manifests)
    return marker if is_complete else None


def _make(corpora: Path, made: dict, progress: Progress) -> None:
    """Make everything in a temporary folder, then move the folders into place, the marker last."""
    from data.prepare.page import write_page
    from data.prepare.recipe import Recipe, make_text
    from data.sources import github, text
    from data.tokens.build import build_store  # slow imports (a second) that a finished sample can skip
    from data.tokens.tokenizer import Tokenizer
    from data.tokens.train_tokenizer import train_tokenizer

    progress.say(f"preparing it once, from Python {made['python']}'s own sources, under {corpora}/")
    new = aside(corpora / ".sample")
    settings = {"recipe": "sample", **made}
    clean_code = partial(github.clean, source="python_code", accepted=frozenset({_LICENSE}))
    clean_docs = partial(text.clean, source="python_docs")
    library = _library()
    for source, recipe in {
        "python_code": Recipe(_code, clean_code, "exact"),
        "python_docs": Recipe(_documentation, clean_docs, "exact"),
    }.items():
        make_text(recipe, [library], new / source, settings, progress=Progress(source))
    progress.say("training a tokenizer on it")
    model = new / "sample" / "tokenizer.model"
    train_tokenizer(_by_weight(new), model, vocab_size=made["vocab_size"])
    tokenizer = Tokenizer(model)
    for source in WEIGHTS:
        build_store(new / source / "text", new / source / "tokens", tokenizer, source=source, heldout=HELDOUT)
        write_page(new / source)
    write_whole(new / "sample" / "sample.json", json.dumps(made, indent=1))
    (corpora / "sample" / "sample.json").unlink(missing_ok=True)
    for name in (*WEIGHTS, "sample"):
        commit(new / name, corpora / name)
    shutil.rmtree(new)
    progress.say(f"ready in {time.monotonic() - progress.started:.0f} s")


def _by_weight(folder: Path) -> Iterator[str]:
    """Randomly drawn documents from both sources, TOKENIZER_BYTES in all, divided by WEIGHTS."""
    from data.documents import read_documents, text_files

    for source, weight in WEIGHTS.items():
        documents = [doc for path in text_files(folder / source / "text") for doc in read_documents(path)]
        left = TOKENIZER_BYTES * weight / sum(WEIGHTS.values())
        for document in random.Random(0).sample(documents, len(documents)):
            if left <= 0:
                break
            yield document.text
            left -= document.n_bytes


def _library() -> Path:
    """A file of the standard library. Raises DataError if the library lacks its sources or documentation."""
    root = Path(sysconfig.get_path("stdlib"))
    if not (root / "os.py").is_file():
        raise DataError(f"{root}: no Python sources (.py); data=sample needs a Python installed with them")
    try:
        from pydoc_data import topics  # noqa: F401
    except ImportError:
        raise DataError(
            "pydoc_data.topics: this Python came without its documentation, which data=sample needs; "
            "install the full standard library (Debian: libpython3-stdlib) or use your own text "
            "(`relama prepare recipe=text`)"
        ) from None
    return root / "os.py"


def _code(library: Path) -> Iterator:
    """The standard library's Python files as the GitHub recipe reads them, each with its URL."""
    from data.documents import Record
    from data.sources import github

    for item in github.read_folder(library.parent, skipped=_SKIPPED, license=_LICENSE):
        if _is_source(item.file):
            yield replace(item, url=_url(item.meta["path"])) if isinstance(item, Record) else item


def _is_source(file: str) -> bool:
    """Whether this is a Python file, but neither this machine's settings nor the topics of python_docs."""
    return file.endswith(".py") and not Path(file).name.startswith(("_sysconfig", "topics.py"))


def _url(path: str) -> str:
    """The file's URL on its branch, not its release, so that a patch release holds out the same documents."""
    branch = ".".join(platform.python_version_tuple()[:2])
    return f"https://github.com/python/cpython/blob/{branch}/Lib/{path}"


def _documentation(library: Path) -> Iterator:
    """The language reference's topics, and the docstrings of each module."""
    from pydoc_data import topics

    from data.documents import Record

    for place, (name, body) in enumerate(sorted(topics.topics.items())):
        yield Record(topics.__file__, place, body.strip() + "\n", "", _LICENSE, {"topic": name})
    for source in _code(library):
        if not isinstance(source, Record):  # a drop, which python_code counts
            continue
        module = source.meta["path"].removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        text = "\n\n".join(_docstrings(module, source.text))
        if text:
            yield replace(source, text=text + "\n", meta={"module": module})


def _docstrings(module: str, code: str) -> list[str]:
    """A module's docstrings, each under a heading with the name and arguments it documents."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):  # some files are broken on purpose
        return []
    found = []

    def visit(node: Documented, heading: str, prefix: str) -> None:
        docstring = ast.get_docstring(node)
        if docstring:
            found.append(f"{heading}\n\n{docstring}")
        for child in node.body:
            if isinstance(child, ast.ClassDef):
                visit(child, f"class {prefix}{child.name}", f"{prefix}{child.name}.")
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                visit(child, f"{prefix}{child.name}({ast.unparse(child.args)})", f"{prefix}{child.name}.")

    visit(tree, f"module {module}", f"{module}.")
    return found

"""The built-in sample is complete, made once for any number of processes, and truly held out."""

import ast
import json
import re
import signal
import subprocess
import sys
import sysconfig
import textwrap
import time
from pathlib import Path

import pytest
import yaml

from data.documents import read_documents, text_files
from data.errors import DataError
from data.mixture import DataConfig, find_stores
from data.prepare import sample
from data.prepare.sample import prepare_sample
from data.sources import text
from data.sources.github import recipe as github
from data.tokens.store import TokenStore
from data.tokens.tokenizer import Tokenizer
from tests.support.narrow import present

ROOT = Path(__file__).resolve().parents[3]
CONFIG = DataConfig(**yaml.safe_load((ROOT / "configs" / "data" / "sample.yaml").read_text()))
# With the core alone: `make demo` installs no more.
ASK = (
    "import sys, pathlib, data.prepare.sample, tests.support.core_only as core_only; "
    "core_only.block_extras(); data.prepare.sample.prepare_sample(pathlib.Path(sys.argv[1]))"
)

# The process that makes it begins once its input ends: when the others have come, however late.
HELD = (
    "import sys, data.prepare.sample as sample; make = sample._make; "
    "sample._make = lambda *given: (sys.stdin.read(), make(*given))"
)


def ask(corpora: Path, errors: Path) -> subprocess.Popen:
    """Start a process that asks for the sample, with its errors in a file."""
    command = [sys.executable, "-c", f"{HELD}; {ASK}", corpora]
    with errors.open("w") as file:
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=file)


def stores_of(corpora: Path) -> list[Path]:
    return [Path(place) for place in find_stores(corpora, CONFIG).values()]


def is_complete(corpora: Path) -> bool:
    """Every store opens, and every checksum holds."""
    for folder in stores_of(corpora):
        for split in ("train", "heldout"):
            TokenStore.open(folder, split).verify()
    return (corpora / "sample" / "tokenizer.model").is_file()


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    """The sample, requested by three processes at once; their output is next to it."""
    folder = tmp_path_factory.mktemp("sample") / "corpora"
    errors = [folder.parent / f"{number}.txt" for number in range(3)]
    asking = [ask(folder, file) for file in errors]

    def said() -> list[str]:
        return [file.read_text() for file in errors]

    while sum("waiting for another" in words for words in said()) < 2:
        assert [process.poll() for process in asking] == [None] * 3, said()
        time.sleep(0.05)
    for process in asking:
        present(process.stdin).close()
    codes = [process.wait() for process in asking]
    outputs = said()
    assert codes == [0, 0, 0], outputs
    (folder.parent / "outputs.json").write_text(json.dumps(outputs))
    return folder


def test_several_processes_that_ask_at_once_get_one_complete_sample(corpora):
    outputs = json.loads((corpora.parent / "outputs.json").read_text())
    assert sum("preparing it once" in words for words in outputs) == 1
    assert all("preparing it once" in words or "waiting for another" in words for words in outputs)
    assert is_complete(corpora)
    assert not [path for path in corpora.rglob("*") if path.name.endswith((".tmp", ".old"))]


def test_it_is_small_enough_to_be_made_in_seconds_and_says_how_many_it_took(corpora):
    output = "".join(json.loads((corpora.parent / "outputs.json").read_text()))
    assert re.search(r"ready in \d+ s", output)
    stores = [
        TokenStore.open(folder, split) for folder in stores_of(corpora) for split in ("train", "heldout")
    ]
    assert sum(store.n_bytes for store in stores) < 20e6  # 12 MB take 9 s on two idle cores


def test_both_sources_are_large_enough_to_train_and_to_validate(corpora):
    for folder in stores_of(corpora):
        assert TokenStore.open(folder).n_tokens > 500_000
        assert TokenStore.open(folder, "heldout").n_sequences(256) >= 16
        assert TokenStore.open(folder).vocab_size == CONFIG.vocab_size


@pytest.mark.parametrize("source", ["python_code", "python_docs"])
def test_each_source_has_its_page_as_other_sources_have(corpora, source):
    page = (corpora / source / "report.html").read_text()
    assert f"<h1>{source}</h1>" in page and "held-out tokens" in page


def test_its_weights_are_those_its_tokenizer_was_trained_with():
    assert CONFIG.chosen() == sample.WEIGHTS


def test_no_module_is_held_out_of_one_source_and_trained_on_in_the_other(corpora):
    splits: dict[str, set[str]] = {}
    for folder in stores_of(corpora):
        urls = {
            path: [doc.url for doc in read_documents(path)] for path in text_files(folder.parent / "text")
        }
        for split in ("train", "heldout"):
            store = TokenStore.open(folder, split)
            for span in store.documents(0, store.n_tokens):
                if url := urls[span.text_file][span.row]:
                    splits.setdefault(url, set()).add(split)
    assert len(splits) > 400
    assert [url for url, places in splits.items() if len(places) > 1] == []
    assert sum(places == {"heldout"} for places in splits.values()) >= 5


def program(source: str | bytes) -> str:
    """The code that runs; a module's docstring may contain its license notice."""
    tree = ast.parse(source)
    if ast.get_docstring(tree) is not None:
        tree.body = tree.body[1:]
    return ast.dump(tree)


def test_code_without_its_headers_is_the_same_program(corpora):
    documents = [doc for path in text_files(corpora / "python_code" / "text") for doc in read_documents(path)]
    for document in documents[::7]:
        original = Path(document.file).read_bytes()
        try:
            expected = program(original)
        except (SyntaxError, ValueError):
            continue
        assert program(document.text) == expected, document.file


def test_tests_and_other_packages_are_left_out_and_the_license_is_pythons(corpora):
    for source in ("python_code", "python_docs"):
        for path in text_files(corpora / source / "text"):
            for document in read_documents(path):
                assert not {"test", "tests", "idle_test", "site-packages"} & {*Path(document.file).parts}
                assert document.licence == "psf-2.0" and document.source == source


def test_documentation_matches_pythons_own_help(corpora):
    documents = [doc for path in text_files(corpora / "python_docs" / "text") for doc in read_documents(path)]
    topics = {json.loads(doc.meta)["topic"]: doc.text for doc in documents if "topic" in json.loads(doc.meta)}
    modules = {
        json.loads(doc.meta)["module"]: doc.text for doc in documents if "module" in json.loads(doc.meta)
    }
    assert "assert" in topics and len(topics) > 60
    assert present(textwrap.__doc__).strip() in modules["textwrap"]
    assert "textwrap.dedent(text)" in modules["textwrap"]
    assert "class textwrap.TextWrapper" in modules["textwrap"]


def test_its_tokenizer_gives_back_the_text_it_encodes(corpora):
    tokenizer = Tokenizer(corpora / "sample" / "tokenizer.model")
    documents = [doc for path in text_files(corpora / "python_code" / "text") for doc in read_documents(path)]
    for document in documents[::40]:
        assert tokenizer.decode(tokenizer.encode(document.text)) == document.text.replace("\u2581", " ")


def test_a_second_request_is_immediate_and_imports_nothing_heavy(corpora):
    before = {path: path.stat().st_mtime_ns for path in corpora.rglob("*")}
    code = f"{ASK}; print([name for name in ('pyarrow', 'numpy', 'sentencepiece') if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code, corpora], cwd=ROOT, capture_output=True, text=True)
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")
    assert {path: path.stat().st_mtime_ns for path in corpora.rglob("*")} == before


def test_a_sample_killed_halfway_is_rebuilt_by_the_next_process(tmp_path):
    ends = "import sys; from tests.support.killed import end_at; end_at(sys.argv[1], sys.argv[2])"
    command = [sys.executable, "-c", f"{ends}; {ASK}", tmp_path, ".sample.tmp/python_docs/text.work"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    with pytest.raises(DataError, match="python_code, python_docs"):
        find_stores(tmp_path, CONFIG)
    prepare_sample(tmp_path)
    assert is_complete(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["python_code", "python_docs", "sample"]


@pytest.mark.parametrize(
    ("changed", "value", "by"),
    [
        ("VERSION", 99, "other recipes"),
        ("MADE_WITH", {"github": 99, "text": 1}, "other recipes"),
        ("platform", None, "Python 3"),
    ],
)
def test_an_older_sample_is_used_unless_asked_to_replace_it(corpora, monkeypatch, changed, value, by):
    made = []
    monkeypatch.setattr(sample, "_make", lambda corpora, settings, progress: made.append(settings))
    if changed == "platform":
        monkeypatch.setattr(sample.platform, "python_version", lambda: "3.99.0")
    else:
        monkeypatch.setattr(sample, changed, value)
    note = prepare_sample(corpora, vocab_size=4096)
    assert f"made by {by}" in note and "using it unchanged" in note and "replace=true" in note
    with pytest.raises(DataError, match=f"made by {by}.*replace=true"):
        prepare_sample(corpora, replace=False)
    assert made == []
    assert prepare_sample(corpora, replace=True) == ""
    assert len(made) == 1
    monkeypatch.undo()
    assert prepare_sample(corpora, replace=True) == ""  # current: does not call _make, which would take long
    assert is_complete(corpora)


def test_a_sample_of_another_vocabulary_is_refused(corpora):
    with pytest.raises(DataError, match=r"4096 pieces, not data.vocab_size=5000; give corpora="):
        prepare_sample(corpora, vocab_size=5000)


@pytest.mark.parametrize("missing", ["sample/sample.json", "python_code/tokens/manifest.json"])
def test_a_sample_with_a_missing_part_is_rebuilt(corpora, monkeypatch, missing):
    made = []
    monkeypatch.setattr(sample, "_make", lambda corpora, settings, progress: made.append(settings))
    hidden = corpora / (missing + ".hidden")
    (corpora / missing).rename(hidden)
    try:
        prepare_sample(corpora)
    finally:
        hidden.rename(corpora / missing)
    assert len(made) == 1


def test_changing_its_recipes_changes_the_sample():
    assert sample.MADE_WITH == {"github": github.VERSION, "text": text.VERSION}


def test_a_python_without_its_documentation_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    monkeypatch.delattr(sys.modules.get("pydoc_data", sys), "topics", raising=False)
    with pytest.raises(DataError, match="pydoc_data") as refusal:
        sample._library()
    assert "\n" not in str(refusal.value)


def test_a_python_without_its_sources_is_refused_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(DataError, match="no Python sources"):
        sample._library()

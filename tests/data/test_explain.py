"""Any step is explained down to the file and record, from the order and the stores alone."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from data.errors import DataError
from data.explain import explain, main
from data.loader import Loader
from data.order import Order
from data.tokens.store import TokenStore

SEQ_LEN, BATCH = 100, 6


@pytest.fixture
def run(tmp_path, stores) -> Path:
    """A run folder with the order.json that the trainer writes."""
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    write_order(folder, stores)
    return folder


def write_order(folder: Path, stores: dict[str, TokenStore]) -> Order:
    sizes = {source: store.n_sequences(SEQ_LEN) for source, store in stores.items()}
    order = Order.start(seed=9, weights={"prose": 2, "code": 1}, n_sequences=sizes, seq_len=SEQ_LEN)
    known = {
        "order": order.to_json(),
        "global_batch": BATCH,
        "stores": {source: str(store.folder) for source, store in stores.items()},
        "fingerprints": {source: store.fingerprint for source, store in stores.items()},
    }
    (folder / "order.json").write_text(json.dumps(known))
    return order


def order_of(run: Path) -> Order:
    return Order.from_json(json.loads((run / "order.json").read_text())["order"])


@pytest.mark.parametrize("step", [1, 2, 777, 10**8])
def test_the_printed_documents_are_those_that_the_loader_gives_to_the_step(
    run, stores, documents, tokenizer, step
):
    with Loader(order_of(run), stores, micro_batch=BATCH, global_batch=BATCH) as loader:
        ((inputs, _),) = loader.batches(step - 1, step)
    samples = "\n".join(explain(run, step)).split("\n\nsample ")[1:]
    assert len(samples) == BATCH
    by_record = {document.record: document for document in documents}
    for row, words in zip(inputs.numpy(), samples):
        found = re.findall(
            r"document (\S+), tokens ([\d,]+) to ([\d,]+) of .*\n    record ([\d,]+) of (\S+)", words
        )
        tokens = []
        for name, low, high, record, file in found:
            low, high, record = (int(number.replace(",", "")) for number in (low, high, record))
            document = by_record[record]
            assert (document.id, document.file) == (name, file)
            whole = [tokenizer.bos_id, *tokenizer.encode(document.text).tolist(), tokenizer.eos_id]
            tokens += whole[low:high]
        assert tokens[:SEQ_LEN] == row.tolist() and len(tokens) == SEQ_LEN + 1


def test_the_shard_and_the_place_are_where_the_tokens_are(run, stores):
    order = order_of(run)
    text = "\n".join(explain(run, 3))
    places = re.findall(r"from token ([\d,]+) of (\S+)", text)
    for n, (place, shard) in enumerate(places, start=2 * BATCH):
        sample = order.locate(n)
        first = stores[sample.source].sequence(sample.index, SEQ_LEN)[:1]
        assert np.fromfile(shard, "<u2")[int(place.replace(",", ""))] == first
        assert f"sample {n}: {sample.source}, epoch {sample.epoch}, sequence {sample.index}" in text


def test_url_license_and_text_are_shown(run, corpora, documents, stores):
    text = "\n".join(line for step in range(1, 6) for line in explain(run, step))
    assert "license mit" in text and "url https://example.org/" in text and "url unknown" in text
    sample = order_of(run).locate(0)
    start = sample.index * SEQ_LEN
    span = next(stores[sample.source].documents(start, start + SEQ_LEN + 1))
    assert f"row {span.row} of {span.text_file}" in text


def test_the_text_between_the_bars_is_the_documents_own(run, documents):
    bodies = [document.text for document in documents]
    blocks = re.findall(r"(?:^    \| .*\n?)+", "\n".join(explain(run, 2)), flags=re.MULTILINE)
    assert len(blocks) >= BATCH
    for block in blocks:
        text = "\n".join(line.removeprefix("    | ") for line in block.rstrip("\n").split("\n"))
        text = text.strip("\ufffd")  # a sequence may begin or end inside a character
        assert any(text.strip() in body for body in bodies)


def test_limit_and_width_shorten_and_say_so(run):
    lines = list(explain(run, 1, limit=2, width=10))
    assert "limit=2" in lines[0] and sum(line.startswith("sample ") for line in lines) == 2
    assert any(line.endswith("characters more") for line in lines)
    text = [line for line in lines if line.startswith("    | ")]
    assert all(len(line.removeprefix("    | ").partition(" … ")[0]) <= 10 for line in text)


def test_control_characters_are_printed_escaped():
    from configs.terminal import printable

    assert printable("a\x1b[31m\tb\r\u202eé", keep="\t") == "a\\x1b[31m\tb\\r\\u202eé"


def test_the_verb_prints_a_step_of_a_run_by_its_name(run, capsys, monkeypatch):
    monkeypatch.chdir(run.parent.parent)
    assert main(["run=mine", "step=4", "limit=1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("step 4: samples 18 to 23 (limit=1") and "document " in out


def test_a_branch_explains_the_sources_that_only_its_parents_read(run, stores):
    """Its corpora may lack them: their place is in the order.json of the run that read them."""
    child = run.parent / "child"
    child.mkdir()
    known = json.loads((run / "order.json").read_text())
    n = {"prose": stores["prose"].n_sequences(SEQ_LEN)}
    order = order_of(run).change(BATCH * 2, weights={"prose": 1}, n_sequences=n, seq_len=SEQ_LEN)
    for key in ("stores", "fingerprints"):
        known[key] = {"prose": known[key]["prose"]}
    (child / "order.json").write_text(json.dumps(known | {"order": order.to_json()}))
    first = next(step for step in (1, 2) if "code" in " ".join(explain(run, step)))
    with pytest.raises(DataError, match="the tokens of code are no longer where the run or its parents"):
        list(explain(child, first))
    (child / "lineage.json").write_text(json.dumps({"parent": "../mine"}))
    for step in (1, 2):
        assert list(explain(child, step)) == list(explain(run, step))
    assert {line.split()[2] for line in explain(child, 3) if line.startswith("sample ")} == {"prose,"}
    (run / "lineage.json").write_text(json.dumps({"parent": "../child"}))  # a circle, which an editor made
    assert list(explain(child, first))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run=RUN", "step=0"], "step=0: expected 1 or above"),
        (["run=RUN", "step=-3"], "step=-3: expected 1 or above"),
        (["run=RUN", "step=one"], "step=one: expected an integer"),
        (["run=RUN"], "step: is required"),
        (["step=1"], "run: is required"),
        (["run=RUN/no", "step=1"], "no: no such run ("),
        (["run=RUN", "step=1", "limit=0"], "limit=0: expected null or at least 1"),
        (["run=RUN", "step=1", "width=-1"], "width=-1: expected null or at least 1"),
        (["run=RUN", "step=1", "length=5"], "length: unknown key"),
    ],
)
def test_invalid_settings_are_refused_in_one_line(run, arguments, message, capsys):
    assert main([argument.replace("RUN", str(run)) for argument in arguments]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"order": {"seed": 1}}', "null"])
def test_an_invalid_order_is_refused_in_one_line(run, content, capsys):
    (run / "order.json").write_text(content)
    assert main([f"run={run}", "step=1"]) == 1
    error = capsys.readouterr().err
    assert "order.json: not the order of a run" in error and error.count("\n") == 1


@pytest.fixture
def copied(corpora, tmp_path) -> dict[str, TokenStore]:
    root = shutil.copytree(corpora, tmp_path / "corpora")
    return {source: TokenStore.open(root / source / "tokens") for source in ("code", "prose")}


def test_missing_text_is_reported_by_name(run, copied, tmp_path, capsys):
    write_order(run, copied)
    shutil.rmtree(tmp_path / "corpora" / "prose" / "text")
    assert main([f"run={run}", "step=1"]) == 1
    assert re.search(
        r"prose/text/part-\d+\.parquet: missing; restore the cleaned text", capsys.readouterr().err
    )


def test_missing_or_rebuilt_tokens_are_reported_by_name(run, copied, tmp_path, capsys):
    write_order(run, copied)
    known = json.loads((run / "order.json").read_text())
    known["fingerprints"]["code"] = "another"
    (run / "order.json").write_text(json.dumps(known))
    assert main([f"run={run}", "step=1"]) == 1
    assert "code/tokens: not the tokens that" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "corpora" / "code" / "tokens")
    assert main([f"run={run}", "step=1"]) == 1
    error = capsys.readouterr().err
    assert re.search(r"code/tokens: missing, .*trained on the tokens of code; .*corpora=FOLDER", error)


def test_a_run_and_its_corpora_on_another_machine(run, copied, stores, tmp_path, capsys):
    write_order(run, copied)
    before = list(explain(run, 3))
    (tmp_path / "corpora").rename(tmp_path / "moved")
    shutil.copytree(run, tmp_path / "elsewhere")
    assert main([f"run={tmp_path / 'elsewhere'}", "step=3"]) == 1
    assert "corpora=FOLDER" in capsys.readouterr().err
    assert main([f"run={tmp_path / 'elsewhere'}", "step=3", f"corpora={tmp_path / 'moved'}"]) == 0
    moved = [line.replace(f"{tmp_path}/corpora/", f"{tmp_path}/moved/") for line in before]
    assert list(explain(tmp_path / "elsewhere", 3, corpora=str(tmp_path / "moved"))) == moved
    shutil.rmtree(tmp_path / "moved" / "code" / "tokens")
    shutil.copytree(tmp_path / "moved" / "prose" / "tokens", tmp_path / "moved" / "code" / "tokens")
    assert main([f"run={tmp_path / 'elsewhere'}", "step=3", f"corpora={tmp_path / 'moved'}"]) == 1
    assert "moved/code/tokens: not the tokens that" in capsys.readouterr().err
